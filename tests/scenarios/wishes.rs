//! What becomes of a change that cannot be made now: refused, queued, taken back, forgotten; and
//! what stays of a group that is replaced (permissions.md 7.11, 7.13, 11).

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt as _;
use sotto::Code;
use sotto::client::GroupId;
use sotto::client::conversations::GroupOptions;
use sotto::client::rows::IntentRow;
use sotto::client::testing::{Tab, World};
use sotto::mls::extensions::{DISAPPEAR_FROM, DISAPPEAR_IN};
use sotto::mls::policy::{CustomPolicies, PolicyOption};
use sotto::mls::{Change, IdentityStates as _, Lookup};
use sotto::net::fake::{Fate, Hook};
use sotto::store::{Query, Table};

use crate::support::*;

fn switch() -> (Rc<Cell<bool>>, Hook) {
    let away = Rc::new(Cell::new(false));
    let seen = Rc::clone(&away);
    let hook: Hook = Rc::new(move |_| {
        let fate = if seen.get() {
            Fate::LoseRequest
        } else {
            Fate::Pass
        };
        async move { fate }.boxed_local()
    });
    (away, hook)
}

fn intents(world: &World, tab: &Tab) -> Vec<IntentRow> {
    act(world, tab, async move |client| client.db.intents().await).unwrap()
}

#[test]
fn a_membership_change_without_the_node_is_a_retryable_error_and_nothing_is_queued() {
    let world = World::new(801);
    let (away, hook) = switch();
    let a = world.open_with(&world.device(), Some(hook)).unwrap();
    let [b, c] = people(&world);
    let id = group_with(&world, &a, &[&b], named("a group"));
    away.set(true);
    for result in [add(&world, &a, id, &c), remove(&world, &a, id, &b)] {
        let error = result.unwrap_err();
        assert_eq!((error.code(), error.retryable()), (Code::Network, true));
    }
    assert_eq!(intents(&world, &a), []);
    away.set(false);
    sync(&world, &a);
    assert_eq!(row(&world, &a, id).members.len(), 2);
    add(&world, &a, id, &c).unwrap();
    assert_converged(&world, &[&a, &b, &c], id);
}

#[test]
fn own_3_a_queued_change_can_be_taken_back_until_it_is_sent() {
    let world = World::new(802);
    let (away, hook) = switch();
    let a = world.open_with(&world.device(), Some(hook)).unwrap();
    let [b] = people(&world);
    let id = group_with(&world, &a, &[&b], named("before"));
    let cancel = |number: u64| {
        act(&world, &a, async move |client| {
            client.cancel_intent(id, number).await
        })
    };
    let number = |error: &sotto::Error| -> u64 {
        let detail = error.details().iter().find(|(name, _)| *name == "intentId");
        detail.unwrap().1.parse().unwrap()
    };
    away.set(true);
    // The first one is made and may have been sent; what waits behind it is not.
    let first = rename(&world, &a, id, "sent, perhaps").unwrap_err();
    let second = rename(&world, &a, id, "regretted").unwrap_err();
    assert!(first.retryable() && second.retryable());
    let refused = cancel(number(&first)).unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    cancel(number(&second)).unwrap();
    away.set(false);
    assert_converged(&world, &[&a, &b], id);
    assert_eq!(
        row(&world, &b, id).attributes["group_name"],
        "sent, perhaps"
    );
    assert_eq!(cancel(number(&second)).unwrap_err().code(), Code::NotFound);
    assert_eq!(intents(&world, &a), []);
}

#[test]
fn the_failure_of_a_change_that_nobody_waits_for_is_forgotten() {
    let world = World::new(803);
    let device = world.device();
    let (away, hook) = switch();
    let a = world.open(&world.device()).unwrap();
    let b = world.open_with(&device, Some(hook)).unwrap();
    let id = group_with(&world, &a, &[&b], named("a group"));
    role(&world, &a, id, &b, true, false).unwrap();
    assert_converged(&world, &[&a, &b], id);
    away.set(true);
    role(&world, &b, id, &a, false, false).unwrap_err();
    role(&world, &a, id, &b, true, true).unwrap();
    away.set(false);
    sync(&world, &b);
    sync(&world, &b);
    // Somebody might still ask.
    let failed = intents(&world, &b);
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].failure, Code::Superseded.as_str());
    world.clock.advance(Duration::from_secs(3601));
    say(&world, &a, id, "an hour later");
    sync(&world, &b);
    assert_eq!(intents(&world, &b), []);
}

#[test]
fn a_removal_of_leavers_that_the_rules_forbid_is_tried_ever_less_often() {
    let world = World::new(804);
    let [so1, br] = people(&world);
    let all = PolicyOption::Allow;
    let custom = CustomPolicies {
        add_member: all,
        remove_member: PolicyOption::Deny,
        add_admin: PolicyOption::SuperAdmin,
        remove_admin: PolicyOption::SuperAdmin,
        name: all,
        description: all,
        image_url: all,
        disappearing: all,
        app_data: all,
    };
    let options = GroupOptions {
        custom: Some(custom),
        ..GroupOptions::default()
    };
    let id = group_with(&world, &so1, &[&br], options);
    act(&world, &br, async move |client| {
        client.request_removal(id).await
    })
    .unwrap();
    let tries = |syncs: u32, pause: Duration| {
        let before = row(&world, &so1, id).next_intent;
        for _ in 0..syncs {
            sync(&world, &so1);
            world.pass(pause);
        }
        row(&world, &so1, id).next_intent - before
    };
    assert_eq!(tries(5, Duration::from_millis(100)), 1);
    // At 2, 6, 14 and 30 seconds.
    assert_eq!(tries(40, Duration::from_secs(1)), 4);
    // Once the rules allow it, it is done when it is due next.
    let allow = sotto::client::rows::PermissionWish {
        slot: 1,
        policy: 2,
        fields: vec![],
    };
    act(&world, &so1, async move |client| {
        client
            .fulfil(id, sotto::client::rows::Wish::Permission(allow))
            .await
    })
    .unwrap();
    world.pass(Duration::from_secs(60));
    sync(&world, &so1);
    assert_eq!(row(&world, &so1, id).members.len(), 1);
}

/// Rows that a store holds of a group's MLS state, and those that its view has.
fn mls_rows(world: &World, tab: &Tab, id: GroupId) -> usize {
    act(world, tab, async move |client| {
        client
            .db
            .read(&[Query::scope(Table::Mls, id.as_bytes())])
            .await
    })
    .unwrap()
    .into_iter()
    .flatten()
    .count()
}

#[test]
fn a_group_that_is_replaced_leaves_no_row_of_its_old_state() {
    let world = World::new(805);
    let [a, b, c] = people(&world);
    let id = group_with(&world, &a, &[&b, &c], named("a group"));
    for name in ["1", "2", "3"] {
        rename(&world, &a, id, name).unwrap();
        for tab in [&b, &c] {
            sync(&world, tab);
            say(&world, tab, id, name);
        }
    }
    assert_converged(&world, &[&a, &b, &c], id);
    let many = mls_rows(&world, &b, id);
    // Out and in again within one reading: the old state was there until the new one came.
    remove(&world, &a, id, &b).unwrap();
    add(&world, &a, id, &b).unwrap();
    sync(&world, &b);
    let fresh = mls_rows(&world, &b, id);
    let newcomer = world.open(&world.device()).unwrap();
    add(&world, &a, id, &newcomer).unwrap();
    sync(&world, &newcomer);
    assert!(fresh < many, "{fresh} of {many}");
    assert_eq!(mls_rows(&world, &newcomer, id), fresh);
    assert_converged(&world, &[&a, &b, &c, &newcomer], id);
}

#[test]
fn cv_idwait_an_identity_update_that_is_not_readable_yet_is_waited_for() {
    let world = World::new(806);
    let device = world.device();
    let [a] = people(&world);
    let b = world.open(&device).unwrap();
    let inbox = b.inbox_id().to_owned();
    let latest = act(&world, &a, async move |client| {
        client.identities.require(&inbox).await
    })
    .unwrap()
    .0;
    let known = |sequence: u64| {
        let inbox = b.inbox_id().to_owned();
        act(&world, &a, async move |client| {
            let snapshot = client.identities.snapshot();
            matches!(snapshot.installations(&inbox, sequence), Lookup::Known(_))
        })
    };
    // It is asked for before it is there, and comes while the wallet's owner signs.
    let (client, wanted) = (
        a.client.clone(),
        vec![(b.inbox_id().to_owned(), latest + 1)],
    );
    world.spawn(async move { client.identities.resolve(&wanted).await });
    world.pass(Duration::from_millis(500));
    assert!(!known(latest + 1));
    let _second = world.open(&world.device_of(&device.wallet)).unwrap();
    world.pass(Duration::from_secs(10));
    assert!(known(latest + 1));
    // One that never comes is given up after ten seconds.
    let (client, wanted) = (
        a.client.clone(),
        vec![(b.inbox_id().to_owned(), latest + 9)],
    );
    let before = world.clock.now_ns();
    world
        .run(async move { client.identities.resolve(&wanted).await })
        .unwrap();
    let waited = Duration::from_nanos(world.clock.now_ns() - before);
    assert!((9..=11).contains(&waited.as_secs()), "{waited:?}");
}

#[test]
fn s_01_three_that_rename_in_turn_have_one_history() {
    let world = World::new(807);
    let [a, b, c] = people(&world);
    let id = group_with(&world, &a, &[&b, &c], named("a group"));
    for (number, tab) in [&a, &b, &c].into_iter().enumerate() {
        rename(&world, tab, id, &format!("name {number}")).unwrap();
        assert_converged(&world, &[&a, &b, &c], id);
    }
    let names = |tab: &Tab| -> Vec<(String, Option<String>)> {
        (transcript(&world, tab, id).into_iter())
            .flat_map(|entry| {
                let by = entry.initiated_by_inbox_id;
                (entry.metadata_field_changes.into_iter())
                    .map(move |change| (by.clone(), change.new_value))
            })
            .collect()
    };
    let expected: Vec<_> = (0..3)
        .zip([&a, &b, &c])
        .map(|(number, tab)| (tab.inbox_id().to_owned(), Some(format!("name {number}"))))
        .collect();
    for tab in [&a, &b, &c] {
        assert_eq!(names(tab), expected);
    }
}

#[test]
fn s_04_a_commit_that_uses_the_generation_of_a_rejected_one_is_read() {
    let world = World::new(808);
    let [so1, nd, br] = people(&world);
    let id = group_with(&world, &so1, &[&nd, &br], admin_only());
    // Two commits of one state: the second was made as if the first had never been.
    let mut renamed = facts(&world, &nd, id).mutable;
    renamed.attributes.extend(name_of("forbidden"));
    let pair = act(&world, &nd, async move |client| {
        let mut pair = Vec::new();
        for mutable in [Some(renamed), None] {
            let commit = client
                .step(id, async |step| {
                    let mls = step.mls()?;
                    let savepoint = mls.view().savepoint();
                    let change = Change {
                        mutable: mutable.clone(),
                        ..Change::default()
                    };
                    let commit = mls.stage_commit(change)?;
                    mls.view().restore(&savepoint);
                    Ok(commit.bytes)
                })
                .await
                .unwrap();
            client.groups.forget_all();
            pair.push(commit);
        }
        pair
    });
    let epoch = row(&world, &br, id).epoch;
    let [forbidden, allowed] = pair.try_into().unwrap();
    world.node.inject(id.as_bytes(), forbidden, true);
    for tab in [&so1, &br] {
        sync(&world, tab);
        assert_eq!(row(&world, tab, id).epoch, epoch);
    }
    world.node.inject(id.as_bytes(), allowed, true);
    assert_converged(&world, &[&so1, &br], id);
    assert_eq!(row(&world, &br, id).epoch, epoch + 1);
    assert_eq!(
        row(&world, &br, id).attributes["group_name"],
        "admins decide"
    );
}

#[test]
fn s_34_a_message_in_a_dm_disappears_everywhere_at_the_same_time() {
    let world = World::new(809);
    let device = world.device();
    let so1 = world.open(&device).unwrap();
    let second = world.open(&world.device_of(&device.wallet)).unwrap();
    let [nd] = people(&world);
    let inbox = nd.inbox_id().to_owned();
    let id = act(&world, &so1, async move |client| {
        client.create_dm(&inbox, None).await
    })
    .unwrap();
    for tab in [&nd, &second] {
        sync(&world, tab);
    }
    let set = [(DISAPPEAR_FROM, "1"), (DISAPPEAR_IN, "5000000000")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    act(&world, &nd, async move |client| {
        client
            .update_metadata(id, set.into(), BTreeMap::new())
            .await
    })
    .unwrap();
    sync(&world, &so1);
    say(&world, &so1, id, "soon gone");
    sync(&world, &so1);
    // Read at different times.
    for tab in [&nd, &second] {
        world.pass(Duration::from_secs(1));
        sync(&world, tab);
    }
    for tab in [&so1, &nd, &second] {
        let row = (rows(&world, tab, id).into_iter())
            .find(|row| row.content_type == "xmtp.org/text")
            .unwrap();
        assert_eq!(row.expires_ns, row.sent_ns + 5_000_000_000);
    }
    world.pass(Duration::from_secs(5));
    for tab in [&so1, &nd, &second] {
        assert_eq!(texts(&world, tab, id), Vec::<String>::new());
    }
}
