//! Members' installations: whoever notices brings the group in line with the identity logs.

use sotto::Code;
use sotto::client::testing::{Tab, World};
use sotto::identity::InstallationId;

use crate::support::*;

/// Revokes an installation with the wallet, which is also the recovery key.
fn revoke(world: &World, by: &Tab, wallet: &sotto::identity::EthereumKey, id: InstallationId) {
    let mut request = act(world, by, async move |client| {
        client.request_revoke_installations(&[id]).await
    })
    .unwrap();
    let signature = wallet.sign_personal(request.text());
    request.add_wallet_signature(&signature).unwrap();
    act(world, by, async move |client| {
        client.apply_request(&request).await
    })
    .unwrap();
}

fn later(world: &World) {
    world.clock.advance(std::time::Duration::from_secs(3600));
}

fn leaves(world: &World, tab: &Tab, id: sotto::client::GroupId, of: &Tab) -> usize {
    let row = row(world, tab, id);
    (row.members.iter())
        .find(|member| member.inbox_id == of.inbox_id())
        .map_or(0, |member| member.installations.len())
}

#[test]
fn s_36_a_members_new_installation_is_added_by_a_plain_member_that_sends() {
    let world = World::new(336);
    let device = world.device();
    let so2 = world.open(&device).unwrap();
    let [a, m] = people(&world);
    let id = group_with(&world, &a, &[&so2, &m], admin_only());
    let second = world.open(&world.device_of(&device.wallet)).unwrap();
    assert_eq!(second.inbox_id(), so2.inbox_id());
    later(&world);
    say(&world, &m, id, "hello both of you");
    say(&world, &m, id, "and again");
    sync(&world, &second);
    assert_eq!(texts(&world, &second, id).last().unwrap(), "and again");
    say(&world, &second, id, "from the new one");
    assert_converged(&world, &[&a, &so2, &m, &second], id);
    assert_eq!(leaves(&world, &a, id, &so2), 2);
}

#[test]
fn s_37_a_revoked_installation_is_taken_out_by_whoever_notices() {
    let world = World::new(337);
    let device = world.device();
    let one = world.open(&device).unwrap();
    let two = world.open(&world.device_of(&device.wallet)).unwrap();
    let [a, m] = people(&world);
    let id = group_with(&world, &a, &[&one, &m], named("a group"));
    sync(&world, &two);
    revoke(&world, &two, &device.wallet, one.me.installation);
    later(&world);
    act(&world, &m, async move |client| {
        client.sync_conversation(id).await
    })
    .unwrap();
    sync(&world, &one);
    assert!(!row(&world, &one, id).active);
    assert_converged(&world, &[&a, &m, &two], id);
    assert_eq!(leaves(&world, &a, id, &two), 1);
}

#[test]
fn s_38_a_super_admins_revoked_installation_goes_too() {
    let world = World::new(338);
    let device = world.device();
    let one = world.open(&device).unwrap();
    let two = world.open(&world.device_of(&device.wallet)).unwrap();
    let [m] = people(&world);
    let id = group_with(&world, &one, &[&m], named("a group"));
    sync(&world, &two);
    revoke(&world, &two, &device.wallet, one.me.installation);
    later(&world);
    say(&world, &m, id, "who is here?");
    sync(&world, &one);
    assert!(!row(&world, &one, id).active);
    assert_converged(&world, &[&m, &two], id);
    assert_eq!(row(&world, &m, id).super_admins, [two.inbox_id()]);
}

#[test]
fn s_39_a_change_right_after_creation_goes_behind_the_membership_commit() {
    let world = World::new(339);
    let [so1, nd] = people(&world);
    let id = group(&world, &so1, &[]);
    rename(&world, &so1, id, "named").unwrap();
    add(&world, &so1, id, &nd).unwrap();
    assert_converged(&world, &[&so1, &nd], id);
    assert_eq!(row(&world, &nd, id).attributes["group_name"], "named");
}

#[test]
fn an_installation_that_cannot_be_added_is_listed_and_does_not_keep_its_inbox_out() {
    let world = World::new(340);
    let device = world.device();
    let one = world.open(&device).unwrap();
    let two = world.open(&world.device_of(&device.wallet)).unwrap();
    let [a, b] = people(&world);
    let bad = two.me.installation;
    world
        .node
        .put_key_package(bad.as_bytes(), b"garbage".to_vec());
    let id = group_with(&world, &a, &[&b], named("a group"));
    add(&world, &a, id, &one).unwrap();
    assert_converged(&world, &[&a, &b, &one], id);
    let health = act(&world, &b, async move |client| client.health(id).await).unwrap();
    let missing: Vec<_> = (health.missing.iter())
        .map(|missing| {
            (
                missing.inbox_id.as_str(),
                missing.installation,
                missing.listed,
            )
        })
        .collect();
    assert_eq!(missing, [(one.inbox_id(), bad, true)]);
    let row = row(&world, &b, id);
    assert_eq!(row.failed, [bad.as_bytes().to_vec()]);
    assert_eq!(leaves(&world, &b, id, &one), 1);
    sync(&world, &two);
    assert!(
        act(&world, &two, async move |client| client.find(id).await)
            .unwrap()
            .is_none()
    );
    // It is no obstacle to its inbox's removal.
    remove(&world, &a, id, &one).unwrap();
    assert_converged(&world, &[&a, &b], id);
}

#[test]
fn an_inbox_without_a_usable_installation_is_refused_before_anything_is_sent() {
    let world = World::new(341);
    let [a, b, c] = people(&world);
    let id = group_with(&world, &a, &[&b], named("a group"));
    world
        .node
        .put_key_package(c.me.installation.as_bytes(), b"garbage".to_vec());
    let before = log_length(&world, id);
    let refused = add(&world, &a, id, &c).unwrap_err();
    assert_eq!(refused.code(), Code::CannotBeAdded);
    assert_eq!(log_length(&world, id), before);
}

#[test]
fn a_large_invitation_goes_out_in_several_commits() {
    let world = World::new(342);
    let [a] = people(&world);
    let mut invited = Vec::new();
    for _ in 0..21 {
        let device = world.device();
        invited.push(world.open(&device).unwrap());
        for _ in 1..10 {
            invited.push(world.open(&world.device_of(&device.wallet)).unwrap());
        }
    }
    let mut inboxes: Vec<String> = invited
        .iter()
        .map(|tab| tab.inbox_id().to_owned())
        .collect();
    inboxes.dedup();
    let id = act(&world, &a, async move |client| {
        client.create_group(inboxes, named("many")).await
    })
    .unwrap();
    let row = row(&world, &a, id);
    assert_eq!((row.epoch, row.members.len()), (2, 22));
    let leaves: usize = row
        .members
        .iter()
        .map(|member| member.installations.len())
        .sum();
    assert_eq!(leaves, 211);
    let (first, last) = (&invited[0], &invited[invited.len() - 1]);
    assert_converged(&world, &[&a, first, last], id);
}
