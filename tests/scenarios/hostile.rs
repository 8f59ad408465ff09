//! Welcomes and streams that somebody tampers with (permissions.md 7.13, 9.3, 9.4).

use std::collections::BTreeMap;

use sotto::Code;
use sotto::client::feed::Reader;
use sotto::client::health::HealthState;
use sotto::client::receive::Source;
use sotto::client::testing::{Tab, TestEnv, World};
use sotto::client::{Client, GroupId};
use sotto::content::{ContentType as _, DeleteMessage, MessageId, Text};
use sotto::mls::extensions::{PROTOCOL_FLOOR, STRICT};
use sotto::mls::policy::{Policy, PolicySet};
use sotto::mls::{
    Change, ConversationKind, Group, ImmutableMetadata, Membership, MutableMetadata, NewGroup,
    Rules, Verdict, VerifiedKeyPackage, key_package, welcome,
};

use crate::support::*;

async fn latest(client: &Client<TestEnv>, inbox: &str) -> u64 {
    client.identities.require(inbox).await.unwrap().0
}

async fn package(client: &Client<TestEnv>, of: &Client<TestEnv>) -> VerifiedKeyPackage {
    let id = of.me.installation;
    let bytes = client
        .api
        .fetch_key_packages(&[id.as_bytes().to_vec()])
        .await
        .unwrap();
    let now = world_seconds(client);
    key_package::validate_fetched(&bytes[0], &id, of.inbox_id(), now).unwrap()
}

fn world_seconds(client: &Client<TestEnv>) -> u64 {
    use sotto::client::env::Env as _;
    client.env.now_ns() / 1_000_000_000
}

async fn invite(client: &Client<TestEnv>, inner: &[u8], to: &VerifiedKeyPackage) {
    let messages = welcome::seal_for_all(inner, 0, &[to.recipient().clone()]).unwrap();
    client.api.send_welcome_messages(messages).await.unwrap();
}

/// A group of the hostile client's making with `victim` in it, after so many further epochs.
async fn craft(
    client: Client<TestEnv>,
    victim: Client<TestEnv>,
    id: [u8; 16],
    metadata: ImmutableMetadata,
    permissions: PolicySet,
    epochs: usize,
) {
    let dm = metadata.kind == ConversationKind::Dm;
    let me = client.inbox_id().to_owned();
    let now = world_seconds(&client);
    let new = NewGroup {
        group_id: id,
        metadata,
        mutable: MutableMetadata {
            attributes: name_of("look-alike"),
            admins: vec![],
            super_admins: if dm { vec![] } else { vec![me.clone()] },
        },
        permissions,
        lifetime: (now - 60, now + 86_400),
    };
    let mut group = Group::create(&new, &client.me.key).unwrap();
    let to = package(&client, &victim).await;
    let members = BTreeMap::from([
        (me.clone(), latest(&client, &me).await),
        (
            victim.inbox_id().to_owned(),
            latest(&client, victim.inbox_id()).await,
        ),
    ]);
    let states = client.identities.snapshot();
    let mut change = Change {
        add: vec![to.clone()],
        membership: Some(Membership {
            members,
            ..Membership::default()
        }),
        ..Change::default()
    };
    let mut inner = None;
    for epoch in 0..=epochs {
        if epoch == epochs && epochs > 0 {
            // The Welcome that counts is the last one: the victim is put in anew.
            let facts = group.facts().unwrap();
            change = Change {
                remove: vec![facts.installation(&victim.me.installation).unwrap().leaf],
                add: vec![to.clone()],
                ..Change::default()
            };
        }
        let commit = group.stage_commit(std::mem::take(&mut change)).unwrap();
        inner = commit.welcome.or(inner);
        match group.check_pending(&states, &Rules::default()).unwrap() {
            Verdict::Accepted(accepted) => drop(group.merge_pending(*accepted).unwrap()),
            other => panic!("{other:?}"),
        }
    }
    invite(&client, &inner.unwrap(), &to).await;
}

fn crafted(
    world: &World,
    by: &Tab,
    victim: &Tab,
    id: [u8; 16],
    metadata: ImmutableMetadata,
    permissions: PolicySet,
    epochs: usize,
) {
    let victim = victim.client.clone();
    act(world, by, async move |client| {
        craft(client, victim, id, metadata, permissions, epochs).await;
    });
}

#[test]
fn s_51_a_look_alike_group_does_not_replace_the_one_we_are_in() {
    let world = World::new(551);
    let [x, nd, so1] = people(&world);
    let id = group_with(&world, &x, &[&nd, &so1], named("a group"));
    role(&world, &x, id, &nd, true, false).unwrap();
    assert_converged(&world, &[&x, &nd, &so1], id);
    say(&world, &nd, id, "history");
    let pinned = facts(&world, &x, id);
    let mut reader = act(&world, &so1, async move |client| client.read_feed().await).unwrap();
    crafted(
        &world,
        &x,
        &so1,
        id.0,
        pinned.metadata,
        pinned.permissions,
        30,
    );
    sync(&world, &so1);
    // It was understood, and refused for what it is.
    world.run(async move {
        loop {
            let entry = reader.next().await.unwrap().unwrap();
            if entry.items.contains(&b"suspiciousWelcome".to_vec()) {
                return;
            }
        }
    });
    let before = row(&world, &so1, id);
    assert_eq!(before.attributes["group_name"], "a group");
    assert!(texts(&world, &so1, id).contains(&"history".to_owned()));
    say(&world, &so1, id, "still with you");
    assert_converged(&world, &[&x, &nd, &so1], id);
    remove(&world, &nd, id, &so1).unwrap();
    add(&world, &nd, id, &so1).unwrap();
    assert_converged(&world, &[&x, &nd, &so1], id);
    assert!(texts(&world, &so1, id).contains(&"history".to_owned()));
}

#[test]
fn s_35_a_dm_that_lets_others_in_waits_hidden() {
    let world = World::new(535);
    let [x, so1] = people(&world);
    let metadata = ImmutableMetadata {
        kind: ConversationKind::Dm,
        creator: x.inbox_id().to_owned(),
        dm_members: Some([x.inbox_id().to_owned(), so1.inbox_id().to_owned()]),
    };
    let open = PolicySet {
        add_member: Policy::Allow,
        ..PolicySet::dm()
    };
    crafted(&world, &x, &so1, [9; 16], metadata, open, 0);
    sync(&world, &so1);
    let id = GroupId([9; 16]);
    let hold = row(&world, &so1, id).hold.unwrap();
    assert_eq!(hold.quarantine, ["suspiciousDm"]);
    let listed = act(&world, &so1, async move |client| {
        client.list(&Default::default()).await
    })
    .unwrap();
    assert!(listed.is_empty());
    let refused = try_say(&world, &so1, id, "hello?").unwrap_err();
    assert_eq!(refused.code(), Code::Quarantined);
}

#[test]
fn s_11_a_welcome_of_somebody_who_may_not_invite_is_quarantined() {
    let world = World::new(511);
    let [nd, x, so1, so2] = people(&world);
    let id = group_with(&world, &nd, &[&x, &so1], admin_only());
    let mut membership = facts(&world, &x, id).membership;
    let (victim, inbox) = (so2.client.clone(), so2.inbox_id().to_owned());
    let (to, sequence) = act(&world, &x, async move |client| {
        (
            package(&client, &victim).await,
            latest(&client, &inbox).await,
        )
    });
    membership
        .members
        .insert(so2.inbox_id().to_owned(), sequence);
    let change = Change {
        add: vec![to.clone()],
        membership: Some(membership),
        ..Change::default()
    };
    let (commit, inner) = forge_with_welcome(&world, &x, id, change);
    world.node.inject(id.as_bytes(), commit, true);
    act(&world, &x, async move |client| {
        invite(&client, &inner.unwrap(), &to).await;
    });
    assert_converged(&world, &[&nd, &x, &so1], id);
    assert_eq!(row(&world, &so1, id).members.len(), 3);
    sync(&world, &so2);
    let hold = row(&world, &so2, id).hold.unwrap();
    assert_eq!(hold.quarantine, ["unauthorisedAdder"]);
    let refused = try_say(&world, &so2, id, "hello?").unwrap_err();
    assert_eq!(refused.code(), Code::Quarantined);
}

/// Hands over one envelope as a stream would, ahead of what was read from the log.
fn stream(world: &World, tab: &Tab, id: GroupId, sequence_id: u64) {
    let envelope = (world.node.group_log(id.as_bytes()).into_iter())
        .find(|envelope| envelope.id == sequence_id)
        .unwrap();
    act(world, tab, async move |client| {
        client
            .handle_batch(id, vec![envelope], Source::Stream)
            .await
    })
    .unwrap();
}

#[test]
fn s_13_a_streamed_message_is_taken_back_when_its_sender_was_removed_before() {
    let world = World::new(513);
    let [so1, nd, so2] = people(&world);
    let id = group_with(&world, &so1, &[&nd, &so2], named("a group"));
    let words = Text::from("one more thing").encode().unwrap();
    let words = seal(&world, &nd, id, &words, "1");
    remove(&world, &so1, id, &nd).unwrap();
    let place = world.node.inject(id.as_bytes(), words, false);
    stream(&world, &so2, id, place);
    assert!(texts(&world, &so2, id).contains(&"one more thing".to_owned()));
    assert_converged(&world, &[&so1, &so2], id);
    assert_eq!(texts(&world, &so2, id), texts(&world, &so1, id));
    assert!(!texts(&world, &so1, id).contains(&"one more thing".to_owned()));
}

#[test]
fn s_19_a_streamed_deletion_waits_for_the_commits_before_it() {
    for demoted in [true, false] {
        let world = World::new(519);
        let [so1, nd, so2] = people(&world);
        let id = group_with(&world, &so1, &[&nd, &so2], named("a group"));
        role(&world, &so1, id, &nd, true, false).unwrap();
        assert_converged(&world, &[&so1, &nd, &so2], id);
        let target = say(&world, &so2, id, "regrettable");
        assert_converged(&world, &[&so1, &nd, &so2], id);
        let message_id = target.parse::<MessageId>().unwrap();
        let delete = DeleteMessage { message_id }.encode().unwrap();
        let delete = seal(&world, &nd, id, &delete, "1");
        if demoted {
            role(&world, &so1, id, &nd, true, true).unwrap();
        }
        let place = world.node.inject(id.as_bytes(), delete, false);
        stream(&world, &so2, id, place);
        assert_converged(&world, &[&so1, &so2], id);
        for tab in [&so1, &so2] {
            let target = rows(&world, tab, id)
                .into_iter()
                .find(|row| row.id == message_id.0)
                .unwrap();
            assert_eq!(target.deleted_by.is_some(), !demoted);
        }
    }
}

/// A commit of a member's that asks no rule of its own, put into the log.
fn misuse(world: &World, by: &Tab, id: GroupId, change: Change) {
    let commit = forge(world, by, id, change);
    world.node.inject(id.as_bytes(), commit, true);
}

fn with_attribute(world: &World, by: &Tab, id: GroupId, name: &str, value: &str) -> Change {
    let mut mutable = facts(world, by, id).mutable;
    mutable.attributes.insert(name.to_owned(), value.to_owned());
    Change {
        mutable: Some(mutable),
        ..Change::default()
    }
}

fn quarantine(world: &World, tab: &Tab, id: GroupId) -> Vec<String> {
    let hold = row(world, tab, id).hold;
    hold.map(|hold| hold.quarantine).unwrap_or_default()
}

#[test]
fn s_40_a_floor_of_our_own_version_holds_nobody_up() {
    let world = World::new(540);
    let [so1, so2] = people(&world);
    let id = group_with(&world, &so1, &[&so2], named("a group"));
    let set = [(PROTOCOL_FLOOR.to_owned(), "1.11.0".to_owned())].into();
    act(&world, &so1, async move |client| {
        client.update_metadata(id, set, BTreeMap::new()).await
    })
    .unwrap();
    assert_converged(&world, &[&so1, &so2], id);
    say(&world, &so2, id, "still here");
    assert_converged(&world, &[&so1, &so2], id);
}

#[test]
fn s_41_a_floor_above_ours_pauses_and_the_app_may_go_on_despite_it() {
    let world = World::new(541);
    let [x, so1, so2] = people(&world);
    let id = group_with(&world, &x, &[&so1, &so2], named("a group"));
    let floor = with_attribute(&world, &x, id, PROTOCOL_FLOOR, "99.0.0");
    misuse(&world, &x, id, floor);
    let before = row(&world, &so1, id);
    for tab in [&so1, &so2] {
        sync(&world, tab);
        let paused = row(&world, tab, id);
        assert_eq!(paused.hold.unwrap().paused_for.as_deref(), Some("99.0.0"));
        assert_eq!((paused.epoch, paused.cursor), (before.epoch, before.cursor));
        let refused = try_say(&world, tab, id, "hello?").unwrap_err();
        assert_eq!(refused.code(), Code::Paused);
    }
    for tab in [&so1, &so2] {
        act(&world, tab, async move |client| {
            client.acknowledge(id, "paused").await
        })
        .unwrap();
    }
    assert_converged(&world, &[&so1, &so2], id);
    assert_eq!(row(&world, &so1, id).epoch, before.epoch + 1);
    say(&world, &so1, id, "despite it");
    sync(&world, &so2);
    assert!(texts(&world, &so2, id).contains(&"despite it".to_owned()));
}

#[test]
fn s_42_a_sequence_that_does_not_exist_quarantines_and_a_strict_group_refuses_it() {
    for strict in [false, true] {
        let world = World::new(542);
        let [so1, m, victim] = people(&world);
        let id = group_with(&world, &so1, &[&m, &victim], named("a group"));
        if strict {
            let set = [(STRICT.to_owned(), "1".to_owned())].into();
            act(&world, &so1, async move |client| {
                client.update_metadata(id, set, BTreeMap::new()).await
            })
            .unwrap();
            assert_converged(&world, &[&so1, &m, &victim], id);
        }
        let epoch = row(&world, &so1, id).epoch;
        let mut membership = facts(&world, &m, id).membership;
        (membership.members).insert(victim.inbox_id().to_owned(), 1 << 40);
        let change = Change {
            membership: Some(membership),
            ..Change::default()
        };
        misuse(&world, &m, id, change);
        for tab in [&so1, &victim] {
            sync(&world, tab);
            let merged = row(&world, tab, id).epoch == epoch + 1;
            assert_eq!(merged, !strict);
            let codes: &[&str] = if strict { &[] } else { &["SAFE-Q7"] };
            assert_eq!(quarantine(&world, tab, id), codes);
        }
        if strict {
            say(&world, &so1, id, "nothing happened");
            assert_converged(&world, &[&so1, &m, &victim], id);
            continue;
        }
        let refused = try_say(&world, &so1, id, "hello?").unwrap_err();
        assert_eq!(refused.code(), Code::Quarantined);
        act(&world, &so1, async move |client| {
            client.acknowledge(id, "SAFE-Q7").await
        })
        .unwrap();
        assert!(row(&world, &so1, id).hold.is_none());
    }
}

#[test]
fn s_45_a_super_admin_that_strips_another_of_its_leaves_is_noticed() {
    let world = World::new(545);
    let [x, victim, so3] = people(&world);
    let id = group_with(&world, &x, &[&victim, &so3], named("a group"));
    role(&world, &x, id, &victim, true, false).unwrap();
    assert_converged(&world, &[&x, &victim, &so3], id);
    let state = facts(&world, &x, id);
    let target = state.installation(&victim.me.installation).unwrap();
    let mut membership = state.membership.clone();
    membership.failed.insert(victim.me.installation);
    let change = Change {
        remove: vec![target.leaf],
        membership: Some(membership),
        ..Change::default()
    };
    misuse(&world, &x, id, change);
    sync(&world, &so3);
    assert_eq!(quarantine(&world, &so3, id), ["SAFE-Q6"]);
    let health = act(&world, &so3, async move |client| client.health(id).await).unwrap();
    assert_eq!(health.state, HealthState::Quarantined);
    assert_eq!(health.ghost_super_admins, [victim.inbox_id()]);
    sync(&world, &victim);
    assert!(!row(&world, &victim, id).active);
}

/// The notices that a client reported since `reader` began.
fn notices(world: &World, reader: Reader<TestEnv>, until: &'static str) -> String {
    let mut reader = reader;
    world.run(async move {
        loop {
            let entry = reader.next().await.unwrap().unwrap();
            let texts = entry.items.iter().map(|item| String::from_utf8_lossy(item));
            if let Some(found) = texts.into_iter().find(|text| text.starts_with(until)) {
                return found.into_owned();
            }
        }
    })
}

#[test]
fn role_6_who_takes_a_group_over_is_reported_and_the_others_found_it_anew() {
    let world = World::new(546);
    let [x, so1, so2, so3] = people(&world);
    let id = group_with(&world, &x, &[&so1, &so2, &so3], named("ours"));
    for tab in [&so1, &so2] {
        role(&world, &x, id, tab, true, false).unwrap();
    }
    assert_converged(&world, &[&x, &so1, &so2, &so3], id);
    let reader = act(&world, &so3, async move |client| client.read_feed().await).unwrap();
    role(&world, &x, id, &so1, true, true).unwrap();
    role(&world, &x, id, &so2, true, true).unwrap();
    remove(&world, &x, id, &so2).unwrap();
    sync(&world, &so3);
    let notice = notices(&world, reader, "takeoverSuspected");
    assert_eq!(notice, format!("takeoverSuspected:{}", x.inbox_id()));
    // Of those who were in before, all but the one are in the new group.
    sync(&world, &so1);
    let excluding = vec![x.inbox_id().to_owned()];
    let anew = act(&world, &so1, async move |client| {
        client.refound(id, excluding).await
    })
    .unwrap();
    assert_converged(&world, &[&so1, &so2, &so3], anew);
    let founded = row(&world, &so1, anew);
    assert_eq!(founded.attributes["group_name"], "ours");
    assert_eq!(founded.members.len(), 3);
    assert_eq!(founded.super_admins, [so1.inbox_id(), so2.inbox_id()]);
    sync(&world, &x);
    let strange = act(&world, &x, async move |client| client.find(anew).await).unwrap();
    assert!(strange.is_none());
}
