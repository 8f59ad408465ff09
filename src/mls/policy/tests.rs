use prost::Message as _;
use sotto_proto::message_contents as proto;

use super::super::extensions::{DISAPPEAR_FROM, DISAPPEAR_IN, GROUP_NAME, PROTOCOL_FLOOR};
use super::*;

const NONE: Roles = Roles {
    admin: false,
    super_admin: false,
};
const A: Roles = Roles {
    admin: true,
    super_admin: false,
};
const SA: Roles = Roles {
    admin: false,
    super_admin: true,
};
const BOTH: Roles = Roles {
    admin: true,
    super_admin: true,
};

#[test]
fn u_a_base_policies() {
    use Policy::{All, Allow, Any, Deny, SuperAdmin};
    let admin = Policy::AdminOrSuperAdmin;
    let table = [
        (Allow, [true, true, true, true]),
        (Deny, [false, false, false, false]),
        (admin.clone(), [false, true, true, true]),
        (SuperAdmin, [false, false, true, true]),
        (All(vec![Allow, SuperAdmin]), [false, false, true, true]),
        (All(vec![Allow, Deny]), [false; 4]),
        (Any(vec![Deny, admin.clone()]), [false, true, true, true]),
        (Any(vec![Deny, Deny]), [false; 4]),
        (
            Any(vec![All(vec![admin, SuperAdmin]), Deny]),
            [false, false, true, true],
        ),
    ];
    for (policy, expected) in table {
        let holds = [NONE, A, SA, BOTH].map(|roles| policy.holds(roles));
        assert_eq!(holds, expected, "{policy:?}");
    }
}

type Edit = fn(&mut proto::PolicySet);

fn membership(kind: Option<proto::membership_policy::Kind>) -> Option<proto::MembershipPolicy> {
    Some(proto::MembershipPolicy { kind })
}

/// What remains decodable of a valid set after `edit`.
fn edited(edit: Edit) -> Result<PolicySet, PolicyError> {
    let bytes = Preset::AllMembers.policies().encode();
    let mut message = proto::GroupMutablePermissionsV1::decode(bytes.as_slice()).unwrap();
    edit(message.policies.as_mut().unwrap());
    PolicySet::decode(&message.encode_to_vec())
}

#[test]
fn u_b_what_is_no_policy_set_is_not_read_as_one() {
    use proto::membership_policy::{AndCondition, AnyCondition, Kind};
    assert_eq!(PolicySet::decode(&[]), Err(PolicyError::Missing));
    assert_eq!(PolicySet::decode(&[0xff]), Err(PolicyError::Protobuf));
    let undecodable: &[Edit] = &[
        |set| set.add_member_policy = membership(None),
        |set| set.add_member_policy = membership(Some(Kind::Base(0))),
        |set| set.add_member_policy = membership(Some(Kind::Base(5))),
        |set| set.add_member_policy = membership(Some(Kind::AndCondition(AndCondition::default()))),
        |set| set.add_member_policy = membership(Some(Kind::AnyCondition(AnyCondition::default()))),
        |set| {
            let nested = membership(Some(Kind::AndCondition(AndCondition::default())));
            set.add_member_policy = membership(Some(Kind::AnyCondition(AnyCondition {
                policies: nested.into_iter().collect(),
            })));
        },
        |set| {
            let base = Some(proto::metadata_policy::Kind::Base(5));
            let policy = proto::MetadataPolicy { kind: base };
            set.update_metadata_policy.insert("x".to_owned(), policy);
        },
        |set| {
            set.update_metadata_policy
                .insert("x".to_owned(), proto::MetadataPolicy::default());
        },
        |set| {
            let base = Some(proto::permissions_update_policy::Kind::Base(4));
            set.add_admin_policy = Some(proto::PermissionsUpdatePolicy { kind: base });
        },
        |set| set.add_member_policy = None,
        |set| set.remove_member_policy = None,
        |set| set.add_admin_policy = None,
        |set| set.remove_admin_policy = None,
        |set| set.update_permissions_policy = None,
    ];
    for (number, edit) in undecodable.iter().enumerate() {
        assert!(edited(*edit).is_err(), "edit {number}");
    }
    assert!(edited(|set| set.update_metadata_policy.clear()).is_ok());
    let mut unknown_field = Preset::AllMembers.policies().encode();
    unknown_field.extend([0xf8, 0x01, 0x01]);
    assert!(PolicySet::decode(&unknown_field).is_ok());
}

#[test]
fn combinators_survive_being_written_and_read() {
    let mut set = Preset::AllMembers.policies();
    set.add_admin = Policy::Any(vec![
        Policy::All(vec![Policy::SuperAdmin, Policy::AdminOrSuperAdmin]),
        Policy::Deny,
    ]);
    set.metadata.insert(
        "x".to_owned(),
        Policy::All(vec![Policy::Allow, Policy::Deny]),
    );
    assert_eq!(PolicySet::decode(&set.encode()), Ok(set));
}

/// The golden bytes of permissions.md 5.3: two membership slots, entries, three admin slots.
fn golden(members: [u8; 2], entries: &[(&str, u8)], admin: u8) -> Vec<u8> {
    let mut set = vec![0x0a, 2, 8, members[0], 0x12, 2, 8, members[1]];
    for (key, base) in entries {
        let key_length = key.len() as u8;
        set.extend([0x1a, key_length + 6, 0x0a, key_length]);
        set.extend(key.bytes());
        set.extend([0x12, 2, 8, *base]);
    }
    for field in [0x22, 0x2a, 0x32] {
        set.extend([field, 2, 8, admin]);
    }
    let mut length = vec![0x0a];
    prost::encoding::encode_varint(set.len() as u64, &mut length);
    [length, set].concat()
}

const KEYS: [&str; 7] = [
    "group_name",
    "description",
    "group_image_url_square",
    "message_disappear_from_ns",
    "message_disappear_in_ns",
    "minimum_supported_protocol_version",
    "app_data",
];

fn entries(bases: [u8; 7]) -> Vec<(&'static str, u8)> {
    KEYS.into_iter().zip(bases).collect()
}

#[test]
fn u_f_golden_bytes_are_the_named_sets() {
    let all = golden([1, 3], &entries([1, 1, 1, 3, 3, 4, 1]), 3);
    assert_eq!(&all[..3], [0x0a, 0xd1, 0x01]);
    let set = PolicySet::decode(&all).unwrap();
    assert_eq!(set, Preset::AllMembers.policies());
    assert_eq!(set.preset(), Some(Preset::AllMembers));
    let admins = PolicySet::decode(&golden([3, 3], &entries([3, 3, 3, 3, 3, 4, 3]), 3)).unwrap();
    assert_eq!(admins, Preset::AdminOnly.policies());
    assert_eq!(admins.preset(), Some(Preset::AdminOnly));
    let dm = PolicySet::decode(&golden([2, 2], &entries([1; 7]), 1)).unwrap();
    assert_eq!(dm, PolicySet::dm());
    assert!(dm.has_dm_slots() && dm.preset().is_none());
    for set in [set, admins, dm] {
        assert_eq!(PolicySet::decode(&set.encode()), Ok(set));
    }
}

#[test]
fn u_f_a_preset_is_recognised_with_other_entries_that_fit_it() {
    let with = |preset: Preset, key: &str, policy: Policy| {
        let mut set = preset.policies();
        set.metadata.insert(key.to_owned(), policy);
        set.preset()
    };
    use Policy::{AdminOrSuperAdmin, Allow, Any, SuperAdmin};
    use Preset::{AdminOnly, AllMembers};
    assert_eq!(with(AllMembers, "x", Allow), Some(AllMembers));
    assert_eq!(with(AllMembers, "x", AdminOrSuperAdmin), None);
    assert_eq!(with(AdminOnly, "x", AdminOrSuperAdmin), Some(AdminOnly));
    assert_eq!(with(AdminOnly, "x", Allow), None);
    assert_eq!(
        with(AllMembers, "x", Any(vec![Allow])),
        None,
        "structure counts"
    );
    assert_eq!(with(AllMembers, PROTOCOL_FLOOR, Allow), None);
    assert_eq!(with(AdminOnly, PROTOCOL_FLOOR, SuperAdmin), Some(AdminOnly));
    for preset in [AllMembers, AdminOnly] {
        let mut set = preset.policies();
        set.metadata.remove(PROTOCOL_FLOOR);
        assert_eq!(set.preset(), Some(preset), "missing entries do not matter");
    }
}

#[test]
fn a_custom_set_pins_the_floor_and_both_disappearing_keys() {
    let choices = CustomPolicies {
        add_member: PolicyOption::Allow,
        remove_member: PolicyOption::Allow,
        add_admin: PolicyOption::SuperAdmin,
        remove_admin: PolicyOption::Deny,
        name: PolicyOption::Admin,
        description: PolicyOption::Allow,
        image_url: PolicyOption::Deny,
        disappearing: PolicyOption::SuperAdmin,
        app_data: PolicyOption::Allow,
    };
    let set = PolicySet::custom(&choices).unwrap();
    assert_eq!(set.preset(), None);
    assert_eq!(set.metadata[PROTOCOL_FLOOR], Policy::SuperAdmin);
    assert_eq!(set.metadata[DISAPPEAR_FROM], Policy::SuperAdmin);
    assert_eq!(set.metadata[DISAPPEAR_IN], Policy::SuperAdmin);
    assert_eq!(set.update_permissions, Policy::SuperAdmin);
    assert_eq!(PolicySet::decode(&set.encode()), Ok(set));
    let open = CustomPolicies {
        add_admin: PolicyOption::Allow,
        ..choices
    };
    assert_eq!(PolicySet::custom(&open), Err(EditError::AllowAdmin));
    let open = CustomPolicies {
        remove_admin: PolicyOption::Allow,
        ..choices
    };
    assert_eq!(PolicySet::custom(&open), Err(EditError::AllowAdmin));
}

#[test]
fn an_edit_changes_its_slot_and_no_other() {
    let set = Preset::AllMembers.policies();
    let named = |key: &str| Slot::Metadata(key.to_owned());
    let edited = set.with(&named(GROUP_NAME), PolicyOption::Deny).unwrap();
    assert_eq!(edited.metadata[GROUP_NAME], Policy::Deny);
    let back = edited
        .with(&named(GROUP_NAME), PolicyOption::Allow)
        .unwrap();
    assert_eq!(back, set);
    let edited = set.with(&Slot::Disappearing, PolicyOption::Deny).unwrap();
    assert_eq!(edited.metadata[DISAPPEAR_FROM], Policy::Deny);
    assert_eq!(edited.metadata[DISAPPEAR_IN], Policy::Deny);
    for slot in [Slot::AddAdmin, Slot::RemoveAdmin] {
        assert_eq!(
            set.with(&slot, PolicyOption::Allow),
            Err(EditError::AllowAdmin)
        );
        assert!(set.with(&slot, PolicyOption::Admin).is_ok());
    }
    for key in [PROTOCOL_FLOOR, "_commit_log_signer", "x"] {
        assert_eq!(
            set.with(&named(key), PolicyOption::Deny),
            Err(EditError::Attribute)
        );
    }
}
