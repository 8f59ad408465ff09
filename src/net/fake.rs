//! An in-memory node for tests: the rules of the real one that clients rely on (order, paging,
//! idempotence, batch answers, catch-up before live), and hooks that lose, refuse or delay.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use futures::StreamExt;
use futures::channel::mpsc;
use futures::future::LocalBoxFuture;
use sha2::{Digest, Sha256};
use sotto_proto::identity_api as identity;
use sotto_proto::identity_api::verify_smart_contract_wallet_signatures_response::ValidationResponse;
use sotto_proto::mls_api as mls;
use sotto_proto::mls_api::subscribe_request::v1::Request;
use sotto_proto::mls_api::subscribe_response::v1::{
    CatchupComplete, Messages, Response, Started, TopicsLive,
};
use sotto_proto::{Message, paths};

use super::{NetError, ServerStream, Socket, Status, Transport};
use crate::identity::{AssociationState, ContractAnswers, MemberIdentifier, SignedUpdate};

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It arrives and is answered.
    Pass,
    /// It never arrives.
    LoseRequest,
    /// It is carried out, but the answer is lost.
    LoseAnswer,
    /// It is carried out, but no answer ever comes.
    Hang,
    /// The node refuses it.
    Refuse(Status),
}

/// A request as the node gets it, and its answer.
#[derive(Debug, Clone)]
pub struct Heard {
    /// The method.
    pub path: &'static str,
    /// The request's bytes.
    pub request: Vec<u8>,
    /// The answer's bytes; empty if it was refused.
    pub answer: Vec<u8>,
}

/// Decides each request's fate; may take its time.
pub type Hook = Rc<dyn Fn(&'static str) -> LocalBoxFuture<'static, Fate>>;

/// One node's state, shared by all its clients.
#[derive(Clone, Default)]
pub struct FakeNode {
    state: Rc<RefCell<State>>,
}

#[derive(Default)]
struct State {
    now_ns: u64,
    next_id: u64,
    next_identity: u64,
    groups: HashMap<Vec<u8>, Vec<mls::group_message::V1>>,
    welcomes: HashMap<Vec<u8>, Vec<mls::WelcomeMessage>>,
    seen: HashSet<[u8; 32]>,
    key_packages: HashMap<Vec<u8>, Vec<u8>>,
    identity: BTreeMap<String, InboxLog>,
    sockets: Vec<Subscriber>,
    next_socket: u64,
    no_socket: bool,
    heard: Option<Vec<Heard>>,
}

#[derive(Default)]
struct InboxLog {
    entries: Vec<identity::get_identity_updates_response::IdentityUpdateLog>,
    state: Option<AssociationState>,
}

struct Subscriber {
    number: u64,
    topics: HashMap<Vec<u8>, u64>,
    sink: mpsc::UnboundedSender<Vec<u8>>,
    raw: bool,
}

impl FakeNode {
    /// An empty node whose clock stands at `now_ns`.
    #[must_use]
    pub fn new(now_ns: u64) -> Self {
        let node = Self::default();
        node.state.borrow_mut().now_ns = now_ns;
        node
    }

    /// Moves the node's clock, in nanoseconds since the epoch; it never goes back.
    pub fn set_now(&self, now_ns: u64) {
        let mut state = self.state.borrow_mut();
        state.now_ns = state.now_ns.max(now_ns);
    }

    /// A client's way to this node.
    #[must_use]
    pub fn transport(&self, hook: Option<Hook>) -> FakeTransport {
        FakeTransport {
            node: self.clone(),
            hook,
        }
    }

    /// Writes down from now on every request and its answer.
    pub fn record(&self) {
        self.state.borrow_mut().heard.get_or_insert_default();
    }

    /// What was written down.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.state.borrow().heard.clone().unwrap_or_default()
    }

    /// Whether the subscription socket exists.
    pub fn set_socket(&self, exists: bool) {
        self.state.borrow_mut().no_socket = !exists;
    }

    /// Cuts every subscription.
    pub fn cut_sockets(&self) {
        self.state.borrow_mut().sockets.clear();
    }

    /// Everything stored in a group's log.
    #[must_use]
    pub fn group_log(&self, group_id: &[u8]) -> Vec<mls::group_message::V1> {
        self.state
            .borrow()
            .groups
            .get(group_id)
            .cloned()
            .unwrap_or_default()
    }

    /// Everything stored for an installation.
    #[must_use]
    pub fn welcomes(&self, installation: &[u8]) -> Vec<mls::WelcomeMessage> {
        self.state
            .borrow()
            .welcomes
            .get(installation)
            .cloned()
            .unwrap_or_default()
    }

    /// Number of entries in an inbox's log.
    #[must_use]
    pub fn identity_updates(&self, inbox_id: &str) -> usize {
        self.state
            .borrow()
            .identity
            .get(inbox_id)
            .map_or(0, |log| log.entries.len())
    }

    /// Replaces an installation's key package by other bytes.
    pub fn put_key_package(&self, installation: &[u8], bytes: Vec<u8>) {
        self.state
            .borrow_mut()
            .key_packages
            .insert(installation.to_vec(), bytes);
    }

    /// Appends raw bytes to a group's log, as any stranger could.
    pub fn inject(&self, group_id: &[u8], data: Vec<u8>, is_commit: bool) -> u64 {
        self.state
            .borrow_mut()
            .append_group(group_id.to_vec(), data, is_commit)
    }

    fn handle(&self, path: &'static str, request: &[u8]) -> Result<Vec<u8>, NetError> {
        let answer = self.carry_out(path, request);
        if let Some(heard) = &mut self.state.borrow_mut().heard {
            heard.push(Heard {
                path,
                request: request.to_vec(),
                answer: answer.as_ref().cloned().unwrap_or_default(),
            });
        }
        answer
    }

    fn carry_out(&self, path: &'static str, request: &[u8]) -> Result<Vec<u8>, NetError> {
        let mut state = self.state.borrow_mut();
        match path {
            paths::SEND_GROUP_MESSAGES => {
                let request: mls::SendGroupMessagesRequest = decode(request)?;
                for message in request.messages {
                    let Some(mls::group_message_input::Version::V1(v1)) = message.version else {
                        return Err(invalid("no version"));
                    };
                    let (group_id, is_commit) =
                        header(&v1.data).ok_or_else(|| invalid("not a private message"))?;
                    state.append_group(group_id, v1.data, is_commit);
                }
                Ok(Vec::new())
            }
            paths::QUERY_GROUP_MESSAGES => {
                let request: mls::QueryGroupMessagesRequest = decode(request)?;
                let cursor = request.paging_info.unwrap_or_default().id_cursor;
                let messages = state
                    .groups
                    .get(&request.group_id)
                    .map(|log| page(log, cursor))
                    .unwrap_or_default();
                let messages = messages.into_iter().map(wrap_group).collect();
                Ok(mls::QueryGroupMessagesResponse {
                    messages,
                    paging_info: None,
                }
                .encode_to_vec())
            }
            paths::GET_NEWEST_GROUP_MESSAGE => {
                let request: mls::GetNewestGroupMessageRequest = decode(request)?;
                let responses = request
                    .group_ids
                    .iter()
                    .map(|id| mls::get_newest_group_message_response::Response {
                        group_message: state.groups.get(id).and_then(|log| log.last()).map(|v1| {
                            wrap_group(mls::group_message::V1 {
                                data: Vec::new(),
                                sender_hmac: Vec::new(),
                                ..v1.clone()
                            })
                        }),
                    })
                    .collect();
                Ok(mls::GetNewestGroupMessageResponse { responses }.encode_to_vec())
            }
            paths::SEND_WELCOME_MESSAGES => {
                let request: mls::SendWelcomeMessagesRequest = decode(request)?;
                for message in request.messages {
                    state.append_welcome(message)?;
                }
                Ok(Vec::new())
            }
            paths::QUERY_WELCOME_MESSAGES => {
                let request: mls::QueryWelcomeMessagesRequest = decode(request)?;
                let cursor = request.paging_info.unwrap_or_default().id_cursor;
                let messages = state
                    .welcomes
                    .get(&request.installation_key)
                    .map(|log| page(log, cursor))
                    .unwrap_or_default();
                Ok(mls::QueryWelcomeMessagesResponse {
                    messages,
                    paging_info: None,
                }
                .encode_to_vec())
            }
            paths::UPLOAD_KEY_PACKAGE => {
                let request: mls::UploadKeyPackageRequest = decode(request)?;
                let bytes = request
                    .key_package
                    .unwrap_or_default()
                    .key_package_tls_serialized;
                let key = signature_key(&bytes).ok_or_else(|| invalid("not a key package"))?;
                state.key_packages.insert(key, bytes);
                Ok(Vec::new())
            }
            paths::FETCH_KEY_PACKAGES => {
                let request: mls::FetchKeyPackagesRequest = decode(request)?;
                let key_packages = request
                    .installation_keys
                    .iter()
                    .map(|key| mls::fetch_key_packages_response::KeyPackage {
                        key_package_tls_serialized: state
                            .key_packages
                            .get(key)
                            .cloned()
                            .unwrap_or_default(),
                    })
                    .collect();
                Ok(mls::FetchKeyPackagesResponse { key_packages }.encode_to_vec())
            }
            paths::PUBLISH_IDENTITY_UPDATE => {
                let request: identity::PublishIdentityUpdateRequest = decode(request)?;
                state.append_identity(request.identity_update.unwrap_or_default())?;
                Ok(Vec::new())
            }
            paths::GET_IDENTITY_UPDATES => {
                let request: identity::GetIdentityUpdatesRequest = decode(request)?;
                let responses = request
                    .requests
                    .into_iter()
                    .map(|wanted| {
                        let updates = state
                            .identity
                            .get(&wanted.inbox_id)
                            .map(|log| {
                                log.entries
                                    .iter()
                                    .filter(|e| e.sequence_id > wanted.sequence_id)
                                    .cloned()
                                    .collect()
                            })
                            .unwrap_or_default();
                        identity::get_identity_updates_response::Response {
                            inbox_id: wanted.inbox_id,
                            updates,
                        }
                    })
                    .collect();
                Ok(identity::GetIdentityUpdatesResponse { responses }.encode_to_vec())
            }
            // Every contract wallet of this world takes the hash itself for a signature.
            paths::VERIFY_SMART_CONTRACT_WALLET_SIGNATURES => {
                let request: identity::VerifySmartContractWalletSignaturesRequest =
                    decode(request)?;
                let responses = request
                    .signatures
                    .into_iter()
                    .map(|asked| ValidationResponse {
                        is_valid: asked.signature == asked.hash,
                        block_number: Some(asked.block_number.unwrap_or(1)),
                        error: None,
                    })
                    .collect();
                Ok(
                    identity::VerifySmartContractWalletSignaturesResponse { responses }
                        .encode_to_vec(),
                )
            }
            paths::GET_INBOX_IDS => {
                let request: identity::GetInboxIdsRequest = decode(request)?;
                let responses = request
                    .requests
                    .into_iter()
                    .map(|wanted| identity::get_inbox_ids_response::Response {
                        inbox_id: state.inbox_of(&wanted.identifier),
                        identifier: wanted.identifier,
                        identifier_kind: wanted.identifier_kind,
                    })
                    .collect();
                Ok(identity::GetInboxIdsResponse { responses }.encode_to_vec())
            }
            _ => Err(NetError::refused(Status::UNIMPLEMENTED, path)),
        }
    }
}

impl State {
    fn stamp(&mut self) -> (u64, u64) {
        self.next_id += 1;
        self.now_ns += 1;
        (self.next_id, self.now_ns)
    }

    fn append_group(&mut self, group_id: Vec<u8>, data: Vec<u8>, is_commit: bool) -> u64 {
        let hash = Sha256::new()
            .chain_update(&group_id)
            .chain_update(&data)
            .finalize()
            .into();
        if !self.seen.insert(hash) {
            return 0;
        }
        let (id, created_ns) = self.stamp();
        let v1 = mls::group_message::V1 {
            id,
            created_ns,
            group_id: group_id.clone(),
            data,
            is_commit,
            ..Default::default()
        };
        self.groups
            .entry(group_id.clone())
            .or_default()
            .push(v1.clone());
        let mut topic = vec![0];
        topic.extend_from_slice(&group_id);
        self.deliver(&topic, id, &wrap_group(v1).encode_to_vec(), |bytes| {
            Messages {
                group_messages: mls::GroupMessage::decode(bytes).into_iter().collect(),
                ..Messages::default()
            }
        });
        id
    }

    fn append_welcome(&mut self, message: mls::WelcomeMessageInput) -> Result<(), NetError> {
        let hash = Sha256::digest(message.encode_to_vec()).into();
        let (id, created_ns) = self.stamp();
        use mls::welcome_message::{V1, Version, WelcomePointer};
        let (topic, version) = match message.version.ok_or_else(|| invalid("no version"))? {
            mls::welcome_message_input::Version::V1(v1) => (
                v1.installation_key.clone(),
                Version::V1(V1 {
                    id,
                    created_ns,
                    installation_key: v1.installation_key,
                    data: v1.data,
                    hpke_public_key: v1.hpke_public_key,
                    wrapper_algorithm: v1.wrapper_algorithm,
                    welcome_metadata: v1.welcome_metadata,
                }),
            ),
            mls::welcome_message_input::Version::WelcomePointer(pointer) => (
                pointer.installation_key.clone(),
                Version::WelcomePointer(WelcomePointer {
                    id,
                    created_ns,
                    installation_key: pointer.installation_key,
                    welcome_pointer: pointer.welcome_pointer,
                    hpke_public_key: pointer.hpke_public_key,
                    wrapper_algorithm: pointer.wrapper_algorithm,
                }),
            ),
        };
        if !self.seen.insert(hash) {
            return Ok(());
        }
        let welcome = mls::WelcomeMessage {
            version: Some(version),
        };
        self.welcomes
            .entry(topic.clone())
            .or_default()
            .push(welcome.clone());
        let mut name = vec![1];
        name.extend_from_slice(&topic);
        self.deliver(&name, id, &welcome.encode_to_vec(), |bytes| Messages {
            welcome_messages: mls::WelcomeMessage::decode(bytes).into_iter().collect(),
            ..Messages::default()
        });
        Ok(())
    }

    fn open(&mut self, sink: mpsc::UnboundedSender<Vec<u8>>, raw: bool) -> u64 {
        self.next_socket += 1;
        self.sockets.push(Subscriber {
            number: self.next_socket,
            topics: HashMap::new(),
            sink,
            raw,
        });
        self.next_socket
    }

    fn deliver(&mut self, topic: &[u8], id: u64, raw: &[u8], frame: impl Fn(&[u8]) -> Messages) {
        self.sockets.retain_mut(|subscriber| {
            let Some(floor) = subscriber.topics.get_mut(topic) else {
                return !subscriber.sink.is_closed();
            };
            if id <= *floor {
                return true;
            }
            *floor = id;
            let bytes = if subscriber.raw {
                raw.to_vec()
            } else {
                response(Response::Messages(frame(raw)))
            };
            subscriber.sink.unbounded_send(bytes).is_ok()
        });
    }

    fn append_identity(&mut self, bytes: Vec<u8>) -> Result<(), NetError> {
        let update = SignedUpdate::decode(&bytes).map_err(|error| invalid(&error.to_string()))?;
        let log = self
            .identity
            .entry(update.inbox_id().to_string())
            .or_default();
        let answers: ContractAnswers = update
            .contract_checks()
            .into_iter()
            .map(|check| {
                let is_valid = check.signature == check.hash;
                (check, is_valid)
            })
            .collect();
        let next = AssociationState::apply(log.state.as_ref(), &update, &answers)
            .map_err(|error| invalid(&error.to_string()))?;
        self.next_identity += 1;
        self.now_ns += 1;
        log.state = Some(next);
        log.entries
            .push(identity::get_identity_updates_response::IdentityUpdateLog {
                sequence_id: self.next_identity,
                server_timestamp_ns: self.now_ns,
                update: Some(bytes),
            });
        Ok(())
    }

    fn inbox_of(&self, identifier: &str) -> Option<String> {
        let wanted = identifier.to_lowercase();
        self.identity
            .iter()
            .filter(|(_, log)| {
                log.state.as_ref().is_some_and(|state| {
                    state
                        .members()
                        .into_iter()
                        .any(|member| match member.identifier {
                            MemberIdentifier::Installation(_) => false,
                            ref other => other.to_string() == wanted,
                        })
                })
            })
            .max_by_key(|(_, log)| log.entries.last().map(|entry| entry.sequence_id))
            .map(|(inbox_id, _)| inbox_id.clone())
    }

    fn subscribe(&mut self, number: u64, adds: Vec<(Vec<u8>, u64)>, mutate_id: u64) {
        let mut messages = Messages {
            mutate_id,
            ..Messages::default()
        };
        let mut raw = Vec::new();
        let mut floors = Vec::new();
        let mut live = Vec::new();
        for (topic, cursor) in adds {
            let Some((kind, id)) = topic.split_first() else {
                continue;
            };
            let mut floor = cursor;
            if *kind == 0 {
                for v1 in self
                    .groups
                    .get(id)
                    .into_iter()
                    .flatten()
                    .filter(|v1| v1.id > cursor)
                {
                    floor = v1.id;
                    raw.push(wrap_group(v1.clone()).encode_to_vec());
                    messages.group_messages.push(wrap_group(v1.clone()));
                }
            } else {
                for welcome in self
                    .welcomes
                    .get(id)
                    .into_iter()
                    .flatten()
                    .filter(|w| welcome_id(w) > cursor)
                {
                    floor = welcome_id(welcome);
                    raw.push(welcome.encode_to_vec());
                    messages.welcome_messages.push(welcome.clone());
                }
            }
            live.push(topic.clone());
            floors.push((topic, floor));
        }
        let Some(subscriber) = self.sockets.iter_mut().find(|other| other.number == number) else {
            return;
        };
        subscriber.topics.extend(floors);
        if subscriber.raw {
            for bytes in raw {
                let _ = subscriber.sink.unbounded_send(bytes);
            }
            return;
        }
        for frame in [
            Response::Messages(messages),
            Response::TopicsLive(TopicsLive { topics: live }),
            Response::CatchupComplete(CatchupComplete { mutate_id }),
        ] {
            let _ = subscriber.sink.unbounded_send(response(frame));
        }
    }
}

/// A client's way to a [`FakeNode`].
#[derive(Clone)]
pub struct FakeTransport {
    node: FakeNode,
    hook: Option<Hook>,
}

impl FakeTransport {
    async fn fate(&self, path: &'static str) -> Fate {
        match &self.hook {
            Some(hook) => hook(path).await,
            None => Fate::Pass,
        }
    }
}

impl Transport for FakeTransport {
    type Socket = FakeSocket;
    type Stream = FakeStream;

    async fn unary(&self, path: &'static str, request: Vec<u8>) -> Result<Vec<u8>, NetError> {
        match self.fate(path).await {
            Fate::Pass => self.node.handle(path, &request),
            Fate::LoseRequest => Err(NetError::Unreachable("lost".into())),
            Fate::LoseAnswer => {
                let _ = self.node.handle(path, &request);
                Err(NetError::Unreachable("answer lost".into()))
            }
            Fate::Hang => {
                let _ = self.node.handle(path, &request);
                futures::future::pending().await
            }
            Fate::Refuse(status) => Err(NetError::refused(status, "refused by the test")),
        }
    }

    async fn open_socket(&self) -> Result<FakeSocket, NetError> {
        if self.fate(paths::SUBSCRIBE).await != Fate::Pass {
            return Err(NetError::Unreachable("lost".into()));
        }
        let mut state = self.node.state.borrow_mut();
        if state.no_socket {
            return Err(NetError::refused(Status::UNIMPLEMENTED, "no socket"));
        }
        let (sink, frames) = mpsc::unbounded();
        let _ = sink.unbounded_send(response(Response::Started(Started {
            keepalive_interval_ms: 30_000,
            capabilities: vec![],
        })));
        let number = state.open(sink, false);
        Ok(FakeSocket {
            node: self.node.clone(),
            number,
            frames,
        })
    }

    async fn open_stream(
        &self,
        path: &'static str,
        request: Vec<u8>,
    ) -> Result<FakeStream, NetError> {
        if self.fate(path).await != Fate::Pass {
            return Err(NetError::Unreachable("lost".into()));
        }
        let topics = match path {
            paths::SUBSCRIBE_GROUP_MESSAGES => {
                decode::<mls::SubscribeGroupMessagesRequest>(&request)?
                    .filters
                    .into_iter()
                    .map(|filter| ([vec![0], filter.group_id].concat(), filter.id_cursor))
                    .collect::<Vec<_>>()
            }
            _ => decode::<mls::SubscribeWelcomeMessagesRequest>(&request)?
                .filters
                .into_iter()
                .map(|filter| {
                    (
                        [vec![1], filter.installation_key].concat(),
                        filter.id_cursor,
                    )
                })
                .collect(),
        };
        let mut state = self.node.state.borrow_mut();
        let (sink, frames) = mpsc::unbounded();
        let number = state.open(sink, true);
        state.subscribe(number, topics, 0);
        Ok(FakeStream { frames })
    }
}

/// The client's end of a subscription to a [`FakeNode`].
pub struct FakeSocket {
    node: FakeNode,
    number: u64,
    frames: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl Drop for FakeSocket {
    fn drop(&mut self) {
        self.node
            .state
            .borrow_mut()
            .sockets
            .retain(|other| other.number != self.number);
    }
}

impl Socket for FakeSocket {
    fn send(&self, frame: Vec<u8>) {
        let Ok(mls::SubscribeRequest {
            version: Some(mls::subscribe_request::Version::V1(v1)),
        }) = mls::SubscribeRequest::decode(frame.as_slice())
        else {
            return;
        };
        let mut state = self.node.state.borrow_mut();
        match v1.request {
            Some(Request::Mutate(mutate)) => {
                let adds = mutate
                    .adds
                    .into_iter()
                    .map(|add| (add.topic, add.id_cursor))
                    .collect();
                state.subscribe(self.number, adds, mutate.mutate_id);
            }
            Some(Request::Ping(ping)) => {
                if let Some(subscriber) = state
                    .sockets
                    .iter()
                    .find(|other| other.number == self.number)
                {
                    let _ = subscriber
                        .sink
                        .unbounded_send(response(Response::Pong(mls::Pong { nonce: ping.nonce })));
                }
            }
            _ => {}
        }
    }

    async fn next(&mut self) -> Result<Vec<u8>, NetError> {
        self.frames
            .next()
            .await
            .ok_or_else(|| NetError::Unreachable("cut".into()))
    }
}

/// The client's end of a server stream from a [`FakeNode`].
pub struct FakeStream {
    frames: mpsc::UnboundedReceiver<Vec<u8>>,
}

impl ServerStream for FakeStream {
    async fn next(&mut self) -> Option<Result<Vec<u8>, NetError>> {
        self.frames.next().await.map(Ok)
    }
}

trait Identified: Clone {
    fn id(&self) -> u64;
}

impl Identified for mls::group_message::V1 {
    fn id(&self) -> u64 {
        self.id
    }
}

impl Identified for mls::WelcomeMessage {
    fn id(&self) -> u64 {
        welcome_id(self)
    }
}

fn page<T: Identified>(log: &[T], cursor: u64) -> Vec<T> {
    log.iter()
        .filter(|entry| entry.id() > cursor)
        .take(super::api::PAGE as usize)
        .cloned()
        .collect()
}

fn welcome_id(welcome: &mls::WelcomeMessage) -> u64 {
    match &welcome.version {
        Some(mls::welcome_message::Version::V1(v1)) => v1.id,
        Some(mls::welcome_message::Version::WelcomePointer(pointer)) => pointer.id,
        None => 0,
    }
}

fn wrap_group(v1: mls::group_message::V1) -> mls::GroupMessage {
    mls::GroupMessage {
        version: Some(mls::group_message::Version::V1(v1)),
    }
}

fn response(response: Response) -> Vec<u8> {
    let v1 = mls::subscribe_response::V1 {
        response: Some(response),
    };
    mls::SubscribeResponse {
        version: Some(mls::subscribe_response::Version::V1(v1)),
    }
    .encode_to_vec()
}

fn decode<T: Message + Default>(bytes: &[u8]) -> Result<T, NetError> {
    T::decode(bytes).map_err(|error| invalid(&error.to_string()))
}

fn invalid(message: &str) -> NetError {
    NetError::refused(Status::INVALID_ARGUMENT, message)
}

/// Group id and "is a commit or proposal" of a PrivateMessage with a 16-byte group id.
fn header(data: &[u8]) -> Option<(Vec<u8>, bool)> {
    let rest = data.strip_prefix(&[0, 1, 0, 2, 16])?;
    let group_id = rest.get(..16)?.to_vec();
    Some((group_id, *rest.get(24)? != 1))
}

/// The leaf's signature key in a key package with X25519 and Ed25519 keys.
fn signature_key(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(bytes.get(4 + 33 + 33 + 1..4 + 33 + 33 + 1 + 32)?.to_vec())
}
