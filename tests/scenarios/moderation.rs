//! Deletions of others' messages that are ordered with the commits that grant the right
//! (permissions.md 13.5, S-21 to S-24).

use sotto::Code;
use sotto::client::GroupId;
use sotto::client::testing::{Tab, World};
use sotto::content::{ContentType as _, DeleteMessage, EncodedContent, MessageId, Text};
use sotto::mls::Change;
use sotto::mls::extensions::MODERATION;

use crate::support::*;

fn message_id(text: &str) -> MessageId {
    text.parse().unwrap()
}

fn moderate(world: &World, by: &Tab, id: GroupId, messages: &[&str]) -> sotto::Result<()> {
    let messages: Vec<MessageId> = messages.iter().map(|text| message_id(text)).collect();
    act(world, by, async move |client| {
        client.moderate(id, &messages).await
    })
}

/// A commit to moderate that asks no rule of our own.
fn forged(world: &World, by: &Tab, id: GroupId, messages: &[&str]) -> Vec<u8> {
    let mut mutable = facts(world, by, id).mutable;
    let value = format!("v1;{}", messages.join(","));
    mutable.attributes.insert(MODERATION.to_owned(), value);
    let change = Change {
        mutable: Some(mutable),
        ..Change::default()
    };
    forge(world, by, id, change)
}

fn bare(message: &str) -> EncodedContent {
    let message_id = message_id(message);
    DeleteMessage { message_id }.encode().unwrap()
}

/// A request that goes around the sender's checks.
fn inject_bare(world: &World, by: &Tab, id: GroupId, message: &str) {
    let sealed = seal(world, by, id, &bare(message), "bare");
    world.node.inject(id.as_bytes(), sealed, false);
}

fn assert_deleted(world: &World, tabs: &[&Tab], id: GroupId, message: &str, by: Option<&Tab>) {
    for tab in tabs {
        sync(world, tab);
        let message = message_id(message);
        let row = (rows(world, tab, id).into_iter())
            .find(|row| row.id == message.0)
            .unwrap();
        assert_eq!(row.deleted_by.as_deref(), by.map(|tab| tab.inbox_id()));
        assert_eq!(row.content.is_empty(), by.is_some());
    }
}

#[test]
fn s_21_an_unauthorised_deletion_does_not_stand_in_the_way_of_an_authorised_one() {
    let world = World::new(621);
    let [so1, so2, m] = people(&world);
    let id = group_with(&world, &so1, &[&so2, &m], named("a group"));
    let target = say(&world, &so2, id, "regrettable");
    sync(&world, &m);
    inject_bare(&world, &m, id, &target);
    assert_deleted(&world, &[&so1, &so2, &m], id, &target, None);
    let content = bare(&target);
    act(&world, &so1, async move |client| {
        client.send(id, &content, &Default::default()).await
    })
    .unwrap();
    assert_deleted(&world, &[&so1, &so2, &m], id, &target, Some(&so1));
}

#[test]
fn s_22_a_commit_deletes_at_its_place_and_requests_follow_for_clients_that_know_only_those() {
    let world = World::new(622);
    let [so1, so2, so3] = people(&world);
    let id = group_with(&world, &so1, &[&so2, &so3], named("a group"));
    let targets = [
        say(&world, &so2, id, "regrettable"),
        say(&world, &so3, id, "worse"),
    ];
    sync(&world, &so1);
    let before = log_length(&world, id);
    moderate(&world, &so1, id, &[&targets[0], &targets[1]]).unwrap();
    // One commit, one ordinary request a message.
    assert_eq!(log_length(&world, id), before + 3);
    let log = world.node.group_log(id.as_bytes());
    let commit = log.iter().rposition(|envelope| envelope.is_commit).unwrap();
    assert_eq!(commit, before);
    for target in &targets {
        assert_deleted(&world, &[&so1, &so2, &so3], id, target, Some(&so1));
    }
    // They do nothing to the same end: what was deleted was deleted by the commit.
    for tab in [&so2, &so3] {
        let placed = row(&world, tab, id);
        assert!(placed.attributes[MODERATION].starts_with("v1;"));
    }
    assert_converged(&world, &[&so1, &so2, &so3], id);
    moderate(&world, &so1, id, &[&targets[0]]).unwrap();
    assert_eq!(log_length(&world, id), before + 3);
}

#[test]
fn s_22_a_commit_deletes_what_comes_after_it_too() {
    let world = World::new(625);
    let [so1, so2, so3] = people(&world);
    let id = group_with(&world, &so1, &[&so2, &so3], named("a group"));
    let content = Text::from("not yet said").encode().unwrap();
    let target = MessageId::of(id.as_bytes(), "later", &content.to_bytes()).to_string();
    let sealed = seal(&world, &so2, id, &content, "later");
    let commit = forged(&world, &so1, id, &[&target]);
    world.node.inject(id.as_bytes(), commit, true);
    world.node.inject(id.as_bytes(), sealed, false);
    assert_deleted(&world, &[&so3], id, &target, Some(&so1));
    // The same for who reads the one before the other, in two goes.
    let later = Text::from("and later").encode().unwrap();
    let target = MessageId::of(id.as_bytes(), "last", &later.to_bytes()).to_string();
    sync(&world, &so2);
    let commit = forged(&world, &so3, id, &[&target]);
    world.node.inject(id.as_bytes(), commit, true);
    sync(&world, &so2);
    let sealed = seal(&world, &so2, id, &later, "last");
    world.node.inject(id.as_bytes(), sealed, false);
    assert_deleted(&world, &[&so3], id, &target, None);
}

#[test]
fn s_22_once_moderation_is_anchored_a_bare_request_for_anothers_message_is_nothing() {
    let world = World::new(626);
    let [so1, so2, so3] = people(&world);
    let id = group_with(&world, &so1, &[&so2, &so3], named("a group"));
    moderate(&world, &so1, id, &[]).unwrap();
    let target = say(&world, &so2, id, "regrettable");
    assert_converged(&world, &[&so1, &so2, &so3], id);
    inject_bare(&world, &so1, id, &target);
    assert_deleted(&world, &[&so2, &so3], id, &target, None);
    // The sender is told so before it tries.
    let content = bare(&target);
    let refused = act(&world, &so1, async move |client| {
        client.send(id, &content, &Default::default()).await
    })
    .unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    // Its author may still.
    let content = bare(&target);
    act(&world, &so2, async move |client| {
        client.send(id, &content, &Default::default()).await
    })
    .unwrap();
    assert_deleted(&world, &[&so2, &so3], id, &target, Some(&so2));
}

#[test]
fn s_23_a_moderation_that_is_ordered_after_its_authors_demotion_deletes_nothing() {
    for demoted in [true, false] {
        let world = World::new(623);
        let [so1, so2, so3] = people(&world);
        let id = group_with(&world, &so1, &[&so2, &so3], named("a group"));
        role(&world, &so1, id, &so2, true, false).unwrap();
        let target = say(&world, &so3, id, "fine");
        assert_converged(&world, &[&so1, &so2, &so3], id);
        if demoted {
            role(&world, &so1, id, &so2, true, true).unwrap();
            sync(&world, &so2);
        }
        let commit = forged(&world, &so2, id, &[&target]);
        world.node.inject(id.as_bytes(), commit, true);
        let by = (!demoted).then_some(&so2);
        assert_deleted(&world, &[&so1, &so3], id, &target, by);
        let anchored = row(&world, &so3, id).attributes.contains_key(MODERATION);
        assert_eq!(anchored, !demoted);
        assert_converged(&world, &[&so1, &so3], id);
    }
}

#[test]
fn s_24_a_plain_members_moderation_is_refused_by_itself_and_by_all() {
    let world = World::new(624);
    let [so1, m, so3] = people(&world);
    let id = group_with(&world, &so1, &[&m, &so3], named("a group"));
    let target = say(&world, &so3, id, "fine");
    assert_converged(&world, &[&so1, &m, &so3], id);
    let before = log_length(&world, id);
    let refused = moderate(&world, &m, id, &[&target]).unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(log_length(&world, id), before);
    let epoch = row(&world, &so3, id).epoch;
    let commit = forged(&world, &m, id, &[&target]);
    world.node.inject(id.as_bytes(), commit, true);
    assert_deleted(&world, &[&so1, &m, &so3], id, &target, None);
    assert_eq!(row(&world, &so3, id).epoch, epoch);
    assert_converged(&world, &[&so1, &m, &so3], id);
}

#[test]
fn a_moderation_of_what_is_not_here_or_cannot_be_deleted_is_refused_before_anything_is_sent() {
    let world = World::new(627);
    let [so1, so2] = people(&world);
    let id = group_with(&world, &so1, &[&so2], named("a group"));
    rename(&world, &so1, id, "another name").unwrap();
    let entry = (rows(&world, &so1, id).into_iter())
        .rfind(|row| row.content_type == "xmtp.org/group_updated")
        .unwrap();
    let before = log_length(&world, id);
    let entry = hex::encode(entry.id);
    let refused = moderate(&world, &so1, id, &[&entry]).unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let refused = moderate(&world, &so1, id, &[&"ab".repeat(32)]).unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert_eq!(log_length(&world, id), before);
}

#[test]
fn a_moderation_whose_author_dies_after_the_commit_is_finished_by_its_next_life() {
    let world = World::new(628);
    let device = world.device();
    let so1 = world.open(&device).unwrap();
    let [so2] = people(&world);
    let id = group_with(&world, &so1, &[&so2], named("a group"));
    let target = say(&world, &so2, id, "regrettable");
    sync(&world, &so1);
    let before = log_length(&world, id);
    // The commit reaches the node; then the context is gone.
    let ids = [message_id(&target)];
    let client = so1.client.clone();
    world.spawn(async move { client.moderate(id, &ids).await });
    while log_length(&world, id) == before {
        world.pass(std::time::Duration::from_millis(1));
    }
    so1.kill();
    let so1 = world.open(&device).unwrap();
    world.pass(std::time::Duration::from_secs(5));
    sync(&world, &so1);
    sync(&world, &so1);
    assert_eq!(log_length(&world, id), before + 2);
    assert_deleted(&world, &[&so1, &so2], id, &target, Some(&so1));
}
