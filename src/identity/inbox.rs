//! Inbox IDs: one user, whatever wallets, passkeys and installations come and go.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::error::IdentifierError;
use super::identifier::Identifier;

/// The nonce of an inbox whose creator gave none.
pub const DEFAULT_NONCE: u64 = 1;

/// An inbox ID: 64 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InboxId(String);

impl InboxId {
    /// Takes exactly 64 lower-case hex digits.
    ///
    /// # Errors
    /// Anything else, upper case included: inbox IDs are compared as strings.
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == 64 && text.bytes().all(digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdentifierError::InboxId)
        }
    }

    /// The ID of the inbox that `identifier` creates with `nonce`: the SHA-256 of the
    /// identifier's text and the decimal nonce. It stays the same for ever.
    #[must_use]
    pub fn derive(identifier: &Identifier, nonce: u64) -> Self {
        let digest = Sha256::new()
            .chain_update(identifier.text().as_bytes())
            .chain_update(nonce.to_string());
        Self(hex::encode(digest.finalize()))
    }

    /// The 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InboxId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for InboxId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for InboxId {
    type Err = IdentifierError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for InboxId {
    type Error = IdentifierError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<InboxId> for String {
    fn from(id: InboxId) -> Self {
        id.0
    }
}
