//! XIP-83: one stream for all topics, changed in place. The transport hands in requests and
//! takes frames; everything between is here, the same for HTTP/2 and WebSockets.

use std::{
    collections::{HashSet, VecDeque},
    future::Future,
    time::Duration,
};

use bytes::Bytes;
use prost::Message;
use sotto_proto::mls_api::{
    SubscribeRequest,
    subscribe_request::{
        Version,
        v1::{Mutate, Request},
    },
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    feed::{Event, Feed},
    frames,
};
use crate::{
    envelope::Envelope,
    limits::Bucket,
    node::draining,
    status::{Code, Status},
    topic::Topic,
};

/// `Messages` frames are split at about this size; a larger envelope goes alone.
const FRAME_BYTES: usize = 1 << 20;
/// Topics in one `TopicsLive` frame.
const TOPICS_PER_FRAME: usize = 10_000;
/// Requests a client may send at once, and for each second after that.
const REQUEST_BURST: f64 = 1_000.0;
const REQUESTS_PER_SECOND: f64 = 20.0;

/// What a transport hears from its client.
#[derive(Debug)]
pub enum Input {
    /// An encoded `SubscribeRequest`.
    Request(Bytes),
    /// The client has no more requests and wants the waves finished.
    HalfClosed,
    /// The client is gone.
    Gone,
    /// The client broke the transport's rules.
    Broken(Status),
}

/// A source of requests.
pub trait Requests: Send {
    /// The next input. Must be safe to cancel.
    fn next(&mut self) -> impl Future<Output = Input> + Send;
}

/// Bounds of one session.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Topics on the stream.
    pub topics: usize,
    /// How often the node pings an idle client, and how long it waits for the answer.
    pub keepalive: Duration,
}

/// One `Subscribe` stream.
pub struct Session<R> {
    requests: R,
    feed: Feed,
    limits: SessionLimits,
    drain: watch::Receiver<bool>,
    budget: Bucket,
    ready: VecDeque<Bytes>,
    half_closed: bool,
    gone: bool,
    last_sent: Instant,
    /// Nonce of the ping that waits for its pong, and when it was sent.
    ping: Option<(u64, Instant)>,
}

impl<R: Requests> Session<R> {
    /// A session whose first frame, `Started`, is ready at once.
    pub fn new(
        requests: R,
        feed: Feed,
        limits: SessionLimits,
        drain: watch::Receiver<bool>,
    ) -> Self {
        let keepalive = u32::try_from(limits.keepalive.as_millis()).unwrap_or(u32::MAX);
        Self {
            requests,
            feed,
            limits,
            drain,
            budget: Bucket::full(REQUEST_BURST),
            ready: VecDeque::from([frames::started(keepalive)]),
            half_closed: false,
            gone: false,
            last_sent: Instant::now(),
            ping: None,
        }
    }

    /// The next frame, or the end: `None` is OK. Safe to cancel; not to be called after the end.
    pub async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                self.last_sent = Instant::now();
                return Some(Ok(frame));
            }
            if self.gone || (self.half_closed && !self.feed.catching_up()) {
                return None;
            }
            if let Err(status) = self.step().await {
                return Some(Err(status));
            }
        }
    }

    /// Gives the source of requests back, after the end.
    pub fn into_requests(self) -> R {
        self.requests
    }

    /// Waits for one thing to happen and reacts to it.
    async fn step(&mut self) -> Result<(), Status> {
        let deadline = self.ping.map_or(self.last_sent, |(_, sent)| sent) + self.limits.keepalive;
        tokio::select! {
            // In this order: after a stall the pong that already lies there counts.
            biased;
            () = draining(&mut self.drain) => Err(Status::draining()),
            input = self.requests.next(), if !self.half_closed => self.input(input),
            event = self.feed.next() => {
                self.event(event?);
                Ok(())
            }
            () = sleep_until(deadline), if !self.half_closed => self.keep_alive(),
        }
    }

    fn input(&mut self, input: Input) -> Result<(), Status> {
        match input {
            Input::Request(bytes) => {
                if !self.budget.take(1.0, REQUEST_BURST, REQUESTS_PER_SECOND) {
                    return Err(Status::exhausted("too many requests on one stream"));
                }
                self.request(&bytes)
            }
            Input::HalfClosed => {
                self.half_closed = true;
                self.ping = None;
                Ok(())
            }
            Input::Gone => {
                self.gone = true;
                Ok(())
            }
            Input::Broken(status) => Err(status),
        }
    }

    fn request(&mut self, bytes: &[u8]) -> Result<(), Status> {
        let request = SubscribeRequest::decode(bytes)
            .map_err(|_| Status::invalid("the request is not a SubscribeRequest"))?;
        let Some(Version::V1(request)) = request.version else {
            return Err(Status::invalid("the request has no known version"));
        };
        match request.request {
            Some(Request::Mutate(mutate)) => self.mutate(mutate)?,
            Some(Request::Ping(ping)) => self.ready.push_back(frames::pong(ping.nonce)),
            // Only the nonce that was asked for is an answer.
            Some(Request::Pong(pong)) => {
                self.ping = self.ping.filter(|(nonce, _)| *nonce != pong.nonce)
            }
            // A frame of a later version of v1.
            None => {}
        }
        Ok(())
    }

    /// Applied whole or not at all: everything is checked before anything changes.
    fn mutate(&mut self, mutate: Mutate) -> Result<(), Status> {
        let id = mutate.mutate_id;
        let removes = mutate
            .removes
            .iter()
            .map(|topic| Topic::from_bytes(topic))
            .collect::<Result<HashSet<_>, _>>()?;
        let adds = mutate
            .adds
            .iter()
            .map(|add| Ok((Topic::from_bytes(&add.topic)?, add.id_cursor)))
            .collect::<Result<Vec<_>, Status>>()?;
        if id == 0 && !adds.is_empty() {
            return Err(Status::invalid("a Mutate with adds needs a mutate_id"));
        }
        if self.feed.has_wave(id) {
            return Err(Status::invalid("this mutate_id is in use"));
        }
        let removed = removes
            .iter()
            .filter(|topic| self.feed.contains(topic))
            .count();
        let new: HashSet<_> = adds
            .iter()
            .map(|(topic, _)| topic)
            .filter(|topic| removes.contains(*topic) || !self.feed.contains(topic))
            .collect();
        if self.feed.topic_count() - removed + new.len() > self.limits.topics {
            return Err(Status::exhausted("too many topics on one stream"));
        }

        for topic in &removes {
            self.feed.remove(topic);
        }
        if !self.feed.add_wave(id, adds, mutate.history_only) {
            self.ready.push_back(frames::catchup_complete(id));
        }
        Ok(())
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Messages {
                wave: None,
                envelopes,
            } => {
                self.ready
                    .extend(envelopes.iter().map(Envelope::live_frame));
            }
            Event::Messages {
                wave: Some(id),
                envelopes,
            } => {
                let mut rest = envelopes.as_slice();
                while !rest.is_empty() {
                    let mut bytes = 0;
                    let fitting = rest
                        .iter()
                        .take_while(|envelope| {
                            bytes += envelope.message.len();
                            bytes <= FRAME_BYTES
                        })
                        .count();
                    let (now, later) = rest.split_at(fitting.max(1));
                    self.ready.push_back(frames::messages(now, id));
                    rest = later;
                }
            }
            Event::WaveDone { wave, topics } => {
                let frames = topics.chunks(TOPICS_PER_FRAME).map(frames::topics_live);
                self.ready.extend(frames);
                self.ready.push_back(frames::catchup_complete(wave));
            }
        }
    }

    fn keep_alive(&mut self) -> Result<(), Status> {
        if self.ping.is_some() {
            return Err(Status::new(Code::Unavailable, "no answer to a ping"));
        }
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce).map_err(|error| Status::storage(&error))?;
        let nonce = u64::from_be_bytes(nonce);
        self.ping = Some((nonce, Instant::now()));
        self.ready.push_back(frames::ping(nonce));
        Ok(())
    }
}
