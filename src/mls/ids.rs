//! Placeholder until `identity` lands.
#![allow(missing_docs)]
use ed25519_dalek::{Signer as _, SigningKey};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboxId(String);
impl InboxId {
    pub fn as_str(&self) -> &str { &self.0 }
}
impl From<String> for InboxId { fn from(s: String) -> Self { Self(s) } }
impl From<&str> for InboxId { fn from(s: &str) -> Self { Self(s.to_owned()) } }
impl std::fmt::Display for InboxId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&self.0) }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstallationId(pub [u8; 32]);
impl InstallationId {
    pub fn as_bytes(&self) -> &[u8; 32] { &self.0 }
}
impl std::fmt::Debug for InstallationId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(&hex::encode(self.0)) }
}

#[derive(Clone)]
pub struct InstallationKey(SigningKey);
impl InstallationKey {
    pub fn from_seed(seed: &[u8; 32]) -> Self { Self(SigningKey::from_bytes(seed)) }
    pub fn id(&self) -> InstallationId { InstallationId(self.0.verifying_key().to_bytes()) }
    pub fn sign_mls(&self, payload: &[u8]) -> [u8; 64] { self.0.sign(payload).to_bytes() }
}
