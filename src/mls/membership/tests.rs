use super::*;
use crate::mls::policy::{Policy, Preset};
use crate::mls::tests::{Client, Logs, assert_converged, group_of};
use crate::mls::{Group, GroupFacts, Incoming, Rules, Verdict};

fn id(number: u8) -> InstallationId {
    InstallationId::from_bytes([number; 32])
}

fn listed(members: &[(&str, u64)], failed: &[InstallationId]) -> Membership {
    Membership {
        members: members
            .iter()
            .map(|(inbox, seq)| ((*inbox).to_owned(), *seq))
            .collect(),
        failed: failed.iter().copied().collect(),
    }
}

/// a: {1} at 1, {1, 2} at 3, {2} at 5. b: {8} at 2.
fn logs() -> Logs {
    let mut logs = Logs::default();
    logs.set_at("a", 1, &[id(1)]);
    logs.set_at("a", 3, &[id(1), id(2)]);
    logs.set_at("a", 5, &[id(2)]);
    logs.set_at("b", 2, &[id(8)]);
    logs
}

#[test]
fn mls_60_the_difference_of_two_memberships() {
    let between = |old: &[(&str, u64)], new: &[(&str, u64)]| {
        let difference =
            Difference::between(&listed(old, &[]), &listed(new, &[]), &logs()).unwrap();
        let added: Vec<InstallationId> = difference.added.iter().map(|(_, id)| *id).collect();
        (added, difference.removed.into_iter().collect::<Vec<_>>())
    };
    assert_eq!(between(&[("a", 1)], &[("a", 1)]), (vec![], vec![]));
    assert_eq!(between(&[("a", 1)], &[("a", 3)]), (vec![id(2)], vec![]));
    assert_eq!(
        between(&[("a", 1)], &[("a", 5)]),
        (vec![id(2)], vec![id(1)])
    );
    assert_eq!(between(&[("a", 3)], &[("a", 5)]), (vec![], vec![id(1)]));
    assert_eq!(between(&[], &[("a", 3)]), (vec![id(1), id(2)], vec![]));
    assert_eq!(
        between(&[("a", 0)], &[("a", 3)]),
        (vec![id(1), id(2)], vec![]),
        "0 is empty"
    );
    assert_eq!(
        between(&[("a", 3), ("b", 2)], &[("b", 2)]),
        (vec![], vec![id(1), id(2)])
    );
    assert_eq!(between(&[("a", 0)], &[]), (vec![], vec![]));
}

#[test]
fn a_difference_that_cannot_be_known_is_none() {
    let between = |new: &[(&str, u64)]| {
        Difference::between(&listed(&[("a", 1)], &[]), &listed(new, &[]), &logs()).map(drop)
    };
    assert_eq!(
        between(&[("a", 4)]),
        Err(PlanError::NoIdentity("a".to_owned()))
    );
    let needed = vec![("x".to_owned(), 9)];
    assert_eq!(
        between(&[("a", 1), ("x", 9)]),
        Err(PlanError::NeedIdentity(needed))
    );
}

fn latest(logs: &Logs, inboxes: &[&str]) -> BTreeMap<String, u64> {
    inboxes
        .iter()
        .map(|inbox| ((*inbox).to_owned(), logs.latest(inbox)))
        .collect()
}

/// Everything that is known about the members and `more`.
fn newest(facts: &GroupFacts, logs: &Logs, more: &[&Client]) -> BTreeMap<String, u64> {
    let members = facts.membership.members.keys().cloned();
    let inboxes = members.chain(more.iter().map(|client| client.name()));
    inboxes
        .map(|inbox| (inbox.clone(), logs.latest(&inbox)))
        .collect()
}

fn adding(clients: &[&Client]) -> Request {
    Request {
        add: clients.iter().map(|client| client.name()).collect(),
        ..Request::default()
    }
}

fn removing(clients: &[&Client]) -> Request {
    Request {
        remove: clients.iter().map(|client| client.name()).collect(),
        ..Request::default()
    }
}

/// Plans and completes with the key packages of `others`.
fn plan(
    by: &Client,
    request: &Request,
    logs: &Logs,
    others: &[&Client],
) -> Result<Planned, PlanError> {
    let facts = by.facts();
    let plan = Plan::new(
        &facts,
        request,
        &newest(&facts, logs, others),
        logs,
        &by.id(),
    )?;
    let packages = others
        .iter()
        .map(|client| (client.id(), Ok(client.verified())))
        .collect();
    plan.into_change(packages)
}

/// Commits `planned` and lets `others` process it; the Welcome.
fn carry_out(by: &mut Client, planned: Planned, logs: &Logs, others: &mut [Client]) -> Vec<u8> {
    let change = planned.change.unwrap();
    let verdict = by
        .group()
        .check_change(&change, logs, &Rules::default())
        .unwrap();
    let Verdict::Accepted(accepted) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(
        accepted.change().findings,
        [],
        "our Commits break no safety rule"
    );
    let (commit, _) = by.commit(change, logs);
    for other in others {
        let incoming = other.process(&commit.bytes, logs);
        assert!(matches!(incoming, Incoming::Commit(_)), "{incoming:?}");
    }
    commit.welcome.unwrap_or_default()
}

#[test]
fn the_first_commit_of_a_group_raises_the_creator_and_adds_its_other_installations() {
    let mut logs = Logs::default();
    let (mut first, mut second) = (Client::new('a', 1), Client::new('a', 2));
    let sequence = logs.set(first.inbox.as_str(), &[first.id(), second.id()]);
    first.create(Preset::AllMembers.policies());
    let planned = plan(&first, &Request::default(), &logs, &[&second]).unwrap();
    let membership = planned.change.as_ref().unwrap().membership.clone().unwrap();
    assert_eq!(membership.members, [(first.name(), sequence)].into());
    let welcome = carry_out(&mut first, planned, &logs, &mut []);
    second.join(&welcome, &logs);
    assert_converged(&mut [first, second], &logs);
}

#[test]
fn with_nothing_to_do_there_is_no_commit() {
    let (clients, logs) = group_of(2, Preset::AllMembers);
    let planned = plan(&clients[0], &Request::default(), &logs, &[]).unwrap();
    assert!(planned.change.is_none() && planned.failures.is_empty());
    let member = adding(&[&clients[1]]);
    assert!(
        plan(&clients[0], &member, &logs, &[])
            .unwrap()
            .change
            .is_none()
    );
    let stranger = removing(&[&Client::new('f', 9)]);
    assert!(
        plan(&clients[0], &stranger, &logs, &[])
            .unwrap()
            .change
            .is_none()
    );
}

#[test]
fn an_invitation_takes_pending_changes_of_members_along() {
    let (mut clients, mut logs) = group_of(2, Preset::AllMembers);
    let mut newcomer = Client::new('e', 20);
    logs.set(newcomer.inbox.as_str(), &[newcomer.id()]);
    let replacement = Client::new('b', 21);
    logs.set(
        clients[1].inbox.as_str(),
        &[clients[1].id(), replacement.id()],
    );
    let planned = plan(
        &clients[0],
        &adding(&[&newcomer]),
        &logs,
        &[&newcomer, &replacement],
    );
    let planned = planned.unwrap();
    assert_eq!(planned.change.as_ref().unwrap().add.len(), 2);
    let (by, others) = clients.split_first_mut().unwrap();
    let welcome = carry_out(by, planned, &logs, others);
    newcomer.join(&welcome, &logs);
    clients.push(newcomer);
    assert_converged(&mut clients, &logs);
}

#[test]
fn mls_63_what_has_no_key_package_is_listed_as_failed_and_may_be_revoked_later() {
    let (mut clients, mut logs) = group_of(2, Preset::AllMembers);
    let (mut newcomer, lost) = (Client::new('e', 20), id(99));
    logs.set(newcomer.inbox.as_str(), &[newcomer.id(), lost]);
    let planned = plan(&clients[0], &adding(&[&newcomer]), &logs, &[&newcomer]).unwrap();
    assert_eq!(planned.failures, [(lost, KeyPackageFault::Absent)]);
    let (by, others) = clients.split_first_mut().unwrap();
    let welcome = carry_out(by, planned, &logs, others);
    newcomer.join(&welcome, &logs);
    clients.push(newcomer);
    assert_eq!(clients[2].facts().membership.failed, [lost].into());
    // Its revocation removes nothing, and the id stays.
    let (inbox, kept) = (clients[2].name(), clients[2].id());
    logs.set(&inbox, &[kept]);
    let planned = plan(&clients[1], &Request::default(), &logs, &[]).unwrap();
    assert!(planned.change.as_ref().unwrap().remove.is_empty());
    let mut by = clients.remove(1);
    carry_out(&mut by, planned, &logs, &mut clients);
    clients.push(by);
    assert_eq!(clients[0].facts().membership.failed, [lost].into());
    assert_converged(&mut clients, &logs);
}

#[test]
fn mls_64_an_invitation_of_which_nothing_succeeds_fails() {
    let (clients, mut logs) = group_of(2, Preset::AllMembers);
    let newcomer = Client::new('e', 20);
    logs.set(newcomer.inbox.as_str(), &[newcomer.id()]);
    let facts = clients[0].facts();
    let all = newest(&facts, &logs, &[&newcomer]);
    let plan = Plan::new(&facts, &adding(&[&newcomer]), &all, &logs, &clients[0].id()).unwrap();
    assert_eq!(plan.adds(), [(newcomer.name(), newcomer.id())]);
    assert_eq!(plan.added_inboxes(), [newcomer.name()]);
    let faults = [(newcomer.id(), Err(KeyPackageFault::Lifetime))].into();
    let expected = PlanError::AllFailed(vec![(newcomer.id(), KeyPackageFault::Lifetime)]);
    assert_eq!(plan.into_change(faults).unwrap_err(), expected);
}

#[test]
fn a_refresh_whose_key_packages_all_fail_is_still_made() {
    let (mut clients, mut logs) = group_of(2, Preset::AllMembers);
    logs.set(clients[1].inbox.as_str(), &[clients[1].id(), id(99)]);
    let planned = plan(&clients[0], &Request::default(), &logs, &[]).unwrap();
    assert_eq!(planned.failures.len(), 1);
    let (by, others) = clients.split_first_mut().unwrap();
    carry_out(by, planned, &logs, others);
    assert_converged(&mut clients, &logs);
}

#[test]
fn a_removal_takes_every_leaf_of_the_inbox() {
    let (mut clients, logs) = group_of(3, Preset::AllMembers);
    let planned = plan(&clients[0], &removing(&[&clients[2]]), &logs, &[]).unwrap();
    let (by, others) = clients.split_first_mut().unwrap();
    carry_out(by, planned, &logs, &mut others[..1]);
    assert_converged(&mut clients[..2], &logs);
    assert!(
        !clients[0]
            .facts()
            .membership
            .members
            .contains_key(clients[2].inbox.as_str())
    );
}

#[test]
fn a_leaf_that_is_listed_as_failed_is_taken_off_the_list_and_out() {
    let (mut clients, logs) = group_of(3, Preset::AllMembers);
    // A peer listed it without reason.
    let mut membership = clients[0].facts().membership;
    membership.failed.insert(clients[2].id());
    let change = Change {
        membership: Some(membership),
        ..Change::default()
    };
    let (commit, _) = clients[0].commit(change, &logs);
    for other in &mut clients[1..] {
        assert!(matches!(
            other.process(&commit.bytes, &logs),
            Incoming::Commit(_)
        ));
    }
    let planned = plan(&clients[0], &removing(&[&clients[2]]), &logs, &[]).unwrap();
    let (by, others) = clients.split_first_mut().unwrap();
    carry_out(by, planned, &logs, &mut others[..1]);
    assert!(clients[0].facts().membership.failed.is_empty());
    assert_converged(&mut clients[..2], &logs);
}

#[test]
fn safe_q8_what_others_left_out_is_repaired_with_the_next_commit() {
    let (mut clients, mut logs) = group_of(3, Preset::AllMembers);
    let lost = id(99);
    let sequence = logs.set(clients[1].inbox.as_str(), &[clients[1].id(), lost]);
    let mut membership = clients[0].facts().membership;
    membership.members.insert(clients[1].name(), sequence);
    let change = Change {
        membership: Some(membership),
        ..Change::default()
    };
    let (commit, report) = clients[0].commit(change, &logs);
    assert_eq!(report.change.findings.len(), 1);
    for other in &mut clients[1..] {
        assert!(matches!(
            other.process(&commit.bytes, &logs),
            Incoming::Commit(_)
        ));
    }
    // Not worth a Commit of its own.
    assert!(
        plan(&clients[0], &Request::default(), &logs, &[])
            .unwrap()
            .change
            .is_none()
    );
    let mut newcomer = Client::new('e', 20);
    logs.set(newcomer.inbox.as_str(), &[newcomer.id()]);
    let planned = plan(&clients[0], &adding(&[&newcomer]), &logs, &[&newcomer]).unwrap();
    let (by, others) = clients.split_first_mut().unwrap();
    let welcome = carry_out(by, planned, &logs, others);
    newcomer.join(&welcome, &logs);
    assert_eq!(newcomer.facts().membership.failed, [lost].into());
}

#[test]
fn role_3_whoever_may_takes_a_removed_admin_off_the_list() {
    let (mut clients, logs) = group_of(3, Preset::AllMembers);
    let mut mutable = clients[0].facts().mutable;
    mutable.admins = vec![clients[1].name(), clients[2].name()];
    let change = Change {
        mutable: Some(mutable),
        ..Change::default()
    };
    let (commit, _) = clients[0].commit(change, &logs);
    for other in &mut clients[1..] {
        assert!(matches!(
            other.process(&commit.bytes, &logs),
            Incoming::Commit(_)
        ));
    }
    let request = removing(&[&clients[2]]);
    let by_admin = plan(&clients[1], &request, &logs, &[]).unwrap();
    assert!(
        by_admin.change.unwrap().mutable.is_none(),
        "a plain admin may not"
    );
    let planned = plan(&clients[0], &request, &logs, &[]).unwrap();
    let (by, others) = clients.split_first_mut().unwrap();
    carry_out(by, planned, &logs, &mut others[..1]);
    assert_eq!(clients[1].facts().mutable.admins, [clients[1].name()]);
}

#[test]
fn limits_and_identities_are_checked() {
    let (clients, mut logs) = group_of(2, Preset::AllMembers);
    let newcomer = Client::new('e', 20);
    let unknown = plan(&clients[0], &adding(&[&newcomer]), &logs, &[]);
    assert_eq!(unknown.unwrap_err(), PlanError::NoIdentity(newcomer.name()));
    logs.set(newcomer.inbox.as_str(), &[newcomer.id()]);
    let request = Request {
        max_inboxes: 2,
        ..adding(&[&newcomer])
    };
    let full = plan(&clients[0], &request, &logs, &[&newcomer]);
    assert_eq!(full.unwrap_err(), PlanError::TooManyInboxes);
    let own = plan(&clients[0], &removing(&[&clients[0]]), &logs, &[]);
    assert_eq!(own.unwrap_err(), PlanError::RemovesSelf);
    let facts = clients[0].facts();
    let states = Logs::default();
    let needed = Plan::new(
        &facts,
        &Request::default(),
        &latest(&logs, &[]),
        &states,
        &clients[0].id(),
    );
    let Err(PlanError::NeedIdentity(needed)) = needed else {
        panic!("{needed:?}")
    };
    assert_eq!(needed.len(), 2);
}

#[test]
fn a_sequence_is_never_lowered() {
    let (clients, logs) = group_of(2, Preset::AllMembers);
    let facts = clients[0].facts();
    let behind: BTreeMap<String, u64> = facts
        .membership
        .members
        .keys()
        .map(|inbox| (inbox.clone(), 0))
        .collect();
    let plan = Plan::new(
        &facts,
        &Request::default(),
        &behind,
        &logs,
        &clients[0].id(),
    )
    .unwrap();
    assert_eq!(*plan.membership(), facts.membership);
    assert!(plan.removes().is_empty());
}

#[test]
fn an_invitation_is_split_between_inboxes() {
    let counts = |list: &[(&str, usize)]| -> BTreeMap<String, usize> {
        list.iter()
            .map(|(inbox, count)| ((*inbox).to_owned(), *count))
            .collect()
    };
    let sizes = |list: &[(&str, usize)]| -> Vec<usize> {
        split_invitation(&counts(list))
            .iter()
            .map(BTreeSet::len)
            .collect()
    };
    assert_eq!(sizes(&[]), Vec::<usize>::new());
    assert_eq!(sizes(&[("a", 100), ("b", 100), ("c", 1)]), [2, 1]);
    assert_eq!(sizes(&[("a", 300), ("b", 1)]), [1, 1]);
    let many: Vec<String> = (0..250).map(|n| format!("{n:03}")).collect();
    let many: Vec<(&str, usize)> = many.iter().map(|inbox| (inbox.as_str(), 3)).collect();
    let parts = split_invitation(&counts(&many));
    assert_eq!(parts.len(), 4);
    assert!(parts.iter().all(|part| part.len() * 3 <= MAX_ADDS));
    assert_eq!(parts.iter().map(BTreeSet::len).sum::<usize>(), 250);
}

#[test]
fn a_plan_that_the_policies_forbid_is_found_before_it_is_built() {
    let (mut clients, logs) = group_of(3, Preset::AllMembers);
    let mut permissions = clients[0].facts().permissions;
    permissions.remove_member = Policy::Deny;
    let change = Change {
        permissions: Some(permissions),
        ..Change::default()
    };
    clients[0].commit(change, &logs);
    let planned = plan(&clients[0], &removing(&[&clients[2]]), &logs, &[]).unwrap();
    let group: &Group = clients[0].group();
    let verdict = group
        .check_change(&planned.change.unwrap(), &logs, &Rules::default())
        .unwrap();
    assert!(matches!(verdict, Verdict::Rejected(_)), "{verdict:?}");
}
