//! Racing for an epoch, rejecting, and messages across epochs.

use super::groups::{merged, rejected, renamed};
use super::*;
use crate::mls::extensions::{DESCRIPTION, GROUP_NAME};

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
