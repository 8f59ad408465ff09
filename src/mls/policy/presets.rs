//! The preconfigured policy sets and how one is recognised (permissions.md 5.3 and 5.4).

use super::super::extensions::{
    APP_DATA, DESCRIPTION, DISAPPEAR_FROM, DISAPPEAR_IN, GROUP_IMAGE_URL, GROUP_NAME,
    PROTOCOL_FLOOR,
};
use super::{Policy, PolicySet};
use crate::gather::Gather;

/// A preconfigured set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Preset {
    /// Members add members and change the texts; admins remove.
    AllMembers,
    /// Only admins change anything.
    AdminOnly,
}

const TEXTS: [&str; 4] = [GROUP_NAME, DESCRIPTION, GROUP_IMAGE_URL, APP_DATA];
const DISAPPEARING: [&str; 2] = [DISAPPEAR_FROM, DISAPPEAR_IN];

impl Preset {
    /// The policies of this preset.
    #[must_use]
    pub fn policies(self) -> PolicySet {
        let (add_member, texts) = match self {
            Self::AllMembers => (Policy::Allow, Policy::Allow),
            Self::AdminOnly => (Policy::AdminOrSuperAdmin, Policy::AdminOrSuperAdmin),
        };
        let text = |key: &str| (key.to_owned(), texts.clone());
        let disappearing = |key: &str| (key.to_owned(), Policy::AdminOrSuperAdmin);
        PolicySet {
            add_member,
            remove_member: Policy::AdminOrSuperAdmin,
            metadata: TEXTS
                .iter()
                .map(|key| text(key))
                .chain(DISAPPEARING.iter().map(|key| disappearing(key)))
                .chain([(PROTOCOL_FLOOR.to_owned(), Policy::SuperAdmin)])
                .gather(),
            add_admin: Policy::SuperAdmin,
            remove_admin: Policy::SuperAdmin,
            update_permissions: Policy::SuperAdmin,
        }
    }

    /// What an entry of the metadata map must be for the set to count as this preset.
    fn expects(self, key: &str) -> Policy {
        match (self, key) {
            (_, PROTOCOL_FLOOR) => Policy::SuperAdmin,
            (Self::AllMembers, DISAPPEAR_FROM | DISAPPEAR_IN) | (Self::AdminOnly, _) => {
                Policy::AdminOrSuperAdmin
            }
            (Self::AllMembers, _) => Policy::Allow,
        }
    }
}

impl PolicySet {
    /// The policies of a DM: nobody changes who is in it or who has which rights.
    #[must_use]
    pub fn dm() -> Self {
        let keys = TEXTS.iter().chain(&DISAPPEARING).chain([&PROTOCOL_FLOOR]);
        Self {
            add_member: Policy::Deny,
            remove_member: Policy::Deny,
            metadata: keys.map(|key| ((*key).to_owned(), Policy::Allow)).gather(),
            add_admin: Policy::Deny,
            remove_admin: Policy::Deny,
            update_permissions: Policy::Deny,
        }
    }

    /// The preset that this set counts as; entries that are absent from the map do not matter.
    #[must_use]
    pub fn preset(&self) -> Option<Preset> {
        [Preset::AllMembers, Preset::AdminOnly]
            .into_iter()
            .find(|preset| {
                let entries = self.metadata.iter();
                self.same_slots(&preset.policies())
                    && entries
                        .into_iter()
                        .all(|(key, policy)| *policy == preset.expects(key))
            })
    }

    /// Whether the five slots that are not the metadata map are those of a DM (JOIN-1).
    #[must_use]
    pub fn has_dm_slots(&self) -> bool {
        self.same_slots(&Self::dm())
    }

    fn same_slots(&self, other: &Self) -> bool {
        self.add_member == other.add_member
            && self.remove_member == other.remove_member
            && self.add_admin == other.add_admin
            && self.remove_admin == other.remove_admin
            && self.update_permissions == other.update_permissions
    }
}
