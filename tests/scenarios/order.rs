//! The node's order decides: late, early and withheld messages, deletions, edits, and what is
//! queued while the node is away (permissions.md 9 and 13).

use std::cell::Cell;
use std::rc::Rc;

use futures::FutureExt as _;
use sotto::Code;
use sotto::client::GroupId;
use sotto::client::conversation::SendOptions;
use sotto::client::testing::{Tab, World};
use sotto::content::{
    ContentType as _, DeleteMessage, EditMessage, EncodedContent, MessageId, Text,
};
use sotto::mls::Change;
use sotto::net::Status;
use sotto::net::fake::Fate;

use crate::support::*;

fn text(text: &str) -> EncodedContent {
    Text::from(text).encode().unwrap()
}

fn deletion(id: &str) -> EncodedContent {
    let message_id = id.parse::<MessageId>().unwrap();
    DeleteMessage { message_id }.encode().unwrap()
}

fn send(world: &World, tab: &Tab, id: GroupId, content: EncodedContent) -> String {
    act(world, tab, async move |client| {
        client.send(id, &content, &SendOptions::default()).await
    })
    .unwrap()
    .to_string()
}

/// Who deleted a message, if it is here and deleted.
fn deleted_by(world: &World, tab: &Tab, id: GroupId, message: &str) -> Option<String> {
    let message = message.parse::<MessageId>().unwrap();
    rows(world, tab, id)
        .into_iter()
        .find(|row| row.id == message.0)
        .unwrap()
        .deleted_by
}

fn demote_and_remove(world: &World, by: &Tab, id: GroupId, whom: &Tab) {
    let inbox = whom.inbox_id().to_owned();
    act(world, by, async move |client| {
        client.remove_super_admin(id, inbox).await
    })
    .unwrap();
}

#[test]
fn s_12_what_a_removed_super_admin_sends_on_the_old_epoch_is_refused() {
    let world = World::new(412);
    let [so1, nd, br] = people(&world);
    let id = group_with(&world, &so1, &[&nd, &br], named("a group"));
    role(&world, &so1, id, &nd, true, false).unwrap();
    sync(&world, &nd);
    let kept = say(&world, &so1, id, "keep this");
    sync(&world, &nd);
    let facts = facts(&world, &nd, id);
    let mut membership = facts.membership.clone();
    let gone = membership.members.remove(br.inbox_id());
    assert!(gone.is_some());
    let change = Change {
        remove: (facts.members.iter())
            .filter(|member| member.inbox_id == br.inbox_id())
            .map(|member| member.leaf)
            .collect(),
        membership: Some(membership),
        ..Change::default()
    };
    let commit = forge(&world, &nd, id, change);
    let words = seal(&world, &nd, id, &text("I am still here"), "1");
    let delete = seal(&world, &nd, id, &deletion(&kept), "2");
    demote_and_remove(&world, &so1, id, &nd);
    world.node.inject(id.as_bytes(), commit, true);
    world.node.inject(id.as_bytes(), words, false);
    world.node.inject(id.as_bytes(), delete, false);
    assert_converged(&world, &[&so1, &br], id);
    for tab in [&so1, &br] {
        assert_eq!(row(&world, tab, id).members.len(), 2);
        assert!(!texts(&world, tab, id).contains(&"I am still here".to_owned()));
        assert_eq!(deleted_by(&world, tab, id, &kept), None);
    }
}

#[test]
fn s_14_and_s_15_a_message_counts_if_it_is_ordered_before_its_senders_removal() {
    for before in [true, false] {
        let world = World::new(414);
        let [so1, nd, so2] = people(&world);
        let id = group_with(&world, &so1, &[&nd, &so2], named("a group"));
        let words = seal(&world, &nd, id, &text("last words"), "1");
        if before {
            world.node.inject(id.as_bytes(), words.clone(), false);
        }
        remove(&world, &so1, id, &nd).unwrap();
        if !before {
            world.node.inject(id.as_bytes(), words, false);
        }
        assert_converged(&world, &[&so1, &so2], id);
        for tab in [&so1, &so2] {
            let shown = texts(&world, tab, id).contains(&"last words".to_owned());
            assert_eq!(shown, before);
        }
    }
}

#[test]
fn s_16_a_member_that_is_behind_is_heard_once_whatever_it_missed() {
    for behind in 1..=6 {
        let world = World::new(416);
        let [a, b, c] = people(&world);
        let id = group_with(&world, &a, &[&b, &c], named("a group"));
        let raw = seal(&world, &c, id, &text("raw"), "raw");
        for number in 0..behind {
            rename(&world, &a, id, &format!("name {number}")).unwrap();
        }
        say(&world, &b, id, "late");
        world.node.inject(id.as_bytes(), raw, false);
        world.pass(std::time::Duration::from_secs(5));
        assert_converged(&world, &[&a, &b, &c], id);
        for tab in [&a, &b, &c] {
            let heard = texts(&world, tab, id);
            let late = heard.iter().filter(|text| *text == "late").count();
            assert_eq!(late, 1, "{behind} epochs behind");
        }
        let raw = texts(&world, &a, id).contains(&"raw".to_owned());
        assert_eq!(raw, behind <= 3, "{behind} epochs behind");
    }
}

#[test]
fn s_17_a_super_admin_deletes_anothers_message_for_everybody() {
    let world = World::new(417);
    let [so1, nd, so2] = people(&world);
    let id = group_with(&world, &so1, &[&nd, &so2], named("a group"));
    role(&world, &so1, id, &nd, true, false).unwrap();
    sync(&world, &so2);
    let target = say(&world, &so2, id, "regrettable");
    sync(&world, &nd);
    send(&world, &nd, id, deletion(&target));
    // A plain member's request for another's message does nothing.
    let stays = say(&world, &so1, id, "stays");
    sync(&world, &so2);
    send(&world, &so2, id, deletion(&stays));
    assert_converged(&world, &[&so1, &nd, &so2], id);
    for tab in [&so1, &nd, &so2] {
        assert_eq!(
            deleted_by(&world, tab, id, &target).as_deref(),
            Some(nd.inbox_id())
        );
        assert_eq!(deleted_by(&world, tab, id, &stays), None);
    }
}

#[test]
fn s_18_a_deletion_that_is_ordered_after_its_authors_demotion_does_nothing() {
    let world = World::new(418);
    let [so1, nd, so2] = people(&world);
    let id = group_with(&world, &so1, &[&nd, &so2], named("a group"));
    role(&world, &so1, id, &nd, true, false).unwrap();
    sync(&world, &so2);
    let target = say(&world, &so2, id, "stays");
    sync(&world, &nd);
    sync(&world, &so1);
    role(&world, &so1, id, &nd, true, true).unwrap();
    // nd has not heard of it.
    send(&world, &nd, id, deletion(&target));
    assert_converged(&world, &[&so1, &nd, &so2], id);
    for tab in [&so1, &nd, &so2] {
        assert_eq!(deleted_by(&world, tab, id, &target), None);
    }
}

#[test]
fn s_20_a_deletion_may_come_before_its_target_if_it_is_the_authors() {
    let world = World::new(420);
    let [so1, nd, so2] = people(&world);
    let id = group_with(&world, &so1, &[&nd, &so2], named("a group"));
    let content = text("second thoughts");
    let target = MessageId::of(id.as_bytes(), "key", &content.to_bytes()).to_string();
    let words = seal(&world, &nd, id, &content, "key");
    let own = seal(&world, &nd, id, &deletion(&target), "own");
    let other = seal(&world, &so2, id, &deletion(&target), "other");
    // Read in two batches by one member, in one by the other.
    world.node.inject(id.as_bytes(), other, false);
    world.node.inject(id.as_bytes(), own, false);
    sync(&world, &so1);
    world.node.inject(id.as_bytes(), words, false);
    sync(&world, &so1);
    sync(&world, &so2);
    for tab in [&so1, &so2] {
        assert_eq!(
            deleted_by(&world, tab, id, &target).as_deref(),
            Some(nd.inbox_id())
        );
    }
}

#[test]
fn a_deletion_in_one_batch_with_its_target_is_carried_out() {
    let world = World::new(421);
    let [so1, nd] = people(&world);
    let id = group_with(&world, &so1, &[&nd], named("a group"));
    let target = say(&world, &nd, id, "oops");
    world.pass(std::time::Duration::from_secs(1));
    send(&world, &nd, id, deletion(&target));
    sync(&world, &so1);
    sync(&world, &nd);
    for tab in [&so1, &nd] {
        assert_eq!(
            deleted_by(&world, tab, id, &target).as_deref(),
            Some(nd.inbox_id())
        );
    }
}

#[test]
fn s_25_what_was_wished_while_the_node_was_away_is_judged_when_it_is_back() {
    let world = World::new(425);
    let device = world.device();
    let away = Rc::new(Cell::new(false));
    let hook = {
        let away = Rc::clone(&away);
        Rc::new(move |_: &'static str| {
            let fate = if away.get() {
                Fate::LoseRequest
            } else {
                Fate::Pass
            };
            async move { fate }.boxed_local()
        })
    };
    let so1 = world.open_with(&device, Some(hook)).unwrap();
    let [nd, m] = people(&world);
    let id = group_with(&world, &so1, &[&nd, &m], named("before"));
    role(&world, &so1, id, &nd, false, false).unwrap();
    sync(&world, &nd);
    away.set(true);
    let pending = rename(&world, &so1, id, "so1's").unwrap_err();
    assert!(pending.retryable(), "{pending:?}");
    rename(&world, &nd, id, "nd's").unwrap();
    remove(&world, &nd, id, &m).unwrap();
    away.set(false);
    assert_converged(&world, &[&so1, &nd], id);
    assert_eq!(row(&world, &nd, id).attributes["group_name"], "so1's");
    // The member is gone already: nothing is left to do, and nothing is sent.
    let before = log_length(&world, id);
    remove(&world, &so1, id, &m).unwrap();
    assert_eq!(log_length(&world, id), before);
}

#[test]
fn s_26_while_the_node_refuses_writes_all_read_and_afterwards_each_message_comes_once() {
    let world = World::new(426);
    let device = world.device();
    let refusing = Rc::new(Cell::new(false));
    let hook = {
        let refusing = Rc::clone(&refusing);
        Rc::new(move |path: &'static str| {
            let refuse = refusing.get() && path.ends_with("SendGroupMessages");
            let fate = if refuse {
                Fate::Refuse(Status::UNAVAILABLE)
            } else {
                Fate::Pass
            };
            async move { fate }.boxed_local()
        })
    };
    let so1 = world.open_with(&device, Some(hook)).unwrap();
    let [nd] = people(&world);
    let id = group_with(&world, &so1, &[&nd], named("a group"));
    refusing.set(true);
    let refused = try_say(&world, &so1, id, "wait for it").unwrap_err();
    assert!(refused.retryable(), "{refused:?}");
    say(&world, &nd, id, "can you read?");
    act(&world, &so1, async move |client| client.receive(id).await).unwrap();
    assert!(texts(&world, &so1, id).contains(&"can you read?".to_owned()));
    refusing.set(false);
    sync(&world, &so1);
    assert_converged(&world, &[&so1, &nd], id);
    for tab in [&so1, &nd] {
        let heard = texts(&world, tab, id);
        let times = heard.iter().filter(|text| *text == "wait for it").count();
        assert_eq!(times, 1);
    }
}

#[test]
fn s_32_two_dms_of_one_pair_show_as_one_conversation() {
    let world = World::new(432);
    let [so1, nd] = people(&world);
    let (one, two) = (so1.client.clone(), nd.client.clone());
    let (a, b) = (so1.inbox_id().to_owned(), nd.inbox_id().to_owned());
    let (first, second) = world.run(async move {
        futures::future::join(one.create_dm(&b, None), two.create_dm(&a, None)).await
    });
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_ne!(first, second);
    sync(&world, &so1);
    sync(&world, &nd);
    for tab in [&so1, &nd] {
        let listed = act(&world, tab, async move |client| {
            client.list(&Default::default()).await
        })
        .unwrap();
        assert_eq!(listed.len(), 1);
    }
    say(&world, &so1, first, "in the first");
    say(&world, &nd, second, "in the second");
    assert_converged(&world, &[&so1, &nd], first);
    assert_converged(&world, &[&so1, &nd], second);
}

#[test]
fn s_50_the_authors_last_edit_in_order_is_what_everybody_sees() {
    let world = World::new(450);
    let [so1, so2] = people(&world);
    let id = group_with(&world, &so1, &[&so2], named("a group"));
    let target = say(&world, &so2, id, "frist");
    let edit = |text: &str| {
        EditMessage {
            message_id: target.parse().unwrap(),
            edited_content: Text::from(text).encode().unwrap(),
        }
        .encode()
        .unwrap()
    };
    sync(&world, &so1);
    send(&world, &so2, id, edit("firts"));
    send(&world, &so1, id, edit("not mine to edit"));
    world.pass(std::time::Duration::from_secs(1));
    send(&world, &so2, id, edit("first"));
    assert_converged(&world, &[&so1, &so2], id);
    let message = target.parse::<MessageId>().unwrap();
    for tab in [&so1, &so2] {
        let row = rows(&world, tab, id)
            .into_iter()
            .find(|row| row.id == message.0)
            .unwrap();
        assert_eq!(row.edited, text("first").to_bytes());
    }
}

#[test]
fn a_wish_that_makes_no_sense_any_more_is_superseded() {
    let world = World::new(451);
    let [a, b, c] = people(&world);
    let id = group_with(&world, &a, &[&b, &c], named("a group"));
    role(&world, &a, id, &b, true, false).unwrap();
    sync(&world, &b);
    remove(&world, &a, id, &c).unwrap();
    // b has not read that c is gone.
    let lost = role(&world, &b, id, &c, false, false).unwrap_err();
    assert_eq!(lost.code(), Code::Superseded);
    assert_converged(&world, &[&a, &b], id);
}
