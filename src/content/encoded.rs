//! `EncodedContent`: content with the name of its type, as it travels in an envelope.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use prost::Message;
use serde::{Deserialize, Serialize};
use sotto_proto::message_contents as proto;

use super::compression::{gunzip, inflate};
use super::{ContentError, ContentKind};

/// The most bytes that an encoded `EncodedContent` we send may have.
pub const MAX_CONTENT_BYTES: usize = 1 << 20;

/// The name of a content type: who defines it, what it is called, and its version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContentTypeId {
    /// Who defines the type, such as `xmtp.org`.
    pub authority_id: String,
    /// The name of the type, such as `text`.
    pub type_id: String,
    /// Raised by changes that old readers cannot read.
    pub version_major: u32,
    /// Raised by changes that old readers can ignore.
    pub version_minor: u32,
}

impl fmt::Display for ContentTypeId {
    /// `authority/type:major.minor`, the form in which replies name the type of their content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}:{}.{}",
            self.authority_id, self.type_id, self.version_major, self.version_minor
        )
    }
}

/// How the content bytes are compressed. A plain number in JavaScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "i32", into = "i32")]
pub enum Compression {
    /// Deflate (0), with or without the zlib wrapping.
    Deflate,
    /// Gzip (1).
    Gzip,
    /// A number that we do not know.
    Other(i32),
}

impl From<i32> for Compression {
    fn from(number: i32) -> Self {
        match number {
            0 => Self::Deflate,
            1 => Self::Gzip,
            other => Self::Other(other),
        }
    }
}

impl From<Compression> for i32 {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::Deflate => 0,
            Compression::Gzip => 1,
            Compression::Other(other) => other,
        }
    }
}

/// Content with the name of its type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EncodedContent {
    /// The type; absent only in what broken clients send.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<ContentTypeId>,
    /// What the type wants said beside the bytes.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// Text to show where the type is not understood. Absent, empty and set are three things.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// How `content` is compressed, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// The content itself, in the form that the type defines.
    #[serde(with = "serde_bytes")]
    pub content: Vec<u8>,
}

impl EncodedContent {
    /// Content of a known kind, without parameters or fallback.
    #[must_use]
    pub fn new(kind: ContentKind, content: impl Into<Vec<u8>>) -> Self {
        Self {
            content_type: Some(kind.content_type()),
            content: content.into(),
            ..Self::default()
        }
    }

    /// The same with a fallback text.
    #[must_use]
    pub fn with_fallback(mut self, fallback: impl Into<String>) -> Self {
        self.fallback = Some(fallback.into());
        self
    }

    /// The same with a parameter.
    #[must_use]
    pub fn with_parameter(mut self, name: &str, value: impl Into<String>) -> Self {
        self.parameters.insert(name.to_owned(), value.into());
        self
    }

    /// The kind, if we know the type.
    #[must_use]
    pub fn kind(&self) -> Option<ContentKind> {
        self.content_type.as_ref().and_then(ContentKind::of)
    }

    /// A parameter, if it was given.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    /// A parameter that has to be there.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, ContentError> {
        self.parameter(name)
            .ok_or(ContentError::MissingParameter(name))
    }

    /// Reads the protobuf.
    ///
    /// # Errors
    /// [`ContentError::Protobuf`]; the message is then of unknown type, and is kept.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContentError> {
        proto::EncodedContent::decode(bytes)
            .map(Self::from)
            .map_err(ContentError::protobuf("EncodedContent"))
    }

    /// The protobuf, fields and parameters in order, so that equal content has equal bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        proto::EncodedContent::from(self.clone()).encode_to_vec()
    }

    /// [`EncodedContent::to_bytes`] for a message that is about to be sent.
    ///
    /// # Errors
    /// [`ContentError::PayloadTooLarge`] above [`MAX_CONTENT_BYTES`].
    pub fn to_sendable_bytes(&self) -> Result<Vec<u8>, ContentError> {
        let bytes = self.to_bytes();
        if bytes.len() > MAX_CONTENT_BYTES {
            return Err(ContentError::PayloadTooLarge {
                max: MAX_CONTENT_BYTES,
                got: bytes.len(),
            });
        }
        Ok(bytes)
    }

    /// The same content without compression.
    ///
    /// # Errors
    /// [`ContentError::UnknownCompression`], [`ContentError::Decompression`], and
    /// [`ContentError::DecompressedTooLarge`] above [`super::MAX_DECOMPRESSED_BYTES`].
    pub fn decompressed(&self) -> Result<Cow<'_, Self>, ContentError> {
        let content = match self.compression {
            None => return Ok(Cow::Borrowed(self)),
            Some(Compression::Gzip) => gunzip(&self.content),
            Some(Compression::Deflate) => inflate(&self.content),
            Some(Compression::Other(other)) => Err(ContentError::UnknownCompression(other)),
        }?;
        Ok(Cow::Owned(Self {
            content,
            compression: None,
            content_type: self.content_type.clone(),
            parameters: self.parameters.clone(),
            fallback: self.fallback.clone(),
        }))
    }
}

impl From<proto::EncodedContent> for EncodedContent {
    fn from(content: proto::EncodedContent) -> Self {
        Self {
            content_type: content.r#type.map(|id| ContentTypeId {
                authority_id: id.authority_id,
                type_id: id.type_id,
                version_major: id.version_major,
                version_minor: id.version_minor,
            }),
            parameters: content.parameters,
            fallback: content.fallback,
            compression: content.compression.map(Compression::from),
            content: content.content,
        }
    }
}

impl From<EncodedContent> for proto::EncodedContent {
    fn from(content: EncodedContent) -> Self {
        Self {
            r#type: content.content_type.map(|id| proto::ContentTypeId {
                authority_id: id.authority_id,
                type_id: id.type_id,
                version_major: id.version_major,
                version_minor: id.version_minor,
            }),
            parameters: content.parameters,
            fallback: content.fallback,
            compression: content.compression.map(i32::from),
            content: content.content,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn sample() -> EncodedContent {
        EncodedContent {
            content_type: Some(ContentTypeId {
                authority_id: "example.org".to_owned(),
                type_id: "poll".to_owned(),
                version_major: 3,
                version_minor: 1,
            }),
            parameters: [
                ("b".to_owned(), "2".to_owned()),
                ("a".to_owned(), "1".to_owned()),
            ]
            .into(),
            fallback: Some("a poll".to_owned()),
            compression: None,
            content: vec![1, 2, 3],
        }
    }

    #[test]
    fn fields_are_written_in_the_order_of_their_numbers() {
        let mut content = sample();
        content.compression = Some(Compression::Gzip);
        let bytes = content.to_bytes();
        let expected = [
            &b"\x0a\x17\x0a\x0bexample.org\x12\x04poll\x18\x03\x20\x01"[..],
            b"\x12\x06\x0a\x01a\x12\x011\x12\x06\x0a\x01b\x12\x012",
            b"\x1a\x06a poll",
            b"\x22\x03\x01\x02\x03",
            b"\x28\x01",
        ]
        .concat();
        assert_eq!(bytes, expected);
        assert_eq!(EncodedContent::from_bytes(&bytes).unwrap(), content);
    }

    #[test]
    fn absent_empty_and_set_fallbacks_stay_apart() {
        for fallback in [None, Some(String::new()), Some("x".to_owned())] {
            let content = EncodedContent {
                fallback: fallback.clone(),
                ..sample()
            };
            let read = EncodedContent::from_bytes(&content.to_bytes()).unwrap();
            assert_eq!(read.fallback, fallback);
        }
    }

    #[test]
    fn compression_0_is_deflate_and_not_the_absence_of_one() {
        let content = EncodedContent {
            compression: Some(Compression::Deflate),
            ..sample()
        };
        let bytes = content.to_bytes();
        assert!(bytes.ends_with(&[0x28, 0]));
        assert_eq!(
            EncodedContent::from_bytes(&bytes).unwrap().compression,
            Some(Compression::Deflate)
        );
    }

    #[test]
    fn an_unknown_compression_survives_and_is_not_read() {
        let content = EncodedContent {
            compression: Some(Compression::Other(9)),
            ..sample()
        };
        let read = EncodedContent::from_bytes(&content.to_bytes()).unwrap();
        assert_eq!(read, content);
        assert_eq!(
            read.decompressed(),
            Err(ContentError::UnknownCompression(9))
        );
    }

    #[test]
    fn one_mebibyte_may_be_sent_and_one_byte_more_may_not() {
        let overhead = EncodedContent::new(ContentKind::Text, vec![0; 900_000])
            .to_bytes()
            .len()
            - 900_000;
        let fits = EncodedContent::new(ContentKind::Text, vec![0; MAX_CONTENT_BYTES - overhead]);
        assert_eq!(fits.to_sendable_bytes().unwrap().len(), MAX_CONTENT_BYTES);
        let larger =
            EncodedContent::new(ContentKind::Text, vec![0; MAX_CONTENT_BYTES - overhead + 1]);
        assert_eq!(
            larger.to_sendable_bytes(),
            Err(ContentError::PayloadTooLarge {
                max: MAX_CONTENT_BYTES,
                got: MAX_CONTENT_BYTES + 1
            })
        );
    }

    #[test]
    fn decompressed_content_keeps_everything_else() {
        let content = EncodedContent {
            compression: Some(Compression::Deflate),
            // A stored block of three bytes.
            content: b"\x01\x03\x00\xfc\xff\x01\x02\x03".to_vec(),
            ..sample()
        };
        assert_eq!(content.decompressed().unwrap().into_owned(), sample());
        let broken = EncodedContent {
            compression: Some(Compression::Gzip),
            ..sample()
        };
        assert_eq!(broken.decompressed(), Err(ContentError::Decompression));
    }

    #[test]
    fn json_has_the_names_that_javascript_sees() {
        let json = serde_json::to_value(sample()).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "type": {"authorityId": "example.org", "typeId": "poll", "versionMajor": 3, "versionMinor": 1},
                "parameters": {"a": "1", "b": "2"},
                "fallback": "a poll",
                "content": [1, 2, 3],
            })
        );
        assert_eq!(
            serde_json::from_value::<EncodedContent>(json).unwrap(),
            sample()
        );
    }
}
