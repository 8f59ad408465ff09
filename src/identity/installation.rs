//! Installation keys: one Ed25519 key for each install of an app. It signs identity updates and
//! texts of the app with Ed25519ph (RFC 8032, 5.1), each under its own context, and MLS content
//! with plain Ed25519.

use std::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha512};

use super::error::{IdentifierError, IdentityError};
use super::member::hex_bytes;

const IDENTITY_CONTEXT: &[u8] = b"IDENTITY UPDATE SIGNATURE";
const PUBLIC_CONTEXT: &[u8] = b"PUBLIC SIGNATURE CONTEXT";

/// An installation's ID: its Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstallationId([u8; 32]);

impl InstallationId {
    /// The ID with these bytes; whether they are a key shows when a signature is verified.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The ID in hex of either case.
    ///
    /// # Errors
    /// Anything but 64 hex digits.
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| IdentifierError::InstallationId)?;
        Ok(Self(bytes))
    }

    /// The public key.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 lower-case hex digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Whether the key is one of the few of small order, under which a signature proves nothing.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| key.is_weak())
    }

    /// Whether the bytes encode a point of the curve.
    pub(super) fn is_on_curve(&self) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok()
    }

    /// Checks a signature made with [`InstallationKey::sign_public`].
    ///
    /// # Errors
    /// [`IdentityError::InvalidSignature`].
    pub fn verify_public(&self, text: &str, signature: &[u8]) -> Result<(), IdentityError> {
        self.verify(text, PUBLIC_CONTEXT, signature)
    }

    /// Checks a signature made with [`InstallationKey::sign_text`].
    ///
    /// # Errors
    /// [`IdentityError::InvalidSignature`].
    pub fn verify_text(&self, text: &str, signature: &[u8]) -> Result<(), IdentityError> {
        self.verify(text, IDENTITY_CONTEXT, signature)
    }

    /// The cofactorless equation with a canonical S; keys of small order pass, as whether a log
    /// resolves must not depend on who reads it. A node refuses them before they enter a log.
    fn verify(&self, text: &str, context: &[u8], signature: &[u8]) -> Result<(), IdentityError> {
        let invalid = |_| IdentityError::InvalidSignature("installation key");
        let key = VerifyingKey::from_bytes(&self.0).map_err(invalid)?;
        let signature = Signature::from_slice(signature).map_err(invalid)?;
        key.verify_prehashed(Sha512::new_with_prefix(text), Some(context), &signature)
            .map_err(invalid)
    }
}

impl fmt::Display for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for InstallationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InstallationId({self})")
    }
}

impl std::str::FromStr for InstallationId {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<&[u8]> for InstallationId {
    type Error = IdentifierError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| IdentifierError::InstallationId)
    }
}

impl Serialize for InstallationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex_bytes::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for InstallationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = hex_bytes::deserialize(deserializer)?;
        Self::try_from(bytes.as_slice()).map_err(serde::de::Error::custom)
    }
}

/// An installation's private key. Erased from memory when dropped, never printed.
#[derive(Clone)]
pub struct InstallationKey(SigningKey);

impl InstallationKey {
    /// The key with this Ed25519 seed: 32 bytes from a cryptographic random source, or those
    /// that [`InstallationKey::seed`] gave.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    /// The seed, for storage alone.
    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// The public key.
    #[must_use]
    pub fn id(&self) -> InstallationId {
        InstallationId(self.0.verifying_key().to_bytes())
    }

    /// Signs the text of an identity update.
    #[must_use]
    pub fn sign_text(&self, text: &str) -> [u8; 64] {
        self.sign(text, IDENTITY_CONTEXT)
    }

    /// Signs a text of the app. Such a signature can never stand in an identity update.
    #[must_use]
    pub fn sign_public(&self, text: &str) -> [u8; 64] {
        self.sign(text, PUBLIC_CONTEXT)
    }

    /// Signs MLS content: plain Ed25519, as the cipher suite says.
    #[must_use]
    pub fn sign_mls(&self, content: &[u8]) -> [u8; 64] {
        self.0.sign(content).to_bytes()
    }

    fn sign(&self, text: &str, context: &'static [u8]) -> [u8; 64] {
        let prehash = Sha512::new_with_prefix(text);
        let Ok(signature) = self.0.sign_prehashed(prehash, Some(context)) else {
            unreachable!("a context of less than 256 bytes can be signed with");
        };
        signature.to_bytes()
    }
}

impl fmt::Debug for InstallationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstallationKey([redacted])")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ed25519_dalek::Verifier;

    use super::*;

    fn key() -> InstallationKey {
        InstallationKey::from_seed(&[7; 32])
    }

    #[test]
    fn the_three_kinds_of_signature_cannot_stand_for_each_other() {
        let (key, id) = (key(), key().id());
        let text = "text";
        let (identity, public) = (key.sign_text(text), key.sign_public(text));
        let mls = key.sign_mls(text.as_bytes());
        assert_eq!(id.verify_text(text, &identity), Ok(()));
        assert_eq!(id.verify_public(text, &public), Ok(()));
        assert!(id.verify_text(text, &public).is_err());
        assert!(id.verify_public(text, &identity).is_err());
        assert!(id.verify_text(text, &mls).is_err());
        assert!(id.verify_public(text, &mls).is_err());
        let plain = VerifyingKey::from_bytes(id.as_bytes()).unwrap();
        let verify =
            |bytes: &[u8; 64]| plain.verify(text.as_bytes(), &Signature::from_bytes(bytes));
        assert!(verify(&mls).is_ok());
        assert!(verify(&identity).is_err() && verify(&public).is_err());
    }

    #[test]
    fn a_signature_is_for_one_text_by_one_key() {
        let other = InstallationKey::from_seed(&[8; 32]).id();
        let signature = key().sign_public("text");
        assert!(key().id().verify_public("texts", &signature).is_err());
        assert!(other.verify_public("text", &signature).is_err());
        assert!(key().id().verify_public("text", &signature[..63]).is_err());
    }

    #[test]
    fn ids_are_read_and_written_as_hex_and_as_bytes() {
        let id = key().id();
        assert_eq!(InstallationId::parse(&id.to_hex()), Ok(id));
        assert_eq!(InstallationId::parse(&id.to_hex().to_uppercase()), Ok(id));
        assert_eq!(InstallationId::try_from(id.as_bytes().as_slice()), Ok(id));
        for bad in ["", "07", &id.to_hex()[2..], &format!("0x{}", id.to_hex())] {
            assert_eq!(
                InstallationId::parse(bad),
                Err(IdentifierError::InstallationId)
            );
        }
        assert!(InstallationId::try_from(&[7; 31][..]).is_err());
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{id}\""));
        assert_eq!(serde_json::from_str::<InstallationId>(&json).unwrap(), id);
        assert!(serde_json::from_str::<InstallationId>("\"07\"").is_err());
        assert!(!id.is_weak());
    }
}
