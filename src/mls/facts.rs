//! What the members of a group agree on, read from its MLS state.

use openmls::prelude::{BasicCredential, Credential, CredentialType, LeafNode, MlsGroup};
use prost::Message as _;
use sotto_proto::message_contents as proto;

use super::extensions::{
    self, ExtensionError, ImmutableMetadata, MEMBERSHIP, MUTABLE_METADATA, Membership,
    MutableMetadata, PERMISSIONS,
};
use super::policy::PolicySet;
use super::{GroupId, InstallationId, MlsError};

/// One leaf of the tree: an installation of an inbox.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Leaf index.
    pub leaf: u32,
    /// The inbox that the credential names.
    pub inbox_id: String,
    /// The signature key.
    pub installation_id: InstallationId,
    /// Whether the installation belongs to that inbox by its identity log, as far as we have
    /// checked when it came in (SAFE-Q1). Messages of an untrusted leaf are not shown.
    pub trusted: bool,
}

/// The agreed state of a group in one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFacts {
    /// The group id.
    pub group_id: GroupId,
    /// The epoch.
    pub epoch: u64,
    /// Equal for all members that agree about the epoch.
    pub epoch_authenticator: Vec<u8>,
    /// Immutable metadata as first seen (META-1).
    pub metadata: ImmutableMetadata,
    /// Attributes and admin lists.
    pub mutable: MutableMetadata,
    /// Inboxes and failed installations.
    pub membership: Membership,
    /// The policies.
    pub permissions: PolicySet,
    /// The leaves, by index.
    pub members: Vec<Member>,
}

impl GroupFacts {
    /// The leaf with this index.
    #[must_use]
    pub fn member(&self, leaf: u32) -> Option<&Member> {
        self.members.iter().find(|member| member.leaf == leaf)
    }

    /// The leaf of an installation.
    #[must_use]
    pub fn installation(&self, id: &InstallationId) -> Option<&Member> {
        self.members
            .iter()
            .find(|member| member.installation_id == *id)
    }
}

/// The three mutable extensions, decoded.
pub(super) struct Context {
    pub(super) mutable: MutableMetadata,
    pub(super) membership: Membership,
    pub(super) permissions: PolicySet,
}

impl Context {
    pub(super) fn of(group: &MlsGroup) -> Result<Self, ExtensionError> {
        let list = group.extensions();
        Ok(Self {
            mutable: MutableMetadata::decode(extensions::data(list, MUTABLE_METADATA)?)?,
            membership: Membership::decode(extensions::data(list, MEMBERSHIP)?)?,
            permissions: PolicySet::decode(extensions::data(list, PERMISSIONS)?)?,
        })
    }
}

/// The leaves of a tree. A leaf whose credential or key is not of our kind is left out; Commits
/// and Welcomes that bring one in are refused, so there is none.
pub(super) fn members(group: &MlsGroup, trusted: impl Fn(&InstallationId) -> bool) -> Vec<Member> {
    let members = group.members();
    members
        .filter_map(|member| {
            let installation_id = installation_id(&member.signature_key)?;
            Some(Member {
                leaf: member.index.u32(),
                inbox_id: inbox_id(&member.credential)?,
                installation_id,
                trusted: trusted(&installation_id),
            })
        })
        .collect()
}

/// Inbox and installation of a leaf node.
pub(super) fn identity(leaf: &LeafNode) -> Option<(String, InstallationId)> {
    let installation = installation_id(leaf.signature_key().as_slice())?;
    Some((inbox_id(leaf.credential())?, installation))
}

/// The inbox that a credential names.
pub(super) fn inbox_id(credential: &Credential) -> Option<String> {
    if credential.credential_type() != CredentialType::Basic {
        return None;
    }
    let credential = proto::MlsCredential::decode(credential.serialized_content()).ok()?;
    Some(credential.inbox_id)
}

/// The credential of an inbox.
pub(super) fn credential(inbox: &str) -> Credential {
    let message = proto::MlsCredential {
        inbox_id: inbox.to_owned(),
    };
    BasicCredential::new(message.encode_to_vec()).into()
}

/// The installation id that a signature key is.
pub(super) fn installation_id(key: &[u8]) -> Option<InstallationId> {
    <[u8; 32]>::try_from(key)
        .ok()
        .map(InstallationId::from_bytes)
}

/// The group id that MLS bytes are.
pub(super) fn group_id(id: &openmls::prelude::GroupId) -> Result<GroupId, MlsError> {
    id.as_slice().try_into().map_err(|_| MlsError::GroupId)
}
