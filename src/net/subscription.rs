//! One subscription for all topics of a client: XIP-83 frames over the socket, or, for nodes
//! without it, two server streams that are opened anew when the topics change.
//!
//! What arrives here never moves a cursor by itself; the caller decides what an envelope means.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use futures::FutureExt;
use futures::future::{Either, pending, select};
use sotto_proto::mls_api as mls;
use sotto_proto::mls_api::subscribe_request::v1::{Mutate, Request, mutate::Subscription as Add};
use sotto_proto::mls_api::subscribe_response::v1::Response;
use sotto_proto::{Message, paths};

use super::{NetError, ServerStream, Socket, Status, Transport};

/// Topics in one Mutate frame: well under a node's frame limit.
const TOPICS_PER_MUTATE: usize = 1000;

/// A topic of the node's logs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// A group's messages.
    Group(Vec<u8>),
    /// An installation's welcomes.
    Welcome(Vec<u8>),
}

impl Topic {
    fn encode(&self) -> Vec<u8> {
        let (kind, id) = match self {
            Self::Group(id) => (0, id),
            Self::Welcome(id) => (1, id),
        };
        let mut bytes = vec![kind];
        bytes.extend_from_slice(id);
        bytes
    }
}

/// What a subscription reports.
#[derive(Debug)]
pub enum Event {
    /// A group's message.
    Group(mls::group_message::V1),
    /// A welcome.
    Welcome(mls::WelcomeMessage),
    /// Everything that was stored when the topics were added has been delivered.
    CaughtUp,
    /// The node wants an answer to this ping; [`Subscription::next`] has given it.
    Alive,
}

/// A running subscription. Dropping it ends it.
pub struct Subscription<T: Transport> {
    link: Link<T>,
    topics: BTreeMap<Topic, u64>,
    queue: VecDeque<Event>,
}

enum Link<T: Transport> {
    Socket {
        socket: T::Socket,
        next_mutate: u64,
        outstanding: Vec<u64>,
        keepalive_ms: u32,
    },
    Streams {
        transport: Rc<T>,
        groups: Option<T::Stream>,
        welcomes: Option<T::Stream>,
    },
}

impl<T: Transport> Subscription<T> {
    /// Subscribes by socket to `topics`, each from its cursor.
    pub async fn by_socket(transport: &T, topics: BTreeMap<Topic, u64>) -> Result<Self, NetError> {
        let socket = transport.open_socket().await?;
        let link = Link::Socket {
            socket,
            next_mutate: 1,
            outstanding: Vec::new(),
            keepalive_ms: 30_000,
        };
        let mut subscription = Self {
            link,
            topics: BTreeMap::new(),
            queue: VecDeque::new(),
        };
        subscription.add(topics).await?;
        Ok(subscription)
    }

    /// Subscribes by server streams to `topics`, each from its cursor.
    pub async fn by_streams(
        transport: Rc<T>,
        topics: BTreeMap<Topic, u64>,
    ) -> Result<Self, NetError> {
        let link = Link::Streams {
            transport,
            groups: None,
            welcomes: None,
        };
        let mut subscription = Self {
            link,
            topics: BTreeMap::new(),
            queue: VecDeque::new(),
        };
        subscription.add(topics).await?;
        Ok(subscription)
    }

    /// How long the node may be silent, in milliseconds, before the link must be taken for
    /// dead. `None` where nothing tells (server streams).
    #[must_use]
    pub fn keepalive_ms(&self) -> Option<u32> {
        match &self.link {
            Link::Socket { keepalive_ms, .. } => Some(*keepalive_ms),
            Link::Streams { .. } => None,
        }
    }

    /// Topics subscribed to.
    #[must_use]
    pub fn has(&self, topic: &Topic) -> bool {
        self.topics.contains_key(topic)
    }

    /// Adds topics, each from its cursor; those already there are left alone.
    pub async fn add(&mut self, topics: BTreeMap<Topic, u64>) -> Result<(), NetError> {
        let new: Vec<(Topic, u64)> = topics
            .into_iter()
            .filter(|(topic, _)| !self.topics.contains_key(topic))
            .collect();
        self.topics.extend(new.iter().cloned());
        match &mut self.link {
            Link::Socket {
                socket,
                next_mutate,
                outstanding,
                ..
            } => {
                for chunk in new.chunks(TOPICS_PER_MUTATE) {
                    let adds = chunk
                        .iter()
                        .map(|(topic, id_cursor)| Add {
                            topic: topic.encode(),
                            id_cursor: *id_cursor,
                        })
                        .collect();
                    let mutate = Mutate {
                        adds,
                        mutate_id: *next_mutate,
                        ..Mutate::default()
                    };
                    outstanding.push(*next_mutate);
                    *next_mutate += 1;
                    socket.send(request(Request::Mutate(mutate)));
                }
            }
            Link::Streams {
                transport,
                groups,
                welcomes,
            } => {
                let mut group_filters = Vec::new();
                let mut welcome_filters = Vec::new();
                for (topic, cursor) in &self.topics {
                    match topic {
                        Topic::Group(id) => {
                            group_filters.push(mls::subscribe_group_messages_request::Filter {
                                group_id: id.clone(),
                                id_cursor: *cursor,
                            })
                        }
                        Topic::Welcome(id) => {
                            welcome_filters.push(mls::subscribe_welcome_messages_request::Filter {
                                installation_key: id.clone(),
                                id_cursor: *cursor,
                            })
                        }
                    }
                }
                // The old streams live until the new ones have their headers.
                if !group_filters.is_empty()
                    && new
                        .iter()
                        .any(|(topic, _)| matches!(topic, Topic::Group(_)))
                {
                    let body = mls::SubscribeGroupMessagesRequest {
                        filters: group_filters,
                    }
                    .encode_to_vec();
                    *groups = Some(
                        transport
                            .open_stream(paths::SUBSCRIBE_GROUP_MESSAGES, body)
                            .await?,
                    );
                }
                if !welcome_filters.is_empty()
                    && new
                        .iter()
                        .any(|(topic, _)| matches!(topic, Topic::Welcome(_)))
                {
                    let body = mls::SubscribeWelcomeMessagesRequest {
                        filters: welcome_filters,
                    }
                    .encode_to_vec();
                    *welcomes = Some(
                        transport
                            .open_stream(paths::SUBSCRIBE_WELCOME_MESSAGES, body)
                            .await?,
                    );
                }
                self.queue.push_back(Event::CaughtUp);
            }
        }
        Ok(())
    }

    /// Asks the node for a sign of life.
    pub fn ping(&mut self, nonce: u64) {
        if let Link::Socket { socket, .. } = &self.link {
            socket.send(request(Request::Ping(mls::Ping { nonce })));
        }
    }

    /// An event that is already here, without waiting for the network.
    pub fn queued(&mut self) -> Option<Event> {
        self.queue.pop_front()
    }

    /// The next event, or why there will be none. Cancelling the future loses nothing.
    pub async fn next(&mut self) -> Result<Event, NetError> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Ok(event);
            }
            match &mut self.link {
                Link::Socket {
                    socket,
                    outstanding,
                    keepalive_ms,
                    ..
                } => {
                    let frame = socket.next().await?;
                    let answer = mls::SubscribeResponse::decode(frame.as_slice())
                        .map_err(|error| NetError::Malformed(error.to_string()))?;
                    let Some(mls::subscribe_response::Version::V1(v1)) = answer.version else {
                        return Err(NetError::Malformed("a frame of another version".into()));
                    };
                    match v1.response {
                        Some(Response::Messages(messages)) => {
                            self.queue
                                .extend(messages.welcome_messages.into_iter().map(Event::Welcome));
                            self.queue.extend(
                                messages.group_messages.into_iter().filter_map(group_event),
                            );
                        }
                        Some(Response::Started(started)) => {
                            *keepalive_ms = started.keepalive_interval_ms.clamp(1_000, 120_000);
                            self.queue.push_back(Event::Alive);
                        }
                        Some(Response::Ping(ping)) => {
                            socket.send(request(Request::Pong(mls::Pong { nonce: ping.nonce })));
                            self.queue.push_back(Event::Alive);
                        }
                        Some(Response::Pong(_)) => self.queue.push_back(Event::Alive),
                        Some(Response::CatchupComplete(done)) => {
                            outstanding.retain(|id| *id != done.mutate_id);
                            if outstanding.is_empty() {
                                self.queue.push_back(Event::CaughtUp);
                            }
                        }
                        Some(Response::TopicsLive(_)) | None => {}
                    }
                }
                Link::Streams {
                    groups, welcomes, ..
                } => {
                    let next_group = next_or_never(groups.as_mut());
                    let next_welcome = next_or_never(welcomes.as_mut());
                    match select(next_group.boxed_local(), next_welcome.boxed_local()).await {
                        Either::Left((message, _)) => {
                            let message = mls::GroupMessage::decode(message?.as_slice())
                                .map_err(|error| NetError::Malformed(error.to_string()))?;
                            self.queue.extend(group_event(message));
                        }
                        Either::Right((message, _)) => {
                            let message = mls::WelcomeMessage::decode(message?.as_slice())
                                .map_err(|error| NetError::Malformed(error.to_string()))?;
                            self.queue.push_back(Event::Welcome(message));
                        }
                    }
                }
            }
        }
    }
}

fn group_event(message: mls::GroupMessage) -> Option<Event> {
    message
        .version
        .map(|mls::group_message::Version::V1(v1)| Event::Group(v1))
}

fn request(request: Request) -> Vec<u8> {
    let v1 = mls::subscribe_request::V1 {
        request: Some(request),
    };
    mls::SubscribeRequest {
        version: Some(mls::subscribe_request::Version::V1(v1)),
    }
    .encode_to_vec()
}

async fn next_or_never<S: ServerStream>(stream: Option<&mut S>) -> Result<Vec<u8>, NetError> {
    match stream {
        Some(stream) => match stream.next().await {
            Some(result) => result,
            None => Err(NetError::refused(
                Status::UNAVAILABLE,
                "the node ended the stream",
            )),
        },
        None => pending().await,
    }
}
