//! Members of an inbox: its identifiers and its installations.

use std::fmt;

use serde::{Deserialize, Serialize};
use sotto_proto::associations as proto;

use super::identifier::Identifier;
use super::installation::InstallationId;

/// Whoever can be a member of an inbox and sign for it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberIdentifier {
    /// A wallet or a passkey.
    Identifier(Identifier),
    /// An installation key as the message has it; members always have 32 bytes.
    #[serde(with = "hex_bytes")]
    Installation(Vec<u8>),
}

impl MemberIdentifier {
    /// The form used in signature texts.
    #[must_use]
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        match self {
            Self::Identifier(identifier) => identifier.text(),
            Self::Installation(key) => hex::encode(key).into(),
        }
    }

    /// The installation, if it is one.
    #[must_use]
    pub fn installation(&self) -> Option<InstallationId> {
        match self {
            Self::Identifier(_) => None,
            Self::Installation(key) => InstallationId::try_from(key.as_slice()).ok(),
        }
    }

    /// The wallet or passkey, if it is one.
    #[must_use]
    pub fn identifier(&self) -> Option<&Identifier> {
        match self {
            Self::Identifier(identifier) => Some(identifier),
            Self::Installation(_) => None,
        }
    }

    /// `None` without a variant; nothing is normalised or checked.
    pub(super) fn from_proto(message: Option<proto::MemberIdentifier>) -> Option<Self> {
        use proto::member_identifier::Kind;
        Some(match message?.kind? {
            Kind::EthereumAddress(address) => Identifier::Ethereum(address).into(),
            Kind::InstallationPublicKey(key) => Self::Installation(key),
            Kind::Passkey(proto::Passkey { key, relying_party }) => {
                Identifier::Passkey { key, relying_party }.into()
            }
        })
    }

    pub(super) fn to_proto(&self) -> proto::MemberIdentifier {
        use proto::member_identifier::Kind;
        let kind = match self.clone() {
            Self::Identifier(Identifier::Ethereum(address)) => Kind::EthereumAddress(address),
            Self::Identifier(Identifier::Passkey { key, relying_party }) => {
                Kind::Passkey(proto::Passkey { key, relying_party })
            }
            Self::Installation(key) => Kind::InstallationPublicKey(key),
        };
        proto::MemberIdentifier { kind: Some(kind) }
    }
}

impl fmt::Display for MemberIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl From<Identifier> for MemberIdentifier {
    fn from(identifier: Identifier) -> Self {
        Self::Identifier(identifier)
    }
}

impl From<InstallationId> for MemberIdentifier {
    fn from(id: InstallationId) -> Self {
        Self::Installation(id.as_bytes().to_vec())
    }
}

/// One member of an inbox, and how it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who it is.
    pub identifier: MemberIdentifier,
    /// Who let it in; nobody for the one that created the inbox.
    pub added_by: Option<MemberIdentifier>,
    /// What the adding client's clock said, in nanoseconds since 1970; nothing for the creator.
    pub client_timestamp_ns: Option<u64>,
    /// The EIP-155 chain of a contract wallet.
    pub chain_id: Option<u64>,
}

impl Member {
    pub(super) fn from_proto(message: proto::Member) -> Option<Self> {
        let added_by = match message.added_by_entity {
            Some(entity) => Some(MemberIdentifier::from_proto(Some(entity))?),
            None => None,
        };
        Some(Self {
            identifier: MemberIdentifier::from_proto(message.identifier)?,
            added_by,
            client_timestamp_ns: message.client_timestamp_ns,
            chain_id: message.added_on_chain_id,
        })
    }

    pub(super) fn to_proto(&self) -> proto::Member {
        proto::Member {
            identifier: Some(self.identifier.to_proto()),
            added_by_entity: self.added_by.as_ref().map(MemberIdentifier::to_proto),
            client_timestamp_ns: self.client_timestamp_ns,
            added_on_chain_id: self.chain_id,
        }
    }
}

/// Bytes as hex where a person may read them, as bytes elsewhere.
pub(super) mod hex_bytes {
    use std::fmt;

    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&hex::encode(bytes))
        } else {
            serializer.serialize_bytes(bytes)
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Bytes)
        } else {
            deserializer.deserialize_byte_buf(Bytes)
        }
    }

    struct Bytes;

    impl<'de> Visitor<'de> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
            hex::decode(text).map_err(E::custom)
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_vec())
        }

        fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
            let mut bytes = Vec::new();
            while let Some(byte) = seq.next_element()? {
                bytes.push(byte);
            }
            Ok(bytes)
        }
    }
}
