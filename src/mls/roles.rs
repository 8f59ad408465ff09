//! Who was what at which place in the log (permissions.md 9.2 to 9.4).
//!
//! A client appends one record for each merged Commit. The two rules here decide by those records
//! and never by the state at the time of processing, so that everybody comes to the same answer in
//! whatever order messages reached them.

use serde::{Deserialize, Serialize};

use super::extensions::MODERATION;
use super::facts::{GroupFacts, Member};
use super::{ApplicationMessage, CommitReport, InstallationId, PAST_EPOCHS};

/// For how many epochs leaf tables are kept: the current one and the past ones that are readable.
pub const LEAF_TABLES: usize = PAST_EPOCHS as usize + 1;

/// The state after one Commit, or at the start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleRecord {
    /// Place of the Commit in the log. 0 at creation, the Welcome's cursor after joining.
    pub sequence: u64,
    /// The epoch that it led to.
    pub epoch: u64,
    /// Who sent it: inbox and installation. None in the first record.
    pub committer: Option<(String, InstallationId)>,
    /// The super admin list.
    pub super_admins: Vec<String>,
    /// The admin list.
    pub admins: Vec<String>,
    /// The inboxes that are members.
    pub members: Vec<String>,
    /// The leaves; none in a record older than [`LEAF_TABLES`] epochs.
    pub leaves: Option<Vec<Leaf>>,
    /// Whether bare requests to delete another's message no longer count (permissions.md 13.5).
    pub anchored: bool,
}

/// A leaf of a past tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// Its index.
    pub index: u32,
    /// The inbox that its credential named.
    pub inbox: String,
    /// Its signature key.
    pub installation: InstallationId,
    /// Whether the two belonged together (SAFE-Q1).
    pub trusted: bool,
}

/// The records of a group, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RoleLog {
    records: Vec<RoleRecord>,
}

/// Why an application message is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// Its epoch is not one of those that are readable.
    OldEpoch,
    /// No leaf of that epoch is its sender.
    InvalidSender,
    /// The sender's leaf does not belong to the inbox that it names.
    UntrustedLeaf,
    /// The sender was not a member at the message's place in the log.
    SenderRemoved,
}

impl RoleRecord {
    /// The first record: at creation or after joining.
    #[must_use]
    pub fn first(sequence: u64, facts: &GroupFacts) -> Self {
        Self::new(sequence, None, facts)
    }

    /// The record of a merged Commit.
    #[must_use]
    pub fn commit(sequence: u64, report: &CommitReport) -> Self {
        let committer = &report.change.committer;
        let committer = (committer.inbox_id.clone(), committer.installation_id);
        Self::new(sequence, Some(committer), &report.facts)
    }

    fn new(sequence: u64, committer: Option<(String, InstallationId)>, facts: &GroupFacts) -> Self {
        let leaf = |member: &Member| Leaf {
            index: member.leaf,
            inbox: member.inbox_id.clone(),
            installation: member.installation_id,
            trusted: member.trusted,
        };
        Self {
            sequence,
            epoch: facts.epoch,
            committer,
            super_admins: facts.mutable.super_admins.clone(),
            admins: facts.mutable.admins.clone(),
            members: facts.membership.members.keys().cloned().collect(),
            leaves: Some(facts.members.iter().map(leaf).collect()),
            anchored: facts.mutable.attributes.contains_key(MODERATION),
        }
    }

    fn is_super_admin(&self, inbox: &str) -> bool {
        self.super_admins.iter().any(|admin| admin == inbox)
    }

    fn leaf(&self, index: u32) -> Option<&Leaf> {
        self.leaves
            .iter()
            .flatten()
            .find(|leaf| leaf.index == index)
    }

    /// Condition 4 of ORD-APP.
    fn has_sender(&self, inbox: &str, installation: &InstallationId) -> bool {
        let member = self.members.iter().any(|member| member == inbox);
        let leaf = |leaf: &Leaf| leaf.installation == *installation;
        member
            && self
                .leaves
                .as_ref()
                .is_none_or(|leaves| leaves.iter().any(leaf))
    }
}

impl RoleLog {
    /// The log that starts with `first`.
    #[must_use]
    pub fn new(first: RoleRecord) -> Self {
        Self {
            records: vec![first],
        }
    }

    /// The log of these records, which are sorted by their sequence.
    #[must_use]
    pub fn from_records(mut records: Vec<RoleRecord>) -> Self {
        records.sort_by_key(|record| record.sequence);
        Self { records }
    }

    /// The records, oldest first.
    #[must_use]
    pub fn records(&self) -> &[RoleRecord] {
        &self.records
    }

    /// Appends the record of a Commit and drops leaf tables that are no longer needed. The
    /// sequences of the records that this changed, for writing them again.
    pub fn push(&mut self, record: RoleRecord) -> Vec<u64> {
        let mut changed = vec![record.sequence];
        self.records.push(record);
        let old = self.records.len().saturating_sub(LEAF_TABLES);
        for record in self.records.iter_mut().take(old) {
            if record.leaves.take().is_some() {
                changed.push(record.sequence);
            }
        }
        changed
    }

    /// The state that a message at `sequence` is judged by: that of the last Commit before it.
    #[must_use]
    pub fn state_at(&self, sequence: u64) -> Option<&RoleRecord> {
        self.records
            .iter()
            .rev()
            .find(|record| record.sequence < sequence)
    }

    /// The state of an epoch.
    #[must_use]
    pub fn epoch(&self, epoch: u64) -> Option<&RoleRecord> {
        self.records
            .iter()
            .rev()
            .find(|record| record.epoch == epoch)
    }

    /// The newest state.
    #[must_use]
    pub fn current(&self) -> Option<&RoleRecord> {
        self.records.last()
    }

    /// ORD-APP: whether the application message at `sequence` is accepted, and whose it is. A
    /// message that came from a stream is judged again when a Commit with a lower sequence is
    /// merged; see [`Self::still_accepts`].
    ///
    /// # Errors
    ///
    /// The condition that it does not meet.
    pub fn accepts(
        &self,
        sequence: u64,
        message: &ApplicationMessage,
    ) -> Result<InstallationId, Dropped> {
        let current = self.current().ok_or(Dropped::OldEpoch)?.epoch;
        // 1 (that it decrypts is shown by there being a message)
        let oldest = current.saturating_sub(PAST_EPOCHS);
        if !(oldest..=current).contains(&message.epoch) {
            return Err(Dropped::OldEpoch);
        }
        // 2
        let leaf = self
            .epoch(message.epoch)
            .and_then(|record| record.leaf(message.leaf));
        let leaf = leaf.ok_or(Dropped::InvalidSender)?;
        if leaf.inbox != message.inbox_id {
            return Err(Dropped::InvalidSender);
        }
        // 3
        if !leaf.trusted {
            return Err(Dropped::UntrustedLeaf);
        }
        // 4
        if !self.still_accepts(sequence, &leaf.inbox, &leaf.installation) {
            return Err(Dropped::SenderRemoved);
        }
        Ok(leaf.installation)
    }

    /// Condition 4 of ORD-APP alone, for a message that was accepted before: whether its sender
    /// was a member at `sequence`. If not, it is withdrawn.
    #[must_use]
    pub fn still_accepts(&self, sequence: u64, inbox: &str, installation: &InstallationId) -> bool {
        let state = self.state_at(sequence);
        state.is_some_and(|state| state.has_sender(inbox, installation))
    }

    /// ORD-DEL: whether `inbox`, asking at `sequence` in an accepted message, may delete a message
    /// of somebody else that stands at `target` in the log; none if that is not known (DEL-2).
    #[must_use]
    pub fn may_delete(&self, sequence: u64, inbox: &str, target: Option<u64>) -> bool {
        let in_order = target.is_none_or(|target| target < sequence);
        let state = self.state_at(sequence);
        in_order && state.is_some_and(|state| state.is_super_admin(inbox) && !state.anchored)
    }

    /// The same for a deletion that the Commit at `sequence` carries (permissions.md 13.5): its
    /// right was checked with the Commit.
    #[must_use]
    pub fn anchors(sequence: u64, target: Option<u64>) -> bool {
        target.is_none_or(|target| target < sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> InstallationId {
        InstallationId::from_bytes([number; 32])
    }

    /// Members are given as (inbox, leaf and installation number).
    fn record(sequence: u64, epoch: u64, members: &[(&str, u8)], admins: &[&str]) -> RoleRecord {
        let leaf = |(inbox, number): &(&str, u8)| Leaf {
            index: u32::from(*number),
            inbox: (*inbox).to_owned(),
            installation: id(*number),
            trusted: true,
        };
        RoleRecord {
            sequence,
            epoch,
            committer: None,
            super_admins: admins.iter().map(|admin| (*admin).to_owned()).collect(),
            admins: Vec::new(),
            members: members
                .iter()
                .map(|(inbox, _)| (*inbox).to_owned())
                .collect(),
            leaves: Some(members.iter().map(leaf).collect()),
            anchored: false,
        }
    }

    fn message(epoch: u64, leaf: u32, inbox: &str) -> ApplicationMessage {
        ApplicationMessage {
            epoch,
            leaf,
            inbox_id: inbox.to_owned(),
            plaintext: Vec::new(),
        }
    }

    const BOTH: &[(&str, u8)] = &[("m", 1), ("s", 2)];

    #[test]
    fn u_h_a_message_after_the_removal_is_refused_and_one_before_it_accepted() {
        for (removal, accepted) in [(9, Err(Dropped::SenderRemoved)), (11, Ok(id(1)))] {
            let mut log = RoleLog::new(record(1, 4, BOTH, &["s"]));
            log.push(record(removal, 5, &[("s", 2)], &["s"]));
            assert_eq!(log.accepts(10, &message(4, 1, "m")), accepted);
        }
    }

    #[test]
    fn u_h_three_past_epochs_are_accepted_and_neither_older_nor_future_ones() {
        let records = (0..=8)
            .map(|epoch| record(epoch, epoch, BOTH, &["s"]))
            .collect();
        let log = RoleLog::from_records(records);
        assert_eq!(log.accepts(20, &message(5, 1, "m")), Ok(id(1)));
        assert_eq!(log.accepts(20, &message(4, 1, "m")), Err(Dropped::OldEpoch));
        assert_eq!(log.accepts(20, &message(9, 1, "m")), Err(Dropped::OldEpoch));
    }

    #[test]
    fn u_h_a_super_admin_deletes_until_the_demotion_and_from_the_promotion_on() {
        let mut demoted = RoleLog::new(record(1, 1, BOTH, &["s", "m"]));
        demoted.push(record(12, 2, BOTH, &["m"]));
        assert!(demoted.may_delete(11, "s", None));
        assert!(!demoted.may_delete(13, "s", None));
        let mut promoted = RoleLog::new(record(1, 1, BOTH, &["m"]));
        promoted.push(record(12, 2, BOTH, &["m", "s"]));
        assert!(!promoted.may_delete(11, "s", None));
        assert!(promoted.may_delete(13, "s", None));
    }

    #[test]
    fn u_h_a_deletion_that_came_first_from_a_stream_is_withdrawn_by_an_earlier_demotion() {
        let mut log = RoleLog::new(record(1, 1, BOTH, &["s", "m"]));
        assert!(log.may_delete(13, "s", Some(5)));
        log.push(record(12, 2, BOTH, &["m"]));
        assert!(!log.may_delete(13, "s", Some(5)));
    }

    #[test]
    fn u_h_one_authorised_request_is_enough_among_others() {
        let log = RoleLog::new(record(1, 1, BOTH, &["s"]));
        let requests = [(10, "m"), (12, "s")];
        assert!(
            requests
                .iter()
                .any(|(sequence, inbox)| log.may_delete(*sequence, inbox, Some(5)))
        );
        assert!(!log.may_delete(10, "m", Some(5)));
    }

    #[test]
    fn a_message_that_came_after_the_request_is_not_deleted_by_it() {
        let log = RoleLog::new(record(1, 1, BOTH, &["s"]));
        assert!(log.may_delete(10, "s", Some(9)));
        assert!(!log.may_delete(10, "s", Some(11)));
    }

    #[test]
    fn where_moderation_is_anchored_a_bare_request_does_not_count() {
        let mut anchored = record(5, 2, BOTH, &["s"]);
        anchored.anchored = true;
        let mut log = RoleLog::new(record(1, 1, BOTH, &["s"]));
        log.push(anchored);
        assert!(log.may_delete(4, "s", None));
        assert!(!log.may_delete(6, "s", None));
    }

    #[test]
    fn a_sender_is_who_its_leaf_was_in_the_epoch_of_the_message() {
        let mut log = RoleLog::new(record(1, 1, &[("m", 1), ("s", 2)], &["s"]));
        // Leaf 1 now belongs to another installation of the same inbox.
        let mut refilled = record(10, 2, &[("m", 3), ("s", 2)], &["s"]);
        if let Some(leaf) = refilled
            .leaves
            .as_mut()
            .and_then(|leaves| leaves.first_mut())
        {
            leaf.index = 1;
        }
        log.push(refilled);
        assert_eq!(log.accepts(9, &message(1, 1, "m")), Ok(id(1)));
        assert_eq!(
            log.accepts(11, &message(1, 1, "m")),
            Err(Dropped::SenderRemoved)
        );
        assert_eq!(log.accepts(11, &message(2, 1, "m")), Ok(id(3)));
        assert_eq!(
            log.accepts(11, &message(2, 1, "s")),
            Err(Dropped::InvalidSender)
        );
        assert_eq!(
            log.accepts(11, &message(2, 7, "m")),
            Err(Dropped::InvalidSender)
        );
    }

    #[test]
    fn a_message_of_an_untrusted_leaf_is_dropped() {
        let mut first = record(1, 1, BOTH, &["s"]);
        if let Some(leaf) = first.leaves.as_mut().and_then(|leaves| leaves.first_mut()) {
            leaf.trusted = false;
        }
        let log = RoleLog::new(first);
        assert_eq!(
            log.accepts(2, &message(1, 1, "m")),
            Err(Dropped::UntrustedLeaf)
        );
    }

    #[test]
    fn leaf_tables_are_kept_for_four_epochs_and_membership_for_ever() {
        let mut log = RoleLog::new(record(0, 0, BOTH, &["s"]));
        assert_eq!(log.push(record(1, 1, BOTH, &["s"])), [1]);
        log.push(record(2, 2, BOTH, &["s"]));
        log.push(record(3, 3, BOTH, &["s"]));
        assert_eq!(log.push(record(4, 4, BOTH, &["s"])), [4, 0]);
        let with_table = log
            .records()
            .iter()
            .filter(|record| record.leaves.is_some());
        assert_eq!(with_table.count(), 4);
        assert!(
            log.still_accepts(1, "m", &id(9)),
            "the oldest state knows inboxes only"
        );
    }
}
