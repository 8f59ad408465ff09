//! HTTP: routing, and what all answers have in common.
//!
//! One port carries gRPC, gRPC-Web, the WebSocket of `Subscribe`, preflights, health, metrics
//! and static files.

mod body;
mod files;
mod gate;
mod grpc;
mod socket;

use std::{any::Any, net::IpAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CONTENT_TYPE,
    },
};
use hyper::body::Incoming;

pub use body::Body;
pub use files::Files;
pub use gate::{Gate, Gated};
pub use grpc::{Framing, UPLOAD_UNIT};

use crate::{
    limits::ClientKey,
    metrics::Gauges,
    node::Node,
    proxies::TrustedProxies,
    rpc::{self, Caller, Reply, Rpc},
    status::{Code, Status},
};

/// Held by everything that a connection becomes, a WebSocket too: as long as one is alive, the
/// connection counts as open. Travels as an extension of the request.
#[derive(Clone)]
pub struct Guard {
    _held: Arc<dyn Any + Send + Sync>,
}

impl Guard {
    /// Drops `held` when the last clone is gone.
    pub fn new(held: impl Any + Send + Sync) -> Self {
        Self {
            _held: Arc::new(held),
        }
    }
}

/// The HTTP face of a node.
pub struct Web {
    /// The node.
    pub node: Arc<Node>,
    /// Static files, if any are served.
    pub files: Option<Files>,
    /// Whether `Subscribe` is offered over a WebSocket.
    pub websocket: bool,
    /// Whose `x-forwarded-for` is believed.
    pub proxies: TrustedProxies,
}

impl Web {
    /// Answers one request of `peer`. Never fails: every fault is a response.
    pub async fn serve(
        self: Arc<Self>,
        peer: IpAddr,
        request: Request<Incoming>,
    ) -> Response<Body> {
        let path = request.uri().path();
        if let Some(rpc) = Rpc::at(path) {
            let mut response = self.rpc(peer, rpc, request).await;
            response
                .headers_mut()
                .insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            return response;
        }
        match (request.method(), path) {
            (&Method::OPTIONS, _) => preflight(),
            (&Method::GET, "/healthz") => text(StatusCode::OK, "ok\n"),
            (&Method::GET, "/readyz") if *self.node.drain.borrow() => {
                text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
            }
            (&Method::GET, "/readyz") => text(StatusCode::OK, "ready\n"),
            (&Method::GET, "/metrics") => {
                let gauges = Gauges {
                    subscribers: self.node.fanout.subscribers(),
                };
                let mut response = text(StatusCode::OK, "");
                *response.body_mut() = Body::full(self.node.metrics.render(gauges));
                response
            }
            (&Method::GET | &Method::HEAD, path) => match &self.files {
                Some(files) => files.serve(path, &request).await,
                None => text(StatusCode::NOT_FOUND, "not found\n"),
            },
            (&Method::POST, _) => match Framing::of(request.headers()) {
                Some(framing) => framing.failure(&unknown_method()),
                None => text(StatusCode::NOT_FOUND, "not found\n"),
            },
            _ => text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n"),
        }
    }

    async fn rpc(&self, peer: IpAddr, rpc: Rpc, request: Request<Incoming>) -> Response<Body> {
        let client = self.client(peer, request.headers());
        match *request.method() {
            Method::OPTIONS => return preflight(),
            Method::GET if rpc == Rpc::Subscribe && self.websocket => {
                return socket::upgrade(&self.node, client, request);
            }
            Method::POST => {}
            _ => {
                let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed\n");
                response
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("POST, OPTIONS"));
                return response;
            }
        }
        let Some(framing) = Framing::of(request.headers()) else {
            return text(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not a gRPC or gRPC-Web request\n",
            );
        };
        let begun = Instant::now();
        let (code, response) = match self.answer(client, rpc, framing, request).await {
            Ok(response) => (Code::Ok, response),
            Err(status) => (status.code, framing.failure(&status)),
        };
        self.node.metrics.call(rpc, code, begun.elapsed());
        response
    }

    async fn answer(
        &self,
        client: ClientKey,
        rpc: Rpc,
        framing: Framing,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Status> {
        let node = &self.node;
        if *node.drain.borrow() {
            return Err(Status::draining());
        }
        let body = request.into_body();
        if rpc == Rpc::Subscribe && framing == Framing::Grpc {
            let session = grpc::session(node, client, body)?;
            return Ok(framing.stream(session));
        }
        let upload = grpc::read_message(node, body).await?;
        match rpc::call(Caller { node, client }, rpc, &upload.message).await? {
            Reply::Message(message) => Ok(framing.message(message.into())),
            Reply::Stream(feed) => Ok(framing.stream(grpc::feed(feed, node.drain.clone()))),
        }
    }

    /// Whom to charge. The address is hashed here and goes no further.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientKey {
        self.node.limiter.client(self.proxies.client(peer, headers))
    }
}

fn unknown_method() -> Status {
    Status::new(Code::Unimplemented, "unknown method")
}

/// Any origin may call: there are no cookies or accounts that it could misuse.
fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "content-type,x-app-version,x-grpc-web,x-libxmtp-version",
        ),
        (ACCESS_CONTROL_EXPOSE_HEADERS, grpc::EXPOSED),
        (ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A short plain answer.
fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::full(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
