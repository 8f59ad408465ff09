//! Messages in the store: what becomes of an application message, of a commit's transcript, of
//! our own messages when the node has numbered them.

use prost::Message as _;

use super::env::Env;
use super::rows::{
    ConversationRow, FeedKind, Hold, MemberRow, MessagePlace, MessageRow, RoleRow, order_of,
    provisional_order,
};
use super::step::Step;
use crate::content::{
    CommitChanges, ContentType as _, EncodedContent, Envelope, GroupUpdated, MessageId, RoleLists,
};
use crate::error::Result;
use crate::gather::Gather;
use crate::identity::InstallationId;
use crate::mls::extensions::MODERATION;
use crate::mls::roles::{OrderClaim, RoleLog, RoleRecord};
use crate::mls::{self, ApplicationMessage, CommitReport, GroupFacts};
use crate::store::{Key, Query, Table};

/// `GroupMessageKind` of what members send.
pub const KIND_APPLICATION: i32 = 0;
/// `GroupMessageKind` of transcripts.
pub const KIND_MEMBERSHIP: i32 = 1;
/// `DeliveryStatus` numbers.
pub const UNPUBLISHED: i32 = 0;
/// The node has it.
pub const PUBLISHED: i32 = 1;
/// It will not be sent without help.
pub const FAILED: i32 = 2;

/// The time within which one inbox's changes look like a takeover, in nanoseconds (ROLE-6).
const TAKEOVER_WINDOW_NS: u64 = 10 * 60 * 1_000_000_000;

/// Where the node put a message, and when.
#[derive(Debug, Clone, Copy)]
pub struct Position {
    /// Node id.
    pub sequence_id: u64,
    /// Node's time, Unix nanoseconds.
    pub sent_ns: u64,
}

impl<E: Env> Step<'_, E> {
    /// Stores an application message of somebody else.
    pub async fn accept_application(
        &mut self,
        message: ApplicationMessage,
        at: Position,
    ) -> Result<()> {
        let envelope = match Envelope::from_bytes(&message.plaintext) {
            Ok(Envelope::Message(envelope)) => envelope,
            // Legacy device sync, an empty envelope, or no envelope at all: nothing to keep.
            _ => return Ok(()),
        };
        let Some(sender) = self.sender_of(&message, at.sequence_id).await? else {
            return Ok(());
        };
        self.compare_order(&message).await?;
        let id = envelope.message_id(self.id.as_bytes());
        let row = MessageRow {
            id: id.0.to_vec(),
            group_id: self.id.as_bytes().to_vec(),
            sequence_id: at.sequence_id,
            sent_ns: at.sent_ns,
            inserted_ns: self.client.env.now_ns(),
            sender_inbox: message.inbox_id.as_str().to_owned(),
            sender_installation: sender,
            kind: KIND_APPLICATION,
            status: PUBLISHED,
            content_type: content_type(&envelope.content),
            content: envelope.content,
            epoch: message.epoch,
            idempotency_key: envelope.idempotency_key,
            ..MessageRow::default()
        };
        self.accept_content(row).await
    }

    /// Rule ORD-APP (permissions.md 9.3) by the role log: the sender's installation if the message
    /// may be shown.
    async fn sender_of(
        &mut self,
        message: &ApplicationMessage,
        sequence_id: u64,
    ) -> Result<Option<Vec<u8>>> {
        let judged = self.role_log().await?.accepts(sequence_id, message);
        Ok(judged
            .ok()
            .map(|installation| installation.as_bytes().to_vec()))
    }

    /// PART-2 (permissions.md 9.5): whether the sender read the epoch's commit where we did.
    async fn compare_order(&mut self, message: &ApplicationMessage) -> Result<()> {
        let Some(claim) = OrderClaim::decode(&message.authenticated_data) else {
            return Ok(());
        };
        if self.role_log().await?.disagrees(message.epoch, &claim) {
            self.suspect_fork();
        }
        Ok(())
    }

    /// Stores a row that the rules accept, unless its id is there already.
    pub async fn store_message(&mut self, row: MessageRow, shown: bool) -> Result<bool> {
        if self.fresh.contains_key(&row.id)
            || self.client.db.message_place(&row.id).await?.is_some()
        {
            return Ok(false);
        }
        self.put_message(&row, order_of(row.sequence_id));
        if shown {
            self.group.row.last_message_ns = self.group.row.last_message_ns.max(row.sent_ns);
        }
        self.report(FeedKind::Messages, vec![row.id]);
        Ok(true)
    }

    /// Writes a message's row and the rows that lead to it.
    pub fn put_message(&mut self, row: &MessageRow, order: Vec<u8>) {
        let place = MessagePlace {
            group_id: self.id.as_bytes().to_vec(),
            order: order.clone(),
        };
        let place = place.encode_to_vec();
        self.changes
            .put(Key::scope(Table::MessageIds, row.id.clone()), place.clone());
        if !row.reference.is_empty() {
            self.changes.put(
                Key::new(Table::Relations, row.reference.clone(), row.id.clone()),
                place,
            );
        }
        let key = self.key(Table::Messages, order.clone());
        self.changes.put(key, row.encode_to_vec());
        self.fresh.insert(row.id.clone(), (order, row.clone()));
    }

    /// A message by id, what this step writes included.
    pub async fn message(&self, id: &[u8]) -> Result<Option<(Vec<u8>, MessageRow)>> {
        match self.fresh.get(id) {
            Some(found) => Ok(Some(found.clone())),
            None if self.withdrawn.contains(id) => Ok(None),
            None => self.client.db.message(id).await,
        }
    }

    /// What refers to a message, what this step writes included, in the node's order.
    pub async fn related(&self, id: &[u8]) -> Result<Vec<MessageRow>> {
        let mut rows = self.client.db.related(id).await?;
        rows.retain(|row| !self.fresh.contains_key(&row.id));
        let fresh = self.fresh.values().map(|(_, row)| row);
        rows.extend(fresh.filter(|row| row.reference == id).cloned());
        rows.sort_by_key(|row| row.sequence_id);
        Ok(rows)
    }

    /// Our own message was read back: it moves from the end of the list to its place.
    pub async fn settle_own_message(
        &mut self,
        message_id: &[u8],
        at: Position,
        intent: u64,
    ) -> Result<()> {
        self.group.intents.remove(&intent);
        let Some((order, mut row)) = self.message(message_id).await? else {
            return Ok(());
        };
        if row.sequence_id != 0 {
            return Ok(());
        }
        let key = self.key(Table::Messages, order);
        self.changes.delete(key);
        row.sequence_id = at.sequence_id;
        row.sent_ns = at.sent_ns;
        row.status = PUBLISHED;
        row.epoch = self.group.row.epoch;
        self.settle_expiry(&mut row).await?;
        self.put_message(&row, order_of(at.sequence_id));
        self.group.row.last_message_ns = self.group.row.last_message_ns.max(row.sent_ns);
        self.client.forget_acknowledged(message_id);
        self.take_effect(&row).await?;
        self.report(FeedKind::Updated, vec![row.id]);
        Ok(())
    }

    /// Stores our own message before it is sent.
    pub fn put_provisional(&mut self, row: &MessageRow, intent: u64) {
        self.put_message(row, provisional_order(intent));
        self.report(FeedKind::Messages, vec![row.id.clone()]);
    }

    /// What follows from a commit that was merged: lists, role log, transcript.
    pub async fn commit_merged(
        &mut self,
        report: CommitReport,
        removed_us: bool,
        sequence_id: u64,
        created_ns: u64,
    ) -> Result<()> {
        let before = self.group.row.clone();
        let facts = &report.facts;
        let change = &report.change;
        self.copy_facts(facts);
        self.note_findings(&change.findings);
        self.group.row.commit_id = sequence_id;
        self.group.row.stale_commits.clear();
        if change.committer.installation_id != self.client.me.installation {
            // We follow the others.
            self.group.row.maybe_forked = false;
        }
        let committer = change.committer.inbox_id.clone();
        self.add_role_record(RoleRecord::commit(sequence_id, created_ns, &report))
            .await?;
        let removed = change.removed_inboxes.clone();
        self.note_takeover(&before, &removed).await?;
        let updated = GroupUpdated::of_commit(&CommitChanges {
            committer: &committer,
            added: &change.added_inboxes,
            removed: &removed,
            pending_leave: &before.leaving.iter().cloned().gather(),
            before: RoleLists {
                attributes: &before.attributes,
                admins: &before.admins,
                super_admins: &before.super_admins,
            },
            after: RoleLists {
                attributes: &self.group.row.attributes,
                admins: &self.group.row.admins,
                super_admins: &self.group.row.super_admins,
            },
        });
        let members = &facts.membership.members;
        (self.group.row.leaving).retain(|inbox| members.contains_key(inbox));
        if let Some(updated) = updated {
            self.put_transcript(
                &updated,
                &committer,
                sequence_id,
                created_ns,
                &created_ns.to_string(),
            )
            .await?;
        }
        if removed_us {
            self.leave_group(before.active);
        } else {
            // Ours for the old epoch lost the race; it is planned anew.
            let epoch = self.group.row.epoch;
            let lost: Vec<u64> = self
                .group
                .intents
                .values()
                .filter(|intent| {
                    super::intent::is_commit(intent)
                        && super::intent::is_published(intent)
                        && intent.epoch < epoch
                })
                .map(|intent| intent.number)
                .collect();
            for number in lost {
                self.requeue(number);
            }
        }
        self.withdraw_after(sequence_id).await?;
        let at = Position {
            sequence_id,
            sent_ns: created_ns,
        };
        self.moderated(before.attributes.get(MODERATION), &change.committer, at)
            .await?;
        self.report(FeedKind::Changed, vec![]);
        Ok(())
    }

    /// Tells the app where one inbox seems to take the group from the others (ROLE-6).
    async fn note_takeover(&mut self, before: &ConversationRow, removed: &[String]) -> Result<()> {
        let demotes = |inbox| !self.group.row.super_admins.contains(inbox);
        let against = removed.iter().any(|inbox| !before.leaving.contains(inbox))
            || before.super_admins.iter().any(demotes);
        if !against {
            return Ok(());
        }
        let log = self.role_log().await?;
        if let Some(by) = log.takeover(TAKEOVER_WINDOW_NS) {
            let notice = format!("takeoverSuspected:{by}");
            self.report(FeedKind::Notice, vec![notice.into_bytes()]);
        }
        Ok(())
    }

    /// What the safety rules say about a commit that all peers merge (permissions.md 10).
    fn note_findings(&mut self, findings: &[mls::Finding]) {
        for finding in findings {
            self.report(FeedKind::Notice, vec![finding.code().as_bytes().to_vec()]);
            if finding.quarantines() {
                let hold = self.group.row.hold.get_or_insert_with(Hold::default);
                hold.quarantine.push(finding.code().to_owned());
            }
        }
    }

    /// Takes back streamed messages that the node ordered after their sender's removal
    /// (permissions.md 9.3): only those above the cursor can be affected.
    async fn withdraw_after(&mut self, sequence_id: u64) -> Result<()> {
        let ahead: Vec<u64> = self
            .group
            .row
            .ahead
            .iter()
            .copied()
            .filter(|id| *id > sequence_id)
            .collect();
        for position in ahead {
            let query =
                Query::scope(Table::Messages, self.id.as_bytes()).prefix(&order_of(position));
            for (order, row) in self.client.db.messages(query).await? {
                let sender = InstallationId::try_from(row.sender_installation.as_slice());
                let log = self.role_log().await?;
                let stays = sender
                    .is_ok_and(|sender| log.still_accepts(position, &row.sender_inbox, &sender));
                if !stays {
                    let key = self.key(Table::Messages, order);
                    self.changes.delete(key);
                    self.changes
                        .delete(Key::scope(Table::MessageIds, row.id.clone()));
                    self.fresh.remove(&row.id);
                    self.withdrawn.insert(row.id.clone());
                    self.report(FeedKind::Withdrawn, vec![row.id]);
                }
            }
        }
        Ok(())
    }

    fn leave_group(&mut self, was_active: bool) {
        self.group.row.active = false;
        self.group.mls = None;
        self.changes.delete_scope(Table::Mls, self.id.as_bytes());
        let open: Vec<u64> = self.group.intents.keys().copied().collect();
        for number in open {
            self.fail_intent(
                number,
                crate::error::Code::NotAMember,
                "removed from the conversation",
            );
        }
        if was_active {
            self.report(FeedKind::Notice, vec![b"removed".to_vec()]);
        }
    }

    /// Copies what MLS knows into the row that lists show.
    pub fn copy_facts(&mut self, facts: &GroupFacts) {
        let row = &mut self.group.row;
        row.epoch = facts.epoch;
        row.epoch_authenticator = facts.epoch_authenticator.clone();
        row.attributes = facts.mutable.attributes.clone();
        row.admins = facts.mutable.admins.clone();
        row.super_admins = facts.mutable.super_admins.clone();
        row.permissions = facts.permissions.encode();
        row.failed = facts
            .membership
            .failed
            .iter()
            .map(|id| id.as_bytes().to_vec())
            .collect();
        row.members = facts
            .membership
            .members
            .iter()
            .map(|(inbox, sequence_id)| MemberRow {
                inbox_id: inbox.clone(),
                sequence_id: *sequence_id,
                installations: facts
                    .members
                    .iter()
                    .filter(|member| member.inbox_id == *inbox)
                    .map(|member| member.installation_id.as_bytes().to_vec())
                    .collect(),
            })
            .collect();
    }

    /// Adds a record to the role log (permissions.md 9.2) and drops tables that are too old.
    pub async fn add_role_record(&mut self, record: RoleRecord) -> Result<()> {
        self.role_log().await?;
        let log = self.roles.get_or_insert_default();
        let changed = log.push(record);
        let rows: Vec<(u64, RoleRow)> = (log.records().iter())
            .filter(|record| changed.contains(&record.sequence))
            .map(|record| (record.sequence, RoleRow::from(record)))
            .collect();
        for (sequence, row) in rows {
            let key = self.key(Table::Roles, sequence.to_be_bytes());
            self.changes.put(key, row.encode_to_vec());
        }
        Ok(())
    }

    /// The role log including what this step added.
    pub async fn role_log(&mut self) -> Result<&RoleLog> {
        if self.roles.is_none() {
            self.roles = Some(self.client.db.roles(self.id).await?);
        }
        Ok(self.roles.get_or_insert_default())
    }

    /// Stores a transcript entry.
    pub async fn put_transcript(
        &mut self,
        updated: &GroupUpdated,
        by: &str,
        sequence_id: u64,
        sent_ns: u64,
        key: &str,
    ) -> Result<()> {
        let content = updated
            .encode()
            .map_err(crate::error::Error::internal)?
            .to_bytes();
        let row = MessageRow {
            id: MessageId::of(self.id.as_bytes(), key, &content).0.to_vec(),
            group_id: self.id.as_bytes().to_vec(),
            sequence_id,
            sent_ns,
            inserted_ns: self.client.env.now_ns(),
            sender_inbox: by.to_owned(),
            kind: KIND_MEMBERSHIP,
            status: PUBLISHED,
            content_type: "xmtp.org/group_updated".to_owned(),
            content,
            epoch: self.group.row.epoch,
            idempotency_key: key.to_owned(),
            ..MessageRow::default()
        };
        self.store_message(row, true).await?;
        Ok(())
    }
}

/// `authority/type` of encoded content; empty where it cannot be read.
#[must_use]
pub fn content_type(content: &[u8]) -> String {
    let id = EncodedContent::from_bytes(content)
        .ok()
        .and_then(|content| content.content_type);
    id.map(|id| format!("{}/{}", id.authority_id, id.type_id))
        .unwrap_or_default()
}
