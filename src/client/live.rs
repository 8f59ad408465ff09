//! The subscription: one context per store holds it, the others hear through the feed. It heals
//! by itself, starts from the stored cursors each time, and says what state it is in.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::future::{Either, LocalBoxFuture, poll_fn, select};
use futures::{FutureExt, pin_mut};

use super::env::{Env, Notice};
use super::receive::Source;
use super::{Client, GroupId};
use crate::error::Result;
use crate::net::api::jitter;
use crate::net::subscription::{Event, Subscription, Topic};
use crate::net::{NetError, Status};

/// Longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// How long after the last streamed envelope the logs are queried.
const BURST_END: Duration = Duration::from_millis(120);
/// How long a node without the socket is spared further attempts.
const NO_SOCKET_FOR_NS: u64 = 10 * 60 * 1_000_000_000;

/// What the subscription is doing, as apps see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkState {
    /// Nobody asked for streams.
    #[default]
    Idle,
    /// Connecting for the first time, or again.
    Connecting,
    /// Connected; what was missed is being fetched.
    CatchingUp,
    /// Connected and complete.
    Live,
    /// Not connected; it will be tried again.
    Offline,
}

impl LinkState {
    const ALL: [Self; 5] = [
        Self::Idle,
        Self::Connecting,
        Self::CatchingUp,
        Self::Live,
        Self::Offline,
    ];

    /// The name that JavaScript sees.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Connecting => "connecting",
            Self::CatchingUp => "catching-up",
            Self::Live => "live",
            Self::Offline => "offline",
        }
    }
}

/// State of the subscription in this context.
#[derive(Default)]
pub struct Live {
    state: Cell<LinkState>,
    reason: RefCell<String>,
    running: Cell<bool>,
    stopped: Cell<bool>,
    leading: Cell<bool>,
    topics_dirty: Cell<bool>,
    no_socket_until: Cell<u64>,
    wakers: RefCell<Vec<Waker>>,
    version: Cell<u64>,
}

impl Live {
    /// What the subscription is doing, here or in the context that holds it.
    pub fn state(&self) -> LinkState {
        self.state.get()
    }

    /// Why it is offline; empty otherwise.
    pub fn reason(&self) -> String {
        self.reason.borrow().clone()
    }

    /// Whether this context holds the subscription.
    pub fn is_leading(&self) -> bool {
        self.leading.get()
    }

    /// The set of topics has grown.
    pub fn topics_changed(&self) {
        self.topics_dirty.set(true);
        self.wake();
    }

    /// Ends the subscription for good.
    pub fn stop(&self) {
        self.stopped.set(true);
        self.version.set(self.version.get() + 1);
        self.wake();
    }

    fn set(&self, state: LinkState, reason: &str) -> bool {
        let changed = self.state.replace(state) != state;
        reason.clone_into(&mut self.reason.borrow_mut());
        if changed {
            self.version.set(self.version.get() + 1);
            self.wake();
        }
        changed
    }

    fn wake(&self) {
        for waker in self.wakers.take() {
            waker.wake();
        }
    }

    async fn until<T>(&self, mut test: impl FnMut(&Self) -> Option<T>) -> T {
        poll_fn(|context| match test(self) {
            Some(value) => Poll::Ready(value),
            None => {
                self.wakers.borrow_mut().push(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

impl<E: Env> Client<E> {
    /// Starts the subscription unless it runs. Returns at once.
    pub fn go_live(&self) {
        if self.live.running.replace(true) || self.is_closed() {
            return;
        }
        self.live.set(LinkState::Connecting, "");
        let client = self.clone();
        self.env
            .spawn(Box::pin(async move { client.lead_and_follow().await }));
    }

    /// Waits for the next change of the subscription's state after `seen`; returns it with the
    /// number to wait from next. `None` once the client is closed.
    pub async fn next_state(&self, seen: u64) -> Option<(LinkState, String, u64)> {
        self.live
            .until(|live| {
                if live.stopped.get() {
                    return Some(None);
                }
                (live.version.get() != seen)
                    .then(|| Some((live.state.get(), live.reason(), live.version.get())))
            })
            .await
    }

    /// Listens to the other contexts for as long as the client lives.
    pub fn listen(&self) {
        let client = self.clone();
        self.env.spawn(Box::pin(async move {
            loop {
                let stopped = client.live.until(|live| live.stopped.get().then_some(()));
                let notice = client.env.next_notice();
                pin_mut!(stopped);
                match select(stopped, notice).await {
                    Either::Left(_) => return,
                    Either::Right((notice, _)) => client.heard(notice),
                }
            }
        }));
    }

    fn heard(&self, notice: Notice) {
        match notice {
            Notice::Feed => {
                self.groups.forget_all();
                self.feed_grew();
            }
            Notice::Topics | Notice::Sync => self.live.topics_changed(),
            Notice::Link(number) => {
                if !self.live.leading.get()
                    && let Some(state) = LinkState::ALL.get(usize::from(number))
                {
                    self.live.set(*state, "");
                }
            }
        }
    }

    async fn lead_and_follow(&self) {
        let stopped = self
            .live
            .until(|live| live.stopped.get().then_some(()))
            .boxed_local();
        let lead: LocalBoxFuture<'_, ()> = Box::pin(async {
            let Ok(_role) = self.env.lead("subscription").await else {
                return;
            };
            self.live.leading.set(true);
            self.stay_connected().await;
        });
        select(stopped, lead).await;
        self.live.leading.set(false);
    }

    async fn stay_connected(&self) {
        let mut pause = Duration::ZERO;
        loop {
            if pause > Duration::ZERO {
                let wait = jitter(&*self.env, pause);
                select(self.env.sleep(wait), self.env.wake()).await;
            }
            self.announce_state(LinkState::Connecting, "");
            let mut was_live = false;
            let error = match self.connect_once(&mut was_live).await {
                Ok(()) => return,
                Err(error) => error,
            };
            if self.is_closed() {
                return;
            }
            self.announce_state(LinkState::Offline, &error.to_string());
            pause = if was_live {
                Duration::from_millis(250)
            } else {
                (pause * 2).clamp(Duration::from_millis(500), LONGEST_PAUSE)
            };
        }
    }

    fn announce_state(&self, state: LinkState, reason: &str) {
        if self.live.set(state, reason) {
            let number = LinkState::ALL
                .iter()
                .position(|other| *other == state)
                .unwrap_or(0);
            self.env.announce(Notice::Link(number as u8));
        }
    }

    /// One connection, from opening to its end.
    async fn connect_once(&self, was_live: &mut bool) -> Result<()> {
        self.live.topics_dirty.set(false);
        let topics = self.topics().await?;
        let mut subscription = self.subscribe(topics).await?;
        self.announce_state(LinkState::CatchingUp, "");
        // What a stream cannot deliver in order (commits) is read from the logs.
        self.catch_up().await?;
        let mut dirty: BTreeSet<GroupId> = BTreeSet::new();
        let mut nonce = 0u64;
        let mut pinged = false;
        loop {
            let patience = match subscription.keepalive_ms() {
                _ if !dirty.is_empty() => BURST_END,
                // Silence for one and a half intervals asks for a sign of life, half as long again ends it.
                Some(ms) if pinged => Duration::from_millis(u64::from(ms) / 2),
                Some(ms) => Duration::from_millis(u64::from(ms) * 3 / 2),
                None => Duration::from_secs(3600),
            };
            let next = {
                let event = subscription.next().boxed_local();
                let changed = self
                    .live
                    .until(|live| (live.topics_dirty.get() || live.stopped.get()).then_some(()))
                    .boxed_local();
                let timer = self.env.sleep(patience);
                match select(event, select(changed, timer)).await {
                    Either::Left((event, _)) => Next::Event(event),
                    Either::Right((Either::Left(_), _)) => Next::Topics,
                    Either::Right((Either::Right(_), _)) => Next::Quiet,
                }
            };
            match next {
                Next::Event(event) => {
                    pinged = false;
                    let mut welcome = false;
                    let mut envelopes: BTreeMap<GroupId, Vec<_>> = BTreeMap::new();
                    let mut caught_up = false;
                    let mut current = Some(event?);
                    while let Some(event) = current {
                        match event {
                            Event::Group(envelope) => {
                                if let Some(id) = GroupId::from_slice(&envelope.group_id) {
                                    envelopes.entry(id).or_default().push(envelope);
                                }
                            }
                            Event::Welcome(_) => welcome = true,
                            Event::CaughtUp => caught_up = true,
                            Event::Alive => {}
                        }
                        current = subscription.queued();
                    }
                    for (id, batch) in envelopes {
                        dirty.insert(id);
                        // Whatever cannot be handled now is read from the log a moment later.
                        if let Err(error) = self.handle_batch(id, batch, Source::Stream).await
                            && !error.retryable()
                            && error.code() == crate::error::Code::Closed
                        {
                            return Ok(());
                        }
                    }
                    if welcome {
                        self.sync_welcomes().await?;
                    }
                    if caught_up {
                        *was_live = true;
                        self.announce_state(LinkState::Live, "");
                    }
                }
                Next::Topics => {
                    if self.live.stopped.get() {
                        return Ok(());
                    }
                    self.live.topics_dirty.set(false);
                    subscription.add(self.topics().await?).await?;
                }
                Next::Quiet if !dirty.is_empty() => {
                    for id in std::mem::take(&mut dirty) {
                        if self.peek(id).await.is_ok_and(|row| row.active) {
                            self.pass(id, &mut BTreeMap::new()).await?;
                        }
                    }
                }
                Next::Quiet if pinged => {
                    return Err(NetError::Unreachable("the node fell silent".into()).into());
                }
                Next::Quiet => {
                    nonce += 1;
                    pinged = true;
                    subscription.ping(nonce);
                }
            }
        }
    }

    async fn subscribe(
        &self,
        topics: BTreeMap<Topic, u64>,
    ) -> Result<Subscription<E::Transport>, NetError> {
        let now = self.env.now_ns();
        if now >= self.live.no_socket_until.get() {
            match Subscription::by_socket(self.api.transport(), topics.clone()).await {
                Err(NetError::Refused {
                    status: Status::UNIMPLEMENTED,
                    ..
                }) => {
                    self.live.no_socket_until.set(now + NO_SOCKET_FOR_NS);
                }
                // A browser shows a refused upgrade only as a close before the open.
                Err(NetError::Unreachable(_)) => {}
                result => return result,
            }
        }
        let subscription = Subscription::by_streams(self.api.shared_transport(), topics).await?;
        self.live.no_socket_until.set(now + NO_SOCKET_FOR_NS);
        Ok(subscription)
    }

    /// Every topic of ours with its cursor.
    async fn topics(&self) -> Result<BTreeMap<Topic, u64>> {
        let (identity, _) = self.db.identity().await?;
        let mut topics = BTreeMap::new();
        let cursor = identity.map_or(0, |row| row.welcome_cursor);
        topics.insert(
            Topic::Welcome(self.me.installation.as_bytes().to_vec()),
            cursor,
        );
        let (rows, _) = self.db.conversations().await?;
        for row in rows.into_iter().filter(|row| row.active) {
            topics.insert(Topic::Group(row.group_id), row.cursor);
        }
        Ok(topics)
    }

    /// Fetches what the subscription would only hint at.
    async fn catch_up(&self) -> Result<()> {
        self.sync_welcomes().await?;
        self.sync_groups(None).await?;
        Ok(())
    }
}

enum Next {
    Event(Result<Event, NetError>),
    Topics,
    Quiet,
}
