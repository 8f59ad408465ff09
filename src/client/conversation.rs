//! One conversation: sending, reading, members, metadata, roles.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::env::Env;
use super::intent::{Outgoing, ROUNDS, is_published};
use super::message::{FAILED, KIND_APPLICATION, PUBLISHED, UNPUBLISHED, content_type};
use super::plan::Prepared;
use super::rows::{
    ConversationRow, FeedKind, IntentRow, IntentState, KeyUpdateWish, MembershipWish, MessageRow,
    MetadataWish, RoleWish, Wish,
};
use super::step::Step;
use super::{Client, GroupId, Inner};
use crate::content::{Content, ContentType as _, EncodedContent, LeaveRequest, MessageId};
use crate::error::{Code, Error, Result};
use crate::identity::AssociationState;
use crate::store::{Key, Query, Table};

/// How long a look at the members' identity logs is good for before a send, in nanoseconds.
const CHECK_BEFORE_SEND_NS: u64 = 5_000_000_000;
/// The same before a sync.
const CHECK_BEFORE_SYNC_NS: u64 = 30 * 60 * 1_000_000_000;
/// Age at which our leaf key is renewed, in nanoseconds.
const ROTATE_NS: u64 = 30 * 24 * 3600 * 1_000_000_000;

/// How long after the last send our messages are read back.
const READ_BACK_AFTER: Duration = Duration::from_millis(250);

/// `GroupMembershipState` of a member that asked to be removed.
const PENDING_REMOVE: i32 = 4;

/// How to send.
#[derive(Debug, Clone, Default)]
pub struct SendOptions {
    /// Store it, and let `publish_messages` or the next sync send it.
    pub optimistic: bool,
    /// The caller's idempotency key; by default the time.
    pub idempotency_key: Option<String>,
    /// Whether push servers should look; by default as the content type says.
    pub should_push: Option<bool>,
}

/// Which messages to list.
#[derive(Debug, Clone, Default)]
pub struct MessageQuery {
    /// Newest first.
    pub descending: bool,
    /// At most so many.
    pub limit: Option<u32>,
    /// Only later ones, Unix nanoseconds, exclusive.
    pub sent_after_ns: Option<u64>,
    /// Only earlier ones, Unix nanoseconds, exclusive.
    pub sent_before_ns: Option<u64>,
    /// Only stored later than this, Unix nanoseconds, exclusive.
    pub inserted_after_ns: Option<u64>,
    /// Only stored earlier than this, Unix nanoseconds, exclusive.
    pub inserted_before_ns: Option<u64>,
    /// Only this delivery status.
    pub status: Option<i32>,
    /// Only this kind.
    pub kind: Option<i32>,
    /// Only these content types (`authority/type`).
    pub content_types: Option<BTreeSet<String>>,
    /// Not these content types.
    pub exclude_content_types: BTreeSet<String>,
    /// Not from these inboxes.
    pub exclude_senders: BTreeSet<String>,
    /// Sort by insertion instead of by time sent.
    pub by_insertion: bool,
}

impl MessageQuery {
    /// Whether a stored message is asked for.
    #[must_use]
    pub fn matches(&self, row: &MessageRow) -> bool {
        self.sent_after_ns.is_none_or(|ns| row.sent_ns > ns)
            && self.sent_before_ns.is_none_or(|ns| row.sent_ns < ns)
            && self.inserted_after_ns.is_none_or(|ns| row.inserted_ns > ns)
            && self
                .inserted_before_ns
                .is_none_or(|ns| row.inserted_ns < ns)
            && self.status.is_none_or(|status| row.status == status)
            && self.kind.is_none_or(|kind| row.kind == kind)
            && self
                .content_types
                .as_ref()
                .is_none_or(|types| types.contains(&row.content_type))
            && !self.exclude_content_types.contains(&row.content_type)
            && !self.exclude_senders.contains(&row.sender_inbox)
    }
}

/// A member of a conversation, as apps see it.
#[derive(Debug, Clone)]
pub struct MemberView {
    /// Inbox.
    pub inbox_id: String,
    /// Its wallets and passkeys.
    pub state: Option<std::rc::Rc<AssociationState>>,
    /// Its installations in the group, 32 bytes each.
    pub installations: Vec<Vec<u8>>,
    /// 0 member, 1 admin, 2 super admin.
    pub level: i32,
    /// Consent to the inbox.
    pub consent: i32,
}

impl<E: Env> Client<E> {
    /// Encrypts, stores and sends; resolves when the node has it. Returns the message id.
    pub async fn send(
        &self,
        id: GroupId,
        content: &EncodedContent,
        options: &SendOptions,
    ) -> Result<MessageId> {
        let bytes = content.to_sendable_bytes()?;
        self.check_deletion(id, content).await?;
        let order = self.groups.order(id);
        let _order = order.take().await;
        if !options.optimistic {
            self.before_send(id).await?;
        }
        let now = self.env.now_ns();
        let push = options
            .should_push
            .unwrap_or_else(|| content.kind().is_none_or(|kind| kind.should_push()));
        let key = options
            .idempotency_key
            .clone()
            .unwrap_or_else(|| now.to_string());
        let message_id = MessageId::of(id.as_bytes(), &key, &bytes);
        // One sender at a time: what reaches the node out of order by more than a few generations
        // cannot be read by anybody.
        let sending = self.groups.sending(id);
        let turn = sending.lock().await;
        let mut sealed = None;
        if self.db.message_place(&message_id.0).await?.is_none() {
            sealed = self
                .step(id, async |step| {
                    step.check_can_act()?;
                    if step.group.row.membership_state == PENDING_REMOVE {
                        // LEAVE-1
                        let message = "you asked to leave this conversation";
                        return Err(Error::new(Code::PermissionDenied, message));
                    }
                    let intent = IntentRow {
                        wish: Some(Wish::Message(message_id.0.to_vec())),
                        should_push: push,
                        ..IntentRow::default()
                    };
                    let number = step.push_intent(intent);
                    let row = MessageRow {
                        id: message_id.0.to_vec(),
                        group_id: id.as_bytes().to_vec(),
                        sent_ns: now,
                        inserted_ns: now,
                        sender_inbox: step.client.inbox_id().to_owned(),
                        sender_installation: step.client.me.installation.as_bytes().to_vec(),
                        kind: KIND_APPLICATION,
                        status: UNPUBLISHED,
                        content_type: content_type(&bytes),
                        content: bytes.clone(),
                        epoch: step.group.row.epoch,
                        idempotency_key: key.clone(),
                        reference: reference_of(content),
                        ..MessageRow::default()
                    };
                    step.put_provisional(&row, number);
                    step.group.row.last_message_ns = step.group.row.last_message_ns.max(now);
                    step.allow_by_sending();
                    if options.optimistic {
                        Ok(None)
                    } else {
                        step.seal_if_first(number, &row)
                    }
                })
                .await?;
        }
        match sealed {
            Some(outgoing) => self.send_saved(id, vec![outgoing]).await?,
            None if options.optimistic => return Ok(message_id),
            None => {
                drop(turn);
                self.publish_until_sent(id, &message_id).await?;
            }
        }
        self.read_back_soon(id);
        Ok(message_id)
    }

    /// Publishes until a message is on its way. Where a commit is before it in the queue, that is
    /// read back first: it decides the epoch of what follows.
    async fn publish_until_sent(&self, id: GroupId, message_id: &MessageId) -> Result<()> {
        for round in 0..ROUNDS {
            if round == 0 {
                self.publish(id, &mut BTreeMap::new()).await?;
            } else {
                self.pass(id, &mut BTreeMap::new()).await?;
            }
            let queued = self
                .step(id, async |step| {
                    step.check_can_act()?;
                    Ok(step.group.intents.values().any(|intent| {
                        let is_ours =
                            matches!(&intent.wish, Some(Wish::Message(id)) if *id == message_id.0);
                        is_ours && intent.state == IntentState::Queued as i32
                    }))
                })
                .await?;
            if !queued {
                return Ok(());
            }
        }
        Err(Error::new(
            Code::Pending,
            "the message waits behind other changes and goes on in the background",
        ))
    }

    /// Sends what is queued, and has it read back in the background.
    pub async fn publish_messages(&self, id: GroupId) -> Result<()> {
        self.publish(id, &mut BTreeMap::new()).await?;
        self.read_back_soon(id);
        Ok(())
    }

    /// Reads our messages back once no more of them are being sent, unless the subscription has
    /// done it by then.
    fn read_back_soon(&self, id: GroupId) {
        let now = self.env.now_ns();
        if self.reading_back.borrow_mut().insert(id, now).is_some() {
            return;
        }
        let client = self.clone();
        self.env.spawn(Box::pin(async move {
            loop {
                client.env.sleep(READ_BACK_AFTER).await;
                let last = client.reading_back.borrow().get(&id).copied().unwrap_or(0);
                if client.is_closed() {
                    return;
                }
                if client.env.now_ns().saturating_sub(last) >= READ_BACK_AFTER.as_nanos() as u64 {
                    break;
                }
            }
            client.reading_back.borrow_mut().remove(&id);
            let open = client
                .step(id, async |step| {
                    Ok(step.group.intents.values().any(is_published))
                })
                .await;
            if matches!(open, Ok(true)) && client.receive(id).await.is_ok() {
                // What the log held for too late an epoch is made anew. What fails here is tried
                // again by the next sync.
                let _ = client.publish(id, &mut BTreeMap::new()).await;
            }
        }));
    }

    /// What must be true before a message goes out: members' installations are followed, and our
    /// leaf key is fresh (mls.md 5.7).
    async fn before_send(&self, id: GroupId) -> Result<()> {
        let now = self.env.now_ns();
        let (checked, rotated) = self
            .step(id, async |step| {
                step.check_can_act()?;
                Ok((step.group.row.checked_ns, step.group.row.rotated_ns))
            })
            .await?;
        if now.saturating_sub(checked) > CHECK_BEFORE_SEND_NS {
            self.follow_identities(id).await?;
        }
        if now.saturating_sub(rotated) > ROTATE_NS {
            self.fulfil(id, Wish::KeyUpdate(KeyUpdateWish {})).await?;
        }
        Ok(())
    }

    /// Adds and removes members' installations as their identity logs say.
    pub async fn follow_identities(&self, id: GroupId) -> Result<()> {
        let wish = Wish::Membership(MembershipWish::default());
        let prepared = self.prepare(id, &wish).await?;
        let now = self.env.now_ns();
        let number = self
            .step(id, async |step| {
                step.group.row.checked_ns = now;
                if step.needs_nothing(&wish, &prepared)? {
                    return Ok(None);
                }
                Ok(Some(step.push_intent(IntentRow {
                    wish: Some(wish.clone()),
                    ..IntentRow::default()
                })))
            })
            .await?;
        match number {
            Some(number) => self.drive_all(id, &[number], prepared).await,
            None => Ok(()),
        }
    }

    /// Brings one conversation up to date, and publishes what is queued in it.
    pub async fn sync_conversation(&self, id: GroupId) -> Result<()> {
        let row = self.peek(id).await?;
        if !row.active {
            return Err(Error::new(
                Code::NotAMember,
                "not a member of this conversation any more",
            ));
        }
        self.pass(id, &mut BTreeMap::new()).await?;
        if self.env.now_ns().saturating_sub(row.checked_ns) > CHECK_BEFORE_SYNC_NS {
            self.follow_identities(id).await?;
        }
        Ok(())
    }

    /// Adds inboxes.
    pub async fn add_members(&self, id: GroupId, inboxes: Vec<String>) -> Result<()> {
        self.fulfil(
            id,
            Wish::Membership(MembershipWish {
                add: inboxes,
                remove: vec![],
            }),
        )
        .await
    }

    /// Removes inboxes.
    pub async fn remove_members(&self, id: GroupId, inboxes: Vec<String>) -> Result<()> {
        self.fulfil(
            id,
            Wish::Membership(MembershipWish {
                add: vec![],
                remove: inboxes,
            }),
        )
        .await
    }

    /// Sets attributes of the metadata.
    pub async fn update_metadata(
        &self,
        id: GroupId,
        set: BTreeMap<String, String>,
        expected: BTreeMap<String, String>,
    ) -> Result<()> {
        self.fulfil(id, Wish::Metadata(MetadataWish { set, expected }))
            .await
    }

    /// Changes an inbox's role.
    pub async fn update_role(
        &self,
        id: GroupId,
        inbox_id: String,
        super_admin: bool,
        remove: bool,
    ) -> Result<()> {
        self.fulfil(
            id,
            Wish::Role(RoleWish {
                inbox_id,
                super_admin,
                remove,
            }),
        )
        .await
    }

    /// Renews our leaf's key: whoever holds a copy of our state from before reads nothing more.
    pub async fn update_key(&self, id: GroupId) -> Result<()> {
        self.fulfil(id, Wish::KeyUpdate(KeyUpdateWish {})).await
    }

    /// Removes a super admin: demotes it, and when that stands removes it (ROLE-5). Not one
    /// change but two; a failure says in `step` which of them did not come about.
    pub async fn remove_super_admin(&self, id: GroupId, inbox_id: String) -> Result<()> {
        self.update_role(id, inbox_id.clone(), true, true)
            .await
            .map_err(|error| error.with("step", "demote"))?;
        self.remove_members(id, vec![inbox_id])
            .await
            .map_err(|error| error.with("step", "remove"))
    }

    /// Asks to be removed (permissions.md 11). A super admin's client does it.
    pub async fn request_removal(&self, id: GroupId) -> Result<()> {
        let row = self.peek(id).await?;
        let me = self.inbox_id();
        if !row.active || !row.members.iter().any(|member| member.inbox_id == me) {
            return Err(Error::new(
                Code::NotAMember,
                "not a member of this conversation",
            ));
        }
        if row.members.len() < 2 {
            return Err(Error::new(
                Code::PermissionDenied,
                "the last member cannot leave",
            ));
        }
        if !row.dm_members.is_empty() {
            return Err(Error::new(Code::PermissionDenied, "a DM cannot be left"));
        }
        if row.super_admins.iter().any(|inbox| inbox == me) {
            return Err(Error::new(
                Code::PermissionDenied,
                "a super admin hands over before leaving",
            ));
        }
        if row.membership_state == PENDING_REMOVE {
            return Ok(());
        }
        let content = LeaveRequest::default().encode()?;
        self.send(
            id,
            &content,
            &SendOptions {
                should_push: Some(false),
                ..SendOptions::default()
            },
        )
        .await?;
        match self.pass(id, &mut BTreeMap::new()).await {
            // A super admin's client was quicker than our reading back: it is done already.
            Err(error) if error.code() == Code::NotAMember => Ok(()),
            result => result,
        }
    }

    /// The app has looked at a suspicious change: sending goes on.
    pub async fn acknowledge(&self, id: GroupId, code: &str) -> Result<()> {
        self.step(id, async |step| {
            let row = &mut step.group.row;
            if let Some(hold) = &mut row.hold {
                hold.quarantine.retain(|other| other != code);
            }
            if code == "paused" {
                // CV-PAUSE: the floor has no cryptographic meaning; the app decides.
                row.despite_floor = true;
                if let Some(hold) = &mut row.hold {
                    hold.paused_for = None;
                }
            }
            if row
                .hold
                .as_ref()
                .is_some_and(|hold| hold.quarantine.is_empty() && hold.paused_for.is_none())
            {
                row.hold = None;
            }
            step.report(FeedKind::Changed, vec![]);
            Ok(())
        })
        .await
    }

    /// Sends a failed message again, under the same id.
    pub async fn retry_message(&self, message_id: &[u8]) -> Result<()> {
        let Some((_, row)) = self.db.message(message_id).await? else {
            return Err(Error::new(Code::NotFound, "no such message"));
        };
        let id = GroupId::from_slice(&row.group_id)
            .ok_or_else(|| Error::internal("a stored group id is not one"))?;
        self.step(id, async |step| {
            let Some((order, mut row)) = step.client.db.message(message_id).await? else {
                return Ok(());
            };
            if row.status != FAILED {
                return Ok(());
            }
            let known =
                step.group.intents.values_mut().find(
                    |intent| matches!(&intent.wish, Some(Wish::Message(id)) if id == message_id),
                );
            match known {
                Some(intent) => {
                    intent.state = IntentState::Queued as i32;
                    intent.attempts = 0;
                }
                None => {
                    let push = EncodedContent::from_bytes(&row.content)
                        .ok()
                        .and_then(|content| content.kind())
                        .is_none_or(|kind| kind.should_push());
                    let wish = Some(Wish::Message(message_id.to_vec()));
                    step.push_intent(IntentRow {
                        wish,
                        should_push: push,
                        ..IntentRow::default()
                    });
                }
            }
            row.status = UNPUBLISHED;
            row.failure = String::new();
            step.put_message(&row, order);
            step.report(FeedKind::Updated, vec![row.id]);
            Ok(())
        })
        .await?;
        self.publish_messages(id).await
    }

    /// Drops a message of ours that was not sent.
    pub async fn drop_message(&self, message_id: &[u8]) -> Result<()> {
        let Some((_, row)) = self.db.message(message_id).await? else {
            return Ok(());
        };
        let id = GroupId::from_slice(&row.group_id)
            .ok_or_else(|| Error::internal("a stored group id is not one"))?;
        self.step(id, async |step| {
            let sent = step.group.intents.values().any(|intent| {
                is_published(intent)
                    && matches!(&intent.wish, Some(Wish::Message(id)) if id == message_id)
            });
            let Some((order, row)) = step.client.db.message(message_id).await? else {
                return Ok(());
            };
            if sent || row.sequence_id != 0 {
                return Err(Error::new(
                    Code::InvalidArgument,
                    "the message may have been sent already",
                ));
            }
            step.group.intents.retain(
                |_, intent| !matches!(&intent.wish, Some(Wish::Message(id)) if id == message_id),
            );
            let key = step.key(Table::Messages, order);
            step.changes.delete(key);
            step.changes
                .delete(Key::scope(Table::MessageIds, message_id));
            if !row.reference.is_empty() {
                step.changes
                    .delete(Key::new(Table::Relations, row.reference, message_id));
            }
            step.report(FeedKind::Withdrawn, vec![message_id.to_vec()]);
            Ok(())
        })
        .await
    }

    /// The members, as of the last sync.
    pub async fn members(&self, id: GroupId) -> Result<Vec<MemberView>> {
        let row = self.peek(id).await?;
        self.identities
            .load(row.members.iter().map(|member| member.inbox_id.clone()))
            .await?;
        let mut members = Vec::with_capacity(row.members.len());
        for member in &row.members {
            let consent = self
                .db
                .consent(&member.inbox_id)
                .await?
                .map_or(0, |consent| consent.state);
            members.push(MemberView {
                state: self
                    .identities
                    .latest(&member.inbox_id)
                    .map(|(_, state)| state),
                installations: member.installations.clone(),
                level: level(&row, &member.inbox_id),
                consent,
                inbox_id: member.inbox_id.clone(),
            });
        }
        Ok(members)
    }

    /// Stored messages, by the node's order, ours that are not numbered yet at the end.
    pub async fn messages(&self, id: GroupId, query: &MessageQuery) -> Result<Vec<MessageRow>> {
        self.peek(id).await?;
        let now = self.env.now_ns();
        let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
        let mut found = Vec::new();
        let mut from: Vec<u8> = Vec::new();
        let mut to: Option<Vec<u8>> = None;
        loop {
            let mut range = Query::scope(Table::Messages, id.as_bytes())
                .from(from.clone())
                .limit(READ_AT_ONCE);
            if let Some(to) = &to {
                range = range.to(to.clone());
            }
            if query.descending {
                range = range.reverse();
            }
            let rows = self.db.messages(range).await?;
            let read = rows.len();
            let last = rows.last().map(|(order, _)| order.clone());
            for (_, mut row) in rows {
                if row.status == UNPUBLISHED && self.is_acknowledged(&row.id) {
                    row.status = PUBLISHED;
                }
                let hidden = row.expires_ns != 0 && row.expires_ns <= now;
                if !hidden && query.matches(&row) {
                    found.push(row);
                    if found.len() >= limit && !query.by_insertion {
                        return Ok(found);
                    }
                }
            }
            let Some(last) = last.filter(|_| read >= READ_AT_ONCE as usize) else {
                break;
            };
            if query.descending {
                to = Some(last);
            } else {
                from = [last, vec![0]].concat();
            }
        }
        if query.by_insertion {
            found.sort_by_key(|row| row.inserted_ns);
            if query.descending {
                found.reverse();
            }
            found.truncate(limit);
        }
        Ok(found)
    }
}

/// Rows read in one go while listing: bounds the memory that a long history takes.
const READ_AT_ONCE: u32 = 200;

/// 0 member, 1 admin, 2 super admin.
#[must_use]
pub fn level(row: &ConversationRow, inbox: &str) -> i32 {
    if row.super_admins.iter().any(|name| name == inbox) {
        2
    } else if row.admins.iter().any(|name| name == inbox) {
        1
    } else {
        0
    }
}

impl<E: Env> Inner<E> {
    /// Fetches what a wish needs from the node; see [`super::plan`].
    pub async fn prepare(&self, id: GroupId, wish: &Wish) -> Result<Prepared> {
        super::plan::prepare(self, id, wish).await
    }
}

impl<E: Env> Step<'_, E> {
    /// Seals a new message at once where nothing waits before it: one transaction, one request.
    fn seal_if_first(&mut self, number: u64, row: &MessageRow) -> Result<Option<Outgoing>> {
        let waiting = self.group.intents.values().any(|intent| {
            intent.number != number
                && (intent.state == IntentState::Queued as i32
                    || (is_published(intent) && super::intent::is_commit(intent)))
        });
        if waiting || self.is_held() {
            Ok(None)
        } else {
            self.seal_message(number, &row.content, &row.idempotency_key)
        }
    }

    /// Sending is consent (permissions.md 12), unless it was denied on purpose.
    fn allow_by_sending(&mut self) {
        if self.group.row.consent == 0 {
            self.group.row.consent = 1;
            self.group.row.consent_ns = self.client.env.now_ns();
            self.report(FeedKind::Changed, vec![]);
        }
    }

    /// Marks a message as not sendable without help.
    pub async fn mark_failed(&mut self, message_id: &[u8], code: Code) -> Result<()> {
        if let Some((order, mut row)) = self.client.db.message(message_id).await? {
            row.status = FAILED;
            row.failure = code.as_str().to_owned();
            self.put_message(&row, order);
            self.report(FeedKind::Updated, vec![row.id]);
        }
        Ok(())
    }
}

/// The message that content refers to, as 32 bytes; empty where it refers to none.
#[must_use]
pub fn reference_of(content: &EncodedContent) -> Vec<u8> {
    let reference = Content::decode(content)
        .ok()
        .and_then(|content| content.reference());
    reference
        .and_then(|text| text.parse::<MessageId>().ok())
        .map(|id| id.0.to_vec())
        .unwrap_or_default()
}
