//! The XMTP extensions of a GroupContext and of a key package: their type numbers, what is in
//! them, and how they are replaced.
//!
//! Bytes that somebody else wrote are kept as they are: an extension is only ever re-encoded when
//! its content changes. Of the four, only 0xf000 has a length prefix inside its data.

mod metadata;
mod vector;

use super::policy::{PolicyError, PolicySet};
use openmls::prelude::{
    Capabilities, Ciphersuite, CredentialType, Extension, ExtensionType, Extensions, GroupContext,
    ProposalType, ProtocolVersion, RequiredCapabilitiesExtension, UnknownExtension,
};

pub use metadata::{
    APP_DATA, COMMIT_LOG_SIGNER, ConversationKind, DESCRIPTION, DISAPPEAR_FROM, DISAPPEAR_IN,
    GROUP_IMAGE_URL, GROUP_NAME, ImmutableMetadata, MODERATION, Membership, MutableMetadata,
    PROTOCOL_FLOOR, STRICT,
};
pub(super) use vector::{split_vector, write_vector};

/// Immutable metadata: kind, creator, members of a DM.
pub const IMMUTABLE_METADATA: u16 = 0xf000;
/// Mutable metadata: attributes and admin lists.
pub const MUTABLE_METADATA: u16 = 0xff00;
/// Membership: inboxes with their identity sequences.
pub const MEMBERSHIP: u16 = 0xff01;
/// The policy set.
pub const PERMISSIONS: u16 = 0xff02;
/// Key package: the key to which a Welcome is sealed.
pub const WELCOME_WRAPPER: u16 = 0xff03;
/// Key package: the ciphers with which a shared Welcome may be encrypted.
pub const WELCOME_POINTEE: u16 = 0xff04;

/// The draft app data dictionary. Groups that have it are not ours to read.
pub(super) const APP_DATA_DICTIONARY: u16 = 0x0006;

/// Why an extension could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExtensionError {
    /// It is not there.
    #[error("extension {0:#06x} is missing")]
    Missing(u16),
    /// Its bytes are not what the type calls for.
    #[error("extension {0:#06x} does not decode")]
    Undecodable(u16),
    /// The policy set is not valid.
    #[error("permissions: {0}")]
    Policy(#[from] PolicyError),
    /// The MLS library refused the extension list.
    #[error("the extension list is not valid")]
    List,
}

/// The data of one of our extensions.
///
/// # Errors
///
/// If it is missing.
pub(super) fn data(
    extensions: &Extensions<GroupContext>,
    number: u16,
) -> Result<&[u8], ExtensionError> {
    extensions
        .unknown(number)
        .map(|extension| extension.0.as_slice())
        .ok_or(ExtensionError::Missing(number))
}

/// `extensions` with the data of one of ours replaced; all others keep their bytes.
///
/// # Errors
///
/// If the MLS library refuses the list.
pub(super) fn replace(
    extensions: &mut Extensions<GroupContext>,
    number: u16,
    data: Vec<u8>,
) -> Result<(), ExtensionError> {
    extensions
        .add_or_replace(Extension::Unknown(number, UnknownExtension(data)))
        .map(drop)
        .map_err(|_| ExtensionError::List)
}

/// The extensions of a new group, in creation order (permissions.md 1.1).
///
/// # Errors
///
/// If the MLS library refuses the list.
pub(super) fn new_group(
    immutable: &ImmutableMetadata,
    mutable: &MutableMetadata,
    membership: &Membership,
    policies: &PolicySet,
) -> Result<Extensions<GroupContext>, ExtensionError> {
    let unknown = |number, data| Extension::Unknown(number, UnknownExtension(data));
    Extensions::from_vec(vec![
        unknown(IMMUTABLE_METADATA, immutable.encode()),
        unknown(MUTABLE_METADATA, mutable.encode()),
        unknown(MEMBERSHIP, membership.encode()),
        unknown(PERMISSIONS, policies.encode()),
        Extension::RequiredCapabilities(required_capabilities()),
    ])
    .map_err(|_| ExtensionError::List)
}

/// What every member's leaf must be able to do.
pub(super) fn required_capabilities() -> RequiredCapabilitiesExtension {
    RequiredCapabilitiesExtension::new(
        &[
            ExtensionType::Unknown(MEMBERSHIP),
            ExtensionType::Unknown(MUTABLE_METADATA),
            ExtensionType::Unknown(PERMISSIONS),
            ExtensionType::Unknown(IMMUTABLE_METADATA),
            ExtensionType::LastResort,
            ExtensionType::ApplicationId,
        ],
        &[ProposalType::GroupContextExtensions],
        &[CredentialType::Basic],
    )
}

/// Whether `required` asks for nothing beyond what our groups ask for.
pub(super) fn within_ours(required: &RequiredCapabilitiesExtension) -> bool {
    let ours = required_capabilities();
    let extensions = ours.extension_types();
    required
        .extension_types()
        .iter()
        .all(|kind| extensions.contains(kind))
        && required
            .proposal_types()
            .iter()
            .all(|kind| ours.proposal_types().contains(kind))
        && required
            .credential_types()
            .iter()
            .all(|kind| ours.credential_types().contains(kind))
}

/// What our leaves say they can do. Neither 0x0006 nor proposal 0x0008 may ever be listed: a group
/// with one member that lacks them is never moved to the draft format.
pub(super) fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519]),
        Some(&[
            ExtensionType::LastResort,
            ExtensionType::ApplicationId,
            ExtensionType::Unknown(IMMUTABLE_METADATA),
            ExtensionType::Unknown(MUTABLE_METADATA),
            ExtensionType::Unknown(MEMBERSHIP),
            ExtensionType::Unknown(PERMISSIONS),
            ExtensionType::Unknown(WELCOME_WRAPPER),
            ExtensionType::Unknown(WELCOME_POINTEE),
        ]),
        Some(&[ProposalType::GroupContextExtensions]),
        Some(&[CredentialType::Basic]),
    )
}

#[cfg(test)]
mod tests;
