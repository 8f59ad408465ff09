//! Policies on the wire. The three policy messages number the same ideas differently, and the one
//! for admin slots has no "allow".

use prost::Message as _;
use sotto_proto::message_contents as proto;

use super::{Policy, PolicySet};
use crate::gather::Gather;

/// Why a policy set could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// The bytes are not protobuf.
    #[error("not protobuf")]
    Protobuf,
    /// A required policy is absent.
    #[error("a policy is missing")]
    Missing,
    /// A policy has no kind, an unknown base value or an empty list.
    #[error("a policy is invalid")]
    Invalid,
}

impl PolicySet {
    /// Reads the data of extension 0xff02.
    ///
    /// # Errors
    ///
    /// If a policy is missing or invalid (permissions.md 5.1).
    pub fn decode(data: &[u8]) -> Result<Self, PolicyError> {
        let message =
            proto::GroupMutablePermissionsV1::decode(data).map_err(|_| PolicyError::Protobuf)?;
        let set = message.policies.ok_or(PolicyError::Missing)?;
        Ok(Self {
            add_member: set
                .add_member_policy
                .as_ref()
                .ok_or(PolicyError::Missing)?
                .read()?,
            remove_member: set
                .remove_member_policy
                .as_ref()
                .ok_or(PolicyError::Missing)?
                .read()?,
            metadata: set
                .update_metadata_policy
                .iter()
                .map(|(key, policy)| Ok((key.clone(), policy.read()?)))
                .try_gather()?,
            add_admin: set
                .add_admin_policy
                .as_ref()
                .ok_or(PolicyError::Missing)?
                .read()?,
            remove_admin: set
                .remove_admin_policy
                .as_ref()
                .ok_or(PolicyError::Missing)?
                .read()?,
            update_permissions: set
                .update_permissions_policy
                .as_ref()
                .ok_or(PolicyError::Missing)?
                .read()?,
        })
    }

    /// The data of extension 0xff02. In the admin slots, where the wire has no "allow", it is
    /// written as "super admin"; nothing here makes such a set.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let metadata = self.metadata.iter();
        proto::GroupMutablePermissionsV1 {
            policies: Some(proto::PolicySet {
                add_member_policy: Some(Wire::write(&self.add_member)),
                remove_member_policy: Some(Wire::write(&self.remove_member)),
                update_metadata_policy: metadata
                    .map(|(key, policy)| (key.clone(), Wire::write(policy)))
                    .collect(),
                add_admin_policy: Some(Wire::write(&self.add_admin)),
                remove_admin_policy: Some(Wire::write(&self.remove_admin)),
                update_permissions_policy: Some(Wire::write(&self.update_permissions)),
            }),
        }
        .encode_to_vec()
    }
}

/// A policy message of the wire.
trait Wire: Sized {
    fn read(&self) -> Result<Policy, PolicyError>;
    fn write(policy: &Policy) -> Self;
}

fn read_list<W: Wire>(list: &[W]) -> Result<Vec<Policy>, PolicyError> {
    if list.is_empty() {
        return Err(PolicyError::Invalid);
    }
    list.iter().map(Wire::read).collect()
}

macro_rules! wire {
    ($message:ident, $module:ident, $read:ident, $write:ident) => {
        impl Wire for proto::$message {
            fn read(&self) -> Result<Policy, PolicyError> {
                use proto::$module::Kind;
                match self.kind.as_ref().ok_or(PolicyError::Invalid)? {
                    Kind::Base(base) => $read(*base).ok_or(PolicyError::Invalid),
                    Kind::AndCondition(all) => Ok(Policy::All(read_list(&all.policies)?)),
                    Kind::AnyCondition(any) => Ok(Policy::Any(read_list(&any.policies)?)),
                }
            }

            fn write(policy: &Policy) -> Self {
                use proto::$module::{AndCondition, AnyCondition, Kind};
                let list = |list: &[Policy]| list.iter().map(Wire::write).collect();
                let kind = match policy {
                    Policy::All(all) => Kind::AndCondition(AndCondition {
                        policies: list(all),
                    }),
                    Policy::Any(any) => Kind::AnyCondition(AnyCondition {
                        policies: list(any),
                    }),
                    base => Kind::Base($write(base)),
                };
                Self { kind: Some(kind) }
            }
        }
    };
}

wire!(MembershipPolicy, membership_policy, read_base, write_base);
wire!(MetadataPolicy, metadata_policy, read_base, write_base);
wire!(
    PermissionsUpdatePolicy,
    permissions_update_policy,
    read_admin_base,
    write_admin_base
);

fn read_base(base: i32) -> Option<Policy> {
    match base {
        1 => Some(Policy::Allow),
        2 => Some(Policy::Deny),
        3 => Some(Policy::AdminOrSuperAdmin),
        4 => Some(Policy::SuperAdmin),
        _ => None,
    }
}

fn write_base(policy: &Policy) -> i32 {
    match policy {
        Policy::Allow => 1,
        Policy::Deny | Policy::All(_) | Policy::Any(_) => 2,
        Policy::AdminOrSuperAdmin => 3,
        Policy::SuperAdmin => 4,
    }
}

fn read_admin_base(base: i32) -> Option<Policy> {
    match base {
        1 => Some(Policy::Deny),
        2 => Some(Policy::AdminOrSuperAdmin),
        3 => Some(Policy::SuperAdmin),
        _ => None,
    }
}

fn write_admin_base(policy: &Policy) -> i32 {
    match policy {
        Policy::Deny | Policy::All(_) | Policy::Any(_) => 1,
        Policy::AdminOrSuperAdmin => 2,
        Policy::Allow | Policy::SuperAdmin => 3,
    }
}
