//! A node that does not show everybody one order, and members that lost the others
//! (permissions.md 7.12, 9.5: S-27, PART-1, PART-2, FORK-1).

use std::collections::BTreeMap;
use std::time::Duration;

use sotto::client::GroupId;
use sotto::client::health::HealthState;
use sotto::client::receive::Source;
use sotto::client::testing::{Tab, World};
use sotto::mls::Change;
use sotto::mls::extensions::STRICT;
use sotto_proto::mls_api::group_message::V1 as Envelope;

use crate::support::*;

/// What the node shows to one member, instead of what is in the log.
fn show(world: &World, tab: &Tab, id: GroupId, envelopes: Vec<Envelope>) {
    act(world, tab, async move |client| {
        client.handle_batch(id, envelopes, Source::Query).await
    })
    .unwrap();
}

fn log_after(world: &World, id: GroupId, cursor: u64) -> Vec<Envelope> {
    let mut log = world.node.group_log(id.as_bytes());
    log.retain(|envelope| envelope.id > cursor);
    log
}

fn health(world: &World, tab: &Tab, id: GroupId) -> HealthState {
    act(world, tab, async move |client| client.health(id).await)
        .unwrap()
        .state
}

#[test]
fn s_27_members_that_were_shown_another_order_have_another_order_hash() {
    let world = World::new(627);
    let [so1, so2, so3] = people(&world);
    let id = group_with(&world, &so1, &[&so2, &so3], named("a group"));
    assert_converged(&world, &[&so1, &so2, &so3], id);
    let hash = |tab: &Tab| {
        let row = row(&world, tab, id);
        (row.cursor, row.order_hash)
    };
    assert_eq!(hash(&so2), hash(&so3));
    let cursor = row(&world, &so2, id).cursor;
    say(&world, &so1, id, "yes");
    say(&world, &so1, id, "no");
    let mut swapped = log_after(&world, id, cursor);
    assert_eq!(swapped.len(), 2);
    let [first, second] = swapped.as_mut_slice() else {
        panic!("two messages");
    };
    std::mem::swap(&mut first.data, &mut second.data);
    show(&world, &so2, id, swapped);
    sync(&world, &so3);
    let ((at2, hash2), (at3, hash3)) = (hash(&so2), hash(&so3));
    assert_eq!(at2, at3);
    assert_ne!(hash2, hash3);
    assert_eq!(texts(&world, &so2, id).last().unwrap(), "yes");
    assert_eq!(texts(&world, &so3, id).last().unwrap(), "no");
}

#[test]
fn part_2_in_a_strict_group_a_message_tells_where_its_sender_saw_the_last_commit() {
    for strict in [true, false] {
        let world = World::new(628);
        let [so1, so2, so3] = people(&world);
        let id = group_with(&world, &so1, &[&so2, &so3], named("a group"));
        if strict {
            let set = [(STRICT.to_owned(), "1".to_owned())].into();
            act(&world, &so1, async move |client| {
                client.update_metadata(id, set, BTreeMap::new()).await
            })
            .unwrap();
        }
        assert_converged(&world, &[&so1, &so2, &so3], id);
        let cursor = row(&world, &so2, id).cursor;
        rename(&world, &so1, id, "another name").unwrap();
        say(&world, &so1, id, "hello");
        // To one of them the node says that something came before.
        let mut shifted = log_after(&world, id, cursor);
        shifted.iter_mut().for_each(|envelope| envelope.id += 1);
        show(&world, &so2, id, shifted);
        sync(&world, &so3);
        assert_eq!(texts(&world, &so2, id), texts(&world, &so3, id));
        let seen = if strict {
            HealthState::Forked
        } else {
            HealthState::Ok
        };
        assert_eq!(health(&world, &so2, id), seen);
        assert_eq!(health(&world, &so3, id), HealthState::Ok);
    }
}

#[test]
fn fork_1_who_sees_others_commit_where_it_was_suspects_a_fork() {
    let minute = Duration::from_secs(61);
    // (commits of the past epoch, time between them, whether one of the present comes between)
    for (count, pause, present, forked) in [
        (3, minute, false, true),
        (2, minute, false, false),
        (3, Duration::from_secs(1), false, false),
        (3, minute, true, false),
    ] {
        let world = World::new(629);
        let [so1, m, so2] = people(&world);
        let id = group_with(&world, &so1, &[&m, &so2], named("a group"));
        let stale: Vec<Vec<u8>> = (0..count)
            .map(|_| forge(&world, &m, id, Change::default()))
            .collect();
        rename(&world, &so1, id, "a new epoch").unwrap();
        sync(&world, &so2);
        for (number, commit) in stale.into_iter().enumerate() {
            world.node.inject(id.as_bytes(), commit, true);
            sync(&world, &so2);
            world.pass(pause);
            if present && number == 1 {
                rename(&world, &so1, id, "and another").unwrap();
                sync(&world, &so2);
            }
        }
        let expected = if forked {
            HealthState::Forked
        } else {
            HealthState::Ok
        };
        assert_eq!(
            health(&world, &so2, id),
            expected,
            "{count} {pause:?} {present}"
        );
        // Who can follow the others after all has not lost them.
        rename(&world, &so1, id, "the next").unwrap();
        sync(&world, &so2);
        assert_eq!(health(&world, &so2, id), HealthState::Ok);
    }
}
