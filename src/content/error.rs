//! What can be wrong with content. Messages name the place, never the plaintext.

use super::ContentKind;

/// Why content could not be read or made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// Larger than one message may be: send it as a remote attachment.
    #[error("content has {got} bytes, at most {max} fit in a message")]
    PayloadTooLarge {
        /// The limit, in bytes.
        max: usize,
        /// What was given, in bytes.
        got: usize,
    },
    /// Bytes that should be a protobuf are not.
    #[error("{what} is not valid protobuf")]
    Protobuf {
        /// Which message was expected.
        what: &'static str,
    },
    /// Bytes that should be UTF-8 are not.
    #[error("{what} is not valid UTF-8")]
    Utf8 {
        /// Which text was expected.
        what: &'static str,
    },
    /// Bytes that should be a JSON object of a known shape are not.
    #[error("{what} is not the expected JSON: line {line}, column {column}")]
    Json {
        /// Which object was expected.
        what: &'static str,
        /// Where reading stopped, from 1.
        line: usize,
        /// Where reading stopped, from 1.
        column: usize,
    },
    /// A parameter that the type needs is absent.
    #[error("parameter {0} is missing")]
    MissingParameter(&'static str),
    /// A member or parameter has a value that its type does not allow.
    #[error("{what} {problem}")]
    Invalid {
        /// Which member.
        what: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The content is of another type than asked for.
    #[error("content is not of type {}", .expected.type_id())]
    WrongType {
        /// The type asked for.
        expected: ContentKind,
    },
    /// A compression that this version does not know.
    #[error("unknown compression {0}")]
    UnknownCompression(i32),
    /// Compressed bytes that do not decompress.
    #[error("compressed content is damaged")]
    Decompression,
    /// Compressed bytes that would become larger than we are ready to hold.
    #[error("content decompresses to more than {max} bytes")]
    DecompressedTooLarge {
        /// The limit, in bytes.
        max: usize,
    },
    /// The downloaded payload is not the one that the sender uploaded.
    #[error("attachment does not have the announced digest")]
    DigestMismatch,
    /// The payload does not open with the announced secret.
    #[error("attachment cannot be decrypted")]
    AttachmentSealed,
}

impl ContentError {
    /// `what` is not the JSON it should be.
    pub(super) fn json(what: &'static str) -> impl Fn(serde_json::Error) -> Self {
        move |error| Self::Json {
            what,
            line: error.line(),
            column: error.column(),
        }
    }

    /// `what` is not the protobuf it should be.
    pub(super) fn protobuf(what: &'static str) -> impl Fn(prost::DecodeError) -> Self {
        move |_| Self::Protobuf { what }
    }
}
