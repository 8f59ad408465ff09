//! Nodes, clients and data for the tests.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::{BufMut, BytesMut};
use prost::Message;
use sotto::{
    identity::{EthereumKey, InstallationKey, SignatureRequest},
    mls::{OwnKeyPackage, key_package::lifetime_at},
};
use sotto_node::{Config, Server};
use sotto_proto::{identity_api as id, mls_api as api};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{client::Grpc, codec::Streaming, transport::Channel};
use tonic_prost::ProstCodec;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Waits, but not for ever.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what)
        .await
        .expect("took too long")
}

/// A node in this process.
pub struct TestNode {
    pub server: Server,
}

impl TestNode {
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::in_memory();
        change(&mut config);
        Self {
            server: Server::bind(config).await.unwrap(),
        }
    }

    pub fn address(&self) -> String {
        self.server.local_addr().to_string()
    }

    pub async fn native(&self) -> Native {
        Native::connect(&self.address()).await
    }

    pub fn web(&self) -> Web {
        Web(self.address())
    }

    pub async fn both(&self) -> [Client; 2] {
        [Client::Native(self.native().await), Client::Web(self.web())]
    }
}

/// What a failed call says: code and message.
pub type Failure = (i32, String);

/// gRPC over HTTP/2 by prior knowledge, as the native SDK does it.
#[derive(Clone)]
pub struct Native(Grpc<Channel>);

impl Native {
    pub async fn connect(address: &str) -> Self {
        let channel = Channel::from_shared(format!("http://{address}"))
            .unwrap()
            .connect()
            .await
            .unwrap();
        Self(Grpc::new(channel).max_decoding_message_size(64 << 20))
    }

    pub async fn call<A>(
        &self,
        path: &'static str,
        request: impl Message + 'static,
    ) -> Result<A, Failure>
    where
        A: Message + Default + 'static,
    {
        let mut grpc = self.0.clone();
        grpc.ready().await.unwrap();
        let codec = ProstCodec::<_, A>::default();
        grpc.unary(tonic::Request::new(request), path.parse().unwrap(), codec)
            .await
            .map(tonic::Response::into_inner)
            .map_err(failure)
    }

    pub async fn stream<A>(
        &self,
        path: &'static str,
        request: impl Message + 'static,
    ) -> Result<Streaming<A>, Failure>
    where
        A: Message + Default + 'static,
    {
        let mut grpc = self.0.clone();
        grpc.ready().await.unwrap();
        let codec = ProstCodec::<_, A>::default();
        grpc.server_streaming(tonic::Request::new(request), path.parse().unwrap(), codec)
            .await
            .map(tonic::Response::into_inner)
            .map_err(failure)
    }

    pub async fn bidi<Q, A>(
        &self,
        path: &'static str,
        requests: impl tokio_stream::Stream<Item = Q> + Send + 'static,
    ) -> Result<Streaming<A>, Failure>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.0.clone();
        grpc.ready().await.unwrap();
        let codec = ProstCodec::<Q, A>::default();
        grpc.streaming(tonic::Request::new(requests), path.parse().unwrap(), codec)
            .await
            .map(tonic::Response::into_inner)
            .map_err(failure)
    }
}

pub fn failure(status: tonic::Status) -> Failure {
    (status.code() as i32, status.message().to_owned())
}

/// gRPC-Web over HTTP/1.1, byte by byte.
#[derive(Clone)]
pub struct Web(pub String);

impl Web {
    pub async fn call<A>(&self, path: &str, request: impl Message) -> Result<A, Failure>
    where
        A: Message + Default,
    {
        let response = self.post(path, &frame(0, &request.encode_to_vec())).await;
        response.unary()
    }

    /// Sends a body as gRPC-Web and reads the whole response.
    pub async fn post(&self, path: &str, body: &[u8]) -> Response {
        let mut stream = self.open(path, body).await;
        let mut bytes = vec![];
        soon(stream.read_to_end(&mut bytes)).await.unwrap();
        Response::parse(&bytes)
    }

    /// Sends a body as gRPC-Web and leaves the response to be read.
    pub async fn open(&self, path: &str, body: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(&self.0).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/grpc-web+proto\r\n\
             accept: application/grpc-web+proto\r\nx-grpc-web: 1\r\norigin: http://example.org\r\n\
             connection: close\r\ncontent-length: {}\r\n\r\n",
            self.0,
            body.len()
        );
        let mut request = head.into_bytes();
        request.extend_from_slice(body);
        stream.write_all(&request).await.unwrap();
        stream
    }
}

/// An HTTP/1.1 response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn parse(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .expect("a head")
            + 4;
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.lines();
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            .collect();
        let chunked = headers
            .iter()
            .any(|(n, v)| n == "transfer-encoding" && v == "chunked");
        let body = if chunked {
            unchunk(&bytes[end..])
        } else {
            bytes[end..].to_vec()
        };
        Self {
            status,
            headers,
            body,
        }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    /// The frames of the body: flag and payload.
    pub fn frames(&self) -> Vec<(u8, Vec<u8>)> {
        frames(&self.body)
    }

    pub fn unary<A: Message + Default>(&self) -> Result<A, Failure> {
        assert_eq!(self.status, 200);
        let frames = self.frames();
        let (flag, trailers) = frames.last().expect("a trailers frame");
        assert_eq!(*flag, 0x80);
        let trailers = std::str::from_utf8(trailers).unwrap();
        assert!(trailers.ends_with("\r\n"));
        let field = |name: &str| {
            let prefix = format!("{name}:");
            trailers.lines().find_map(|line| line.strip_prefix(&prefix))
        };
        match field("grpc-status").unwrap().parse().unwrap() {
            0 => {
                assert_eq!(frames.len(), 2);
                Ok(A::decode(frames[0].1.as_slice()).unwrap())
            }
            code => Err((
                code,
                percent_decode(field("grpc-message").unwrap_or_default()),
            )),
        }
    }
}

fn percent_decode(text: &str) -> String {
    let mut out = vec![];
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
            out.extend(hex::decode(digits).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}

pub fn unchunk(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    loop {
        let Some(line) = bytes.windows(2).position(|w| w == b"\r\n") else {
            return out;
        };
        let length =
            usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        if length == 0 {
            return out;
        }
        out.extend_from_slice(&bytes[line + 2..line + 2 + length]);
        bytes = &bytes[line + 2 + length + 2..];
    }
}

pub fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut out = vec![];
    while let [flag, a, b, c, d, rest @ ..] = bytes {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        out.push((*flag, rest[..length].to_vec()));
        bytes = &rest[length..];
    }
    assert!(bytes.is_empty(), "a cut frame");
    out
}

pub fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_u8(flag);
    out.put_u32(message.len() as u32);
    out.put_slice(message);
    out.to_vec()
}

/// Either transport, for tests that hold on both.
pub enum Client {
    Native(Native),
    Web(Web),
}

impl Client {
    pub async fn call<A>(
        &self,
        path: &'static str,
        request: impl Message + 'static,
    ) -> Result<A, Failure>
    where
        A: Message + Default + 'static,
    {
        match self {
            Self::Native(native) => soon(native.call(path, request)).await,
            Self::Web(web) => soon(web.call(path, request)).await,
        }
    }
}

static COUNTER: AtomicU64 = AtomicU64::new(1);

/// A number that no other call returns.
pub fn unique() -> u64 {
    COUNTER.fetch_add(1, Ordering::Relaxed)
}

pub fn unique_bytes<const N: usize>() -> [u8; N] {
    let mut out = [0xa5; N];
    out[..8].copy_from_slice(&unique().to_be_bytes());
    out
}

/// A whole PrivateMessage; content type 1 application, 3 commit.
pub fn private_message(group_id: [u8; 16], content_type: u8, ciphertext: &[u8]) -> Vec<u8> {
    let mut out = vec![0, 1, 0, 2, 16];
    out.extend(group_id);
    out.extend(7_u64.to_be_bytes());
    out.push(content_type);
    out.extend([0, 2, 0xaa, 0xbb, 0x80]);
    out.extend(&(ciphertext.len() as u32).to_be_bytes()[1..]);
    // Lengths take four bytes only from 2^14 on.
    assert!(ciphertext.len() >= 1 << 14);
    out.extend(ciphertext);
    out
}

/// A short application message, told apart by `text`.
pub fn message(group_id: [u8; 16], text: &str) -> api::GroupMessageInput {
    message_of(group_id, 1, text)
}

pub fn message_of(group_id: [u8; 16], content_type: u8, text: &str) -> api::GroupMessageInput {
    let mut data = vec![0, 1, 0, 2, 16];
    data.extend(group_id);
    data.extend(7_u64.to_be_bytes());
    data.extend([content_type, 0, 0]);
    assert!(text.len() < 64);
    data.push(text.len() as u8);
    data.extend(text.as_bytes());
    input(data)
}

pub fn input(data: Vec<u8>) -> api::GroupMessageInput {
    api::GroupMessageInput {
        version: Some(api::group_message_input::Version::V1(
            api::group_message_input::V1 {
                data,
                sender_hmac: vec![9; 32],
                should_push: true,
            },
        )),
    }
}

pub fn send(messages: Vec<api::GroupMessageInput>) -> api::SendGroupMessagesRequest {
    api::SendGroupMessagesRequest { messages }
}

pub fn group_v1(message: &api::GroupMessage) -> &api::group_message::V1 {
    match message.version.as_ref().unwrap() {
        api::group_message::Version::V1(v1) => v1,
    }
}

pub fn welcome(installation_key: [u8; 32], data: &str) -> api::WelcomeMessageInput {
    api::WelcomeMessageInput {
        version: Some(api::welcome_message_input::Version::V1(
            api::welcome_message_input::V1 {
                installation_key: installation_key.to_vec(),
                data: data.into(),
                hpke_public_key: vec![3; 32],
                wrapper_algorithm: 0,
                welcome_metadata: vec![4; 18],
            },
        )),
    }
}

pub fn welcome_id(message: &api::WelcomeMessage) -> u64 {
    match message.version.as_ref().unwrap() {
        api::welcome_message::Version::V1(v1) => v1.id,
        api::welcome_message::Version::WelcomePointer(pointer) => pointer.id,
    }
}

pub fn paging(direction: i32, limit: u32, id_cursor: u64) -> Option<api::PagingInfo> {
    Some(api::PagingInfo {
        direction,
        limit,
        id_cursor,
    })
}

pub fn query(
    group_id: [u8; 16],
    paging_info: Option<api::PagingInfo>,
) -> api::QueryGroupMessagesRequest {
    api::QueryGroupMessagesRequest {
        group_id: group_id.to_vec(),
        paging_info,
    }
}

pub fn now_ns() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos() as u64
}

/// Somebody with a wallet.
pub struct Person {
    pub wallet: EthereumKey,
    pub installation: InstallationKey,
}

impl Person {
    pub fn new() -> Self {
        Self {
            wallet: EthereumKey::from_bytes(&unique_bytes()).unwrap(),
            installation: InstallationKey::from_seed(&unique_bytes()),
        }
    }

    pub fn inbox(&self) -> String {
        self.create().inbox_id().to_owned()
    }

    fn create(&self) -> SignatureRequest {
        SignatureRequest::create_inbox(
            &self.wallet.identifier(),
            1,
            self.installation.id(),
            now_ns(),
        )
    }

    /// The update that creates the inbox.
    pub fn registration(&self) -> Vec<u8> {
        self.finish(self.create(), &[&self.installation])
    }

    pub fn finish(
        &self,
        mut request: SignatureRequest,
        installations: &[&InstallationKey],
    ) -> Vec<u8> {
        let signature = self.wallet.sign_personal(request.text());
        request.add_wallet_signature(&signature).unwrap();
        for installation in installations {
            request.sign_with(installation).unwrap();
        }
        request.finish().unwrap()
    }

    /// An uploadable key package, valid now.
    pub fn key_package(&self) -> api::UploadKeyPackageRequest {
        let lifetime = lifetime_at(now_ns() / 1_000_000_000);
        self.key_package_with(lifetime)
    }

    pub fn key_package_with(&self, lifetime: (u64, u64)) -> api::UploadKeyPackageRequest {
        let own = OwnKeyPackage::generate(&self.inbox(), &self.installation, lifetime).unwrap();
        upload(own.public().to_vec())
    }
}

pub fn upload(bytes: Vec<u8>) -> api::UploadKeyPackageRequest {
    api::UploadKeyPackageRequest {
        key_package: Some(api::KeyPackageUpload {
            key_package_tls_serialized: bytes,
        }),
        is_inbox_id_credential: true,
    }
}

pub fn publish(update: Vec<u8>) -> id::PublishIdentityUpdateRequest {
    id::PublishIdentityUpdateRequest {
        identity_update: Some(update),
    }
}

pub fn updates_of(inbox: &str, after: u64) -> id::GetIdentityUpdatesRequest {
    id::GetIdentityUpdatesRequest {
        requests: vec![id::get_identity_updates_request::Request {
            inbox_id: inbox.to_owned(),
            sequence_id: after,
        }],
    }
}

pub fn inboxes_of(identifiers: &[(&str, i32)]) -> id::GetInboxIdsRequest {
    id::GetInboxIdsRequest {
        requests: identifiers
            .iter()
            .map(|(identifier, kind)| id::get_inbox_ids_request::Request {
                identifier: (*identifier).to_owned(),
                identifier_kind: *kind,
            })
            .collect(),
    }
}
