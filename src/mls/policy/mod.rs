//! Permission policies (extension 0xff02): what they are and when they hold.
//!
//! A policy looks at nothing but the roles of whoever acts, read before the change. Which slot
//! governs which change is decided in [`validate`](super::validate).

mod codec;
mod edit;
mod presets;

use std::collections::BTreeMap;

use super::extensions::MutableMetadata;

pub use codec::PolicyError;
pub use edit::{CustomPolicies, EditError, PolicyOption, Slot};
pub use presets::Preset;

/// A condition on the roles of the actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// Everyone may.
    Allow,
    /// Nobody may.
    Deny,
    /// Admins and super admins may.
    AdminOrSuperAdmin,
    /// Super admins may.
    SuperAdmin,
    /// All of these must hold.
    All(Vec<Policy>),
    /// One of these must hold.
    Any(Vec<Policy>),
}

/// The policies of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySet {
    /// Who may bring an inbox in.
    pub add_member: Policy,
    /// Who may remove an inbox that is not a super admin.
    pub remove_member: Policy,
    /// Who may change an attribute, by its key.
    pub metadata: BTreeMap<String, Policy>,
    /// Who may extend the admin list.
    pub add_admin: Policy,
    /// Who may shorten the admin list.
    pub remove_admin: Policy,
    /// Stored and shown, never evaluated: only super admins change policies.
    pub update_permissions: Policy,
}

/// The roles of an inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles {
    /// In the admin list.
    pub admin: bool,
    /// In the super admin list.
    pub super_admin: bool,
}

impl Roles {
    /// The roles of `inbox` by the two lists.
    #[must_use]
    pub fn of(inbox: &str, metadata: &MutableMetadata) -> Self {
        Self {
            admin: metadata.is_admin(inbox),
            super_admin: metadata.is_super_admin(inbox),
        }
    }
}

impl Policy {
    /// Whether an actor with `roles` may (permissions.md 5.2).
    #[must_use]
    pub fn holds(&self, roles: Roles) -> bool {
        match self {
            Self::Allow => true,
            Self::Deny => false,
            Self::AdminOrSuperAdmin => roles.admin || roles.super_admin,
            Self::SuperAdmin => roles.super_admin,
            Self::All(policies) => policies.iter().all(|policy| policy.holds(roles)),
            Self::Any(policies) => policies.iter().any(|policy| policy.holds(roles)),
        }
    }
}

impl PolicySet {
    /// Whether an actor with `roles` may change the attribute `key`. A key without an entry asks
    /// for a super admin if it starts with `_`, for an admin otherwise.
    #[must_use]
    pub fn allows_attribute(&self, key: &str, roles: Roles) -> bool {
        match self.metadata.get(key) {
            Some(policy) => policy.holds(roles),
            None if key.starts_with('_') => roles.super_admin,
            None => roles.admin || roles.super_admin,
        }
    }
}

#[cfg(test)]
mod tests;
