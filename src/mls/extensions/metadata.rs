//! What is in 0xf000, 0xff00 and 0xff01, and the attributes that have a meaning.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use sotto_proto::message_contents as proto;

use super::super::InstallationId;
use super::vector::{read_vector, write_vector};
use super::{ExtensionError, IMMUTABLE_METADATA, MEMBERSHIP, MUTABLE_METADATA};
use crate::gather::Gather;

/// Attribute: the name of the group.
pub const GROUP_NAME: &str = "group_name";
/// Attribute: its description.
pub const DESCRIPTION: &str = "description";
/// Attribute: the URL of its picture.
pub const GROUP_IMAGE_URL: &str = "group_image_url_square";
/// Attribute: opaque text of the app.
pub const APP_DATA: &str = "app_data";
/// Attribute: since when messages disappear (Unix ns, decimal).
pub const DISAPPEAR_FROM: &str = "message_disappear_from_ns";
/// Attribute: after how long messages disappear (ns, decimal).
pub const DISAPPEAR_IN: &str = "message_disappear_in_ns";
/// Attribute: the oldest version that may take part.
pub const PROTOCOL_FLOOR: &str = "minimum_supported_protocol_version";
/// Attribute: seed of the key that signs the commit log; a secret among members.
pub const COMMIT_LOG_SIGNER: &str = "_commit_log_signer";
/// Attribute: with the value "1", safety rules reject instead of quarantining.
pub const STRICT: &str = "_sotto_strict";
/// Attribute: message ids that the committing super admin deletes.
pub const MODERATION: &str = "_sotto_moderation";

/// What kind of conversation a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConversationKind {
    /// A group of any number of inboxes.
    Group,
    /// A conversation of two inboxes.
    Dm,
    /// The hidden group of one inbox's own installations.
    Sync,
    /// A Welcome that only carries a request.
    Oneshot,
}

/// What is fixed at creation (0xf000).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImmutableMetadata {
    /// The kind of conversation.
    pub kind: ConversationKind,
    /// The inbox that created the group. It has no standing privilege.
    pub creator: String,
    /// The two inboxes of a DM.
    pub dm_members: Option<[String; 2]>,
}

/// What commits may change (0xff00).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MutableMetadata {
    /// Attributes by key, unknown ones included.
    pub attributes: BTreeMap<String, String>,
    /// The admin list, as it is written: duplicates and inboxes that are no members included.
    pub admins: Vec<String>,
    /// The super admin list, as it is written.
    pub super_admins: Vec<String>,
}

/// Who is in the group (0xff01).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Membership {
    /// Identity sequence at which each inbox's installations are taken.
    pub members: BTreeMap<String, u64>,
    /// Installations of members that could not be added.
    pub failed: BTreeSet<InstallationId>,
}

impl ConversationKind {
    fn to_proto(self) -> proto::ConversationType {
        match self {
            Self::Group => proto::ConversationType::Group,
            Self::Dm => proto::ConversationType::Dm,
            Self::Sync => proto::ConversationType::Sync,
            Self::Oneshot => proto::ConversationType::Oneshot,
        }
    }

    fn from_proto(value: i32) -> Option<Self> {
        match proto::ConversationType::try_from(value).ok()? {
            proto::ConversationType::Unspecified => None,
            proto::ConversationType::Group => Some(Self::Group),
            proto::ConversationType::Dm => Some(Self::Dm),
            proto::ConversationType::Sync => Some(Self::Sync),
            proto::ConversationType::Oneshot => Some(Self::Oneshot),
        }
    }
}

impl ImmutableMetadata {
    /// Reads the data of extension 0xf000, inner length prefix included.
    ///
    /// # Errors
    ///
    /// If the prefix is wrong, the kind unknown, or a member of a DM missing.
    pub fn decode(data: &[u8]) -> Result<Self, ExtensionError> {
        let error = ExtensionError::Undecodable(IMMUTABLE_METADATA);
        let content = read_vector(data).ok_or(error.clone())?;
        let message = proto::GroupMetadataV1::decode(content).map_err(|_| error.clone())?;
        let kind = ConversationKind::from_proto(message.conversation_type).ok_or(error.clone())?;
        let dm_members = match message.dm_members {
            None => None,
            Some(members) => match (members.dm_member_one, members.dm_member_two) {
                (Some(one), Some(two)) => Some([one.inbox_id, two.inbox_id]),
                _ => return Err(error),
            },
        };
        Ok(Self {
            kind,
            creator: message.creator_inbox_id,
            dm_members,
        })
    }

    /// Whether `inbox` is one of the two of a DM.
    #[must_use]
    pub fn is_dm_member(&self, inbox: &str) -> bool {
        let members = self.dm_members.iter().flatten();
        members.into_iter().any(|member| member == inbox)
    }

    /// The data of extension 0xf000, inner length prefix included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let inbox = |id: &String| {
            Some(proto::Inbox {
                inbox_id: id.clone(),
            })
        };
        let message = proto::GroupMetadataV1 {
            conversation_type: self.kind.to_proto().into(),
            creator_account_address: String::new(),
            creator_inbox_id: self.creator.clone(),
            dm_members: self.dm_members.as_ref().map(|[one, two]| proto::DmMembers {
                dm_member_one: inbox(one),
                dm_member_two: inbox(two),
            }),
            oneshot_message: None,
        };
        write_vector(&message.encode_to_vec())
    }
}

impl MutableMetadata {
    /// Reads the data of extension 0xff00.
    ///
    /// # Errors
    ///
    /// If it is not protobuf or one of the lists is absent.
    pub fn decode(data: &[u8]) -> Result<Self, ExtensionError> {
        let error = ExtensionError::Undecodable(MUTABLE_METADATA);
        let message = proto::GroupMutableMetadataV1::decode(data).map_err(|_| error.clone())?;
        let list = |list: Option<proto::Inboxes>| -> Result<Vec<String>, ExtensionError> {
            list.map(|list| list.inbox_ids).ok_or(error.clone())
        };
        Ok(Self {
            attributes: message.attributes,
            admins: list(message.admin_list)?,
            super_admins: list(message.super_admin_list)?,
        })
    }

    /// The data of extension 0xff00; both lists are there even when empty.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let list = |list: &[String]| {
            Some(proto::Inboxes {
                inbox_ids: list.to_vec(),
            })
        };
        proto::GroupMutableMetadataV1 {
            attributes: self.attributes.clone(),
            admin_list: list(&self.admins),
            super_admin_list: list(&self.super_admins),
        }
        .encode_to_vec()
    }

    /// The value of an attribute; the empty text if it is not set.
    #[must_use]
    pub fn attribute(&self, key: &str) -> &str {
        self.attributes.get(key).map_or("", String::as_str)
    }

    /// Whether `inbox` is in the admin list.
    #[must_use]
    pub fn is_admin(&self, inbox: &str) -> bool {
        self.admins.iter().any(|admin| admin == inbox)
    }

    /// Whether `inbox` is in the super admin list.
    #[must_use]
    pub fn is_super_admin(&self, inbox: &str) -> bool {
        self.super_admins.iter().any(|admin| admin == inbox)
    }

    /// Whether safety rules reject in this group.
    #[must_use]
    pub fn is_strict(&self) -> bool {
        self.attribute(STRICT) == "1"
    }
}

impl Membership {
    /// Reads the data of extension 0xff01.
    ///
    /// # Errors
    ///
    /// If it is not protobuf.
    pub fn decode(data: &[u8]) -> Result<Self, ExtensionError> {
        let error = ExtensionError::Undecodable(MEMBERSHIP);
        let message = proto::GroupMembership::decode(data).map_err(|_| error.clone())?;
        let failed = message.failed_installations.into_iter();
        Ok(Self {
            members: message.members,
            failed: failed
                // An id of another length matches no leaf and no installation.
                .filter_map(|id| <[u8; 32]>::try_from(id).ok())
                .map(InstallationId::from_bytes)
                .gather(),
        })
    }

    /// The data of extension 0xff01.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        proto::GroupMembership {
            members: self.members.clone(),
            failed_installations: self
                .failed
                .iter()
                .map(|id| id.as_bytes().to_vec())
                .collect(),
        }
        .encode_to_vec()
    }
}
