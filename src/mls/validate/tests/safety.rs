//! The safety rules beyond what the tables name.

use super::*;

fn found(mut case: Case, by: &str, edit: impl FnOnce(&mut Edit)) -> Vec<Finding> {
    case.commit(by, edit).unwrap().findings
}

#[test]
fn a_context_that_gains_or_loses_an_extension_is_found() {
    let more: fn(&mut ContextBytes) = |context| drop(context.rest.insert(0xff05, vec![]));
    assert_eq!(
        found(Case::all(), "M", |c| c.rewrite = Some(more)),
        [Finding::GroupContext]
    );
    let other: fn(&mut ContextBytes) = |context| drop(context.rest.insert(3, vec![9]));
    assert_eq!(
        found(Case::all(), "M", |c| c.rewrite = Some(other)),
        [Finding::GroupContext]
    );
    let reinit: fn(&mut Proposed) = |proposed| proposed.reinit = true;
    assert_eq!(
        found(Case::all(), "M", |c| c.tamper = Some(reinit)),
        [Finding::GroupContext]
    );
}

#[test]
fn immutable_metadata_may_be_written_in_another_way_but_not_changed() {
    let padded: fn(&mut ContextBytes) = |context| {
        // The same message with an unknown field at the end.
        let old = context.immutable.take().unwrap();
        let content = [&old[1..], &[0xf8, 0x01, 0x01]].concat();
        context.immutable = Some([&[content.len() as u8], content.as_slice()].concat());
    };
    assert_eq!(found(Case::all(), "M", |c| c.rewrite = Some(padded)), []);
    let changed: fn(&mut ContextBytes) = |context| {
        let metadata = ImmutableMetadata {
            kind: ConversationKind::Group,
            creator: "M".to_owned(),
            dm_members: None,
        };
        context.immutable = Some(metadata.encode());
    };
    let expected = [Finding::ImmutableMetadata { removed: false }];
    let mut case = Case::all();
    assert_eq!(
        case.commit("M", |c| c.rewrite = Some(changed))
            .unwrap()
            .findings,
        expected
    );
    // The pin stays, and the same wrong bytes are not found twice.
    assert_eq!(found(case, "M", |c| c.set("group_name", "x")), []);
}

#[test]
fn the_last_super_admin_that_is_a_member_is_missed_once() {
    let mut case = Case::all().with_roles(&["C", "X"], &[]);
    let change = case.commit("C", |c| c.no_super_admin("C")).unwrap();
    assert_eq!(change.findings, [Finding::OrphanedRoles]);
    assert_eq!(found(case, "M", |c| c.set("group_name", "x")), []);
}

#[test]
fn an_eleventh_installation_of_an_inbox_is_reported() {
    let mut case = Case::all();
    let ids: Vec<InstallationId> = (1..=11).map(|n| id("N", n)).collect();
    case.logs.set_at("N", 8, &ids);
    let change = case.commit("M", |c| {
        c.member("N", 8);
        for id in &ids {
            c.add("N", *id);
        }
    });
    assert_eq!(change.unwrap().findings, [Finding::OverLimit]);
}

#[test]
fn a_proposal_of_somebody_without_the_right_is_found_when_another_commits_it() {
    let laundered: fn(&mut Proposed) = |proposed| {
        proposed.replacement = Some(ProposedContext {
            proposer: "M".to_owned(),
            by_reference: true,
        });
    };
    let edit = |c: &mut Edit| {
        c.set("_foo", "x");
        c.tamper = Some(laundered);
    };
    assert_eq!(found(Case::all(), "C", edit), [Finding::LaunderedProposal]);
    // The same by value is the committer's own.
    assert_eq!(found(Case::all(), "C", |c| c.set("_foo", "x")), []);
}

#[test]
fn a_proposer_and_not_the_committer_needs_the_right_to_add() {
    let by_member: fn(&mut Proposed) = |proposed| {
        for add in &mut proposed.adds {
            add.proposer = "M".to_owned();
        }
    };
    expect("E1", Case::adm(), "C", Err(PERMISSION), |c| {
        c.add_inbox("N");
        c.tamper = Some(by_member);
    });
}

#[test]
fn in_a_strict_group_what_quarantines_elsewhere_is_rejected() {
    let strict = || {
        let mut case = Case::all();
        case.facts
            .mutable
            .attributes
            .insert("_sotto_strict".to_owned(), "1".to_owned());
        case.refresh();
        case
    };
    let huge = |c: &mut Edit| c.member("M2", 1 << 40);
    expect(
        "Q7",
        strict(),
        "M",
        Err(RejectCode::Strict("SAFE-Q7")),
        huge,
    );
    expect("an event only", strict(), "M", Ok(()), |c| c.member("N", 3));
    // Becoming strict does not judge the Commit that does it.
    expect("becoming strict", Case::all(), "C", Ok(()), |c| {
        c.set("_sotto_strict", "1");
        c.member("M2", 1 << 40);
    });
}

#[test]
fn trust_is_lost_with_the_installation_and_not_regained_by_a_refresh() {
    let mut case = Case::all();
    case.logs.set_at("M", 6, &[id("M", 2)]);
    case.logs.set_at("M", 8, &[id("M", 2), id("M", 3)]);
    // The leaf m1 stays although it is revoked.
    let change = case.commit("C", |c| {
        c.member("M", 6);
        c.add("M", id("M", 2));
        c.membership.failed.insert(id("M", 1));
    });
    assert_eq!(
        change.unwrap().findings,
        [Finding::UnfoundedFailure(id("M", 1))]
    );
    let trusted = |case: &Case, n| case.facts.installation(&id("M", n)).unwrap().trusted;
    assert!(!trusted(&case, 1) && trusted(&case, 2));
    case.commit("C", |c| {
        c.member("M", 8);
        c.add("M", id("M", 3));
    })
    .unwrap();
    assert!(!trusted(&case, 1) && trusted(&case, 2) && trusted(&case, 3));
}
