//! Making a custom set and changing one slot of a set (permissions.md 5.5 and 5.8).

use super::super::extensions::{
    APP_DATA, DESCRIPTION, DISAPPEAR_FROM, DISAPPEAR_IN, GROUP_IMAGE_URL, GROUP_NAME,
    PROTOCOL_FLOOR,
};
use super::{Policy, PolicySet};
use crate::gather::Gather;

/// The choices that an app has for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PolicyOption {
    /// Everyone.
    Allow,
    /// Nobody.
    Deny,
    /// Admins and super admins.
    Admin,
    /// Super admins.
    SuperAdmin,
}

/// A slot of a policy set.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Slot {
    /// Bringing an inbox in.
    AddMember,
    /// Removing an inbox.
    RemoveMember,
    /// Extending the admin list.
    AddAdmin,
    /// Shortening the admin list.
    RemoveAdmin,
    /// Changing the attribute with this key.
    Metadata(String),
    /// Changing when messages disappear: both attributes (POL-3).
    Disappearing,
}

/// The nine choices of a custom set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustomPolicies {
    /// Bringing an inbox in.
    pub add_member: PolicyOption,
    /// Removing an inbox.
    pub remove_member: PolicyOption,
    /// Extending the admin list; not [`PolicyOption::Allow`].
    pub add_admin: PolicyOption,
    /// Shortening the admin list; not [`PolicyOption::Allow`].
    pub remove_admin: PolicyOption,
    /// Changing the name.
    pub name: PolicyOption,
    /// Changing the description.
    pub description: PolicyOption,
    /// Changing the picture.
    pub image_url: PolicyOption,
    /// Changing when messages disappear.
    pub disappearing: PolicyOption,
    /// Changing the app's own text.
    pub app_data: PolicyOption,
}

/// A choice that the slot does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// Admin lists cannot be open to everyone.
    #[error("everyone cannot be allowed to change the admin list")]
    AllowAdmin,
    /// Not an attribute whose policy an app may choose.
    #[error("not an attribute whose policy can be chosen")]
    Attribute,
}

impl From<PolicyOption> for Policy {
    fn from(option: PolicyOption) -> Self {
        match option {
            PolicyOption::Allow => Self::Allow,
            PolicyOption::Deny => Self::Deny,
            PolicyOption::Admin => Self::AdminOrSuperAdmin,
            PolicyOption::SuperAdmin => Self::SuperAdmin,
        }
    }
}

fn admin_policy(option: PolicyOption) -> Result<Policy, EditError> {
    match option {
        PolicyOption::Allow => Err(EditError::AllowAdmin),
        other => Ok(other.into()),
    }
}

impl PolicySet {
    /// A custom set. Beyond the nine choices it fixes both disappearing attributes and the
    /// protocol floor, so that no admin can pause everybody (POL-1).
    ///
    /// # Errors
    ///
    /// If an admin slot is [`PolicyOption::Allow`].
    pub fn custom(choices: &CustomPolicies) -> Result<Self, EditError> {
        let metadata = [
            (GROUP_NAME, choices.name.into()),
            (DESCRIPTION, choices.description.into()),
            (GROUP_IMAGE_URL, choices.image_url.into()),
            (APP_DATA, choices.app_data.into()),
            (DISAPPEAR_FROM, choices.disappearing.into()),
            (DISAPPEAR_IN, choices.disappearing.into()),
            (PROTOCOL_FLOOR, Policy::SuperAdmin),
        ];
        Ok(Self {
            add_member: choices.add_member.into(),
            remove_member: choices.remove_member.into(),
            metadata: metadata
                .into_iter()
                .map(|(key, policy): (&str, Policy)| (key.to_owned(), policy))
                .gather(),
            add_admin: admin_policy(choices.add_admin)?,
            remove_admin: admin_policy(choices.remove_admin)?,
            update_permissions: Policy::SuperAdmin,
        })
    }

    /// This set with one slot changed and every other slot as it was.
    ///
    /// # Errors
    ///
    /// If the slot does not have the choice.
    pub fn with(&self, slot: &Slot, option: PolicyOption) -> Result<Self, EditError> {
        let mut set = self.clone();
        match slot {
            Slot::AddMember => set.add_member = option.into(),
            Slot::RemoveMember => set.remove_member = option.into(),
            Slot::AddAdmin => set.add_admin = admin_policy(option)?,
            Slot::RemoveAdmin => set.remove_admin = admin_policy(option)?,
            Slot::Disappearing => {
                for key in [DISAPPEAR_FROM, DISAPPEAR_IN] {
                    set.metadata.insert(key.to_owned(), option.into());
                }
            }
            Slot::Metadata(key) => match key.as_str() {
                GROUP_NAME | DESCRIPTION | GROUP_IMAGE_URL | APP_DATA | DISAPPEAR_FROM
                | DISAPPEAR_IN => {
                    set.metadata.insert(key.clone(), option.into());
                }
                _ => return Err(EditError::Attribute),
            },
        }
        Ok(set)
    }
}
