//! Identifiers: what a person owns outside of sotto and proves ownership of, a wallet or a passkey.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};
use sotto_proto::associations as proto;

use super::error::IdentifierError;

/// What kind of identifier; the numbers are those of the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifierKind {
    /// An Ethereum address: an externally owned account or a contract wallet.
    Ethereum = 1,
    /// A WebAuthn P-256 key.
    Passkey = 2,
}

impl IdentifierKind {
    /// The kind with this wire number; every unknown number, 0 included, reads as Ethereum.
    #[must_use]
    pub fn from_wire(number: i32) -> Self {
        if number == proto::IdentifierKind::Passkey as i32 {
            Self::Passkey
        } else {
            Self::Ethereum
        }
    }

    /// The wire number.
    #[must_use]
    pub fn to_wire(self) -> i32 {
        self as i32
    }
}

/// A wallet or a passkey.
///
/// The variants hold whatever a message said, for a reader must not normalise; user input goes
/// through [`Identifier::ethereum`] and [`Identifier::passkey`]. Addresses are compared as exact
/// strings, passkeys by their key bytes alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identifier {
    /// An address; canonical form: `0x` and 40 lower-case hex digits.
    Ethereum(String),
    /// A P-256 public key in SEC1 form, and the site that it was made for.
    Passkey {
        /// 33 or 65 bytes; another encoding of the same point is another identifier.
        #[serde(with = "super::member::hex_bytes")]
        key: Vec<u8>,
        /// The relying party, where known; takes no part in comparisons.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        relying_party: Option<String>,
    },
}

impl Identifier {
    /// The canonical identifier of an address that a user typed. The EIP-55 checksum is not
    /// looked at, so both cases are one address.
    ///
    /// # Errors
    /// Anything but `0x` and 40 hex digits.
    pub fn ethereum(input: &str) -> Result<Self, IdentifierError> {
        let digits = input.strip_prefix("0x").ok_or(IdentifierError::Address)?;
        if digits.len() != 40 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(IdentifierError::Address);
        }
        Ok(Self::Ethereum(input.to_ascii_lowercase()))
    }

    /// The identifier of a passkey given in hex, with or without `0x`.
    ///
    /// # Errors
    /// An odd number of digits or something else than hex. Whether it is a key of the curve
    /// shows when it signs.
    pub fn passkey(input: &str, relying_party: Option<String>) -> Result<Self, IdentifierError> {
        let digits = input.strip_prefix("0x").unwrap_or(input);
        let key = hex::decode(digits).map_err(|_| IdentifierError::Passkey)?;
        Ok(Self::Passkey { key, relying_party })
    }

    /// The identifier of that kind in user input; for a passkey without relying party.
    ///
    /// # Errors
    /// As [`Identifier::ethereum`] and [`Identifier::passkey`].
    pub fn parse(kind: IdentifierKind, input: &str) -> Result<Self, IdentifierError> {
        match kind {
            IdentifierKind::Ethereum => Self::ethereum(input),
            IdentifierKind::Passkey => Self::passkey(input, None),
        }
    }

    /// What a message says, unnormalised; `None` if a passkey is not hex.
    pub fn from_wire(kind: i32, text: String, relying_party: Option<String>) -> Option<Self> {
        match IdentifierKind::from_wire(kind) {
            IdentifierKind::Ethereum => Some(Self::Ethereum(text)),
            IdentifierKind::Passkey => Self::passkey(&text, relying_party).ok(),
        }
    }

    /// The form used in inbox IDs, signature texts and look-ups.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match self {
            Self::Ethereum(address) => Cow::Borrowed(address),
            Self::Passkey { key, .. } => Cow::Owned(hex::encode(key)),
        }
    }

    /// Which kind this is.
    #[must_use]
    pub fn kind(&self) -> IdentifierKind {
        match self {
            Self::Ethereum(_) => IdentifierKind::Ethereum,
            Self::Passkey { .. } => IdentifierKind::Passkey,
        }
    }

    /// The relying party of a passkey, where known.
    #[must_use]
    pub fn relying_party(&self) -> Option<&str> {
        match self {
            Self::Ethereum(_) => None,
            Self::Passkey { relying_party, .. } => relying_party.as_deref(),
        }
    }

    /// Whether some key or contract can ever sign as this identifier: a lower-case address, or
    /// an encoding of a P-256 point.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        match self {
            Self::Ethereum(address) => {
                Self::ethereum(address).is_ok() && !address.bytes().any(|b| b.is_ascii_uppercase())
            }
            Self::Passkey { key, .. } => p256::PublicKey::from_sec1_bytes(key).is_ok(),
        }
    }

    fn comparable(&self) -> (IdentifierKind, &[u8]) {
        match self {
            Self::Ethereum(address) => (IdentifierKind::Ethereum, address.as_bytes()),
            Self::Passkey { key, .. } => (IdentifierKind::Passkey, key),
        }
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl PartialEq for Identifier {
    fn eq(&self, other: &Self) -> bool {
        self.comparable() == other.comparable()
    }
}

impl Eq for Identifier {}

impl PartialOrd for Identifier {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Identifier {
    fn cmp(&self, other: &Self) -> Ordering {
        self.comparable().cmp(&other.comparable())
    }
}

impl Hash for Identifier {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.comparable().hash(state);
    }
}
