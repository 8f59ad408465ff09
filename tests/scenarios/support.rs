//! Short words for scenarios.

use std::collections::BTreeMap;

use sotto::client::conversation::{MessageQuery, SendOptions};
use sotto::client::conversations::GroupOptions;
use sotto::client::rows::{ConversationRow, MessageRow};
use sotto::client::testing::{Tab, TestEnv, World};
use sotto::client::{Client, GroupId};
use sotto::content::{
    Content, ContentType as _, EncodedContent, GroupUpdated, PlaintextEnvelope, Text,
};
use sotto::mls::extensions::GROUP_NAME;
use sotto::mls::policy::Preset;
use sotto::mls::{Change, GroupFacts};

pub fn named(name: &str) -> GroupOptions {
    GroupOptions {
        name: Some(name.to_owned()),
        ..GroupOptions::default()
    }
}

pub fn group(world: &World, creator: &Tab, others: &[&Tab]) -> GroupId {
    let client = creator.client.clone();
    let inboxes = others.iter().map(|tab| tab.inbox_id().to_owned()).collect();
    world
        .run(async move { client.create_group(inboxes, named("a group")).await })
        .unwrap()
}

pub fn sync(world: &World, tab: &Tab) {
    let client = tab.client.clone();
    world
        .run(async move { client.sync_all(None, None).await })
        .unwrap();
}

pub fn say(world: &World, tab: &Tab, id: GroupId, text: &str) -> String {
    try_say(world, tab, id, text).unwrap()
}

pub fn try_say(world: &World, tab: &Tab, id: GroupId, text: &str) -> sotto::Result<String> {
    let client = tab.client.clone();
    let content = Text::from(text).encode().unwrap();
    world
        .run(async move { client.send(id, &content, &SendOptions::default()).await })
        .map(|id| id.to_string())
}

/// The texts in a conversation, oldest first.
pub fn texts(world: &World, tab: &Tab, id: GroupId) -> Vec<String> {
    let client = tab.client.clone();
    let rows = world
        .run(async move { client.messages(id, &MessageQuery::default()).await })
        .unwrap();
    rows.iter()
        .filter_map(
            |row| match Content::decode(&EncodedContent::from_bytes(&row.content).ok()?) {
                Ok(Content::Text(text)) => Some(text.0),
                _ => None,
            },
        )
        .collect()
}

/// All members agree on epoch, authenticator, roster, roles and metadata.
pub fn assert_converged(world: &World, tabs: &[&Tab], id: GroupId) {
    for tab in tabs {
        sync(world, tab);
    }
    for tab in tabs {
        sync(world, tab);
    }
    let views: Vec<_> = tabs
        .iter()
        .map(|tab| {
            let client = tab.client.clone();
            let row = world.run(async move { client.peek(id).await }).unwrap();
            assert!(row.active, "not a member");
            assert!(!row.maybe_forked, "fork suspected");
            (
                row.epoch,
                row.epoch_authenticator,
                row.members,
                row.admins,
                row.super_admins,
                row.attributes,
            )
        })
        .collect();
    for view in &views {
        assert_eq!(view, &views[0]);
    }
}

/// Opens so many people with one installation each.
pub fn people<const N: usize>(world: &World) -> [Tab; N] {
    std::array::from_fn(|_| world.open(&world.device()).unwrap())
}

/// Runs something with a tab's client.
pub fn act<R: 'static>(
    world: &World,
    tab: &Tab,
    body: impl AsyncFnOnce(Client<TestEnv>) -> R + 'static,
) -> R {
    let client = tab.client.clone();
    world.run(async move { body(client).await })
}

pub fn row(world: &World, tab: &Tab, id: GroupId) -> ConversationRow {
    act(world, tab, async move |client| client.peek(id).await).unwrap()
}

pub fn add(world: &World, by: &Tab, id: GroupId, who: &Tab) -> sotto::Result<()> {
    let inbox = who.inbox_id().to_owned();
    act(world, by, async move |client| {
        client.add_members(id, vec![inbox]).await
    })
}

pub fn remove(world: &World, by: &Tab, id: GroupId, who: &Tab) -> sotto::Result<()> {
    let inbox = who.inbox_id().to_owned();
    act(world, by, async move |client| {
        client.remove_members(id, vec![inbox]).await
    })
}

pub fn rename(world: &World, by: &Tab, id: GroupId, name: &str) -> sotto::Result<()> {
    let set = name_of(name);
    act(world, by, async move |client| {
        client.update_metadata(id, set, BTreeMap::new()).await
    })
}

pub fn name_of(name: &str) -> BTreeMap<String, String> {
    [(GROUP_NAME.to_owned(), name.to_owned())].into()
}

/// Gives or takes the admin (false) or super admin (true) role.
pub fn role(
    world: &World,
    by: &Tab,
    id: GroupId,
    who: &Tab,
    super_admin: bool,
    remove: bool,
) -> sotto::Result<()> {
    let inbox = who.inbox_id().to_owned();
    act(world, by, async move |client| {
        client.update_role(id, inbox, super_admin, remove).await
    })
}

/// A commit that a member makes without asking its own rules; it is not sent.
pub fn forge(world: &World, by: &Tab, id: GroupId, change: Change) -> Vec<u8> {
    forge_with_welcome(world, by, id, change).0
}

/// The same, with the Welcome for those whom it adds.
pub fn forge_with_welcome(
    world: &World,
    by: &Tab,
    id: GroupId,
    change: Change,
) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut change = Some(change);
    act(world, by, async move |client| {
        client
            .step(id, async |step| {
                let mls = step.mls()?;
                let commit = mls.stage_commit(change.take().unwrap())?;
                mls.clear_pending()?;
                Ok((commit.bytes, commit.welcome))
            })
            .await
    })
    .unwrap()
}

/// A message that a member encrypts now and may send when it likes.
pub fn seal(world: &World, by: &Tab, id: GroupId, content: &EncodedContent, key: &str) -> Vec<u8> {
    let envelope = PlaintextEnvelope {
        content: content.to_bytes(),
        idempotency_key: key.to_owned(),
    };
    act(world, by, async move |client| {
        client
            .step(id, async |step| {
                Ok(step.mls()?.encrypt(&envelope.to_bytes())?)
            })
            .await
    })
    .unwrap()
}

pub fn facts(world: &World, tab: &Tab, id: GroupId) -> GroupFacts {
    act(world, tab, async move |client| {
        client.step(id, async |step| Ok(step.mls()?.facts()?)).await
    })
    .unwrap()
}

/// The transcript entries of a conversation, oldest first.
pub fn transcript(world: &World, tab: &Tab, id: GroupId) -> Vec<GroupUpdated> {
    rows(world, tab, id)
        .iter()
        .filter_map(
            |row| match Content::decode(&EncodedContent::from_bytes(&row.content).ok()?) {
                Ok(Content::GroupUpdated(updated)) => Some(updated),
                _ => None,
            },
        )
        .collect()
}

pub fn rows(world: &World, tab: &Tab, id: GroupId) -> Vec<MessageRow> {
    act(world, tab, async move |client| {
        client.messages(id, &MessageQuery::default()).await
    })
    .unwrap()
}

/// Messages and commits at the node.
pub fn log_length(world: &World, id: GroupId) -> usize {
    world.node.group_log(id.as_bytes()).len()
}

pub fn admin_only() -> GroupOptions {
    GroupOptions {
        preset: Some(Preset::AdminOnly),
        ..named("admins decide")
    }
}

pub fn group_with(world: &World, creator: &Tab, others: &[&Tab], options: GroupOptions) -> GroupId {
    let inboxes = others.iter().map(|tab| tab.inbox_id().to_owned()).collect();
    let id = act(world, creator, async move |client| {
        client.create_group(inboxes, options).await
    })
    .unwrap();
    // Everybody is in and has renewed its leaf, so that races start from one epoch.
    for tab in others {
        sync(world, tab);
        say(world, tab, id, "here");
    }
    say(world, creator, id, "here");
    for tab in others.iter().chain([&creator]) {
        sync(world, tab);
    }
    for tab in others.iter().chain([&creator]) {
        sync(world, tab);
    }
    id
}
