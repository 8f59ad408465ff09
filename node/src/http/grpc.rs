//! gRPC and gRPC-Web framing: the only place that knows how they differ.
//!
//! A message is a flag byte, a 32-bit big-endian length, and protobuf. gRPC ends with HTTP
//! trailers; gRPC-Web with a frame of flag 0x80 that must reach a page in one piece, so it is
//! written on its own.

use std::{sync::Arc, time::Duration};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt};
use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::timeout,
};

use super::body::{Body, Part};
use crate::{
    limits::{Charge, ClientKey},
    node::{Node, draining},
    status::{Code, Status},
    subscribe::{
        feed::{Event, Feed, OnLag},
        session::{Input, Requests, Session},
    },
};

/// Headers that a page may read.
pub const EXPOSED: &str = "grpc-status,grpc-message,retry-after";
/// How long a client may take to send a request.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const HEAD: usize = 5;
const FLAG_TRAILERS: u8 = 0x80;
/// One `SubscribeRequest`.
const MAX_STREAM_REQUEST: usize = 1 << 20;

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// How an RPC travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// gRPC over HTTP/2.
    Grpc,
    /// gRPC-Web, binary, over any HTTP.
    Web,
}

/// Encoded messages, and at the end perhaps a status that is not OK.
pub type Messages = BoxStream<'static, Result<Bytes, Status>>;

impl Framing {
    /// Reads the request's content type.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let essence = value.split(';').next()?.trim();
        match essence {
            "application/grpc" | "application/grpc+proto" => Some(Self::Grpc),
            "application/grpc-web" | "application/grpc-web+proto" => Some(Self::Web),
            _ => None,
        }
    }

    /// A unary answer.
    pub fn message(self, message: Bytes) -> Response<Body> {
        let data = Part::Data(frame(0, &message));
        self.response(match self {
            Self::Grpc => Body::parts([data, Part::Trailers(trailers(None))]),
            Self::Web => Body::parts([data, Part::Flush, Part::Data(trailers_frame(None))]),
        })
    }

    /// A stream's answer: its headers go out at once.
    pub fn stream(self, messages: Messages) -> Response<Body> {
        let end = move |status: Option<&Status>| match self {
            Self::Grpc => vec![Part::Trailers(trailers(status))],
            Self::Web => vec![Part::Flush, Part::Data(trailers_frame(status))],
        };
        let parts = stream::unfold(Some(messages), move |state| async move {
            let mut messages = state?;
            Some(match messages.next().await {
                Some(Ok(bytes)) => (vec![Part::Data(bytes)], Some(messages)),
                Some(Err(status)) => (end(Some(&status)), None),
                None => (end(None), None),
            })
        });
        self.response(Body::stream(parts.flat_map(stream::iter).boxed()))
    }

    /// A refusal. Clients of both kinds read it from where their kind expects it.
    pub fn failure(self, status: &Status) -> Response<Body> {
        let mut response = self.response(match self {
            Self::Grpc => Body::empty(),
            Self::Web => Body::parts([Part::Data(trailers_frame(Some(status)))]),
        });
        let headers = response.headers_mut();
        if self == Self::Grpc {
            headers.extend(trailers(Some(status)));
        }
        if let Some(after) = status.retry_after {
            let seconds = after.as_secs().saturating_add(1);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    fn response(self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        let content_type = match self {
            Self::Grpc => "application/grpc",
            Self::Web => "application/grpc-web+proto",
        };
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        if self == Self::Web {
            headers.insert(
                ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static(EXPOSED),
            );
        }
        response
    }
}

/// Adds flag and length.
fn frame(flag: u8, message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(HEAD + message.len());
    put_frame(flag, message, &mut out);
    out.freeze()
}

fn put_frame(flag: u8, message: &[u8], out: &mut BytesMut) {
    out.put_u8(flag);
    // Bounded by page and frame sizes, far below 4 GiB.
    out.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    out.put_slice(message);
}

/// The status as HTTP headers; `None` is OK.
fn trailers(status: Option<&Status>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let code = status.map_or(Code::Ok, |status| status.code);
    headers.insert(GRPC_STATUS, HeaderValue::from(code as u16));
    let message = status.map(Status::encoded_message).unwrap_or_default();
    if !message.is_empty()
        && let Ok(message) = HeaderValue::from_str(&message)
    {
        headers.insert(GRPC_MESSAGE, message);
    }
    headers
}

/// The status as gRPC-Web's last frame. Every line ends in CRLF, the last one too.
fn trailers_frame(status: Option<&Status>) -> Bytes {
    let code = status.map_or(Code::Ok, |status| status.code) as u8;
    let mut text = format!("grpc-status:{code}\r\n");
    if let Some(status) = status {
        text.push_str(&format!("grpc-message:{}\r\n", status.encoded_message()));
    }
    frame(FLAG_TRAILERS, text.as_bytes())
}

/// A request's message, and its share of the memory for large requests.
pub struct Upload {
    /// The message.
    pub message: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

/// Requests up to this size need no share.
const SMALL: usize = 64 << 10;
/// Bytes of one permit of [`Node::uploads`].
pub const UPLOAD_UNIT: usize = 1 << 10;

/// Reads the one message of a unary or server-streaming request. A large one waits until there
/// is memory for it.
///
/// # Errors
/// `InvalidArgument` for a body that is not exactly one frame, `ResourceExhausted` for one that
/// is too large, `Unimplemented` for compression.
pub async fn read_message(node: &Node, mut body: Incoming) -> Result<Upload, Status> {
    let limit = node.limits.request_bytes;
    let mut buffer = BytesMut::new();
    let mut share = None;
    let read = async {
        while let Some(chunk) = body.frame().await {
            let chunk = chunk.map_err(|_| Status::invalid("the request was cut off"))?;
            let Ok(chunk) = chunk.into_data() else {
                continue;
            };
            if buffer.len() + chunk.len() > HEAD + limit {
                return Err(too_large());
            }
            buffer.extend_from_slice(&chunk);
            let length = frame_length(&buffer, limit)?.unwrap_or(0);
            if share.is_none() && length.max(buffer.len()) > SMALL {
                let units = u32::try_from(length.div_ceil(UPLOAD_UNIT)).unwrap_or(u32::MAX);
                let uploads = Arc::clone(&node.uploads);
                share = uploads.acquire_many_owned(units).await.ok();
            }
        }
        Ok(())
    };
    timeout(READ_TIMEOUT, read)
        .await
        .map_err(|_| Status::invalid("the request took too long"))??;
    match take_frame(&mut buffer, limit)? {
        Some(message) if buffer.is_empty() => Ok(Upload {
            message,
            _share: share,
        }),
        _ => Err(Status::invalid("the body is not one whole frame")),
    }
}

fn too_large() -> Status {
    Status::exhausted("the request is too large")
}

/// The length of the first frame's message, once its head is there. Refuses what can be refused
/// by its first bytes.
fn frame_length(buffer: &[u8], limit: usize) -> Result<Option<usize>, Status> {
    match buffer {
        [0, a, b, c, d, ..] => {
            let length = u32::from_be_bytes([*a, *b, *c, *d]);
            let length = usize::try_from(length)
                .ok()
                .filter(|length| *length <= limit);
            length.map(Some).ok_or_else(too_large)
        }
        [] | [0, ..] => Ok(None),
        [1, ..] => Err(Status::new(
            Code::Unimplemented,
            "compressed messages are not supported",
        )),
        _ => Err(Status::invalid("unknown frame flag")),
    }
}

/// Takes a whole message off the front, if it is there.
fn take_frame(buffer: &mut BytesMut, limit: usize) -> Result<Option<Bytes>, Status> {
    match frame_length(buffer, limit)? {
        Some(length) if buffer.len() >= HEAD + length => {
            buffer.advance(HEAD);
            Ok(Some(buffer.split_to(length).freeze()))
        }
        _ => Ok(None),
    }
}

/// The messages of a server-streaming RPC, until the client goes or the node drains.
pub fn feed(feed: Feed, drain: watch::Receiver<bool>) -> Messages {
    stream::unfold(Some((feed, drain)), |state| async move {
        let (mut feed, mut drain) = state?;
        loop {
            let event = tokio::select! {
                () = draining(&mut drain) => Err(Status::draining()),
                event = feed.next() => event,
            };
            let envelopes = match event {
                Ok(Event::Messages { envelopes, .. }) => envelopes,
                // Nothing to say: an idle stream carries nothing, not even an empty frame.
                Ok(Event::WaveDone { .. }) => continue,
                Err(status) => return Some((Err(status), None)),
            };
            let bytes = envelopes.iter().map(|e| HEAD + e.message.len()).sum();
            let mut out = BytesMut::with_capacity(bytes);
            for envelope in &envelopes {
                put_frame(0, &envelope.message, &mut out);
            }
            return Some((Ok(out.freeze()), Some((feed, drain))));
        }
    })
    .boxed()
}

/// The messages of a `Subscribe` over HTTP/2.
///
/// # Errors
/// `ResourceExhausted` when the client opens too many streams.
pub fn session(node: &Arc<Node>, client: ClientKey, body: Incoming) -> Result<Messages, Status> {
    node.limiter.charge(client, Charge::Read, 1)?;
    let requests = BodyRequests {
        body,
        buffer: BytesMut::new(),
    };
    let feed = Feed::new(Arc::clone(&node.view), &node.fanout, OnLag::Abort);
    let session = Session::new(requests, feed, node.session, node.drain.clone());
    let messages = stream::unfold(Some(session), |state| async move {
        let mut session = state?;
        match session.next().await? {
            Ok(message) => Some((Ok(frame(0, &message)), Some(session))),
            Err(status) => Some((Err(status), None)),
        }
    });
    Ok(messages.boxed())
}

/// Requests framed in an HTTP/2 body.
struct BodyRequests {
    body: Incoming,
    buffer: BytesMut,
}

impl Requests for BodyRequests {
    async fn next(&mut self) -> Input {
        loop {
            match take_frame(&mut self.buffer, MAX_STREAM_REQUEST) {
                Ok(Some(message)) => return Input::Request(message),
                Ok(None) => {}
                Err(status) => return Input::Broken(status),
            }
            // Nothing is lost when this is cancelled: bytes are kept in the buffer.
            match self.body.frame().await {
                Some(Ok(chunk)) => {
                    if let Ok(data) = chunk.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(_)) => return Input::Gone,
                None if self.buffer.is_empty() => return Input::HalfClosed,
                None => return Input::Broken(Status::invalid("the request was cut off")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailers_frame_ends_every_line() {
        let ok = trailers_frame(None);
        assert_eq!(&ok[..], b"\x80\x00\x00\x00\x0fgrpc-status:0\r\n");
        let refused = trailers_frame(Some(&Status::invalid("no")));
        assert!(refused.ends_with(b"grpc-status:3\r\ngrpc-message:no\r\n"));
    }

    #[test]
    fn frames_are_taken_whole_and_in_order() {
        let mut buffer = BytesMut::new();
        put_frame(0, b"one", &mut buffer);
        put_frame(0, b"", &mut buffer);
        buffer.put_slice(&[0, 0, 0]);
        assert_eq!(take_frame(&mut buffer, 10).unwrap().unwrap(), "one");
        assert_eq!(take_frame(&mut buffer, 10).unwrap().unwrap(), "");
        assert_eq!(take_frame(&mut buffer, 10), Ok(None));
        assert_eq!(buffer.len(), 3);
    }

    #[test]
    fn compression_unknown_flags_and_large_frames_are_refused_at_the_head() {
        let code = |bytes: &[u8]| frame_length(bytes, 10).map_err(|status| status.code);
        assert_eq!(code(&[1]), Err(Code::Unimplemented));
        assert_eq!(code(&[0x80, 0, 0, 0, 0]), Err(Code::InvalidArgument));
        assert_eq!(code(&[0, 0, 0, 0, 11]), Err(Code::ResourceExhausted));
        assert_eq!(code(&[0, 0, 0, 0, 10]), Ok(Some(10)));
        assert_eq!(code(&[0, 0, 0, 0]), Ok(None));
    }

    #[test]
    fn the_text_variant_of_grpc_web_is_not_spoken() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
            Framing::of(&headers)
        };
        assert_eq!(
            of("application/grpc-web+proto; charset=utf-8"),
            Some(Framing::Web)
        );
        assert_eq!(of("application/grpc"), Some(Framing::Grpc));
        assert_eq!(of("application/grpc-web-text"), None);
        assert_eq!(of("application/json"), None);
    }
}
