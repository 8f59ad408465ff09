//! The outcome of an RPC as the wire names it: a gRPC code and a sentence.
//!
//! Messages are read by strangers: they name the rule that was broken, never payloads, keys,
//! addresses or what the storage engine said.

use std::{borrow::Cow, fmt, time::Duration};

/// The gRPC status codes that this node answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// Done.
    Ok = 0,
    /// Malformed or refused input.
    InvalidArgument = 3,
    /// A rate or size limit, or a full inbox log.
    ResourceExhausted = 8,
    /// A subscriber that does not read fast enough.
    Aborted = 10,
    /// An unknown method, or one that this transport cannot carry.
    Unimplemented = 12,
    /// A storage failure.
    Internal = 13,
    /// Shutting down, not caught up, or a chain that could not be asked.
    Unavailable = 14,
}

impl Code {
    /// Every code, for metrics.
    pub const ALL: [Code; 7] = [
        Code::Ok,
        Code::InvalidArgument,
        Code::ResourceExhausted,
        Code::Aborted,
        Code::Unimplemented,
        Code::Internal,
        Code::Unavailable,
    ];
}

/// Why an RPC failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The gRPC code.
    pub code: Code,
    /// One sentence for the caller.
    pub message: Cow<'static, str>,
    /// When trying again may help.
    pub retry_after: Option<Duration>,
}

impl Status {
    /// A status without a retry hint.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Malformed or refused input.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// A size or number limit.
    pub fn exhausted(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::ResourceExhausted, message)
    }

    /// A rate limit, with the time after which there is room again.
    pub fn limited(after: Duration) -> Self {
        Self {
            retry_after: Some(after),
            ..Self::exhausted("rate limit exceeded")
        }
    }

    /// The node is shutting down.
    pub fn draining() -> Self {
        Self::new(Code::Unavailable, "the node is shutting down")
    }

    /// A storage failure; the cause goes to the log, not to the caller.
    pub fn storage(error: &dyn fmt::Display) -> Self {
        tracing::error!(%error, "storage failure");
        Self::new(Code::Internal, "storage failure")
    }

    /// `grpc-message` as headers and trailers carry it: percent-encoded, printable ASCII.
    pub fn encoded_message(&self) -> String {
        let mut out = String::with_capacity(self.message.len());
        for &byte in self.message.as_bytes() {
            match byte {
                b'%' => out.push_str("%25"),
                0x20..=0x7e => out.push(byte as char),
                _ => out.push_str(&format!("%{byte:02X}")),
            }
        }
        out
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.code, self.message)
    }
}

impl std::error::Error for Status {}

impl From<rusqlite::Error> for Status {
    fn from(error: rusqlite::Error) -> Self {
        Self::storage(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_percent_encoded_for_headers() {
        let status = Status::invalid("50% of “it”\r\n");
        assert_eq!(
            status.encoded_message(),
            "50%25 of %E2%80%9Cit%E2%80%9D%0D%0A"
        );
    }
}
