//! Leaving a group (permissions.md 11).

use sotto::Code;
use sotto::client::testing::{Tab, World};

use crate::support::*;

fn leave(world: &World, tab: &Tab, id: sotto::client::GroupId) -> sotto::Result<()> {
    act(world, tab, async move |client| {
        client.request_removal(id).await
    })
}

fn left(world: &World, tab: &Tab, id: sotto::client::GroupId) -> Vec<String> {
    transcript(world, tab, id)
        .iter()
        .flat_map(|entry| &entry.left_inboxes)
        .map(|inbox| inbox.inbox_id.clone())
        .collect()
}

#[test]
fn s_28_a_super_admins_client_takes_out_who_asks_to_leave() {
    let world = World::new(228);
    let [so1, br, ad] = people(&world);
    let id = group_with(&world, &so1, &[&br, &ad], named("a group"));
    leave(&world, &br, id).unwrap();
    assert_eq!(row(&world, &br, id).membership_state, 4);
    let refused = try_say(&world, &br, id, "one more thing").unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    sync(&world, &so1);
    assert_converged(&world, &[&so1, &ad], id);
    sync(&world, &br);
    assert!(!row(&world, &br, id).active);
    for tab in [&so1, &ad, &br] {
        assert_eq!(left(&world, tab, id), [br.inbox_id()]);
        assert!(row(&world, tab, id).leaving.is_empty());
    }
}

#[test]
fn s_28_an_admin_does_nothing_about_it_and_the_super_admin_does_when_it_comes() {
    let world = World::new(229);
    let [so1, br, d] = people(&world);
    let id = group_with(&world, &so1, &[&br, &d], named("a group"));
    role(&world, &so1, id, &d, false, false).unwrap();
    sync(&world, &d);
    leave(&world, &br, id).unwrap();
    sync(&world, &d);
    sync(&world, &d);
    sync(&world, &br);
    assert!(row(&world, &br, id).active);
    assert_eq!(row(&world, &d, id).leaving, [br.inbox_id()]);
    sync(&world, &so1);
    sync(&world, &br);
    assert!(!row(&world, &br, id).active);
    assert_converged(&world, &[&so1, &d], id);
}

#[test]
fn a_request_that_was_read_before_a_restart_is_met_after_it() {
    let world = World::new(230);
    let device = world.device();
    let so1 = world.open(&device).unwrap();
    let [br] = people(&world);
    let id = group_with(&world, &so1, &[&br], named("a group"));
    leave(&world, &br, id).unwrap();
    // Read, and dead before anything was made of it.
    act(&world, &so1, async move |client| client.receive(id).await).unwrap();
    assert_eq!(row(&world, &so1, id).leaving, [br.inbox_id()]);
    so1.kill();
    let so1 = world.open(&device).unwrap();
    sync(&world, &so1);
    assert_eq!(row(&world, &so1, id).members.len(), 1);
    sync(&world, &br);
    assert!(!row(&world, &br, id).active);
}

#[test]
fn super_admins_that_race_for_it_make_one_removal() {
    let world = World::new(231);
    let [a, b, br] = people(&world);
    let id = group_with(&world, &a, &[&b, &br], named("two leaders"));
    role(&world, &a, id, &b, true, false).unwrap();
    sync(&world, &b);
    sync(&world, &br);
    let epoch = row(&world, &a, id).epoch;
    leave(&world, &br, id).unwrap();
    let (one, two) = (a.client.clone(), b.client.clone());
    let (first, second) = world.run(async move {
        futures::future::join(one.sync_all(None, None), two.sync_all(None, None)).await
    });
    first.unwrap();
    second.unwrap();
    assert_converged(&world, &[&a, &b], id);
    assert_eq!(row(&world, &a, id).epoch, epoch + 1);
    assert!(!row(&world, &a, id).open && !row(&world, &b, id).open);
}

#[test]
fn a_member_that_becomes_super_admin_takes_up_requests_that_stand() {
    let world = World::new(232);
    let [a, b, br] = people(&world);
    let id = group_with(&world, &a, &[&b, &br], named("a group"));
    leave(&world, &br, id).unwrap();
    sync(&world, &b);
    // The only super admin promotes b without having read the request.
    let client = a.client.clone();
    let inbox = b.inbox_id().to_owned();
    world
        .run(async move { client.update_role(id, inbox, true, false).await })
        .unwrap();
    a.kill();
    sync(&world, &b);
    sync(&world, &b);
    sync(&world, &br);
    assert!(!row(&world, &br, id).active);
}

#[test]
fn s_29_who_may_not_leave_is_told_why_and_nothing_is_sent() {
    let world = World::new(233);
    let [so1, br, out] = people(&world);
    let id = group_with(&world, &so1, &[&br, &out], named("a group"));
    remove(&world, &so1, id, &out).unwrap();
    sync(&world, &out);
    let alone = group(&world, &so1, &[]);
    let peer = br.inbox_id().to_owned();
    let dm = act(&world, &so1, async move |client| {
        client.create_dm(&peer, None).await
    })
    .unwrap();
    let before = [id, alone, dm].map(|id| log_length(&world, id));
    let errors = [
        leave(&world, &so1, id).unwrap_err(),
        leave(&world, &so1, alone).unwrap_err(),
        leave(&world, &so1, dm).unwrap_err(),
        leave(&world, &out, id).unwrap_err(),
    ];
    let texts: std::collections::BTreeSet<&str> =
        errors.iter().map(|error| error.message()).collect();
    assert_eq!(texts.len(), 4);
    assert_eq!(errors[3].code(), Code::NotAMember);
    assert_eq!([id, alone, dm].map(|id| log_length(&world, id)), before);
}

#[test]
fn s_30_who_left_and_is_added_again_is_asked_for_consent_and_reads_what_is_new() {
    let world = World::new(234);
    let [so1, br] = people(&world);
    let id = group_with(&world, &so1, &[&br], named("a group"));
    leave(&world, &br, id).unwrap();
    sync(&world, &so1);
    sync(&world, &br);
    say(&world, &so1, id, "while you were away");
    add(&world, &so1, id, &br).unwrap();
    sync(&world, &br);
    let again = row(&world, &br, id);
    assert_eq!((again.consent, again.membership_state), (0, 0));
    say(&world, &so1, id, "welcome back");
    assert_converged(&world, &[&so1, &br], id);
    let read = texts(&world, &br, id);
    assert!(read.contains(&"welcome back".to_owned()));
    assert!(!read.contains(&"while you were away".to_owned()));
}
