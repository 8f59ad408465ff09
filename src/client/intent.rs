//! From wishes to messages and commits: queue, make the bytes, save them, send them, read them
//! back, do what follows. The exact bytes are stored before they leave, so that a crash at any
//! point is settled by asking the node what it holds. There are never two commits of ours for
//! one epoch (permissions.md 7.11, mls.md 5.3).

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use sotto_proto::mls_api::group_message_input::V1 as Input;

use super::env::Env;
use super::plan::{Plan, Prepared};
use super::rows::{IntentRow, IntentState, MembershipWish, Wish};
use super::step::Step;
use super::welcome::recipient_row;
use super::{GroupId, Inner};
use crate::content::PlaintextEnvelope;
use crate::error::{Code, Error, Result};
use crate::gather::Gather;
use crate::mls;
use crate::mls::extensions::STRICT;
use crate::mls::roles::OrderClaim;
use crate::net::NetError;

/// Rounds of publish and read-back that one call waits for.
pub(super) const ROUNDS: u32 = 6;
/// Answered attempts before an intent fails.
const ATTEMPTS: u32 = 3;
/// Pause after the first removal of leavers that came to nothing, in nanoseconds, and how often
/// it doubles.
const LEAVERS_PAUSE_NS: u64 = 2_000_000_000;
const LEAVERS_DOUBLINGS: u32 = 11;
/// Messages sent in one request.
const MESSAGES_PER_CALL: usize = 50;
/// Bytes sent in one request.
const BYTES_PER_CALL: usize = 4 * 1024 * 1024;

/// Whether an intent becomes a commit.
#[must_use]
pub fn is_commit(intent: &IntentRow) -> bool {
    !matches!(intent.wish, Some(Wish::Message(_)) | None)
}

/// Whether an intent's bytes may have reached the node.
#[must_use]
pub fn is_published(intent: &IntentRow) -> bool {
    intent.state == IntentState::Published as i32
}

/// Bytes that are saved and ready to be sent.
pub struct Outgoing {
    number: u64,
    message_id: Option<Vec<u8>>,
    input: Input,
}

/// What was fetched for intents, by their numbers.
pub type AllPrepared = BTreeMap<u64, Rc<Prepared>>;

/// What a planning step came to.
enum Built {
    /// Nothing is left to send.
    Nothing,
    /// Send these; they are saved.
    Send(Vec<Outgoing>),
    /// This intent needs data from the node first.
    Prepare(u64),
}

impl<E: Env> Inner<E> {
    /// Queues a wish and waits until it is fulfilled, superseded or refused.
    pub async fn fulfil(&self, id: GroupId, wish: Wish) -> Result<()> {
        let prepared = self.prepare(id, &wish).await?;
        let wishes = match &wish {
            Wish::Membership(wish) => (prepared.split(wish).into_iter())
                .map(Wish::Membership)
                .collect(),
            wish => vec![wish.clone()],
        };
        let numbers = self
            .step(id, async |step| {
                step.check_can_act()?;
                step.check_wish(&wish, &prepared)?;
                let mut numbers = Vec::with_capacity(wishes.len());
                for wish in &wishes {
                    let seen = step.seen(wish)?;
                    numbers.push(step.push_intent(IntentRow {
                        wish: Some(wish.clone()),
                        seen,
                        ..IntentRow::default()
                    }));
                }
                Ok(numbers)
            })
            .await?;
        self.drive_all(id, &numbers, prepared).await
    }

    /// Drives intents that make one wish. Where one fails, those behind it are dropped.
    pub async fn drive_all(&self, id: GroupId, numbers: &[u64], prepared: Prepared) -> Result<()> {
        let prepared = Rc::new(prepared);
        let mut all = (numbers.iter())
            .map(|number| (*number, Rc::clone(&prepared)))
            .gather();
        for number in numbers {
            let result = self.drive(id, *number, &mut all).await;
            if let Err(error) = result {
                if !error.retryable() && error.code() != Code::Pending {
                    self.step(id, async |step| {
                        step.group.intents.retain(|number, intent| {
                            !numbers.contains(number) || intent.state != IntentState::Queued as i32
                        });
                        Ok(())
                    })
                    .await?;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Runs passes until an intent is settled.
    async fn drive(&self, id: GroupId, number: u64, prepared: &mut AllPrepared) -> Result<()> {
        let mut pause = Duration::from_millis(50);
        let mut problem = None;
        for _ in 0..ROUNDS {
            problem = self.pass(id, prepared).await.err();
            let settled = self
                .step(id, async |step| {
                    let Some(intent) = step.group.intents.get(&number) else {
                        return Ok(Some(Ok(())));
                    };
                    if intent.state != IntentState::Failed as i32 {
                        return Ok(None);
                    }
                    let code = Code::parse(&intent.failure).unwrap_or(Code::Internal);
                    let error = Error::new(code, intent.failure_message.clone());
                    step.group.intents.remove(&number);
                    Ok(Some(Err(error)))
                })
                .await?;
            if let Some(result) = settled {
                return result;
            }
            if let Some(error) = &problem
                && !error.retryable()
            {
                return Err(error.clone());
            }
            self.env.sleep(pause).await;
            pause = (pause * 3).min(Duration::from_secs(2));
        }
        let error = problem.unwrap_or_else(|| {
            Error::new(
                Code::Pending,
                "the change is queued and goes on in the background",
            )
        });
        Err(error.with("intentId", number))
    }

    /// Takes back a change that is queued and not sent yet (OWN-3): `number` is the `intentId` of
    /// the error that its call ended with.
    ///
    /// # Errors
    ///
    /// `ERR_NOT_FOUND` if it is done, refused, or may have been sent already.
    pub async fn cancel_intent(&self, id: GroupId, number: u64) -> Result<()> {
        self.step(id, async |step| {
            let queued = step.group.intents.get(&number).is_some_and(|intent| {
                intent.state == IntentState::Queued as i32 && is_commit(intent)
            });
            if !queued {
                return Err(Error::new(
                    Code::NotFound,
                    "nothing of that number is queued",
                ));
            }
            step.group.intents.remove(&number);
            Ok(())
        })
        .await
    }

    /// One pass over a group: settle what was half-sent, publish, read back, finish.
    pub async fn pass(&self, id: GroupId, prepared: &mut AllPrepared) -> Result<()> {
        let half_sent = self
            .step(id, async |step| {
                Ok(step.group.intents.values().any(is_published))
            })
            .await?;
        if half_sent {
            self.receive(id).await?;
            self.resend(id).await?;
        }
        self.turn(id, prepared).await?;
        if self.queue_leavers(id).await? {
            self.turn(id, prepared).await?;
        }
        Ok(())
    }

    /// Publishes, reads back and finishes.
    async fn turn(&self, id: GroupId, prepared: &mut AllPrepared) -> Result<()> {
        let published = self.publish(id, prepared).await;
        self.receive(id).await?;
        self.finish_commits(id).await?;
        published
    }

    /// A super admin's client takes out who asked for it (permissions.md 11). The requests are
    /// stored with the group and the wish with its intents, so it is done after a restart too; of
    /// several super admins one is first and the others find nothing left to do.
    async fn queue_leavers(&self, id: GroupId) -> Result<bool> {
        let now = self.env.now_ns();
        let blocked = self.blocked_leavers.borrow().get(&id).copied();
        let (tries, due_ns) = blocked.unwrap_or_default();
        let (waiting, queued) = self
            .step(id, async |step| {
                let under_way = (step.group.intents.values()).any(|intent| {
                    intent.unattended && intent.state != IntentState::Committed as i32
                });
                let remove = step.group.row.leavers_for(self.inbox_id());
                let waiting = !remove.is_empty();
                if !waiting || under_way || step.is_held() || now < due_ns {
                    return Ok((waiting, false));
                }
                step.push_intent(IntentRow {
                    wish: Some(Wish::Membership(MembershipWish {
                        add: Vec::new(),
                        remove,
                    })),
                    unattended: true,
                    ..IntentRow::default()
                });
                Ok((waiting, true))
            })
            .await?;
        let mut blocked = self.blocked_leavers.borrow_mut();
        if queued {
            // What stands in the way of it seldom changes: each further try waits twice as long.
            let pause = LEAVERS_PAUSE_NS << tries.min(LEAVERS_DOUBLINGS);
            blocked.insert(id, (tries + 1, now + pause));
        } else if !waiting {
            blocked.remove(&id);
        }
        Ok(queued)
    }

    /// Sends again, byte for byte, what the log does not hold and the node has not acknowledged.
    async fn resend(&self, id: GroupId) -> Result<()> {
        let sending = self.groups.sending(id);
        let _turn = sending.lock().await;
        let outgoing = self
            .step(id, async |step| {
                let open = step
                    .group
                    .intents
                    .values()
                    .filter(|intent| is_published(intent));
                Ok(open
                    .map(outgoing)
                    .filter(|outgoing| {
                        let id = outgoing.message_id.as_deref();
                        !id.is_some_and(|id| step.client.is_acknowledged(id))
                    })
                    .collect::<Vec<_>>())
            })
            .await?;
        self.send_saved(id, outgoing).await
    }

    /// Makes and sends what is queued: messages up to the first commit, then that commit alone.
    pub async fn publish(&self, id: GroupId, prepared: &mut AllPrepared) -> Result<()> {
        let sending = self.groups.sending(id);
        let _turn = sending.lock().await;
        // Each turn sends a batch, fetches data for one intent, or ends.
        for _ in 0..64 {
            match self
                .step(id, async |step| step.build(prepared).await)
                .await?
            {
                Built::Nothing => return Ok(()),
                Built::Send(batch) => {
                    let commit = batch.iter().any(|outgoing| outgoing.message_id.is_none());
                    self.send_saved(id, batch).await?;
                    if commit {
                        return Ok(());
                    }
                }
                Built::Prepare(number) => {
                    let wish = self
                        .step(id, async |step| {
                            Ok(step
                                .group
                                .intents
                                .get(&number)
                                .and_then(|intent| intent.wish.clone()))
                        })
                        .await?;
                    if let Some(wish) = wish {
                        prepared.insert(number, Rc::new(self.prepare(id, &wish).await?));
                    }
                }
            }
        }
        Err(Error::new(
            Code::Pending,
            "the queue is long; it goes on with the next sync",
        ))
    }

    /// Sends saved bytes and notes the node's answer.
    pub(super) async fn send_saved(&self, id: GroupId, batch: Vec<Outgoing>) -> Result<()> {
        let mut rest = batch.into_iter().peekable();
        while rest.peek().is_some() {
            let mut chunk = Vec::new();
            let mut bytes = 0;
            while let Some(next) = rest.peek() {
                bytes += next.input.data.len();
                if chunk.len() >= MESSAGES_PER_CALL || (bytes > BYTES_PER_CALL && !chunk.is_empty())
                {
                    break;
                }
                chunk.extend(rest.next());
            }
            let inputs = chunk
                .iter()
                .map(|outgoing| outgoing.input.clone())
                .collect();
            match self.api.send_group_messages(inputs).await {
                Ok(()) => {
                    let ids = chunk
                        .iter()
                        .filter_map(|outgoing| outgoing.message_id.as_deref());
                    self.note_acknowledged(ids);
                }
                Err(error) => {
                    self.note_refusal(id, &chunk, &error).await?;
                    return Err(error.into());
                }
            }
        }
        Ok(())
    }

    /// Counts an attempt that the node answered with no; the last one ends the intent. Being cut
    /// off counts for nothing: the log will tell.
    async fn note_refusal(&self, id: GroupId, batch: &[Outgoing], error: &NetError) -> Result<()> {
        if !error.was_answered() {
            return Ok(());
        }
        // An earlier, unanswered attempt may have been stored: the log decides first.
        self.receive(id).await?;
        self.step(id, async |step| {
            for outgoing in batch {
                let Some(intent) = step.group.intents.get_mut(&outgoing.number) else {
                    continue;
                };
                if !is_published(intent) {
                    continue;
                }
                intent.attempts += 1;
                if error.is_definite() || intent.attempts >= ATTEMPTS {
                    let commit = is_commit(intent);
                    step.fail_intent(outgoing.number, Code::NodeRefused, &error.to_string());
                    if commit {
                        step.mls()?.clear_pending()?;
                    } else if let Some(message_id) = &outgoing.message_id {
                        step.mark_failed(message_id, Code::NodeRefused).await?;
                    }
                }
            }
            Ok(())
        })
        .await
    }

    /// Sends the Welcomes of commits that were read back, and forgets the intents.
    pub async fn finish_commits(&self, id: GroupId) -> Result<()> {
        let committed = self
            .step(id, async |step| {
                Ok(step
                    .group
                    .intents
                    .values()
                    .filter(|intent| intent.state == IntentState::Committed as i32)
                    .cloned()
                    .collect::<Vec<_>>())
            })
            .await?;
        for intent in committed {
            if !intent.welcome.is_empty() {
                self.send_welcomes(&intent).await?;
            }
            self.step(id, async |step| {
                step.group.intents.remove(&intent.number);
                Ok(())
            })
            .await?;
        }
        Ok(())
    }

    /// Settles what an earlier life of this store left half done, in every group.
    pub async fn settle_all(&self) -> Result<()> {
        let (rows, _) = self.db.conversations().await?;
        for row in rows.iter().filter(|row| row.open && row.active) {
            if let Some(id) = GroupId::from_slice(&row.group_id) {
                self.pass(id, &mut BTreeMap::new()).await?;
            }
        }
        Ok(())
    }

    /// The node has taken these messages; until they are read back, memory knows it.
    fn note_acknowledged<'a>(&self, ids: impl Iterator<Item = &'a [u8]>) {
        let mut acknowledged = self.acknowledged.borrow_mut();
        acknowledged.extend(ids.filter_map(|id| <[u8; 32]>::try_from(id).ok()));
    }

    /// A message was read back; its row says now what memory said.
    pub fn forget_acknowledged(&self, id: &[u8]) {
        if let Ok(id) = <[u8; 32]>::try_from(id) {
            self.acknowledged.borrow_mut().remove(&id);
        }
    }

    /// Whether the node has taken a message that was not read back yet.
    pub fn is_acknowledged(&self, id: &[u8]) -> bool {
        <[u8; 32]>::try_from(id).is_ok_and(|id| self.acknowledged.borrow().contains(&id))
    }
}

impl<E: Env> Step<'_, E> {
    /// Makes the bytes of what is queued. Saved with the step, hence before they are sent.
    async fn build(&mut self, prepared: &AllPrepared) -> Result<Built> {
        if !self.group.row.active || self.is_held() {
            return Ok(Built::Nothing);
        }
        // A commit under way decides the epoch: nothing is built on top of it.
        if self
            .group
            .intents
            .values()
            .any(|intent| is_published(intent) && is_commit(intent))
        {
            return Ok(Built::Nothing);
        }
        let queued: Vec<u64> = self
            .group
            .intents
            .values()
            .filter(|intent| intent.state == IntentState::Queued as i32)
            .map(|intent| intent.number)
            .collect();
        let mut batch = Vec::new();
        for number in queued {
            let Some(intent) = self.group.intents.get(&number).cloned() else {
                continue;
            };
            match &intent.wish {
                Some(Wish::Message(message_id)) => {
                    if let Some(outgoing) = self.build_message(number, message_id).await? {
                        batch.push(outgoing);
                    }
                    if batch.len() >= MESSAGES_PER_CALL {
                        break;
                    }
                }
                Some(wish) => {
                    if !batch.is_empty() {
                        break;
                    }
                    match self.plan(wish, prepared.get(&number).map(Rc::as_ref))? {
                        Plan::Prepare => return Ok(Built::Prepare(number)),
                        Plan::Nothing => {
                            self.group.intents.remove(&number);
                        }
                        Plan::Refused(error) => {
                            let (code, message) = since_queued(&error);
                            self.fail_intent(number, code, &message);
                        }
                        // OWN-2: the slot must still be as the caller saw it.
                        Plan::Commit(_) if self.seen(wish)? != intent.seen => {
                            let message = "somebody else changed the permission first";
                            self.fail_intent(number, Code::Superseded, message);
                        }
                        Plan::Commit(change) => {
                            batch.push(self.build_commit(number, *change)?);
                            break;
                        }
                    }
                }
                None => {
                    self.group.intents.remove(&number);
                }
            }
        }
        Ok(if batch.is_empty() {
            Built::Nothing
        } else {
            Built::Send(batch)
        })
    }

    async fn build_message(&mut self, number: u64, message_id: &[u8]) -> Result<Option<Outgoing>> {
        let Some((_, row)) = self.client.db.message(message_id).await? else {
            self.group.intents.remove(&number);
            return Ok(None);
        };
        self.seal_message(number, &row.content, &row.idempotency_key)
    }

    /// Encrypts a message and notes its bytes with its intent.
    pub(super) fn seal_message(
        &mut self,
        number: u64,
        content: &[u8],
        key: &str,
    ) -> Result<Option<Outgoing>> {
        let envelope = PlaintextEnvelope {
            content: content.to_vec(),
            idempotency_key: key.to_owned(),
        };
        let plaintext = envelope.to_bytes();
        let beside = self.order_claim();
        let data = self.mls()?.encrypt_beside(&plaintext, beside)?;
        let hmac = self.sender_hmac(&data);
        let epoch = self.group.row.epoch;
        let Some(intent) = self.group.intents.get_mut(&number) else {
            return Ok(None);
        };
        intent.payload_hash = Sha256::digest(&data).to_vec();
        intent.payload = data;
        intent.epoch = epoch;
        intent.sender_hmac = hmac;
        intent.state = IntentState::Published as i32;
        Ok(Some(outgoing(intent)))
    }

    /// PART-2: in a strict group, where we read the commit that led to our epoch.
    fn order_claim(&self) -> Vec<u8> {
        let row = &self.group.row;
        let strict = row.attributes.get(STRICT).is_some_and(|value| value == "1");
        let claim = OrderClaim::of(row.commit_id, &row.epoch_authenticator);
        claim
            .filter(|_| strict)
            .map_or(Vec::new(), |claim| claim.encode())
    }

    fn build_commit(&mut self, number: u64, change: mls::Change) -> Result<Outgoing> {
        let recipients = (change.add.iter())
            .map(|package| recipient_row(package.recipient()))
            .collect();
        let commit = self.mls()?.stage_commit(change)?;
        let hmac = self.sender_hmac(&commit.bytes);
        let intent = self
            .group
            .intents
            .get_mut(&number)
            .ok_or_else(|| Error::internal("an intent vanished while it was built"))?;
        intent.payload_hash = commit.sha256.to_vec();
        intent.payload = commit.bytes;
        intent.epoch = commit.epoch;
        intent.welcome = commit.welcome.unwrap_or_default();
        intent.recipients = recipients;
        intent.sender_hmac = hmac;
        intent.should_push = false;
        intent.state = IntentState::Published as i32;
        Ok(outgoing(intent))
    }

    fn sender_hmac(&self, data: &[u8]) -> Vec<u8> {
        let now = self.client.env.now_ns() / 1_000_000_000;
        let key = mls::hmac::derive_key(
            &self.client.hmac_user_key.get(),
            &self.id.0,
            mls::hmac::period(now),
        );
        // Without a usable key the push service only loses a convenience.
        key.and_then(|key| mls::hmac::sender_hmac(&key, data))
            .map(|hmac| hmac.to_vec())
            .unwrap_or_default()
    }

    /// Whether the group waits for a newer version or for the app.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.group
            .row
            .hold
            .as_ref()
            .is_some_and(|hold| hold.paused_for.is_some() || !hold.quarantine.is_empty())
    }

    /// Whether we may send and commit here at all.
    pub fn check_can_act(&self) -> Result<()> {
        if !self.group.row.active {
            return Err(Error::new(
                Code::NotAMember,
                "not a member of this conversation any more",
            ));
        }
        if let Some(hold) = &self.group.row.hold {
            if let Some(floor) = &hold.paused_for {
                return Err(
                    Error::new(Code::Paused, "the conversation asks for a newer version")
                        .with("version", floor),
                );
            }
            if !hold.quarantine.is_empty() {
                return Err(Error::new(
                    Code::Quarantined,
                    "a suspicious change must be acknowledged first",
                )
                .with("codes", hold.quarantine.join(",")));
            }
        }
        Ok(())
    }
}

/// A wish was allowed when it was queued: what forbids it now is somebody else's change (OWN-1).
fn since_queued(error: &Error) -> (Code, String) {
    match error.code() {
        Code::PermissionDenied | Code::NotAMember => (
            Code::Superseded,
            format!("somebody else's change came first: {}", error.message()),
        ),
        code => (code, error.message().to_owned()),
    }
}

fn outgoing(intent: &IntentRow) -> Outgoing {
    let message_id = match &intent.wish {
        Some(Wish::Message(id)) => Some(id.clone()),
        _ => None,
    };
    Outgoing {
        number: intent.number,
        message_id,
        input: Input {
            data: intent.payload.clone(),
            sender_hmac: intent.sender_hmac.clone(),
            should_push: intent.should_push,
        },
    }
}
