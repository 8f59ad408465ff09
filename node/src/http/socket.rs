//! XIP-83 over a WebSocket: one protobuf a binary message, an empty one to half-close, and the
//! gRPC status as the close code.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt, stream::SplitStream};
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode,
    header::{
        CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
        SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use hyper::{body::Incoming, upgrade::Upgraded};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message,
        handshake::derive_accept_key,
        protocol::{CloseFrame, Role, WebSocketConfig, frame::coding::CloseCode},
    },
};

use super::{Body, Guard, text};
use crate::{
    limits::{Charge, ClientKey},
    node::Node,
    status::{Code, Status},
    subscribe::{
        feed::{Feed, OnLag},
        session::{Input, Requests, Session},
    },
};

/// The subprotocol that both ends name.
const PROTOCOL: &str = "sotto.subscribe.v1";
/// One message of a client.
const MAX_MESSAGE: usize = 1 << 20;
/// Buffers are small: most sockets are idle.
const BUFFER: usize = 4 << 10;
/// How long a peer may take to accept one frame, or to close.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// Close codes are 4000 + the gRPC status.
const CLOSE_BASE: u16 = 4000;
/// Bytes of a close reason.
const MAX_REASON: usize = 123;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Answers the upgrade request of a `Subscribe`.
pub fn upgrade(
    node: &Arc<Node>,
    client: ClientKey,
    mut request: Request<Incoming>,
) -> Response<Body> {
    if *node.drain.borrow() {
        return text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n");
    }
    let Some(accept) = accept(request.headers()) else {
        return text(
            StatusCode::BAD_REQUEST,
            "expected a WebSocket upgrade with subprotocol sotto.subscribe.v1\n",
        );
    };
    if node.limiter.charge(client, Charge::Read, 1).is_err() {
        return text(StatusCode::TOO_MANY_REQUESTS, "rate limit exceeded\n");
    }
    let guard = request.extensions_mut().remove::<Guard>();
    let upgraded = hyper::upgrade::on(&mut request);
    let node = Arc::clone(node);
    tokio::spawn(async move {
        let _guard = guard;
        if let Ok(upgraded) = upgraded.await {
            let config = WebSocketConfig::default()
                .read_buffer_size(BUFFER)
                .write_buffer_size(0)
                .max_message_size(Some(MAX_MESSAGE))
                .max_frame_size(Some(MAX_MESSAGE));
            let io = TokioIo::new(upgraded);
            run(
                &node,
                WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await,
            )
            .await;
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(PROTOCOL));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// The value of `Sec-WebSocket-Accept`, if this is an upgrade that we can serve.
fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    let lists = |name: HeaderName, wanted: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .any(|item| item.trim().eq_ignore_ascii_case(wanted))
    };
    let wanted = lists(CONNECTION, "upgrade")
        && lists(UPGRADE, "websocket")
        && lists(SEC_WEBSOCKET_VERSION, "13")
        && lists(SEC_WEBSOCKET_PROTOCOL, PROTOCOL);
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|_| wanted)?;
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).ok()
}

async fn run(node: &Arc<Node>, socket: Socket) {
    let (mut sink, stream) = socket.split();
    let feed = Feed::new(Arc::clone(&node.view), &node.fanout, OnLag::Abort);
    let requests = SocketRequests(stream);
    let mut session = Session::new(requests, feed, node.session, node.drain.clone());
    let status = loop {
        match session.next().await {
            Some(Ok(frame)) => {
                match timeout(WRITE_TIMEOUT, sink.send(Message::Binary(frame))).await {
                    Ok(Ok(())) => {}
                    // Gone, or as good as gone.
                    Ok(Err(_)) | Err(_) => return,
                }
            }
            Some(Err(status)) => break Some(status),
            None => break None,
        }
    };
    let close = close_frame(status.as_ref(), *node.drain.borrow());
    let _ = timeout(WRITE_TIMEOUT, sink.send(Message::Close(Some(close)))).await;
    // The peer's own close ends the connection cleanly; what else it sends is not read.
    let _ = timeout(Duration::from_secs(2), session.into_requests().closed()).await;
}

fn close_frame(status: Option<&Status>, draining: bool) -> CloseFrame {
    let code = status.map_or(Code::Ok, |status| status.code);
    let message = status.map_or("", |status| status.message.as_ref());
    let fits = |end: &usize| message.is_char_boundary(*end);
    let end = (0..=MAX_REASON.min(message.len()))
        .rev()
        .find(fits)
        .unwrap_or(0);
    let code = match code {
        Code::Unavailable if draining => CloseCode::Away,
        code => CloseCode::from(CLOSE_BASE + code as u16),
    };
    CloseFrame {
        code,
        reason: message.get(..end).unwrap_or_default().into(),
    }
}

/// Requests as binary messages.
struct SocketRequests(SplitStream<Socket>);

impl SocketRequests {
    async fn closed(mut self) {
        while let Some(Ok(_)) = self.0.next().await {}
    }
}

impl Requests for SocketRequests {
    async fn next(&mut self) -> Input {
        loop {
            return match self.0.next().await {
                Some(Ok(Message::Binary(bytes))) if bytes.is_empty() => Input::HalfClosed,
                Some(Ok(Message::Binary(bytes))) => Input::Request(bytes),
                Some(Ok(Message::Text(_))) => {
                    Input::Broken(Status::invalid("text messages are not understood"))
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                Some(Err(Error::Capacity(_))) => {
                    Input::Broken(Status::exhausted("the message is too large"))
                }
                Some(Err(Error::Protocol(_) | Error::Utf8(_))) => {
                    Input::Broken(Status::invalid("a WebSocket protocol error"))
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => Input::Gone,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_codes_are_the_status_and_reasons_fit() {
        let long = Status::invalid("é".repeat(100));
        let close = close_frame(Some(&long), false);
        assert_eq!(u16::from(close.code), 4003);
        assert_eq!(close.reason.len(), 122);
        assert_eq!(u16::from(close_frame(None, false).code), 4000);
        assert_eq!(u16::from(close_frame(None, true).code), 4000);
        assert_eq!(
            u16::from(close_frame(Some(&Status::draining()), true).code),
            1001
        );
    }

    #[test]
    fn an_upgrade_must_name_the_subprotocol() {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        headers.insert(
            SEC_WEBSOCKET_KEY,
            HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ=="),
        );
        assert_eq!(accept(&headers), None);
        headers.insert(
            SEC_WEBSOCKET_PROTOCOL,
            HeaderValue::from_static("other, sotto.subscribe.v1"),
        );
        assert_eq!(accept(&headers).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
