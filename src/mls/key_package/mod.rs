//! Key packages: making our own, and checking those of others before adding them.
//!
//! Ours are last-resort key packages: one serves many Welcomes until it is rotated. When to rotate
//! and when to forget a superseded one is the engine's business.

mod own;

use super::crypto::Crypto;
use openmls::prelude::tls_codec::Deserialize as _;
use openmls::prelude::{
    CredentialType, ExtensionType, KeyPackage, KeyPackageIn, KeyPackageVerifyError, LeafNode,
    ProposalType, ProtocolVersion,
};
use prost::Message as _;
use sotto_proto::message_contents as proto;

use super::InstallationId;
use super::extensions::{self, WELCOME_POINTEE, WELCOME_WRAPPER};
use super::facts;
use super::group::CIPHERSUITE;
use super::welcome::kem::XWING_PUBLIC_KEY;
use super::welcome::{Recipient, WrapperAlgorithm};

pub use own::OwnKeyPackage;

/// How long a key package is valid, in seconds.
pub const LIFETIME: u64 = 84 * 24 * 60 * 60;
/// How far its validity reaches back, in seconds, for clocks that are behind.
pub const LIFETIME_MARGIN: u64 = 60 * 60;
/// The cipher of shared Welcomes, ChaCha20-Poly1305, by its number on the wire.
pub(super) const POINTEE_AEAD: i32 = 3;

/// The lifetime of something made at `now` (Unix seconds).
#[must_use]
pub fn lifetime_at(now: u64) -> (u64, u64) {
    (
        now.saturating_sub(LIFETIME_MARGIN),
        now.saturating_add(LIFETIME),
    )
}

/// Why a key package cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum KeyPackageFault {
    /// There is none.
    #[error("no key package")]
    Absent,
    /// The bytes are no key package, or something follows it.
    #[error("malformed")]
    Malformed,
    /// A signature, a key or an extension is not valid.
    #[error("not valid")]
    Invalid,
    /// Another ciphersuite than ours.
    #[error("wrong ciphersuite")]
    Ciphersuite,
    /// Not valid at this time, or for longer than allowed.
    #[error("lifetime")]
    Lifetime,
    /// The credential is not of our kind.
    #[error("credential")]
    Credential,
    /// It belongs to another installation or inbox than the one asked for.
    #[error("belongs to somebody else")]
    WrongOwner,
    /// It lacks a capability that our groups require.
    #[error("a required capability is missing")]
    Capabilities,
    /// The key to which a Welcome would be sealed is not usable.
    #[error("unusable welcome key")]
    WelcomeKey,
}

/// A key package of somebody else that may be added.
#[derive(Debug, Clone)]
pub struct VerifiedKeyPackage {
    inner: KeyPackage,
    inbox_id: String,
    recipient: Recipient,
}

impl VerifiedKeyPackage {
    /// The inbox it names.
    #[must_use]
    pub fn inbox_id(&self) -> &str {
        &self.inbox_id
    }

    /// The installation it belongs to.
    #[must_use]
    pub fn installation_id(&self) -> InstallationId {
        self.recipient.installation_id
    }

    /// Where and how its Welcome has to be sealed.
    #[must_use]
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    pub(super) fn into_inner(self) -> KeyPackage {
        self.inner
    }
}

/// Checks a key package that was fetched in order to add `installation` of `inbox`, at `now`
/// (Unix seconds). Empty bytes mean that there is none.
///
/// # Errors
///
/// The reason why it cannot be added.
pub fn validate_fetched(
    bytes: &[u8],
    installation: &InstallationId,
    inbox: &str,
    now: u64,
) -> Result<VerifiedKeyPackage, KeyPackageFault> {
    if bytes.is_empty() {
        return Err(KeyPackageFault::Absent);
    }
    let inner = parse(bytes, now)?;
    let leaf = inner.leaf_node();
    let (claimed, id) = facts::identity(leaf).ok_or(KeyPackageFault::Credential)?;
    if id != *installation || claimed != *inbox {
        return Err(KeyPackageFault::WrongOwner);
    }
    if !has_required_capabilities(leaf) {
        return Err(KeyPackageFault::Capabilities);
    }
    let recipient = recipient(&inner, id).ok_or(KeyPackageFault::WelcomeKey)?;
    Ok(VerifiedKeyPackage {
        inner,
        inbox_id: claimed,
        recipient,
    })
}

/// Checks a key package that is uploaded to a node at `now` (Unix seconds): form, signatures,
/// lifetime, credential. Whose it is.
///
/// # Errors
///
/// The reason why it cannot be stored.
pub fn validate_upload(bytes: &[u8], now: u64) -> Result<InstallationId, KeyPackageFault> {
    let key_package = parse(bytes, now)?;
    let identity = facts::identity(key_package.leaf_node());
    identity
        .map(|(_, id)| id)
        .ok_or(KeyPackageFault::Credential)
}

/// Decodes and verifies. The MLS library checks the lifetime last and by the clock of the machine;
/// `now` has to agree.
fn parse(bytes: &[u8], now: u64) -> Result<KeyPackage, KeyPackageFault> {
    let unverified =
        KeyPackageIn::tls_deserialize_exact(bytes).map_err(|_| KeyPackageFault::Malformed)?;
    let credential = unverified.unverified_credential().credential;
    if credential.credential_type() != CredentialType::Basic {
        return Err(KeyPackageFault::Credential);
    }
    let verified = unverified.validate(&Crypto, ProtocolVersion::Mls10);
    let key_package = verified.map_err(|error| match error {
        KeyPackageVerifyError::LifetimeError(_) => KeyPackageFault::Lifetime,
        _ => KeyPackageFault::Invalid,
    })?;
    if key_package.ciphersuite() != CIPHERSUITE {
        return Err(KeyPackageFault::Ciphersuite);
    }
    // Present in every key package that was verified.
    let lifetime = key_package.life_time();
    let valid_now = lifetime.not_before() <= now && now < lifetime.not_after();
    if !valid_now || !lifetime.has_acceptable_range() {
        return Err(KeyPackageFault::Lifetime);
    }
    Ok(key_package)
}

/// Whether a leaf can be in our groups. One that cannot would make the whole Commit invalid.
fn has_required_capabilities(leaf: &LeafNode) -> bool {
    let (can, required) = (leaf.capabilities(), extensions::required_capabilities());
    let extension = |kind: &ExtensionType| {
        *kind == ExtensionType::ApplicationId || can.extensions().contains(kind)
    };
    let proposal = |kind: &ProposalType| {
        *kind == ProposalType::GroupContextExtensions || can.proposals().contains(kind)
    };
    can.versions().contains(&ProtocolVersion::Mls10)
        && can.ciphersuites().contains(&CIPHERSUITE.into())
        && required.extension_types().iter().all(extension)
        && required.proposal_types().iter().all(proposal)
        && required
            .credential_types()
            .iter()
            .all(|kind| can.credentials().contains(kind))
}

/// Where a Welcome has to be sealed (mls.md 3.3).
fn recipient(key_package: &KeyPackage, installation_id: InstallationId) -> Option<Recipient> {
    let unknown = |number| key_package.extensions().unknown(number);
    let (algorithm, public_key) = match unknown(WELCOME_WRAPPER) {
        None => {
            let init_key = key_package.hpke_init_key().as_slice().to_vec();
            (WrapperAlgorithm::Curve25519, init_key)
        }
        Some(extension) => {
            let wrapper = proto::WelcomeWrapperEncryption::decode(extension.0.as_slice()).ok()?;
            let algorithm = match wrapper.algorithm {
                2 => WrapperAlgorithm::XWing,
                // A symmetric key is none that one could advertise.
                3 => return None,
                _ => WrapperAlgorithm::Curve25519,
            };
            (algorithm, wrapper.pub_key)
        }
    };
    let length = match algorithm {
        WrapperAlgorithm::Curve25519 => 32,
        WrapperAlgorithm::XWing => XWING_PUBLIC_KEY,
    };
    if public_key.len() != length {
        return None;
    }
    let takes_pointers = unknown(WELCOME_POINTEE).is_some_and(|extension| {
        let types =
            proto::WelcomePointeeEncryptionAeadTypesExtension::decode(extension.0.as_slice());
        types.is_ok_and(|types| types.supported_aead_types.contains(&POINTEE_AEAD))
    });
    Some(Recipient {
        installation_id,
        algorithm,
        public_key,
        takes_pointers: takes_pointers && algorithm == WrapperAlgorithm::XWing,
    })
}

#[cfg(test)]
mod tests;

/// When a usable key package is valid: (not before, not after) in Unix seconds.
///
/// # Errors
///
/// As [`validate_upload`].
pub fn lifetime_of(bytes: &[u8], now: u64) -> Result<(u64, u64), KeyPackageFault> {
    let key_package = parse(bytes, now)?;
    let lifetime = key_package.life_time();
    Ok((lifetime.not_before(), lifetime.not_after()))
}
