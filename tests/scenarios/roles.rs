//! Who may do what, and what races between those who may come to (permissions.md 6, 9.5, 16.2).

use std::collections::BTreeMap;

use sotto::Code;
use sotto::client::testing::World;
use sotto::mls::{Change, MutableMetadata};

use crate::support::*;

fn with_name(mutable: &MutableMetadata, name: &str) -> MutableMetadata {
    let mut mutable = mutable.clone();
    mutable.attributes.extend(name_of(name));
    mutable
}

#[test]
fn s_02_a_plain_member_is_refused_before_anything_is_sent_and_an_admin_is_not() {
    let world = World::new(102);
    let [nd, so1] = people(&world);
    let id = group_with(&world, &nd, &[&so1], admin_only());
    let before = log_length(&world, id);
    let refused = rename(&world, &so1, id, "mine").unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(log_length(&world, id), before);
    role(&world, &nd, id, &so1, false, false).unwrap();
    sync(&world, &so1);
    rename(&world, &so1, id, "ours").unwrap();
    assert_converged(&world, &[&nd, &so1], id);
    assert_eq!(
        row(&world, &nd, id).attributes,
        row(&world, &so1, id).attributes
    );
    assert_eq!(row(&world, &nd, id).attributes["group_name"], "ours");
}

#[test]
fn s_03_a_forbidden_commit_changes_nothing_and_does_not_use_up_the_epoch() {
    let world = World::new(103);
    let [nd, so1, br] = people(&world);
    let id = group_with(&world, &nd, &[&so1, &br], admin_only());
    let facts = facts(&world, &so1, id);
    let change = Change {
        mutable: Some(with_name(&facts.mutable, "stolen")),
        ..Change::default()
    };
    let forged = forge(&world, &so1, id, change);
    world.node.inject(id.as_bytes(), forged, true);
    for tab in [&nd, &br, &so1] {
        sync(&world, tab);
        assert_eq!(row(&world, tab, id).epoch, facts.epoch);
    }
    rename(&world, &nd, id, "right").unwrap();
    assert_converged(&world, &[&nd, &so1, &br], id);
    assert_eq!(row(&world, &br, id).attributes["group_name"], "right");
    assert_eq!(row(&world, &br, id).epoch, facts.epoch + 1);
}

#[test]
fn s_05_of_two_super_admins_who_demote_each_other_the_first_in_order_wins() {
    for first in [0, 1] {
        let world = World::new(105 + first as u64);
        let tabs: [_; 3] = people(&world);
        let [so1, nd, br] = &tabs;
        let id = group_with(&world, so1, &[nd, br], named("two leaders"));
        role(&world, so1, id, nd, true, false).unwrap();
        sync(&world, nd);
        sync(&world, br);
        let before = log_length(&world, id);
        let (winner, loser) = (&tabs[first], &tabs[1 - first]);
        let (one, two) = (winner.client.clone(), loser.client.clone());
        let (winner_inbox, loser_inbox) =
            (winner.inbox_id().to_owned(), loser.inbox_id().to_owned());
        let (won, lost) = world.run(async move {
            futures::future::join(
                one.update_role(id, loser_inbox, true, true),
                two.update_role(id, winner_inbox, true, true),
            )
            .await
        });
        won.unwrap();
        assert_eq!(lost.unwrap_err().code(), Code::Superseded);
        assert_eq!(log_length(&world, id), before + 2);
        assert_converged(&world, &[so1, nd, br], id);
        assert_eq!(row(&world, br, id).super_admins, [winner.inbox_id()]);
    }
}

#[test]
fn s_06_a_super_admin_cannot_be_removed_in_one_step() {
    let world = World::new(107);
    let [so1, nd] = people(&world);
    let id = group_with(&world, &so1, &[&nd], named("two leaders"));
    role(&world, &so1, id, &nd, true, false).unwrap();
    sync(&world, &nd);
    let before = log_length(&world, id);
    for (by, whom) in [(&so1, &nd), (&nd, &so1)] {
        let refused = remove(&world, by, id, whom).unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    assert_eq!(log_length(&world, id), before);
    assert_converged(&world, &[&so1, &nd], id);
    assert_eq!(row(&world, &nd, id).super_admins.len(), 2);
}

#[test]
fn s_07_it_takes_a_demotion_and_then_a_removal() {
    let world = World::new(108);
    let [so1, nd, br] = people(&world);
    let id = group_with(&world, &so1, &[&nd, &br], named("two leaders"));
    role(&world, &so1, id, &nd, true, false).unwrap();
    let inbox = nd.inbox_id().to_owned();
    act(&world, &so1, async move |client| {
        client.remove_super_admin(id, inbox).await
    })
    .unwrap();
    sync(&world, &nd);
    assert!(!row(&world, &nd, id).active);
    let refused = try_say(&world, &nd, id, "still here?").unwrap_err();
    assert_eq!(refused.code(), Code::NotAMember);
    assert_converged(&world, &[&so1, &br], id);
}

#[test]
fn s_08_two_super_admins_who_step_down_at_once_leave_one() {
    let world = World::new(109);
    let [so1, nd, br] = people(&world);
    let id = group_with(&world, &so1, &[&nd, &br], named("two leaders"));
    role(&world, &so1, id, &nd, true, false).unwrap();
    sync(&world, &nd);
    let (one, two) = (so1.client.clone(), nd.client.clone());
    let (a, b) = (so1.inbox_id().to_owned(), nd.inbox_id().to_owned());
    let (won, lost) = world.run(async move {
        futures::future::join(
            one.update_role(id, a, true, true),
            two.update_role(id, b, true, true),
        )
        .await
    });
    won.unwrap();
    assert_eq!(lost.unwrap_err().code(), Code::Superseded);
    assert_converged(&world, &[&so1, &nd, &br], id);
    assert_eq!(row(&world, &br, id).super_admins, [nd.inbox_id()]);
}

#[test]
fn s_09_whom_a_removed_super_admin_added_stays() {
    let world = World::new(110);
    let [so1, nd, br] = people(&world);
    let id = group_with(&world, &so1, &[&nd], named("a group"));
    role(&world, &so1, id, &nd, true, false).unwrap();
    sync(&world, &nd);
    add(&world, &nd, id, &br).unwrap();
    sync(&world, &so1);
    let inbox = nd.inbox_id().to_owned();
    act(&world, &so1, async move |client| {
        client.remove_super_admin(id, inbox).await
    })
    .unwrap();
    sync(&world, &br);
    assert_eq!(row(&world, &br, id).added_by, nd.inbox_id());
    say(&world, &br, id, "I stay");
    say(&world, &so1, id, "you do");
    assert_converged(&world, &[&so1, &br], id);
    assert_eq!(texts(&world, &br, id), ["I stay", "you do"]);
}

#[test]
fn s_10_an_invitation_that_lost_to_its_authors_demotion_is_judged_anew() {
    for (options, comes) in [(named("all members"), true), (admin_only(), false)] {
        let world = World::new(111);
        let [so1, nd, br] = people(&world);
        let id = group_with(&world, &so1, &[&nd], options);
        role(&world, &so1, id, &nd, true, false).unwrap();
        sync(&world, &nd);
        let (one, two) = (so1.client.clone(), nd.client.clone());
        let (whom, invitee) = (nd.inbox_id().to_owned(), br.inbox_id().to_owned());
        let gate = world.node.clone();
        let before = log_length(&world, id);
        let (demoted, added) = world.run(async move {
            futures::future::join(one.update_role(id, whom, true, true), async move {
                // The demotion is in the log, and nobody has read it yet.
                while gate.group_log(id.as_bytes()).len() == before {
                    futures::pending!();
                }
                two.add_members(id, vec![invitee]).await
            })
            .await
        });
        demoted.unwrap();
        let welcomes = world.node.welcomes(br.me.installation.as_bytes()).len();
        if comes {
            added.unwrap();
            assert_converged(&world, &[&so1, &nd, &br], id);
        } else {
            assert_eq!(added.unwrap_err().code(), Code::Superseded);
            assert_eq!(welcomes, 0);
            assert_converged(&world, &[&so1, &nd], id);
            assert_eq!(row(&world, &so1, id).members.len(), 2);
        }
    }
}

#[test]
fn s_31_an_admin_that_an_admin_removed_is_one_again_when_it_returns() {
    let world = World::new(131);
    let [so1, ad, other] = people(&world);
    let id = group_with(&world, &so1, &[&ad, &other], named("a group"));
    role(&world, &so1, id, &ad, false, false).unwrap();
    role(&world, &so1, id, &other, false, false).unwrap();
    sync(&world, &ad);
    sync(&world, &other);
    act(&world, &ad, async move |client| {
        let consent = sotto::client::preferences::Consent {
            entity_type: 1,
            entity: id.to_string(),
            state: 1,
        };
        client.set_consent(&[consent]).await
    })
    .unwrap();
    remove(&world, &other, id, &ad).unwrap();
    sync(&world, &ad);
    add(&world, &other, id, &ad).unwrap();
    assert_converged(&world, &[&so1, &ad, &other], id);
    let row = row(&world, &ad, id);
    assert!(row.admins.iter().any(|inbox| inbox == ad.inbox_id()));
    assert_eq!(row.consent, 1);
}

#[test]
fn role_3_a_super_admin_takes_a_removed_admin_off_the_list() {
    let world = World::new(132);
    let [so1, ad] = people(&world);
    let id = group_with(&world, &so1, &[&ad], named("a group"));
    role(&world, &so1, id, &ad, false, false).unwrap();
    remove(&world, &so1, id, &ad).unwrap();
    assert!(row(&world, &so1, id).admins.is_empty());
}

#[test]
fn s_33_a_dm_has_no_roles_and_nobody_else() {
    let world = World::new(133);
    let [so1, nd, n] = people(&world);
    let peer = nd.inbox_id().to_owned();
    let id = act(&world, &so1, async move |client| {
        client.create_dm(&peer, None).await
    })
    .unwrap();
    sync(&world, &nd);
    let before = log_length(&world, id);
    for refused in [
        role(&world, &so1, id, &nd, false, false),
        role(&world, &so1, id, &so1, true, false),
        add(&world, &so1, id, &n),
        remove(&world, &so1, id, &nd),
        act(&world, &so1, async move |client| {
            client.request_removal(id).await
        }),
    ] {
        assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    }
    assert_eq!(log_length(&world, id), before);
    let mut membership = facts(&world, &so1, id).membership;
    let inbox = n.inbox_id().to_owned();
    let latest = act(&world, &so1, async move |client| {
        client.identities.require(&inbox).await
    })
    .unwrap()
    .0;
    membership.members.insert(n.inbox_id().to_owned(), latest);
    membership.failed.insert(n.me.installation);
    let forged = forge(
        &world,
        &so1,
        id,
        Change {
            membership: Some(membership),
            ..Change::default()
        },
    );
    world.node.inject(id.as_bytes(), forged, true);
    sync(&world, &nd);
    assert_eq!(row(&world, &nd, id).members.len(), 2);
    assert_converged(&world, &[&so1, &nd], id);
}

#[test]
fn s_47_names_set_at_once_are_three_commits_and_one_history() {
    let world = World::new(147);
    let [a, b, c] = people(&world);
    let id = group_with(&world, &a, &[&b, &c], named("before"));
    let clients = [a.client.clone(), b.client.clone(), c.client.clone()];
    let results = world.run(async move {
        futures::future::join_all(clients.into_iter().zip(["x", "y", "z"]).map(
            |(client, name)| async move {
                client
                    .update_metadata(id, name_of(name), BTreeMap::new())
                    .await
            },
        ))
        .await
    });
    for result in results {
        result.unwrap();
    }
    assert_converged(&world, &[&a, &b, &c], id);
    let names = |tab| -> Vec<String> {
        transcript(&world, tab, id)
            .iter()
            .flat_map(|entry| &entry.metadata_field_changes)
            .filter_map(|change| change.new_value.clone())
            .collect()
    };
    let history = names(&a);
    assert_eq!(history.len(), 3);
    assert_eq!(
        history.last(),
        row(&world, &a, id).attributes.get("group_name")
    );
    for tab in [&b, &c] {
        assert_eq!(names(tab), history);
    }
}

#[test]
fn own_2_what_the_caller_saw_must_still_stand() {
    let world = World::new(148);
    let [a, b] = people(&world);
    let id = group_with(&world, &a, &[&b], named("before"));
    rename(&world, &a, id, "a's").unwrap();
    // b has not read it yet: the commit loses the epoch and is judged anew.
    let lost = act(&world, &b, async move |client| {
        client
            .update_metadata(id, name_of("b's"), name_of("before"))
            .await
    });
    assert_eq!(lost.unwrap_err().code(), Code::Superseded);
    assert_converged(&world, &[&a, &b], id);
    assert_eq!(row(&world, &b, id).attributes["group_name"], "a's");
}
