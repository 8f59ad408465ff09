//! U-C: who may change what. U-E: the protocol floor.

use super::super::super::policy::Policy;
use super::*;

const OK: Result<(), RejectCode> = Ok(());
const NO: Result<(), RejectCode> = Err(PERMISSION);

#[test]
fn u_c_1_to_11_adding_and_removing_inboxes() {
    expect("1", Case::all(), "M", OK, |c| c.add_inbox("N"));
    expect("2", Case::adm(), "M", NO, |c| c.add_inbox("N"));
    expect("3", Case::adm(), "D", OK, |c| c.add_inbox("N"));
    expect("4", Case::adm(), "C", OK, |c| c.add_inbox("N"));
    expect("5", Case::all(), "M", NO, |c| c.remove_inbox("M2"));
    expect("6", Case::all(), "D", OK, |c| c.remove_inbox("M2"));
    let mut case = Case::all();
    assert!(case.commit("D", |c| c.remove_inbox("D2")).is_ok(), "7");
    assert!(case.facts.mutable.is_admin("D2"), "7: stays in the list");
    expect("8", Case::all(), "D", NO, |c| c.remove_inbox("S"));
    expect("9", Case::all(), "C", NO, |c| c.remove_inbox("S"));
    expect("10", Case::all(), "C", NO, |c| {
        c.no_super_admin("S");
        c.remove_inbox("S");
    });
    let mut case = Case::all();
    assert!(case.commit("C", |c| c.no_super_admin("S")).is_ok(), "11");
    assert!(case.commit("C", |c| c.remove_inbox("S")).is_ok(), "11");
}

#[test]
fn u_c_12_to_24_attributes() {
    expect("12", Case::all(), "M", OK, |c| c.set("group_name", "x"));
    expect("13", Case::adm(), "M", NO, |c| c.set("group_name", "x"));
    expect("14", Case::all(), "M", NO, |c| {
        c.set("message_disappear_in_ns", "1")
    });
    expect("15", Case::all(), "D", OK, |c| {
        c.set("message_disappear_in_ns", "1")
    });
    let floor = "minimum_supported_protocol_version";
    expect("16", Case::all(), "D", NO, |c| c.set(floor, "1.11.0"));
    expect("17", Case::all(), "C", OK, |c| c.set(floor, "1.11.0"));
    expect("18", Case::all(), "M", NO, |c| c.set("foo", "x"));
    expect("19", Case::all(), "D", OK, |c| c.set("foo", "x"));
    expect("20", Case::all(), "D", NO, |c| c.set("_foo", "x"));
    expect("21", Case::all(), "C", OK, |c| c.set("_foo", "x"));
    expect("22", Case::all(), "D", NO, |c| {
        c.set("_commit_log_signer", "x")
    });
    expect("23", Case::all(), "M", OK, |c| {
        drop(c.mutable.attributes.remove("description"))
    });
    expect("24", Case::all(), "M", NO, |c| {
        c.set("group_name", "x");
        c.set("foo", "x");
    });
}

#[test]
fn u_c_25_to_36_admin_lists() {
    expect("25", Case::all(), "D", NO, |c| c.admin("M"));
    expect("26", Case::all(), "C", OK, |c| c.admin("M"));
    expect("27", Case::all(), "D", NO, |c| c.no_admin("D"));
    expect("28", Case::all(), "S", OK, |c| c.no_admin("D"));
    expect("29", Case::all(), "D", NO, |c| c.super_admin("M"));
    expect("30", Case::all(), "S", OK, |c| c.super_admin("M"));
    expect("31", Case::all(), "S", OK, |c| c.no_super_admin("C"));
    expect("32", Case::all(), "S", OK, |c| c.no_super_admin("S"));
    expect("33", Case::one(), "C", NO, |c| c.no_super_admin("C"));
    expect("34", Case::one(), "C", OK, |c| {
        c.super_admin("M");
        c.no_super_admin("C");
    });
    let change = Case::one().commit("C", |c| {
        c.super_admin("N");
        c.no_super_admin("C");
    });
    assert_eq!(change.unwrap().findings, [Finding::OrphanedRoles], "35");
    expect("36", Case::all(), "C", NO, |c| {
        c.mutable.super_admins.clear()
    });
}

#[test]
fn u_c_37_to_44_policies() {
    expect("37", Case::all(), "D", NO, |c| {
        c.permissions.add_member = Policy::Deny
    });
    let mut case = Case::all();
    let admins = |c: &mut Edit| c.permissions.add_admin = Policy::AdminOrSuperAdmin;
    assert!(case.commit("C", admins).is_ok(), "38");
    assert!(case.commit("D", |c| c.admin("M")).is_ok(), "38");
    let mut case = Case::all();
    let deny = |c: &mut Edit| c.permissions.update_permissions = Policy::Deny;
    assert!(case.commit("C", deny).is_ok(), "39");
    assert!(
        case.commit("C", |c| c.permissions.add_member = Policy::Deny)
            .is_ok(),
        "39"
    );
    let mut case = Case::all();
    assert!(
        case.commit("C", |c| c.permissions.add_member = Policy::Deny)
            .is_ok(),
        "40"
    );
    assert_eq!(case.commit("C", |c| c.add_inbox("N")).map(drop), NO, "40");
    let mut case = Case::all();
    let open = |c: &mut Edit| c.permissions.remove_member = Policy::Allow;
    assert!(case.commit("C", open).is_ok(), "41");
    assert!(case.commit("M", |c| c.remove_inbox("M2")).is_ok(), "41");
    assert_eq!(
        case.commit("M", |c| c.remove_inbox("S")).map(drop),
        NO,
        "42"
    );
    for by in ["C", "M"] {
        let change = Case::all().commit(by, |c| c.rewrite = Some(other_map_order));
        assert!(!change.unwrap().permissions_changed, "43, 44");
    }
}

/// The same policies with the entries of the map in another order.
fn other_map_order(context: &mut ContextBytes) {
    let original = context.permissions.clone().unwrap();
    // In the set's content, entries begin with 0x1a and a length.
    let (prefix, mut rest) = original.split_at(3 + 8);
    let mut entries = Vec::new();
    while rest[0] == 0x1a {
        let (entry, tail) = rest.split_at(2 + usize::from(rest[1]));
        entries.push(entry);
        rest = tail;
    }
    entries.reverse();
    assert!(entries.len() > 2);
    let reordered = [prefix, &entries.concat(), rest].concat();
    assert_ne!(reordered, original);
    context.permissions = Some(reordered);
}

#[test]
fn u_c_45_to_50_nothing_and_combinations() {
    expect("45", Case::all(), "M", OK, |c| {
        c.tamper = Some(|p| {
            p.replacement = Some(ProposedContext {
                proposer: "M".to_owned(),
                by_reference: false,
            });
        });
    });
    expect("46", Case::all(), "M", OK, |_| {});
    let mut case = Case::adm();
    case.logs.set_at("M2", 5, &[id("M2", 1), id("M2", 2)]);
    expect("47", case, "M", OK, |c| {
        c.member("M2", 5);
        c.add("M2", id("M2", 2));
    });
    expect("48", Case::all(), "M", OK, |c| {
        c.add_inbox("N");
        c.set("group_name", "x");
    });
    expect("49", Case::adm(), "D", NO, |c| {
        c.add_inbox("N");
        c.permissions.add_member = Policy::Deny;
    });
    let mut case = Case::all().with_roles(&["C", "S"], &["D", "N"]);
    assert!(case.commit("C", |c| c.add_inbox("N")).is_ok(), "50");
    assert!(case.commit("N", |c| c.remove_inbox("M2")).is_ok(), "50");
}

#[test]
fn u_c_51_to_54_a_custom_set_without_entries() {
    expect("51", Case::sdk(), "D", OK, |c| {
        c.set("message_disappear_from_ns", "1")
    });
    expect("52", Case::sdk(), "M", NO, |c| {
        c.set("message_disappear_from_ns", "1")
    });
    expect("53", Case::sdk(), "M", OK, |c| {
        c.set("message_disappear_in_ns", "1")
    });
    let floor = "minimum_supported_protocol_version";
    expect("54", Case::sdk(), "D", OK, |c| c.set(floor, "1.0.0"));
    let mut ours = Case::sdk();
    let metadata = &mut ours.facts.permissions.metadata;
    metadata.insert(floor.to_owned(), Policy::SuperAdmin);
    ours.refresh();
    expect("54, our sets", ours, "D", NO, |c| c.set(floor, "1.0.0"));
}

#[test]
fn u_c_55_to_63_direct_messages() {
    expect("55", Case::dm(&["P"]), "P", OK, |c| c.add_inbox("Q"));
    expect("56", Case::dm(&["P", "Q"]), "P", NO, |c| c.add_inbox("N"));
    expect("57", Case::dm(&["P"]), "P", NO, |c| {
        c.add_inbox("Q");
        c.add_inbox("N");
    });
    expect("58", Case::dm(&["P", "Q"]), "P", NO, |c| {
        c.remove_inbox("Q")
    });
    expect("59", Case::dm(&["P", "Q"]), "P", OK, |c| {
        c.set("message_disappear_from_ns", "1");
        c.set("message_disappear_in_ns", "1");
    });
    expect("60", Case::dm(&["P", "Q"]), "P", OK, |c| {
        c.set("group_name", "x")
    });
    expect("61", Case::dm(&["P", "Q"]), "P", NO, |c| c.super_admin("P"));
    expect("62", Case::dm(&["P", "Q"]), "P", NO, |c| {
        c.permissions.add_member = Policy::Allow
    });
    expect("63", Case::dm(&["P", "Q"]), "P", NO, |c| c.set("_foo", "x"));
    expect("63", Case::dm(&["P", "Q"]), "P", NO, |c| c.set("foo", "x"));
}

#[test]
fn u_c_64_to_66_lengths_count_bytes() {
    let limits = [
        ("group_name", 100),
        ("description", 1000),
        ("group_image_url_square", 2048),
        ("app_data", 8192),
    ];
    for (key, limit) in limits {
        expect(key, Case::all(), "M", OK, |c| {
            c.set(key, &"x".repeat(limit))
        });
        let too_long = Err(RejectCode::TooLong);
        expect(key, Case::all(), "M", too_long, |c| {
            c.set(key, &"x".repeat(limit + 1))
        });
    }
    let too_long = Err(RejectCode::TooLong);
    expect("65", Case::all(), "M", too_long, |c| {
        c.set("group_name", &"€".repeat(34))
    });
}

#[test]
fn an_unchanged_value_that_is_too_long_does_not_stop_other_changes() {
    let mut case = Case::all();
    let attributes = &mut case.facts.mutable.attributes;
    attributes.insert("description".to_owned(), "x".repeat(2000));
    case.refresh();
    expect("tolerated", case, "M", OK, |c| c.set("group_name", "x"));
}

#[test]
fn u_c_67_to_69_missing_extensions() {
    expect("67", Case::all(), "C", Err(RejectCode::Undecodable), |c| {
        c.rewrite = Some(|context| context.mutable = Some(vec![0x1a, 0]));
    });
    expect(
        "68",
        Case::all(),
        "C",
        Err(RejectCode::MissingMetadata),
        |c| {
            c.rewrite = Some(|context| context.mutable = None);
        },
    );
    expect(
        "68",
        Case::all(),
        "C",
        Err(RejectCode::MissingMembership),
        |c| {
            c.rewrite = Some(|context| context.membership = None);
        },
    );
    expect(
        "68",
        Case::all(),
        "C",
        Err(RejectCode::PermissionsUndecodable),
        |c| {
            c.rewrite = Some(|context| context.permissions = None);
        },
    );
    let drop_it: fn(&mut ContextBytes) = |context| context.immutable = None;
    let change = Case::all().commit("M", |c| c.rewrite = Some(drop_it));
    let found = [Finding::ImmutableMetadata { removed: true }];
    assert_eq!(change.unwrap().findings, found, "69");
    let mut strict = Case::all();
    strict
        .facts
        .mutable
        .attributes
        .insert("_sotto_strict".to_owned(), "1".to_owned());
    strict.refresh();
    expect("69", strict, "M", Err(RejectCode::Strict("SAFE-Q2")), |c| {
        c.rewrite = Some(drop_it)
    });
}

#[test]
fn u_e_the_floor_pauses_only_above_our_version() {
    let floor = |version: &str| {
        let mut case = Case::all();
        let key = "minimum_supported_protocol_version".to_owned();
        case.facts
            .mutable
            .attributes
            .insert(key, version.to_owned());
        case.refresh();
        case
    };
    for version in ["1.10.0", "1.11.0", "1.11.0-dev"] {
        expect(version, floor(version), "M", OK, |c| {
            c.set("group_name", "x")
        });
    }
    expect("x", floor("x"), "M", Err(RejectCode::BadVersion), |c| {
        c.set("group_name", "x")
    });
    for version in ["1.11.1", "2.0.0"] {
        let mut case = floor(version);
        let verdict = case.judge("M", |c| c.set("group_name", "x"));
        let Verdict::Paused(pause) = verdict else {
            panic!("{verdict:?}")
        };
        assert_eq!((pause.floor.as_str(), pause.raised_by), (version, None));
        case.rules.version = Version::parse(version).unwrap();
        assert!(
            case.commit("M", |c| c.set("group_name", "x")).is_ok(),
            "after the upgrade"
        );
    }
}

#[test]
fn a_pause_names_who_raised_the_floor() {
    let key = "minimum_supported_protocol_version";
    let verdict = Case::all().judge("C", |c| c.set(key, "99.0.0"));
    let Verdict::Paused(pause) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(
        (pause.raised_by.as_deref(), pause.by_super_admin),
        (Some("C"), true)
    );
    let verdict = Case::sdk().judge("D", |c| c.set(key, "99.0.0"));
    let Verdict::Paused(pause) = verdict else {
        panic!("{verdict:?}")
    };
    assert_eq!(
        (pause.raised_by.as_deref(), pause.by_super_admin),
        (Some("D"), false)
    );
    let mut resumed = Case::all();
    resumed.rules.despite_floor = true;
    assert!(resumed.commit("C", |c| c.set(key, "99.0.0")).is_ok());
}

#[test]
fn a_change_that_breaks_several_rules_is_rejected_by_the_first() {
    let expected = Err(RejectCode::TooLong);
    expect("order", Case::adm(), "M", expected, |c| {
        c.set("group_name", &"x".repeat(101));
        c.member("M2", 1);
        c.add_inbox("N");
    });
    expect(
        "order",
        Case::adm(),
        "M",
        Err(RejectCode::SequenceDecreased),
        |c| {
            c.set("group_name", "x");
            c.member("M2", 1);
        },
    );
}
