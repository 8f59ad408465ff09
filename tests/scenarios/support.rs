//! Short words for scenarios.

use sotto::client::GroupId;
use sotto::client::conversation::{MessageQuery, SendOptions};
use sotto::client::conversations::GroupOptions;
use sotto::client::testing::{Tab, World};
use sotto::content::{Content, ContentType as _, EncodedContent, Text};

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
