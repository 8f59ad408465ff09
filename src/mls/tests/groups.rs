//! Creating, adding, removing, racing.

use super::*;
use crate::mls::extensions::{DESCRIPTION, GROUP_NAME};

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
fn merged(incoming: Incoming) -> CommitReport {
    match incoming {
        Incoming::Commit(report) => *report,
        other => panic!("not merged: {other:?}"),
    }
}

#[track_caller]
fn rejected(incoming: Incoming) -> RejectCode {
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
fn mls_53_the_first_commit_of_an_epoch_wins_and_the_loser_starts_again() {
    let (mut clients, logs) = group_of(3, Preset::AllMembers);
    let (first, second) = (
        renamed(&clients[0], GROUP_NAME, "x"),
        renamed(&clients[1], DESCRIPTION, "y"),
    );
    let first = clients[0].group().stage_commit(first).unwrap();
    let second = clients[1].group().stage_commit(second).unwrap();
    clients[0].merge_pending(&logs);
    for other in [1, 2] {
        merged(clients[other].process(&first.bytes, &logs));
    }
    assert!(
        !clients[1].group().pending_commit(),
        "the lost Commit is not pending any more"
    );
    for client in &mut clients {
        let late = client.process(&second.bytes, &logs);
        assert!(
            matches!(late, Incoming::Skip(SkipReason::StaleHandshake(1))),
            "{late:?}"
        );
    }
    let again = renamed(&clients[1], DESCRIPTION, "y");
    let (again, _) = clients[1].commit(again, &logs);
    for other in [0, 2] {
        merged(clients[other].process(&again.bytes, &logs));
    }
    let metadata = clients[2].facts().mutable;
    assert_eq!(
        (
            metadata.attribute(GROUP_NAME),
            metadata.attribute(DESCRIPTION)
        ),
        ("x", "y")
    );
    assert_converged(&mut clients, &logs);
}

#[test]
fn there_are_never_two_commits_of_ours_for_one_epoch() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let first = clients[0].group().stage_commit(Change::default()).unwrap();
    assert_eq!(first.epoch, 1);
    let second = clients[0].group().stage_commit(Change::default());
    assert!(matches!(second, Err(MlsError::CommitPending)));
    clients[0].merge_pending(&logs);
    merged(clients[1].process(&first.bytes, &logs));
    assert_converged(&mut clients, &logs);
}

#[test]
fn a_refused_change_leaves_the_group_as_it_was() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    clients[0].group().view().mark_saved();
    let own = clients[0].group().own_leaf();
    let change = |leaf| Change {
        remove: vec![leaf],
        ..Change::default()
    };
    let removes_self = clients[0].group().stage_commit(change(own));
    assert!(matches!(removes_self, Err(MlsError::RemovesSelf)));
    let no_such_leaf = clients[0].group().stage_commit(change(77));
    assert!(matches!(no_such_leaf, Err(MlsError::Mls(_))));
    assert!(!clients[0].group().pending_commit());
    assert_eq!(clients[0].group().view().changes(), []);
    assert_converged(&mut clients, &logs);
}

#[test]
fn mls_55_a_pending_commit_survives_a_reload() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let change = renamed(&clients[0], GROUP_NAME, "x");
    let commit = clients[0].group().stage_commit(change).unwrap();
    clients[0].reload();
    assert!(clients[0].group().pending_commit());
    // Messages can be sent and read meanwhile.
    let text = clients[0].group().encrypt(b"meanwhile").unwrap();
    assert_eq!(clients[1].read(&text, &logs), "meanwhile");
    let echo = clients[0].process(&commit.bytes, &logs);
    assert!(matches!(echo, Incoming::Skip(SkipReason::Own)), "{echo:?}");
    clients[0].merge_pending(&logs);
    merged(clients[1].process(&commit.bytes, &logs));
    assert_converged(&mut clients, &logs);
}

#[test]
fn a_cleared_commit_is_gone_and_its_generation_is_not_used_again() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let first = clients[0].group().stage_commit(Change::default()).unwrap();
    clients[0].group().clear_pending().unwrap();
    assert!(!clients[0].group().pending_commit());
    let (second, _) = clients[0].commit(Change::default(), &logs);
    // The receiver met neither yet: the first one is valid for it too, and comes first.
    let mut clone = clients.pop().unwrap();
    let savepoint = clone.group().view().savepoint();
    merged(clone.process(&first.bytes, &logs));
    clone.group().roll_back(&savepoint).unwrap();
    merged(clone.process(&second.bytes, &logs));
}

#[test]
fn cv_rollback_a_rejected_commit_leaves_no_trace() {
    let (mut clients, logs) = group_of(3, Preset::AdminOnly);
    clients[1].group().view().mark_saved();
    // A peer builds its commits in a transaction that it rolls back: the next one of the same
    // epoch uses the same ratchet generation.
    let savepoint = clients[2].group().view().savepoint();
    let change = renamed(&clients[2], GROUP_NAME, "forbidden");
    let forbidden = clients[2].group().stage_commit(change).unwrap();
    clients[2].group().roll_back(&savepoint).unwrap();
    let allowed = clients[2].group().stage_commit(Change::default()).unwrap();

    for receiver in [0, 1] {
        for _ in 0..2 {
            let code = rejected(clients[receiver].process(&forbidden.bytes, &logs));
            assert_eq!(code, RejectCode::Permission, "also the second time");
        }
    }
    assert_eq!(clients[1].group().view().changes(), []);
    clients[2].merge_pending(&logs);
    for receiver in [0, 1] {
        merged(clients[receiver].process(&allowed.bytes, &logs));
    }
    assert_converged(&mut clients, &logs);
}

#[test]
fn without_the_roll_back_the_second_commit_of_a_generation_is_lost() {
    let (mut clients, _) = group_of(2, Preset::AdminOnly);
    let savepoint = clients[1].group().view().savepoint();
    let first = clients[1].group().stage_commit(Change::default()).unwrap();
    clients[1].group().roll_back(&savepoint).unwrap();
    let second = clients[1].group().stage_commit(Change::default()).unwrap();
    let group = clients[0].group();
    let parse = |bytes: &[u8]| group.screen(bytes).unwrap();
    let (first, second) = (parse(&first.bytes), parse(&second.bytes));
    assert!(group.mls.process_message(&group.provider, first).is_ok());
    let error = group
        .mls
        .process_message(&group.provider, second)
        .unwrap_err();
    assert!(format!("{error:?}").contains("SecretReuse"), "{error:?}");
}

#[test]
fn a_commit_that_needs_identity_data_is_processed_once_it_is_there() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let change = renamed(&clients[0], GROUP_NAME, "x");
    let (commit, _) = clients[0].commit(change, &logs);
    clients[1].group().view().mark_saved();
    let incoming = clients[1].process(&commit.bytes, &Logs::default());
    let Incoming::NeedIdentity(needed) = incoming else {
        panic!("{incoming:?}")
    };
    assert_eq!(needed, [(clients[0].name(), 1)]);
    assert_eq!(clients[1].group().view().changes(), []);
    merged(clients[1].process(&commit.bytes, &logs));
    assert_converged(&mut clients, &logs);
}

#[test]
fn a_floor_above_ours_pauses_before_the_commit() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let change = renamed(&clients[0], extensions::PROTOCOL_FLOOR, "99.0.0");
    let commit = clients[0].group().stage_commit(change).unwrap();
    let incoming = clients[1].process(&commit.bytes, &logs);
    let Incoming::Paused(pause) = incoming else {
        panic!("{incoming:?}")
    };
    assert_eq!(pause.floor, "99.0.0");
    assert_eq!(clients[1].group().epoch(), 1);
    let rules = Rules {
        despite_floor: true,
        ..Rules::default()
    };
    merged(
        clients[1]
            .group()
            .process(&commit.bytes, 0, &logs, &rules)
            .unwrap(),
    );
}

#[test]
fn mls_57_three_past_epochs_are_readable() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let mut messages = Vec::new();
    for _ in 0..5 {
        messages.push(clients[0].group().encrypt(b"old").unwrap());
        let (commit, _) = clients[0].commit(Change::default(), &logs);
        merged(clients[1].process(&commit.bytes, &logs));
    }
    // Now in epoch 6; the messages are of epochs 1 to 5.
    for (message, epoch) in messages.iter().zip(1..) {
        match clients[1].process(message, &logs) {
            Incoming::Application(message) => assert!(epoch >= 3 && message.epoch == epoch),
            Incoming::Skip(SkipReason::TooOld(old)) => assert!(epoch < 3 && old == epoch),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_message_of_an_epoch_to_come_is_left_alone() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let (commit, _) = clients[0].commit(Change::default(), &logs);
    let early = clients[0].group().encrypt(b"early").unwrap();
    let incoming = clients[1].process(&early, &logs);
    assert!(
        matches!(incoming, Incoming::Skip(SkipReason::FutureEpoch(2))),
        "{incoming:?}"
    );
    merged(clients[1].process(&commit.bytes, &logs));
    assert_eq!(clients[1].read(&early, &logs), "early");
}

#[test]
fn mls_58_messages_may_arrive_a_little_out_of_order_but_never_twice() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let mut messages: Vec<Vec<u8>> = (0..8)
        .map(|n| clients[0].group().encrypt(&[b'0' + n]).unwrap())
        .collect();
    let last = messages.pop().unwrap();
    assert_eq!(clients[1].read(&last, &logs), "7");
    let read: Vec<bool> = messages
        .iter()
        .map(|message| matches!(clients[1].process(message, &logs), Incoming::Application(_)))
        .collect();
    // The ratchet stands at 8 and keeps 5 older generations.
    assert_eq!(read, [false, false, false, true, true, true, true]);
    let again = clients[1].process(&last, &logs);
    assert!(
        matches!(again, Incoming::Skip(SkipReason::Undecryptable(_))),
        "{again:?}"
    );
}

#[test]
fn mls_47_messages_are_not_padded() {
    let (mut clients, _) = group_of(1, Preset::AllMembers);
    let empty = clients[0].group().encrypt(&[b'x'; 100]).unwrap().len();
    let longer = clients[0].group().encrypt(&[b'x'; 117]).unwrap().len();
    assert_eq!(longer - empty, 17);
}

#[test]
fn a_message_of_ours_is_recognised_as_ours() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let message = clients[0].group().encrypt(b"x").unwrap();
    let incoming = clients[0].process(&message, &logs);
    assert!(
        matches!(incoming, Incoming::Skip(SkipReason::Own)),
        "{incoming:?}"
    );
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
