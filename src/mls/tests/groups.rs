//! Creating, adding, removing, racing.

use super::*;
use crate::mls::extensions::GROUP_NAME;

/// The present metadata with one attribute replaced.
pub(super) fn renamed(client: &Client, key: &str, value: &str) -> Change {
    let mut mutable = client.facts().mutable;
    mutable.attributes.insert(key.to_owned(), value.to_owned());
    Change {
        mutable: Some(mutable),
        ..Change::default()
    }
}

/// Takes `gone` out of the group.
fn without(by: &Client, gone: &Client) -> Change {
    let facts = by.facts();
    let mut membership = facts.membership.clone();
    membership.members.remove(gone.inbox.as_str());
    Change {
        remove: vec![facts.installation(&gone.id()).unwrap().leaf],
        membership: Some(membership),
        ..Change::default()
    }
}

/// Brings `new` in.
fn with(by: &Client, new: &Client, logs: &Logs) -> Change {
    let mut membership = by.facts().membership;
    membership
        .members
        .insert(new.name(), logs.latest(new.inbox.as_str()));
    Change {
        add: vec![new.verified()],
        membership: Some(membership),
        ..Change::default()
    }
}

#[track_caller]
pub(super) fn merged(incoming: Incoming) -> CommitReport {
    match incoming {
        Incoming::Commit(report) => *report,
        other => panic!("not merged: {other:?}"),
    }
}

#[track_caller]
pub(super) fn rejected(incoming: Incoming) -> RejectCode {
    match incoming {
        Incoming::Skip(SkipReason::Rejected(rejection)) => rejection.code,
        other => panic!("not rejected: {other:?}"),
    }
}

#[test]
fn members_of_a_new_group_agree_and_read_each_other() {
    let (mut clients, logs) = group_of(3, Preset::AllMembers);
    assert_converged(&mut clients, &logs);
}

#[test]
fn mls_01_a_new_group_is_at_epoch_zero_with_its_creator_at_zero() {
    let mut client = Client::new('a', 1);
    client.create(Preset::AllMembers.policies());
    let facts = client.facts();
    assert_eq!(facts.epoch, 0);
    assert_eq!(facts.membership.members, [(client.name(), 0)].into());
    assert_eq!(facts.members.len(), 1);
    let group = client.group();
    let types: Vec<u16> = group
        .mls
        .extensions()
        .iter()
        .map(|e| u16::from(e.extension_type()))
        .collect();
    assert_eq!(types, [0xf000, 0xff00, 0xff01, 0xff02, 3]);
    let leaf = group.mls.own_leaf_node().unwrap();
    assert_eq!(leaf.extensions().iter().count(), 0);
    let listed: Vec<u16> = leaf
        .capabilities()
        .extensions()
        .iter()
        .map(|kind| u16::from(*kind))
        .collect();
    assert!(!listed.contains(&6));
}

#[test]
fn mls_50_before_its_first_membership_commit_a_creator_can_change_nothing() {
    let mut logs = Logs::default();
    let mut client = Client::new('a', 1);
    logs.set(client.inbox.as_str(), &[client.id()]);
    client.create(Preset::AllMembers.policies());
    let change = renamed(&client, GROUP_NAME, "x");
    let rules = Rules::default();
    let early = client.group().check_change(&change, &logs, &rules).unwrap();
    let Verdict::Rejected(rejection) = early else {
        panic!("{early:?}")
    };
    assert_eq!(rejection.code, RejectCode::IdentityMissing);
    let first = Change {
        membership: Some(membership(&logs, &[&client])),
        ..Change::default()
    };
    client.commit(first, &logs);
    let change = renamed(&client, GROUP_NAME, "x");
    client.commit(change, &logs);
    assert_eq!(client.facts().mutable.attribute(GROUP_NAME), "x");
}

#[test]
fn a_group_survives_a_reload_of_every_member() {
    let (mut clients, logs) = group_of(3, Preset::AllMembers);
    for client in &mut clients {
        client.reload();
    }
    assert_converged(&mut clients, &logs);
}

#[test]
fn a_change_reaches_everyone_and_says_what_it_was() {
    let (mut clients, logs) = group_of(3, Preset::AllMembers);
    let change = renamed(&clients[1], GROUP_NAME, "x");
    let (commit, own) = clients[1].commit(change, &logs);
    for other in [0, 2] {
        let report = merged(clients[other].process(&commit.bytes, &logs));
        assert_eq!(report.change.committer.inbox_id, clients[1].name());
        assert_eq!(report.change.attributes, own.change.attributes);
        assert_eq!(report.facts, own.facts);
        let expected = AttributeChange {
            key: GROUP_NAME.to_owned(),
            old: Some(String::new()),
            new: Some("x".to_owned()),
        };
        assert_eq!(report.change.attributes, [expected]);
    }
    assert_converged(&mut clients, &logs);
}

#[test]
fn u_g_what_a_commit_does_not_change_keeps_its_bytes() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let contexts = |clients: &[Client]| {
        let group = clients[1].group.as_ref().unwrap();
        crate::mls::validate::context_bytes(group.mls.extensions())
    };
    let before = contexts(&clients);
    let change = renamed(&clients[0], GROUP_NAME, "x");
    let (commit, _) = clients[0].commit(change, &logs);
    merged(clients[1].process(&commit.bytes, &logs));
    let after = contexts(&clients);
    assert_ne!(after.mutable, before.mutable);
    assert_eq!(after.immutable, before.immutable);
    assert_eq!(after.membership, before.membership);
    assert_eq!(after.permissions, before.permissions);
    assert_eq!(after.rest, before.rest);
    let mut permissions = clients[0].facts().permissions;
    permissions.add_member = crate::mls::policy::Policy::Deny;
    let change = Change {
        permissions: Some(permissions),
        ..Change::default()
    };
    let (commit, _) = clients[0].commit(change, &logs);
    assert!(
        merged(clients[1].process(&commit.bytes, &logs))
            .change
            .permissions_changed
    );
    assert_eq!(contexts(&clients).mutable, after.mutable);
}

#[test]
fn a_removed_member_reads_nothing_more_and_keeps_no_row() {
    let (mut clients, logs) = group_of(3, Preset::AllMembers);
    clients[2].group().view().mark_saved();
    let change = without(&clients[0], &clients[2]);
    let (commit, _) = clients[0].commit(change, &logs);
    merged(clients[1].process(&commit.bytes, &logs));
    let removed = clients[2].process(&commit.bytes, &logs);
    let Incoming::RemovedUs(report) = removed else {
        panic!("{removed:?}")
    };
    assert_eq!(report.change.removed_inboxes, [clients[2].name()]);
    assert_eq!(report.facts.members.len(), 2);
    assert_eq!(report.facts.epoch, 2);
    let view = clients[2].group().view().clone();
    assert!(view.is_empty());
    let changes = view.changes();
    assert!(!changes.is_empty() && changes.iter().all(|(_, value)| value.is_none()));
    assert!(!clients[2].group().is_active());
    let after = clients[0].group().encrypt(b"secret").unwrap();
    let result = clients[2]
        .group()
        .process(&after, 0, &logs, &Rules::default());
    assert!(matches!(result, Err(MlsError::Inactive)));
    assert!(matches!(
        clients[2].group().encrypt(b"x"),
        Err(MlsError::Inactive)
    ));
    let staged = clients[2].group().stage_commit(Change::default());
    assert!(matches!(staged, Err(MlsError::Inactive)));
    assert_converged(&mut clients[..2], &logs);
}

#[test]
fn mls_27_a_member_that_is_added_again_reads_from_then_on() {
    let (mut clients, logs) = group_of(3, Preset::AllMembers);
    let change = without(&clients[0], &clients[2]);
    let (commit, _) = clients[0].commit(change, &logs);
    merged(clients[1].process(&commit.bytes, &logs));
    assert!(matches!(
        clients[2].process(&commit.bytes, &logs),
        Incoming::RemovedUs(_)
    ));
    let change = with(&clients[1], &clients[2], &logs);
    let (commit, report) = clients[1].commit(change, &logs);
    assert_eq!(report.change.added_inboxes, [clients[2].name()]);
    merged(clients[0].process(&commit.bytes, &logs));
    // The same last-resort key package serves again (MLS-14).
    clients[2].join(&commit.welcome.unwrap(), &logs);
    assert_converged(&mut clients, &logs);
}

#[test]
fn a_replacing_join_leaves_no_row_of_the_old_group() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let old = clients[1].group.take().unwrap();
    let old_rows: BTreeSet<Vec<u8>> = {
        let fresh = View::empty();
        fresh.restore(&old.view().savepoint());
        fresh.changes().into_iter().map(|(key, _)| key).collect()
    };
    let view = old.view().clone();
    view.mark_saved();
    let change = without(&clients[0], &clients[1]);
    clients[0].commit(change, &logs);
    let change = with(&clients[0], &clients[1], &logs);
    let (commit, _) = clients[0].commit(change, &logs);
    let packages = std::slice::from_ref(&clients[1].key_package);
    let joining = Joining::new(&commit.welcome.unwrap(), packages, &clients[1].key).unwrap();
    let group = joining.into_group(view).unwrap();
    let mut stored = old_rows;
    for (key, value) in group.view().changes() {
        match value {
            Some(_) => stored.insert(key),
            None => stored.remove(&key),
        };
    }
    let fresh = View::empty();
    fresh.restore(&group.view().savepoint());
    let expected: BTreeSet<Vec<u8>> = fresh.changes().into_iter().map(|(key, _)| key).collect();
    assert_eq!(stored, expected);
    clients[1].group = Some(group);
    assert_converged(&mut clients, &logs);
}

#[test]
fn a_group_is_not_loaded_with_the_key_of_another_installation() {
    let (mut clients, _) = group_of(2, Preset::AllMembers);
    let view = clients[0].group().view().clone();
    let wrong = Group::load(view, &[7; 16], &clients[1].key);
    assert!(matches!(wrong, Err(MlsError::WrongInstallation)));
    assert!(
        Group::load(View::empty(), &[7; 16], &clients[0].key)
            .unwrap()
            .is_none()
    );
}

#[test]
fn role_1_a_change_is_judged_before_it_is_built() {
    let (mut clients, logs) = group_of(3, Preset::AdminOnly);
    let rules = Rules::default();
    let change = renamed(&clients[1], GROUP_NAME, "x");
    let verdict = clients[1]
        .group()
        .check_change(&change, &logs, &rules)
        .unwrap();
    let Verdict::Rejected(rejection) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(rejection.code, RejectCode::Permission);
    let change = without(&clients[0], &clients[2]);
    let verdict = clients[0]
        .group()
        .check_change(&change, &logs, &rules)
        .unwrap();
    assert!(matches!(verdict, Verdict::Accepted(_)), "{verdict:?}");
    assert!(!clients[0].group().pending_commit());
}

#[test]
fn an_added_second_installation_reads_and_a_revoked_one_goes() {
    let (mut clients, mut logs) = group_of(2, Preset::AdminOnly);
    let mut second = Client::new('a', 9);
    let inbox = second.name();
    let both = [clients[0].id(), second.id()];
    let sequence = logs.set(&inbox, &both);
    let mut membership = clients[1].facts().membership;
    membership.members.insert(inbox.clone(), sequence);
    let change = Change {
        add: vec![second.verified()],
        membership: Some(membership.clone()),
        ..Change::default()
    };
    // A plain member of an Admin-only group may do this.
    let (commit, report) = clients[1].commit(change, &logs);
    assert!(report.change.added_inboxes.is_empty());
    assert_eq!(
        report.change.added_installations,
        [(inbox.clone(), second.id())]
    );
    merged(clients[0].process(&commit.bytes, &logs));
    let packages = std::slice::from_ref(&second.key_package);
    let joining = Joining::new(&commit.welcome.unwrap(), packages, &second.key).unwrap();
    let remarks = joining.check(&logs, &inbox, false, &Rules::default());
    let expected = vec![welcome::JoinRemark::AdderMayLackPermission];
    assert_eq!(remarks, welcome::JoinVerdict::Join(expected));
    second.group = Some(joining.into_group(View::empty()).unwrap());
    clients.push(second);
    assert_converged(&mut clients, &logs);

    let revoked = clients[0].id();
    let sequence = logs.set(&inbox, &[clients[2].id()]);
    membership.members.insert(inbox, sequence);
    let change = Change {
        remove: vec![clients[1].facts().installation(&revoked).unwrap().leaf],
        membership: Some(membership),
        ..Change::default()
    };
    let (commit, report) = clients[1].commit(change, &logs);
    assert_eq!(report.change.findings, []);
    assert!(matches!(
        clients[0].process(&commit.bytes, &logs),
        Incoming::RemovedUs(_)
    ));
    merged(clients[2].process(&commit.bytes, &logs));
    assert_converged(&mut clients[1..], &logs);
}
