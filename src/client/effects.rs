//! Content that does something: deletions, edits, requests to leave, expiry. Who may is decided
//! by the node's order and the role log of that moment (permissions.md 9.4, 13, 14), so that
//! every member comes to the same answer whenever it reads the message.

use prost::Message as _;

use super::env::Env;
use super::message::KIND_MEMBERSHIP;
use super::rows::{FeedKind, MessageRow, order_of};
use super::step::Step;
use crate::content::{Content, ContentKind, EncodedContent, MessageId};
use crate::error::Result;
use crate::mls::roles::RoleRecord;
use crate::store::{Query, Table};

/// `ConversationType` SYNC on the wire.
const KIND_SYNC: i32 = 3;
/// Longest life that a disappearing message may have: ten years, in nanoseconds (DIS-2).
const LONGEST_LIFE_NS: u64 = 10 * 365 * 24 * 3600 * 1_000_000_000;

impl<E: Env> Step<'_, E> {
    /// Stores an application message that the rules accept, and does what its content asks for.
    pub async fn accept_content(&mut self, mut row: MessageRow) -> Result<()> {
        let content = EncodedContent::from_bytes(&row.content)
            .ok()
            .map(|encoded| Content::decode(&encoded));
        if self.group.row.kind == KIND_SYNC {
            if let Some(Ok(Content::Unknown(encoded))) = content
                && row.sender_inbox == self.client.inbox_id()
            {
                self.accept_device_sync(&encoded).await?;
            }
            return Ok(());
        }
        match content {
            // Transcripts are made by each client for itself; one that is sent says nothing.
            Some(Ok(Content::GroupUpdated(_))) => return Ok(()),
            Some(Ok(Content::LeaveRequest(_))) => {
                self.note_leave_request(&row).await?;
                self.store_message(row, false).await?;
                return Ok(());
            }
            Some(Ok(Content::DeleteMessage(delete))) => {
                row.reference = delete.message_id.0.to_vec();
                if self.store_message(row.clone(), false).await? && !self.provisional {
                    self.delete_target(&row).await?;
                }
                return Ok(());
            }
            Some(Ok(Content::EditMessage(edit))) => {
                row.reference = edit.message_id.0.to_vec();
                if self.store_message(row.clone(), false).await? && !self.provisional {
                    self.edit_target(&row).await?;
                }
                return Ok(());
            }
            Some(Ok(content)) => {
                if let Some(id) = content
                    .reference()
                    .and_then(|reference| reference.parse::<MessageId>().ok())
                {
                    row.reference = id.0.to_vec();
                }
            }
            // What cannot be read is kept as it came.
            Some(Err(_)) | None => {}
        }
        self.settle_expiry(&mut row).await?;
        self.apply_waiting(&mut row).await?;
        let shown = !matches!(
            kind_of(&row),
            Some(ContentKind::Reaction | ContentKind::ReadReceipt)
        );
        self.store_message(row, shown).await?;
        Ok(())
    }

    /// Everything up to a streamed message has been read: what it does to others is done now. It
    /// was not done before, because a commit that takes the right to it might still have come.
    pub async fn confirm(&mut self, sequence_id: u64) -> Result<()> {
        let query =
            Query::scope(Table::Messages, self.id.as_bytes()).prefix(&order_of(sequence_id));
        for (_, row) in self.client.db.messages(query).await? {
            match kind_of(&row) {
                _ if self.withdrawn.contains(&row.id) => {}
                Some(ContentKind::DeleteMessage) => self.delete_target(&row).await?,
                Some(ContentKind::EditMessage) => self.edit_target(&row).await?,
                _ => {}
            }
        }
        Ok(())
    }

    /// What our own message does, now that it has its place in the log.
    pub async fn take_effect(&mut self, row: &MessageRow) -> Result<()> {
        match kind_of(row) {
            Some(ContentKind::LeaveRequest) => self.note_leave_request(row).await,
            _ if self.provisional => Ok(()),
            Some(ContentKind::DeleteMessage) => self.delete_target(row).await,
            Some(ContentKind::EditMessage) => self.edit_target(row).await,
            _ => Ok(()),
        }
    }

    /// When a message disappears: by the settings in force at its place in the log (DIS-1).
    pub async fn settle_expiry(&mut self, row: &mut MessageRow) -> Result<()> {
        let settings = (self
            .group
            .row
            .attributes
            .get(crate::mls::extensions::DISAPPEAR_IN))
        .is_some_and(|text| text != "0");
        if !settings && self.roles.is_none() {
            // The usual case costs no look into the role log.
            return Ok(());
        }
        let Some(state) = self.role_log().await?.state_at(row.sequence_id) else {
            return Ok(());
        };
        if let Some(expires) = expiry(state, row.sent_ns) {
            row.expires_ns = expires;
            let mut order = expires.to_be_bytes().to_vec();
            order.extend_from_slice(&self.client.db.0.blind(Table::Expiry, &row.id));
            let place = super::rows::MessagePlace {
                group_id: row.group_id.clone(),
                order: order_of(row.sequence_id),
            };
            self.changes.put(
                crate::store::Key::global(Table::Expiry, order),
                place.encode_to_vec(),
            );
        }
        Ok(())
    }

    async fn note_leave_request(&mut self, row: &MessageRow) -> Result<()> {
        let is_dm = !self.group.row.dm_members.is_empty();
        let state = self.role_log().await?.state_at(row.sequence_id);
        let is_super = state.is_some_and(|state| state.is_super_admin(&row.sender_inbox));
        // LEAVE-3: a super admin hands over first; in a DM there is nobody to do it.
        if is_dm || is_super || self.group.row.leaving.contains(&row.sender_inbox) {
            return Ok(());
        }
        self.group.row.leaving.push(row.sender_inbox.clone());
        if row.sender_inbox == self.client.inbox_id() {
            self.group.row.membership_state = 4;
        }
        self.report(FeedKind::Changed, vec![]);
        Ok(())
    }

    /// Applies a deletion to its target, if the target is here and the deleter may.
    async fn delete_target(&mut self, request: &MessageRow) -> Result<()> {
        let Some((order, mut target)) = self.message(&request.reference).await? else {
            return Ok(());
        };
        if self.may_delete(request, &target).await? {
            self.bury(&mut target, &request.sender_inbox);
            self.put_message(&target, order);
            self.report(FeedKind::Deleted, vec![target.id.clone()]);
        }
        Ok(())
    }

    /// Rule ORD-DEL (permissions.md 9.4, 13.2).
    async fn may_delete(&mut self, request: &MessageRow, target: &MessageRow) -> Result<bool> {
        let deletable = kind_of(target).is_some_and(|kind| kind.deletable());
        if !deletable || target.deleted_by.is_some() || target.group_id != request.group_id {
            return Ok(false);
        }
        if target.sender_inbox == request.sender_inbox {
            return Ok(true);
        }
        // DEL-2: whoever reads in order does not know yet a target that comes later.
        let known = 1..request.sequence_id;
        let place = Some(target.sequence_id).filter(|place| known.contains(place));
        let log = self.role_log().await?;
        Ok(log.may_delete(request.sequence_id, &request.sender_inbox, place))
    }

    /// Makes a message one that was deleted.
    pub(super) fn bury(&mut self, target: &mut MessageRow, by: &str) {
        target.content = Vec::new();
        target.edited = Vec::new();
        target.deleted_by = Some(by.to_owned());
    }

    /// Applies an edit to its target (permissions.md 13.4): the newest by the node's order wins.
    async fn edit_target(&mut self, request: &MessageRow) -> Result<()> {
        let Some((order, mut target)) = self.message(&request.reference).await? else {
            return Ok(());
        };
        if apply_edit(request, &mut target) {
            self.put_message(&target, order);
            self.report(FeedKind::Updated, vec![target.id]);
        }
        Ok(())
    }

    /// What was said about a message before it arrived.
    async fn apply_waiting(&mut self, row: &mut MessageRow) -> Result<()> {
        for request in self.related(&row.id).await? {
            if self.group.row.ahead.contains(&request.sequence_id) {
                // Applied when its place is certain.
                continue;
            }
            match kind_of(&request) {
                Some(ContentKind::DeleteMessage) => {
                    // DEL-2: an unknown target is the one case in which the request may be earlier.
                    let own = request.sender_inbox == row.sender_inbox;
                    // One that a commit carried was allowed with the commit.
                    let may = own
                        || request.kind == KIND_MEMBERSHIP
                        || self.role_log().await?.may_delete(
                            request.sequence_id,
                            &request.sender_inbox,
                            None,
                        );
                    if may && kind_of(row).is_some_and(|kind| kind.deletable()) {
                        self.bury(row, &request.sender_inbox);
                    }
                }
                Some(ContentKind::EditMessage) => {
                    apply_edit(&request, row);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Replaces the shown content of `target` if the edit is the author's, of the same type, and the
/// newest.
fn apply_edit(request: &MessageRow, target: &mut MessageRow) -> bool {
    let Ok(Ok(Content::EditMessage(edit))) =
        EncodedContent::from_bytes(&request.content).map(|encoded| Content::decode(&encoded))
    else {
        return false;
    };
    let same_kind =
        edit.edited_content.kind().is_some() && edit.edited_content.kind() == kind_of(target);
    let editable = kind_of(target).is_some_and(|kind| kind.editable());
    if request.sender_inbox != target.sender_inbox
        || !same_kind
        || !editable
        || target.deleted_by.is_some()
        || request.sequence_id <= target.edited_at
    {
        return false;
    }
    target.edited = edit.edited_content.to_bytes();
    target.edited_at = request.sequence_id;
    true
}

fn kind_of(row: &MessageRow) -> Option<ContentKind> {
    EncodedContent::from_bytes(&row.content).ok()?.kind()
}

fn expiry(state: &RoleRecord, sent_ns: u64) -> Option<u64> {
    let from: u64 = state
        .disappearing
        .0
        .parse::<i64>()
        .ok()?
        .try_into()
        .ok()
        .filter(|from| *from > 0)?;
    let after: u64 = state
        .disappearing
        .1
        .parse::<i64>()
        .ok()?
        .try_into()
        .ok()
        .filter(|after| *after > 0)?;
    (sent_ns >= from).then(|| sent_ns.saturating_add(after.min(LONGEST_LIFE_NS)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn state(from: &str, after: &str) -> RoleRecord {
        RoleRecord {
            sequence: 0,
            epoch: 0,
            committer: None,
            super_admins: vec![],
            admins: vec![],
            members: vec![],
            leaves: None,
            anchored: false,
            disappearing: (from.to_owned(), after.to_owned()),
            authenticator: vec![],
            created_ns: 0,
        }
    }

    #[test]
    fn expiry_counts_from_the_nodes_time_and_only_from_the_switch_on() {
        assert_eq!(expiry(&state("100", "5"), 100), Some(105));
        assert_eq!(expiry(&state("100", "5"), 99), None);
    }

    #[test]
    fn settings_that_are_off_or_unreadable_never_expire_anything() {
        for (from, after) in [
            ("0", "0"),
            ("1", "0"),
            ("0", "1"),
            ("-1", "5"),
            ("1", "-5"),
            ("x", "5"),
            ("", ""),
        ] {
            assert_eq!(expiry(&state(from, after), 10), None, "{from} {after}");
        }
    }

    #[test]
    fn a_life_without_end_is_cut_to_ten_years() {
        assert_eq!(
            expiry(&state("1", &i64::MAX.to_string()), 1),
            Some(1 + LONGEST_LIFE_NS)
        );
    }
}
