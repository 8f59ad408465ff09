use super::*;

fn id(number: u8) -> InstallationId {
    InstallationId::from_bytes([number; 32])
}

/// Members are given as (inbox, leaf and installation number).
fn record(sequence: u64, epoch: u64, members: &[(&str, u8)], admins: &[&str]) -> RoleRecord {
    let leaf = |(inbox, number): &(&str, u8)| Leaf {
        index: u32::from(*number),
        inbox: (*inbox).to_owned(),
        installation: id(*number),
        trusted: true,
    };
    RoleRecord {
        sequence,
        epoch,
        committer: None,
        super_admins: admins.iter().map(|admin| (*admin).to_owned()).collect(),
        admins: Vec::new(),
        members: members
            .iter()
            .map(|(inbox, _)| (*inbox).to_owned())
            .collect(),
        leaves: Some(members.iter().map(leaf).collect()),
        anchored: false,
        disappearing: Default::default(),
        authenticator: Vec::new(),
        created_ns: 0,
    }
}

fn message(epoch: u64, leaf: u32, inbox: &str) -> ApplicationMessage {
    ApplicationMessage {
        epoch,
        leaf,
        inbox_id: inbox.to_owned(),
        plaintext: Vec::new(),
        authenticated_data: Vec::new(),
    }
}

const BOTH: &[(&str, u8)] = &[("m", 1), ("s", 2)];

#[test]
fn u_h_a_message_after_the_removal_is_refused_and_one_before_it_accepted() {
    for (removal, accepted) in [(9, Err(Dropped::SenderRemoved)), (11, Ok(id(1)))] {
        let mut log = RoleLog::new(record(1, 4, BOTH, &["s"]));
        log.push(record(removal, 5, &[("s", 2)], &["s"]));
        assert_eq!(log.accepts(10, &message(4, 1, "m")), accepted);
    }
}

#[test]
fn u_h_three_past_epochs_are_accepted_and_neither_older_nor_future_ones() {
    let records = (0..=8)
        .map(|epoch| record(epoch, epoch, BOTH, &["s"]))
        .collect();
    let log = RoleLog::from_records(records);
    assert_eq!(log.accepts(20, &message(5, 1, "m")), Ok(id(1)));
    assert_eq!(log.accepts(20, &message(4, 1, "m")), Err(Dropped::OldEpoch));
    assert_eq!(log.accepts(20, &message(9, 1, "m")), Err(Dropped::OldEpoch));
}

#[test]
fn u_h_a_super_admin_deletes_until_the_demotion_and_from_the_promotion_on() {
    let mut demoted = RoleLog::new(record(1, 1, BOTH, &["s", "m"]));
    demoted.push(record(12, 2, BOTH, &["m"]));
    assert!(demoted.may_delete(11, "s", None));
    assert!(!demoted.may_delete(13, "s", None));
    let mut promoted = RoleLog::new(record(1, 1, BOTH, &["m"]));
    promoted.push(record(12, 2, BOTH, &["m", "s"]));
    assert!(!promoted.may_delete(11, "s", None));
    assert!(promoted.may_delete(13, "s", None));
}

#[test]
fn u_h_a_deletion_that_came_first_from_a_stream_is_withdrawn_by_an_earlier_demotion() {
    let mut log = RoleLog::new(record(1, 1, BOTH, &["s", "m"]));
    assert!(log.may_delete(13, "s", Some(5)));
    log.push(record(12, 2, BOTH, &["m"]));
    assert!(!log.may_delete(13, "s", Some(5)));
}

#[test]
fn u_h_one_authorised_request_is_enough_among_others() {
    let log = RoleLog::new(record(1, 1, BOTH, &["s"]));
    let requests = [(10, "m"), (12, "s")];
    assert!(
        requests
            .iter()
            .any(|(sequence, inbox)| log.may_delete(*sequence, inbox, Some(5)))
    );
    assert!(!log.may_delete(10, "m", Some(5)));
}

#[test]
fn a_message_that_came_after_the_request_is_not_deleted_by_it() {
    let log = RoleLog::new(record(1, 1, BOTH, &["s"]));
    assert!(log.may_delete(10, "s", Some(9)));
    assert!(!log.may_delete(10, "s", Some(11)));
}

#[test]
fn where_moderation_is_anchored_a_bare_request_does_not_count() {
    let mut anchored = record(5, 2, BOTH, &["s"]);
    anchored.anchored = true;
    let mut log = RoleLog::new(record(1, 1, BOTH, &["s"]));
    log.push(anchored);
    assert!(log.may_delete(4, "s", None));
    assert!(!log.may_delete(6, "s", None));
}

#[test]
fn a_sender_is_who_its_leaf_was_in_the_epoch_of_the_message() {
    let mut log = RoleLog::new(record(1, 1, &[("m", 1), ("s", 2)], &["s"]));
    // Leaf 1 now belongs to another installation of the same inbox.
    let mut refilled = record(10, 2, &[("m", 3), ("s", 2)], &["s"]);
    if let Some(leaf) = refilled
        .leaves
        .as_mut()
        .and_then(|leaves| leaves.first_mut())
    {
        leaf.index = 1;
    }
    log.push(refilled);
    assert_eq!(log.accepts(9, &message(1, 1, "m")), Ok(id(1)));
    assert_eq!(
        log.accepts(11, &message(1, 1, "m")),
        Err(Dropped::SenderRemoved)
    );
    assert_eq!(log.accepts(11, &message(2, 1, "m")), Ok(id(3)));
    assert_eq!(
        log.accepts(11, &message(2, 1, "s")),
        Err(Dropped::InvalidSender)
    );
    assert_eq!(
        log.accepts(11, &message(2, 7, "m")),
        Err(Dropped::InvalidSender)
    );
}

#[test]
fn a_message_of_an_untrusted_leaf_is_dropped() {
    let mut first = record(1, 1, BOTH, &["s"]);
    if let Some(leaf) = first.leaves.as_mut().and_then(|leaves| leaves.first_mut()) {
        leaf.trusted = false;
    }
    let log = RoleLog::new(first);
    assert_eq!(
        log.accepts(2, &message(1, 1, "m")),
        Err(Dropped::UntrustedLeaf)
    );
}

#[test]
fn leaf_tables_are_kept_for_four_epochs_and_membership_for_ever() {
    let mut log = RoleLog::new(record(0, 0, BOTH, &["s"]));
    assert_eq!(log.push(record(1, 1, BOTH, &["s"])), [1]);
    log.push(record(2, 2, BOTH, &["s"]));
    log.push(record(3, 3, BOTH, &["s"]));
    assert_eq!(log.push(record(4, 4, BOTH, &["s"])), [4, 0]);
    let with_table = log
        .records()
        .iter()
        .filter(|record| record.leaves.is_some());
    assert_eq!(with_table.count(), 4);
    assert!(
        log.still_accepts(1, "m", &id(9)),
        "the oldest state knows inboxes only"
    );
}

/// A commit of `by` at that second.
fn by(committer: &str, second: u64, state: RoleRecord) -> RoleRecord {
    RoleRecord {
        committer: Some((committer.to_owned(), id(9))),
        created_ns: second * 1_000_000_000,
        ..state
    }
}

#[test]
fn role_6_a_takeover_is_two_demotions_or_half_of_the_members_in_ten_minutes() {
    /// Committer, second, members and super admins afterwards.
    type Commit<'a> = (&'a str, u64, &'a [(&'a str, u8)], &'a [&'a str]);
    const ALL: &[(&str, u8)] = &[("a", 1), ("b", 2), ("c", 3), ("x", 4)];
    const HALF: &[(&str, u8)] = &[("a", 1), ("x", 4)];
    let window = 600 * 1_000_000_000;
    let log = |commits: &[Commit]| {
        let mut log = RoleLog::new(record(1, 1, ALL, &["a", "b", "x"]));
        for (number, (committer, second, members, supers)) in (2..).zip(commits) {
            log.push(by(
                committer,
                *second,
                record(number, number, members, supers),
            ));
        }
        log
    };
    let taken = log(&[("x", 10, ALL, &["b", "x"]), ("x", 20, ALL, &["x"])]);
    assert_eq!(taken.takeover(window), Some("x"));
    let before = taken
        .before(&["x".to_owned()])
        .map(|record| record.sequence);
    assert_eq!(before, Some(1));
    let slow = log(&[("x", 10, ALL, &["b", "x"]), ("x", 620, ALL, &["x"])]);
    assert_eq!(slow.takeover(window), None);
    let two = log(&[("a", 10, ALL, &["a", "x"]), ("x", 20, ALL, &["x"])]);
    assert_eq!(two.takeover(window), None, "not of one inbox");
    let resigned = log(&[("x", 10, ALL, &["a", "b"])]);
    assert_eq!(resigned.takeover(window), None);
    let half = log(&[("x", 10, HALF, &["a", "x"])]);
    assert_eq!(half.takeover(window), None, "not more than half");
    let more = log(&[("x", 10, HALF, &["a", "x"]), ("x", 20, &[("x", 4)], &["x"])]);
    assert_eq!(more.takeover(window), Some("x"));
}

#[test]
fn part_2_a_claim_is_read_as_it_was_written_and_compared_with_our_log() {
    let claim = OrderClaim::of(7, &[5; 32]).unwrap();
    assert_eq!(OrderClaim::decode(&claim.encode()), Some(claim));
    assert_eq!(OrderClaim::of(0, &[5; 32]), None);
    for other in [&[][..], &[1; 24], &[1; 26], &[2; 25]] {
        assert_eq!(OrderClaim::decode(other), None);
    }
    let mut ours = record(7, 3, BOTH, &["s"]);
    ours.authenticator = vec![5; 32];
    let log = RoleLog::new(ours);
    assert!(!log.disagrees(3, &claim));
    assert!(!log.disagrees(2, &claim), "not an epoch of ours");
    assert!(log.disagrees(
        3,
        &OrderClaim {
            sequence: 8,
            ..claim
        }
    ));
    let other = [6; 16];
    assert!(log.disagrees(
        3,
        &OrderClaim {
            authenticator: other,
            ..claim
        }
    ));
}
