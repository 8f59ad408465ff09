//! The plaintext of an application message, and the id that everyone derives from it.

use std::fmt;
use std::str::FromStr;

use prost::Message;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use sotto_proto::message_contents as proto;

use super::ContentError;

/// What stands between the parts that a message id is the hash of.
const SEPARATOR: [u8; 1] = [0x09];

/// The id of a message: the same for its sender and every receiver. Shown as 64 hex characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub [u8; 32]);

impl MessageId {
    /// The id of a message in `group_id`; `content` is the content field of its envelope.
    #[must_use]
    pub fn of(group_id: &[u8], idempotency_key: &str, content: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(group_id);
        hash.update(SEPARATOR);
        hash.update(idempotency_key.as_bytes());
        hash.update(SEPARATOR);
        hash.update(content);
        Self(hash.finalize().into())
    }

    /// The id of the entry we write for a commit, from the node's time of it in nanoseconds.
    #[must_use]
    pub fn of_commit(group_id: &[u8], created_ns: u64, content: &[u8]) -> Self {
        Self::of(group_id, &created_ns.to_string(), content)
    }

    /// The id of the entry we write on joining, from the node's time of the Welcome.
    #[must_use]
    pub fn of_welcome(group_id: &[u8], created_ns: u64, content: &[u8]) -> Self {
        Self::of(group_id, &format!("{created_ns}_welcome_added"), content)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MessageId({self})")
    }
}

impl FromStr for MessageId {
    type Err = ContentError;

    /// Reads 64 hex characters.
    fn from_str(text: &str) -> Result<Self, ContentError> {
        let mut id = [0; 32];
        hex::decode_to_slice(text, &mut id).map_err(|_| ContentError::Invalid {
            what: "message id",
            problem: "is not 64 hex characters",
        })?;
        Ok(Self(id))
    }
}

impl TryFrom<&[u8]> for MessageId {
    type Error = ContentError;

    fn try_from(bytes: &[u8]) -> Result<Self, ContentError> {
        match bytes.try_into() {
            Ok(id) => Ok(Self(id)),
            Err(_) => Err(ContentError::Invalid {
                what: "message id",
                problem: "is not 32 bytes",
            }),
        }
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// An envelope of the kind that users' messages have (version 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaintextEnvelope {
    /// An encoded `EncodedContent`; the bytes themselves, as the message id is about them.
    pub content: Vec<u8>,
    /// What makes two sendings of equal content one message, or two. Officially the sender's time
    /// in nanoseconds, in decimal; it says nothing about when the message was sent.
    pub idempotency_key: String,
}

/// What decrypted application data turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Envelope {
    /// A message.
    Message(PlaintextEnvelope),
    /// Device sync as old clients spoke it: store nothing, advance the cursor.
    LegacyDeviceSync,
    /// Neither version: store nothing, advance the cursor.
    Empty,
}

impl Envelope {
    /// Reads decrypted application data.
    ///
    /// # Errors
    /// [`ContentError::Protobuf`]: skip the message, advance the cursor.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContentError> {
        use proto::plaintext_envelope::Content;
        let envelope = proto::PlaintextEnvelope::decode(bytes)
            .map_err(ContentError::protobuf("PlaintextEnvelope"))?;
        Ok(match envelope.content {
            Some(Content::V1(v1)) => Self::Message(PlaintextEnvelope {
                content: v1.content,
                idempotency_key: v1.idempotency_key,
            }),
            Some(Content::V2(_)) => Self::LegacyDeviceSync,
            None => Self::Empty,
        })
    }
}

impl PlaintextEnvelope {
    /// The application data to encrypt.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        use proto::plaintext_envelope::{Content, V1};
        let v1 = V1 {
            content: self.content.clone(),
            idempotency_key: self.idempotency_key.clone(),
        };
        proto::PlaintextEnvelope {
            content: Some(Content::V1(v1)),
        }
        .encode_to_vec()
    }

    /// The id of this message in `group_id`.
    #[must_use]
    pub fn message_id(&self, group_id: &[u8]) -> MessageId {
        MessageId::of(group_id, &self.idempotency_key, &self.content)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::content::{ContentType, Text};

    /// spec/mls.md A.6.
    const CONTENT: &str = "0a120a08786d74702e6f7267120474657874180112110a08656e636f64696e6712055554462d38220568656c6c6f";
    const ENVELOPE: &str = "0a350a2e0a120a08786d74702e6f7267120474657874180112110a08656e636f64696e6712055554462d38220568656c6c6f1203616263";
    const ID: &str = "1ba98154e77717b070e0721f5387da8466e17457939474e2c1cc0004b0735db7";

    fn group_id() -> Vec<u8> {
        (0..16).collect()
    }

    #[test]
    fn a_text_has_the_bytes_and_the_id_of_the_vector() {
        let content = Text::from("hello").encode().unwrap().to_bytes();
        assert_eq!(hex::encode(&content), CONTENT);
        let envelope = PlaintextEnvelope {
            content,
            idempotency_key: "abc".to_owned(),
        };
        assert_eq!(hex::encode(envelope.to_bytes()), ENVELOPE);
        assert_eq!(envelope.message_id(&group_id()).to_string(), ID);
    }

    #[test]
    fn the_envelope_of_the_vector_is_read() {
        let bytes = hex::decode(ENVELOPE).unwrap();
        let Envelope::Message(envelope) = Envelope::from_bytes(&bytes).unwrap() else {
            panic!("not a message");
        };
        assert_eq!(hex::encode(&envelope.content), CONTENT);
        assert_eq!(envelope.idempotency_key, "abc");
    }

    #[test]
    fn content_that_is_not_protobuf_is_still_a_message_with_an_id() {
        let sent = PlaintextEnvelope {
            content: vec![0xff, 0xff],
            idempotency_key: String::new(),
        };
        let read = Envelope::from_bytes(&sent.to_bytes()).unwrap();
        assert_eq!(read, Envelope::Message(sent));
    }

    #[test]
    fn old_device_sync_and_empty_envelopes_are_to_be_ignored() {
        let v2 = [&b"\x12\x08\x0a\x01k\x12\x03"[..], b"\x01\x02\x03"].concat();
        assert_eq!(Envelope::from_bytes(&v2), Ok(Envelope::LegacyDeviceSync));
        assert_eq!(Envelope::from_bytes(&[]), Ok(Envelope::Empty));
        // A version from the future is not a message of ours either.
        assert_eq!(Envelope::from_bytes(b"\x1a\x01x"), Ok(Envelope::Empty));
    }

    #[test]
    fn cut_envelopes_are_errors_or_empty_and_never_another_message() {
        let bytes = hex::decode(ENVELOPE).unwrap();
        for cut in 1..bytes.len() {
            let part: Vec<u8> = bytes.iter().copied().take(cut).collect();
            assert!(Envelope::from_bytes(&part).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn the_parts_of_an_id_do_not_run_into_each_other() {
        let id = |group: &[u8], key, content: &[u8]| MessageId::of(group, key, content);
        assert_ne!(id(b"g", "ab", b"c"), id(b"g", "a", b"bc"));
        assert_ne!(id(b"ga", "b", b"c"), id(b"g", "ab", b"c"));
        assert_ne!(
            MessageId::of_commit(b"g", 5, b"c"),
            MessageId::of_welcome(b"g", 5, b"c")
        );
    }

    #[test]
    fn an_id_is_read_from_64_hex_characters_and_nothing_else() {
        let id: MessageId = ID.parse().unwrap();
        assert_eq!(id.to_string(), ID);
        assert_eq!(ID.to_uppercase().parse::<MessageId>().unwrap(), id);
        assert!(ID.get(2..).unwrap().parse::<MessageId>().is_err());
        assert!("z".repeat(64).parse::<MessageId>().is_err());
        assert!("".parse::<MessageId>().is_err());
    }
}
