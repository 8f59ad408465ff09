//! Reading a group's log: in the node's order, each message once, a whole batch in one step.
//!
//! The cursor moves only over what was handled. What a stream delivers ahead of the cursor is
//! remembered by id, so that the page that brings it again skips it.

use sha2::{Digest, Sha256};
use sotto_proto::mls_api::group_message::V1 as Envelope;

use super::env::Env;
use super::identities::Snapshot;
use super::message::Position;
use super::rows::{FeedKind, Hold, IntentState, Wish};
use super::step::Step;
use super::{GroupId, Inner};
use crate::error::{Code, Error, Result};
use crate::mls::{self, Incoming, Pause, Rules, SkipReason, Verdict};

/// Foreign commits for past epochs that make a fork likely, and the time in nanoseconds that must
/// lie between the first and the last of them (FORK-1).
const STALE_COMMITS: u64 = 3;
const STALE_NS: u64 = 60 * 1_000_000_000;

/// How a batch came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From a query, without gaps: the cursor follows.
    Query,
    /// From a stream: only application messages that can be read now are handled.
    Stream,
}

/// What became of one envelope.
enum Handled {
    /// Done; the cursor may pass it.
    Done,
    /// Nothing may follow before this can be handled.
    Halt,
    /// Identity logs must be fetched first.
    Need(Vec<(String, u64)>),
}

/// What became of a batch.
enum Batch {
    Done {
        halted: bool,
    },
    Need {
        handled: u64,
        wanted: Vec<(String, u64)>,
    },
}

/// What a read of a log brought.
#[derive(Debug, Clone, Copy, Default)]
pub struct Received {
    /// Envelopes handled.
    pub envelopes: usize,
    /// The group waits at a message it may not pass (a protocol floor above ours).
    pub halted: bool,
}

impl<E: Env> Inner<E> {
    /// Reads a group's log from its cursor to its end.
    pub async fn receive(&self, id: GroupId) -> Result<Received> {
        let mut received = Received::default();
        let mut cursor = self.cursor(id).await?;
        loop {
            let page = self.api.query_group_messages(id.as_bytes(), cursor).await?;
            let last = page.items.last().map_or(cursor, |envelope| envelope.id);
            received.envelopes += page.items.len();
            received.halted = self.handle_batch(id, page.items, Source::Query).await?;
            if !page.more || received.halted || last <= cursor {
                return Ok(received);
            }
            cursor = last;
        }
    }

    async fn cursor(&self, id: GroupId) -> Result<u64> {
        Ok(self.peek(id).await?.cursor)
    }

    /// Handles envelopes of one group in order; returns whether it had to halt.
    pub async fn handle_batch(
        &self,
        id: GroupId,
        mut batch: Vec<Envelope>,
        source: Source,
    ) -> Result<bool> {
        batch.sort_by_key(|envelope| envelope.id);
        let mut from = 0;
        // A commit that needs identity logs stops the batch; each round fetches what it asks for.
        for _ in 0..=batch.len() {
            let states = self.identities.snapshot();
            let outcome = self
                .step(id, async |step| {
                    step.handle_all(&batch, from, source, &states).await
                })
                .await?;
            match outcome {
                Batch::Done { halted } => return Ok(halted),
                Batch::Need { handled, wanted } => {
                    from = handled;
                    self.identities.resolve(&wanted).await?;
                }
            }
        }
        Err(Error::internal(
            "a batch asks for identity logs without end",
        ))
    }
}

impl<E: Env> Step<'_, E> {
    async fn handle_all(
        &mut self,
        batch: &[Envelope],
        from: u64,
        source: Source,
        states: &Snapshot,
    ) -> Result<Batch> {
        let mut before = from;
        self.provisional = source == Source::Stream;
        for envelope in batch.iter().filter(|envelope| envelope.id > from) {
            if envelope.id <= self.group.row.cursor || self.group.row.ahead.contains(&envelope.id) {
                let confirmed = source == Source::Query && envelope.id > self.group.row.cursor;
                self.advance(envelope, source);
                if confirmed {
                    self.confirm(envelope.id).await?;
                }
                continue;
            }
            if !self.group.row.active {
                return Ok(Batch::Done { halted: true });
            }
            match self.handle(envelope, source, states).await? {
                Handled::Done => {
                    before = envelope.id;
                    self.advance(envelope, source);
                }
                Handled::Halt => {
                    return Ok(Batch::Done {
                        halted: source == Source::Query,
                    });
                }
                Handled::Need(wanted) => {
                    return Ok(Batch::Need {
                        handled: before,
                        wanted,
                    });
                }
            }
        }
        Ok(Batch::Done { halted: false })
    }

    /// Notes that an envelope was handled.
    fn advance(&mut self, envelope: &Envelope, source: Source) {
        let row = &mut self.group.row;
        match source {
            Source::Query => {
                if envelope.id > row.cursor {
                    row.order_hash = order_hash(self.id, &row.order_hash, envelope);
                    row.cursor = envelope.id;
                    row.ahead.retain(|id| *id > envelope.id);
                }
            }
            Source::Stream => {
                if envelope.id > row.cursor && !row.ahead.contains(&envelope.id) {
                    row.ahead.push(envelope.id);
                }
            }
        }
    }

    async fn handle(
        &mut self,
        envelope: &Envelope,
        source: Source,
        states: &Snapshot,
    ) -> Result<Handled> {
        if envelope.group_id != self.id.as_bytes() {
            return Ok(Handled::Done);
        }
        let hash: [u8; 32] = Sha256::digest(&envelope.data).into();
        let own = self
            .group
            .intents
            .values()
            .find(|intent| {
                intent.state == IntentState::Published as i32 && intent.payload_hash == hash
            })
            .map(|intent| intent.number);
        if let Some(number) = own {
            return self.handle_own(envelope, number, source, states).await;
        }
        if source == Source::Stream
            && (envelope.is_commit
                || mls::header(&envelope.data)
                    .is_none_or(|header| header.epoch > self.group.row.epoch))
        {
            // Commits, and what may depend on one, are read in order from the log.
            return Ok(Handled::Halt);
        }
        let rules = self.rules();
        let incoming = self
            .mls()?
            .process(&envelope.data, envelope.created_ns, states, &rules)?;
        match incoming {
            Incoming::Application(message) => {
                let position = Position {
                    sequence_id: envelope.id,
                    sent_ns: envelope.created_ns,
                };
                self.accept_application(message, position).await?;
            }
            Incoming::Commit(report) => {
                self.commit_merged(*report, false, envelope.id, envelope.created_ns)
                    .await?
            }
            Incoming::RemovedUs(report) => {
                self.commit_merged(*report, true, envelope.id, envelope.created_ns)
                    .await?
            }
            Incoming::Held => {}
            Incoming::NeedIdentity(wanted) => return Ok(Handled::Need(wanted)),
            Incoming::Paused(pause) => {
                self.pause(pause);
                return Ok(Handled::Halt);
            }
            Incoming::Skip(reason) => self.skipped(&reason, envelope),
        }
        Ok(Handled::Done)
    }

    /// Our own bytes came back.
    async fn handle_own(
        &mut self,
        envelope: &Envelope,
        number: u64,
        source: Source,
        states: &Snapshot,
    ) -> Result<Handled> {
        let Some(intent) = self.group.intents.get(&number).cloned() else {
            return Ok(Handled::Done);
        };
        let epoch = self.group.row.epoch;
        if let Some(Wish::Message(message_id)) = &intent.wish {
            // After three later epochs nobody can be relied on to read it (mls.md 5.4).
            if intent.epoch + mls::PAST_EPOCHS <= epoch || intent.epoch > epoch {
                self.requeue(number);
                return Ok(Handled::Done);
            }
            let position = Position {
                sequence_id: envelope.id,
                sent_ns: envelope.created_ns,
            };
            self.settle_own_message(message_id, position, number)
                .await?;
            return Ok(Handled::Done);
        }
        if source == Source::Stream {
            return Ok(Handled::Halt);
        }
        if intent.epoch != epoch || !self.mls()?.pending_commit() {
            self.requeue(number);
            return Ok(Handled::Done);
        }
        let rules = self.rules();
        match self.mls()?.check_pending(states, &rules)? {
            Verdict::Accepted(accepted) => {
                let report = self.mls()?.merge_pending(*accepted)?;
                if let Some(intent) = self.group.intents.get_mut(&number) {
                    intent.state = IntentState::Committed as i32;
                    intent.commit_id = envelope.id;
                    intent.payload = Vec::new();
                }
                self.group.row.rotated_ns = self.client.env.now_ns();
                self.commit_merged(report, false, envelope.id, envelope.created_ns)
                    .await?;
            }
            Verdict::NeedIdentity(wanted) => return Ok(Handled::Need(wanted)),
            Verdict::Rejected(rejection) => {
                self.mls()?.clear_pending()?;
                self.fail_intent(
                    number,
                    Code::PermissionDenied,
                    &format!("the group's rules refuse it ({:?})", rejection.code),
                );
            }
            Verdict::Paused(pause) => {
                self.mls()?.clear_pending()?;
                self.fail_intent(
                    number,
                    Code::Paused,
                    &format!("the group asks for version {}", pause.floor),
                );
                self.pause(pause);
            }
        }
        Ok(Handled::Done)
    }

    /// Another message took our payload's place: it is made anew from the state that follows.
    pub fn requeue(&mut self, number: u64) {
        if let Some(intent) = self.group.intents.get_mut(&number) {
            intent.state = IntentState::Queued as i32;
            intent.payload = Vec::new();
            intent.payload_hash = Vec::new();
            intent.welcome = Vec::new();
            intent.recipients = Vec::new();
        }
    }

    /// An intent that cannot be fulfilled; its caller is told.
    pub fn fail_intent(&mut self, number: u64, code: Code, message: &str) {
        if (self.group.intents.get(&number)).is_some_and(|intent| intent.unattended) {
            self.group.intents.remove(&number);
        }
        if let Some(intent) = self.group.intents.get_mut(&number) {
            intent.state = IntentState::Failed as i32;
            intent.failure = code.as_str().to_owned();
            intent.failure_message = message.to_owned();
            intent.failed_ns = self.client.env.now_ns();
            intent.payload = Vec::new();
        }
    }

    fn rules(&self) -> Rules {
        Rules {
            despite_floor: self.group.row.despite_floor,
            ..Rules::default()
        }
    }

    /// The group asks for a newer version than ours: nothing is read or sent until that changes.
    fn pause(&mut self, pause: Pause) {
        let hold = self.group.row.hold.get_or_insert_with(Hold::default);
        hold.paused_for = Some(pause.floor);
        hold.paused_by = pause.raised_by.unwrap_or_default();
        self.report(FeedKind::Changed, vec![]);
    }

    /// Others seem to be where we cannot follow.
    pub(super) fn suspect_fork(&mut self) {
        if !self.group.row.maybe_forked {
            self.group.row.maybe_forked = true;
            self.report(FeedKind::Changed, vec![]);
        }
    }

    /// FORK-1 (permissions.md 7.12): others keep committing where we were, and nobody where we
    /// are. One that lost a race does so once.
    fn note_stale(&mut self, created_ns: u64) {
        let (first, count) = match self.group.row.stale_commits.as_slice() {
            [first, _, count] => (*first, *count),
            _ => (created_ns, 0),
        };
        self.group.row.stale_commits = vec![first, created_ns, count + 1];
        if count + 1 >= STALE_COMMITS && created_ns.saturating_sub(first) > STALE_NS {
            self.suspect_fork();
        }
    }

    fn skipped(&mut self, reason: &SkipReason, envelope: &Envelope) {
        match reason {
            // A hint only: the header's epoch is cleartext that anybody can forge (mls.md 5.6).
            SkipReason::FutureEpoch(_) if envelope.is_commit => self.suspect_fork(),
            SkipReason::StaleHandshake(_) if envelope.is_commit => {
                self.note_stale(envelope.created_ns);
            }
            SkipReason::Rejected(rejection) => {
                self.group.row.stale_commits.clear();
                self.report(
                    FeedKind::Notice,
                    vec![format!("commitRejected:{:?}", rejection.code).into_bytes()],
                );
            }
            _ => {}
        }
    }
}

/// The next link of the running hash over a group's log (permissions.md PART-1).
fn order_hash(id: GroupId, previous: &[u8], envelope: &Envelope) -> Vec<u8> {
    let start: [u8; 32] = Sha256::digest(id.as_bytes()).into();
    let previous = if previous.is_empty() {
        &start[..]
    } else {
        previous
    };
    Sha256::new()
        .chain_update(previous)
        .chain_update(envelope.id.to_be_bytes())
        .chain_update(Sha256::digest(&envelope.data))
        .finalize()
        .to_vec()
}
