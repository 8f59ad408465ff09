//! Permissions by the numbers of the official SDK, to and from policies.

use crate::mls::extensions::{APP_DATA, DESCRIPTION, DISAPPEAR_IN, GROUP_IMAGE_URL, GROUP_NAME};
use crate::mls::policy::{Policy, PolicyOption, PolicySet, Preset, Slot};

/// `PermissionPolicy`: the option with this number, if an app may choose it.
#[must_use]
pub fn option(number: i32) -> Option<PolicyOption> {
    match number {
        0 => Some(PolicyOption::Allow),
        1 => Some(PolicyOption::Deny),
        2 => Some(PolicyOption::Admin),
        3 => Some(PolicyOption::SuperAdmin),
        _ => None,
    }
}

/// `PermissionUpdateType` and attribute names: the slots they mean.
#[must_use]
pub fn slots(update_type: i32, fields: &[String]) -> Option<Vec<Slot>> {
    match update_type {
        0 => Some(vec![Slot::AddMember]),
        1 => Some(vec![Slot::RemoveMember]),
        2 => Some(vec![Slot::AddAdmin]),
        3 => Some(vec![Slot::RemoveAdmin]),
        4 if !fields.is_empty() => Some(fields.iter().cloned().map(Slot::Metadata).collect()),
        _ => None,
    }
}

/// `PermissionPolicy` number of a policy: 5 is what has no number of its own.
#[must_use]
pub fn number(policy: &Policy) -> i32 {
    match policy {
        Policy::Allow => 0,
        Policy::Deny => 1,
        Policy::AdminOrSuperAdmin => 2,
        Policy::SuperAdmin => 3,
        _ => 5,
    }
}

/// `PermissionPolicy` number of one slot: 4 is an attribute without an entry.
#[must_use]
pub fn number_of(policies: &PolicySet, slot: &Slot) -> i32 {
    let attribute = |name: &str| policies.metadata.get(name).map_or(4, number);
    match slot {
        Slot::AddMember => number(&policies.add_member),
        Slot::RemoveMember => number(&policies.remove_member),
        Slot::AddAdmin => number(&policies.add_admin),
        Slot::RemoveAdmin => number(&policies.remove_admin),
        Slot::Metadata(name) => attribute(name),
        Slot::Disappearing => attribute(DISAPPEAR_IN),
    }
}

/// The nine slots in the official SDK's order; 4 is an attribute without an entry.
#[must_use]
pub fn nine(policies: &PolicySet) -> [i32; 9] {
    let attribute = |name: &str| policies.metadata.get(name).map_or(4, number);
    [
        number(&policies.add_member),
        number(&policies.remove_member),
        number(&policies.add_admin),
        number(&policies.remove_admin),
        attribute(GROUP_NAME),
        attribute(DESCRIPTION),
        attribute(GROUP_IMAGE_URL),
        attribute(DISAPPEAR_IN),
        attribute(APP_DATA),
    ]
}

/// `GroupPermissionsOptions`: 0 default, 1 admin only, 2 custom.
#[must_use]
pub fn preset_number(policies: &PolicySet) -> i32 {
    match policies.preset() {
        Some(Preset::AllMembers) => 0,
        Some(Preset::AdminOnly) => 1,
        None => 2,
    }
}
