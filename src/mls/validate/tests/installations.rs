//! U-D: leaves against identity logs.

use super::*;

/// A tree of c1 and m1; C is super admin.
fn pair() -> Case {
    Case::new(&["C", "M"], Preset::AllMembers.policies()).with_roles(&["C"], &[])
}

/// [`pair`] where N has two installations at 5.
fn with_n() -> Case {
    let mut case = pair();
    case.logs.set_at("N", 5, &[id("N", 1), id("N", 2)]);
    case
}

/// [`pair`] where M revokes m1 and has m2 at 7.
fn with_m_changed() -> Case {
    let mut case = pair();
    case.logs.set_at("M", 7, &[id("M", 2)]);
    case
}

#[track_caller]
fn findings(mut case: Case, by: &str, edit: impl FnOnce(&mut Edit)) -> Vec<Finding> {
    case.commit(by, edit).unwrap().findings
}

#[test]
fn u_d_1_to_4_additions_may_be_left_out() {
    let found = findings(with_n(), "M", |c| {
        c.member("N", 5);
        c.add("N", id("N", 1));
        c.add("N", id("N", 2));
    });
    assert_eq!(found, [], "1");
    let found = findings(with_n(), "M", |c| {
        c.member("N", 5);
        c.add("N", id("N", 1));
        c.membership.failed.insert(id("N", 2));
    });
    assert_eq!(found, [], "2");
    let needs_repair = |n| Finding::NeedsRepair {
        inbox: "N".to_owned(),
        installation: id("N", n),
    };
    let found = findings(with_n(), "M", |c| {
        c.member("N", 5);
        c.add("N", id("N", 1));
    });
    assert_eq!(found, [needs_repair(2)], "3");
    let found = findings(with_n(), "M", |c| c.member("N", 5));
    let ghost = Finding::GhostMember("N".to_owned());
    assert_eq!(found, [ghost, needs_repair(1), needs_repair(2)], "4");
    assert!(found.iter().all(|finding| !finding.quarantines()));
}

#[test]
fn u_d_5_to_8_what_does_not_fit_the_log() {
    let expected = Err(RejectCode::UnexpectedAdd);
    expect("5", with_n(), "M", expected, |c| c.add("N", id("N", 1)));
    let mut case = with_n();
    let found = case.commit("C", |c| {
        c.member("N", 5);
        c.add("M", id("N", 1));
        c.add("N", id("N", 2));
    });
    let foreign = Finding::ForeignInstallation {
        inbox: "M".to_owned(),
        installation: id("N", 1),
    };
    assert_eq!(found.unwrap().findings, [foreign], "6");
    let trusted = case
        .facts
        .members
        .iter()
        .map(|member| (member.installation_id, member.trusted));
    let trusted: BTreeMap<_, _> = trusted.collect();
    assert!(
        !trusted[&id("N", 1)] && trusted[&id("N", 2)] && trusted[&id("M", 1)],
        "6"
    );
    let mut case = pair();
    case.logs.set_at("N", 4, &[id("N", 1)]);
    case.logs.set_at("N", 6, &[id("N", 1)]);
    expect("7", case, "M", Err(RejectCode::IdentityMissing), |c| {
        c.member("N", 5)
    });
    let expected = Err(RejectCode::SequenceDecreased);
    expect("8", pair(), "M", expected, |c| c.member("M", 2));
}

#[test]
fn u_d_9_to_11_a_revoked_installation() {
    let found = findings(with_m_changed(), "C", |c| {
        c.member("M", 7);
        c.removes.push(id("M", 1));
        c.add("M", id("M", 2));
    });
    assert_eq!(found, [], "9");
    expect(
        "10",
        with_m_changed(),
        "C",
        Err(RejectCode::UnexpectedRemove),
        |c| {
            c.member("M", 7);
            c.add("M", id("M", 2));
        },
    );
    let mut case = with_m_changed();
    let found = case.commit("C", |c| {
        c.member("M", 7);
        c.add("M", id("M", 2));
        c.membership.failed.insert(id("M", 1));
    });
    assert_eq!(
        found.unwrap().findings,
        [Finding::UnfoundedFailure(id("M", 1))],
        "11"
    );
    let revoked = case.facts.installation(&id("M", 1)).unwrap();
    assert!(
        !revoked.trusted,
        "11: a revoked leaf is not believed any more"
    );
}

#[test]
fn u_d_12_and_13_an_inbox_leaves_with_or_without_its_leaf() {
    assert_eq!(findings(pair(), "C", |c| c.remove_inbox("M")), [], "12");
    let mut case = pair();
    let found = case.commit("C", |c| {
        c.membership.members.remove("M");
        c.membership.failed.insert(id("M", 1));
    });
    let expected = [
        Finding::RemovedInNameOnly("M".to_owned()),
        Finding::UnfoundedFailure(id("M", 1)),
    ];
    assert_eq!(found.unwrap().findings, expected, "13");
    assert!(!case.facts.installation(&id("M", 1)).unwrap().trusted, "13");
}

#[test]
fn u_d_14_to_17_removals_without_the_log() {
    let only_remove = |c: &mut Edit| c.removes.push(id("M", 1));
    let group = || {
        Case::new(&["C", "A", "M", "S"], Preset::AllMembers.policies())
            .with_roles(&["C", "S"], &["A"])
    };
    let unexpected = Err(RejectCode::UnexpectedRemove);
    expect("14", group(), "A", unexpected, only_remove);
    let readd = |c: &mut Edit| {
        c.removes.push(id("M", 1));
        c.add("M", id("M", 1));
    };
    let change = group().commit("C", readd).unwrap();
    assert_eq!(change.readded_installations, [id("M", 1)].into(), "15");
    assert_eq!(change.findings, [], "15");
    expect("16", group(), "A", unexpected, readd);
    let suspend = |inbox: &'static str| {
        move |c: &mut Edit| {
            c.removes.push(id(inbox, 1));
            c.membership.failed.insert(id(inbox, 1));
        }
    };
    let suspended = |inbox: &str, super_admin| Finding::Suspended {
        inbox: inbox.to_owned(),
        installation: id(inbox, 1),
        super_admin,
    };
    let found = findings(group(), "C", suspend("M"));
    assert_eq!(found, [suspended("M", false)], "17");
    assert!(!found[0].quarantines(), "17");
    let found = findings(group(), "C", suspend("S"));
    assert_eq!(found, [suspended("S", true)], "17");
    assert!(found[0].quarantines(), "17");
}

#[test]
fn u_d_18_to_21_sequences() {
    let huge = 1 << 40;
    let mut case = pair();
    let found = case.commit("C", |c| c.member("M", huge)).unwrap().findings;
    assert_eq!(
        found,
        [Finding::UnresolvedSequence("M".to_owned(), huge)],
        "18"
    );
    assert!(case.facts.installation(&id("M", 1)).unwrap().trusted, "18");
    let by_victim = case.commit("M", |_| {}).map(drop);
    assert_eq!(
        by_victim,
        Err(RejectCode::IdentityMissing),
        "18: it cannot commit any more"
    );

    let fresh = || {
        let mut case = Case::new(&["C"], Preset::AllMembers.policies()).with_roles(&["C"], &[]);
        case.facts.membership.members.insert("C".to_owned(), 0);
        case.refresh();
        case.logs.set_at("C", 9, &[id("C", 1), id("C", 2)]);
        case.logs.set_at("N", 5, &[id("N", 1)]);
        case
    };
    let found = findings(fresh(), "C", |c| {
        c.member("C", 9);
        c.member("N", 5);
        c.add("C", id("C", 2));
        c.add("N", id("N", 1));
    });
    assert_eq!(found, [], "19");
    let expected = Err(RejectCode::IdentityMissing);
    expect("20", fresh(), "C", expected, |c| c.set("group_name", "x"));

    let mut case = pair();
    case.logs.set_at("M", 3, &[id("M", 9)]);
    expect("21", case, "M", Err(RejectCode::IdentityMismatch), |c| {
        c.set("group_name", "x")
    });
    expect(
        "22",
        pair(),
        "M",
        Err(RejectCode::LeafIdentityChanged),
        |c| {
            c.tamper = Some(|proposed| proposed.path_keeps_identity = false);
        },
    );
}

#[test]
fn a_state_that_is_not_loaded_is_asked_for_and_nothing_is_decided() {
    let mut case = pair();
    case.logs = Logs::default();
    case.logs.set_at("C", 3, &[id("C", 1)]);
    let verdict = case.judge("C", |c| {
        c.member("N", 5);
        c.member("M", 7);
    });
    let Verdict::NeedIdentity(needed) = verdict else {
        panic!("{verdict:?}")
    };
    let expected = [
        ("M".to_owned(), 7),
        ("M".to_owned(), 3),
        ("N".to_owned(), 5),
    ];
    assert_eq!(needed, expected);
}

#[test]
fn a_rejection_names_the_identity_update_that_does_not_exist() {
    let verdict = pair().judge("C", |c| c.member("N", 4));
    let Verdict::Rejected(rejection) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(rejection.code, RejectCode::IdentityMissing);
    assert_eq!(rejection.missing, Some(("N".to_owned(), 4)));
    assert_eq!(rejection.committer.unwrap().inbox_id, "C");
}

#[test]
fn proposals_that_no_group_of_ours_uses_are_rejected() {
    expect("psk", pair(), "C", Err(RejectCode::Psk), |c| {
        c.tamper = Some(|p| p.psk = true)
    });
    let tamper: fn(&mut Proposed) = |p| p.unsupported = true;
    expect("custom", pair(), "C", Err(PERMISSION), |c| {
        c.tamper = Some(tamper)
    });
    let tamper: fn(&mut Proposed) = |p| p.proposers_are_members = false;
    expect("outsider", pair(), "C", Err(RejectCode::NotAMember), |c| {
        c.tamper = Some(tamper)
    });
    let tamper: fn(&mut Proposed) = |p| p.committer = None;
    expect("nobody", pair(), "C", Err(RejectCode::NotAMember), |c| {
        c.tamper = Some(tamper)
    });
    let no_leaf = Err(RejectCode::SubjectNotMember);
    expect("no leaf", pair(), "C", no_leaf, |c| {
        c.removes.push(id("N", 1))
    });
    let tamper: fn(&mut Proposed) = |p| p.updates = vec![("N".to_owned(), id("N", 1))];
    let no_subject = Err(RejectCode::SubjectNotMember);
    expect("update", pair(), "C", no_subject, |c| {
        c.tamper = Some(tamper)
    });
}

#[test]
fn without_a_readable_state_before_nothing_is_accepted() {
    let case = pair();
    let (mut before, proposed) = case.propose("C", |_| {});
    before.facts = Err(ExtensionError::Missing(0xff00));
    let verdict = evaluate(&before, &proposed, &case.logs, &case.rules);
    let Verdict::Rejected(rejection) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(rejection.code, RejectCode::PreState);
}
