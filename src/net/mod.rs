//! Talking to a node: the transport that a platform offers, the RPCs in types, and the
//! subscription. Nothing here knows what the payloads mean.

pub mod api;
#[cfg(any(test, feature = "test-utils"))]
pub mod fake;
#[cfg(target_arch = "wasm32")]
pub mod fetch;
pub mod frame;
pub mod subscription;

use std::future::Future;
use std::time::Duration;

use crate::error::{Code, Error};

/// gRPC status codes that we tell apart (the numbers are gRPC's).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub u32);

impl Status {
    /// Success.
    pub const OK: Status = Status(0);
    /// The request is malformed or refused.
    pub const INVALID_ARGUMENT: Status = Status(3);
    /// Slow down, or too large, or a full log.
    pub const RESOURCE_EXHAUSTED: Status = Status(8);
    /// Try again: a concurrency conflict, or a reader that was too slow.
    pub const ABORTED: Status = Status(10);
    /// The node does not have this method.
    pub const UNIMPLEMENTED: Status = Status(12);
    /// The node failed.
    pub const INTERNAL: Status = Status(13);
    /// The node is not available now.
    pub const UNAVAILABLE: Status = Status(14);
}

/// How a request failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetError {
    /// No answer: offline, refused, cut off, or timed out. The node may have acted on it.
    #[error("the node cannot be reached: {0}")]
    Unreachable(String),
    /// The node answered with an error status.
    #[error("the node refused the request ({}): {message}", status.0)]
    Refused {
        /// gRPC status.
        status: Status,
        /// The node's words.
        message: String,
        /// How long the node asks to wait.
        retry_after: Option<Duration>,
    },
    /// The answer is not gRPC-Web.
    #[error("the node's answer cannot be read: {0}")]
    Malformed(String),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl NetError {
    /// A refusal without a wish for a pause.
    pub fn refused(status: Status, message: impl Into<String>) -> Self {
        Self::Refused {
            status,
            message: message.into(),
            retry_after: None,
        }
    }

    /// Whether the node itself said no for good, so that the same request cannot succeed.
    #[must_use]
    pub fn is_definite(&self) -> bool {
        matches!(self, Self::Refused { status, .. }
            if *status == Status::INVALID_ARGUMENT || *status == Status::UNIMPLEMENTED)
    }

    /// Whether the node answered at all. Being cut off uses up no attempt.
    #[must_use]
    pub fn was_answered(&self) -> bool {
        matches!(self, Self::Refused { status, .. }
            if *status != Status::UNAVAILABLE && *status != Status::RESOURCE_EXHAUSTED)
    }
}

impl From<NetError> for Error {
    fn from(error: NetError) -> Self {
        let code = match &error {
            NetError::Unreachable(_) => Code::Network,
            NetError::Refused {
                status: Status::RESOURCE_EXHAUSTED,
                ..
            } => Code::RateLimited,
            NetError::Refused {
                status: Status::UNAVAILABLE | Status::ABORTED,
                ..
            } => Code::Network,
            NetError::Refused { .. } => Code::NodeRefused,
            NetError::Malformed(_) => Code::Protocol,
            NetError::Closed => Code::Closed,
        };
        Error::new(code, error.to_string())
    }
}

/// What a platform offers for reaching one node.
pub trait Transport: 'static {
    /// A two-way connection for whole frames.
    type Socket: Socket;
    /// A one-way stream of protobuf messages.
    type Stream: ServerStream;

    /// One unary call: an encoded request to an encoded response.
    fn unary(
        &self,
        path: &'static str,
        request: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, NetError>>;

    /// Opens the subscription socket (`sotto.subscribe.v1`). `UNIMPLEMENTED` where the node has none.
    fn open_socket(&self) -> impl Future<Output = Result<Self::Socket, NetError>>;

    /// Opens a server-streaming call; resolves when the headers are there.
    fn open_stream(
        &self,
        path: &'static str,
        request: Vec<u8>,
    ) -> impl Future<Output = Result<Self::Stream, NetError>>;
}

/// A two-way connection for whole frames. Dropping it closes it.
pub trait Socket: 'static {
    /// Queues a frame. Failures show at the next [`Socket::next`].
    fn send(&self, frame: Vec<u8>);
    /// The next frame, or why there will be none.
    fn next(&mut self) -> impl Future<Output = Result<Vec<u8>, NetError>>;
}

/// A one-way stream of protobuf messages. Dropping it cancels it.
pub trait ServerStream: 'static {
    /// The next message; `None` when the node ended the stream with OK.
    fn next(&mut self) -> impl Future<Output = Option<Result<Vec<u8>, NetError>>>;
}
