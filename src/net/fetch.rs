//! The browser's way to a node: gRPC-Web over `fetch`, and the subscription socket. Works in
//! pages and in every kind of worker, so it never names `window`.

use std::cell::Cell;
use std::rc::Rc;

use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use js_sys::{ArrayBuffer, Function, Promise, Reflect, Uint8Array};
use sotto_proto::paths;
use wasm_bindgen::prelude::*;
use wasm_bindgen::{JsCast, closure::Closure};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    AbortController, AbortSignal, BinaryType, CloseEvent, Headers, MessageEvent,
    ReadableStreamDefaultReader, RequestInit, Response, WebSocket,
};

use super::frame::{Decoder, Frame, MAX_MESSAGE, Trailers, decode_unary, encode_request};
use super::{NetError, ServerStream, Socket, Status, Transport};

/// How long a unary call may take, in milliseconds.
const UNARY_TIMEOUT_MS: u32 = 30_000;
/// Protocol name of the subscription socket.
const SUBPROTOCOL: &str = "sotto.subscribe.v1";
/// The protocol version whose rules we follow, as nodes read it.
const LIBXMTP_VERSION: &str = "1.11.0";

/// Reaches one of several equivalent nodes; moves to the next when one cannot be reached.
pub struct FetchTransport {
    urls: Vec<String>,
    current: Cell<usize>,
    app_version: String,
    fetch: Function,
}

impl FetchTransport {
    /// A transport to the nodes at `urls` (http or https, without a path).
    pub fn new(urls: Vec<String>, app_version: String) -> Result<Self, NetError> {
        let fetch = Reflect::get(&js_sys::global(), &"fetch".into())
            .ok()
            .and_then(|fetch| fetch.dyn_into::<Function>().ok())
            .ok_or_else(|| NetError::Unreachable("there is no fetch here".into()))?;
        let urls: Vec<String> = urls
            .into_iter()
            .map(|url| url.trim_end_matches('/').to_owned())
            .collect();
        if urls.is_empty() {
            return Err(NetError::Unreachable("no node URL".into()));
        }
        Ok(Self {
            urls,
            current: Cell::new(0),
            app_version,
            fetch,
        })
    }

    fn url(&self) -> &str {
        self.urls.get(self.current.get()).map_or("", String::as_str)
    }

    fn move_on(&self, from: usize) {
        if self.current.get() == from {
            self.current.set((from + 1) % self.urls.len());
        }
    }

    async fn post(
        &self,
        path: &str,
        request: &[u8],
        signal: &AbortSignal,
    ) -> Result<Response, NetError> {
        let used = self.current.get();
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_body(&Uint8Array::from(encode_request(request).as_slice()));
        init.set_signal(Some(signal));
        let headers = Headers::new().map_err(unreachable)?;
        for (name, value) in [
            ("content-type", "application/grpc-web+proto"),
            ("accept", "application/grpc-web+proto"),
            ("x-grpc-web", "1"),
            ("x-libxmtp-version", LIBXMTP_VERSION),
            ("x-app-version", &self.app_version),
        ] {
            headers.set(name, value).map_err(unreachable)?;
        }
        init.set_headers(&headers);
        let url = format!("{}{path}", self.url());
        let promise = self
            .fetch
            .call2(&JsValue::UNDEFINED, &url.into(), &init)
            .map_err(unreachable)?;
        match JsFuture::from(Promise::resolve(&promise)).await {
            Ok(response) => {
                let response: Response = response
                    .dyn_into()
                    .map_err(|_| NetError::Malformed("fetch gave no Response".into()))?;
                if response.status() >= 500 && self.urls.len() > 1 {
                    self.move_on(used);
                }
                Ok(response)
            }
            Err(error) => {
                self.move_on(used);
                Err(unreachable(error))
            }
        }
    }
}

impl Transport for FetchTransport {
    type Socket = WebSocketLink;
    type Stream = FetchStream;

    async fn unary(&self, path: &'static str, request: Vec<u8>) -> Result<Vec<u8>, NetError> {
        let signal = AbortSignal::timeout_with_u32(UNARY_TIMEOUT_MS);
        let response = self.post(path, &request, &signal).await?;
        let headers = status_headers(&response);
        check_type(&response, &headers)?;
        let buffer = JsFuture::from(response.array_buffer().map_err(unreachable)?)
            .await
            .map_err(unreachable)?;
        let body = Uint8Array::new(&buffer);
        if body.length() as usize > MAX_MESSAGE + 64 * 1024 {
            return Err(NetError::Malformed("the answer is too large".into()));
        }
        decode_unary(&body.to_vec(), headers)
    }

    async fn open_socket(&self) -> Result<WebSocketLink, NetError> {
        let base = self.url();
        let Some(rest) = base.strip_prefix("http") else {
            return Err(NetError::Unreachable(
                "the node URL is not http or https".into(),
            ));
        };
        let version = String::from(js_sys::encode_uri_component(&self.app_version));
        let url = format!(
            "ws{rest}{}?x-libxmtp-version={LIBXMTP_VERSION}&x-app-version={version}",
            paths::SUBSCRIBE
        );
        let used = self.current.get();
        let link = WebSocketLink::open(&url).await;
        if matches!(link, Err(NetError::Unreachable(_))) {
            self.move_on(used);
        }
        link
    }

    async fn open_stream(
        &self,
        path: &'static str,
        request: Vec<u8>,
    ) -> Result<FetchStream, NetError> {
        let abort = AbortController::new().map_err(unreachable)?;
        let response = self.post(path, &request, &abort.signal()).await?;
        let headers = status_headers(&response);
        check_type(&response, &headers)?;
        let Some(body) = response.body() else {
            return Err(NetError::Malformed("a stream without a body".into()));
        };
        let reader: ReadableStreamDefaultReader = body
            .get_reader()
            .dyn_into()
            .map_err(|_| NetError::Malformed("a stream that cannot be read".into()))?;
        let (sink, messages) = mpsc::unbounded();
        spawn_local(pump(reader, headers, sink));
        Ok(FetchStream { abort, messages })
    }
}

/// Reads a response body to its end, message by message.
async fn pump(
    reader: ReadableStreamDefaultReader,
    headers: Trailers,
    sink: mpsc::UnboundedSender<Result<Vec<u8>, NetError>>,
) {
    let mut decoder = Decoder::default();
    let mut end = headers;
    let result = 'read: loop {
        let part = match JsFuture::from(reader.read()).await {
            Ok(part) => part,
            Err(error) => break Err(unreachable(error)),
        };
        if Reflect::get(&part, &"done".into()).is_ok_and(|done| done.is_truthy()) {
            break if end.status.is_some() {
                end.into_result()
            } else {
                Err(NetError::Unreachable("the stream was cut".into()))
            };
        }
        let Ok(value) = Reflect::get(&part, &"value".into()) else {
            continue;
        };
        decoder.push(&Uint8Array::new(&value).to_vec());
        loop {
            match decoder.next_frame() {
                Ok(Some(Frame::Data(message))) => {
                    if sink.unbounded_send(Ok(message)).is_err() {
                        break 'read Ok(());
                    }
                }
                Ok(Some(Frame::Trailers(trailers))) => end = trailers,
                Ok(None) => break,
                Err(error) => break 'read Err(error),
            }
        }
    };
    if let Err(error) = result {
        let _ = sink.unbounded_send(Err(error));
    }
}

/// A server stream over `fetch`; dropping it aborts the request.
pub struct FetchStream {
    abort: AbortController,
    messages: mpsc::UnboundedReceiver<Result<Vec<u8>, NetError>>,
}

impl ServerStream for FetchStream {
    async fn next(&mut self) -> Option<Result<Vec<u8>, NetError>> {
        self.messages.next().await
    }
}

impl Drop for FetchStream {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

/// The subscription socket; dropping it closes it.
pub struct WebSocketLink {
    socket: WebSocket,
    frames: mpsc::UnboundedReceiver<Result<Vec<u8>, NetError>>,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_open: Closure<dyn FnMut()>,
    _on_close: Closure<dyn FnMut(CloseEvent)>,
}

impl WebSocketLink {
    async fn open(url: &str) -> Result<Self, NetError> {
        let socket = WebSocket::new_with_str(url, SUBPROTOCOL).map_err(unreachable)?;
        socket.set_binary_type(BinaryType::Arraybuffer);
        let (sink, frames) = mpsc::unbounded();
        let (opened, open) = oneshot::channel();
        let opened = Rc::new(Cell::new(Some(opened)));

        let on_message = Closure::<dyn FnMut(MessageEvent)>::new({
            let sink = sink.clone();
            move |event: MessageEvent| {
                let frame = match event.data().dyn_into::<ArrayBuffer>() {
                    Ok(buffer) => Ok(Uint8Array::new(&buffer).to_vec()),
                    Err(_) => Err(NetError::Malformed("a text frame".into())),
                };
                let _ = sink.unbounded_send(frame);
            }
        });
        let on_open = Closure::<dyn FnMut()>::new({
            let opened = Rc::clone(&opened);
            move || {
                if let Some(opened) = opened.take() {
                    let _ = opened.send(Ok(()));
                }
            }
        });
        let on_close = Closure::<dyn FnMut(CloseEvent)>::new(move |event: CloseEvent| {
            let error = match event.code() {
                code @ 4001..=4099 => {
                    NetError::refused(Status(u32::from(code - 4000)), event.reason())
                }
                4000 => NetError::Unreachable("the node ended the subscription".into()),
                code => NetError::Unreachable(format!("the socket was closed ({code})")),
            };
            match opened.take() {
                // A refused upgrade shows as a close before the open, and as nothing else.
                Some(opened) => {
                    let _ = opened.send(Err(error));
                }
                None => {
                    let _ = sink.unbounded_send(Err(error));
                    sink.close_channel();
                }
            }
        });
        socket.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        socket.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        socket.set_onclose(Some(on_close.as_ref().unchecked_ref()));

        let link = Self {
            socket,
            frames,
            _on_message: on_message,
            _on_open: on_open,
            _on_close: on_close,
        };
        open.await.unwrap_or(Err(NetError::Closed))?;
        if link.socket.protocol() != SUBPROTOCOL {
            return Err(NetError::refused(
                Status::UNIMPLEMENTED,
                "the node has no subscription socket",
            ));
        }
        Ok(link)
    }
}

impl Socket for WebSocketLink {
    fn send(&self, frame: Vec<u8>) {
        // A socket that is closing reports itself through `next`.
        let _ = self.socket.send_with_u8_array(&frame);
    }

    async fn next(&mut self) -> Result<Vec<u8>, NetError> {
        self.frames
            .next()
            .await
            .unwrap_or_else(|| Err(NetError::Unreachable("the socket is closed".into())))
    }
}

impl Drop for WebSocketLink {
    fn drop(&mut self) {
        self.socket.set_onmessage(None);
        self.socket.set_onopen(None);
        self.socket.set_onclose(None);
        let _ = self.socket.close();
    }
}

fn status_headers(response: &Response) -> Trailers {
    let mut headers = Trailers::default();
    for name in ["grpc-status", "grpc-message", "retry-after"] {
        if let Ok(Some(value)) = response.headers().get(name) {
            headers.set(name, &value);
        }
    }
    headers
}

fn check_type(response: &Response, headers: &Trailers) -> Result<(), NetError> {
    let content_type = response
        .headers()
        .get("content-type")
        .ok()
        .flatten()
        .unwrap_or_default();
    if response.ok()
        && (content_type.starts_with("application/grpc-web") || headers.status.is_some())
    {
        return Ok(());
    }
    match response.status() {
        429 => Err(NetError::Refused {
            status: Status::RESOURCE_EXHAUSTED,
            message: "too many requests".into(),
            retry_after: headers.retry_after,
        }),
        status @ 502..=504 => Err(NetError::refused(
            Status::UNAVAILABLE,
            format!("HTTP {status}"),
        )),
        status => Err(NetError::Malformed(format!(
            "HTTP {status} with content type '{content_type}'"
        ))),
    }
}

fn unreachable(error: JsValue) -> NetError {
    let message = error
        .dyn_ref::<js_sys::Error>()
        .map(|error| String::from(error.message()));
    NetError::Unreachable(message.unwrap_or_else(|| "the request failed".into()))
}
