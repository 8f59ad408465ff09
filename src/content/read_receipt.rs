//! `readReceipt`: the sender has read the conversation up to where this message stands.

use serde::{Deserialize, Serialize};

use super::{ContentError, ContentKind, ContentType, EncodedContent};

/// A read receipt. It says nothing but that it is there; an empty object in JavaScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReadReceipt {}

impl ContentType for ReadReceipt {
    const KIND: ContentKind = ContentKind::ReadReceipt;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        Ok(EncodedContent::new(Self::KIND, []))
    }

    fn parse(_: &EncodedContent) -> Result<Self, ContentError> {
        Ok(Self {})
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_read_receipt_is_a_type_and_nothing_else() {
        let encoded = ReadReceipt {}.encode().unwrap();
        assert_eq!(
            encoded.to_bytes(),
            b"\x0a\x19\x0a\x08xmtp.org\x12\x0breadReceipt\x18\x01"
        );
        assert_eq!(ReadReceipt::decode(&encoded), Ok(ReadReceipt {}));
    }

    #[test]
    fn what_a_newer_client_puts_into_one_does_not_matter() {
        let encoded = EncodedContent::new(ContentKind::ReadReceipt, b"later".as_slice());
        assert_eq!(ReadReceipt::decode(&encoded), Ok(ReadReceipt {}));
    }

    #[test]
    fn it_is_an_empty_object_in_javascript() {
        assert_eq!(serde_json::to_string(&ReadReceipt {}).unwrap(), "{}");
    }
}
