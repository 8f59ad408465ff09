//! Who was what at which place in the log (permissions.md 9.2 to 9.4).
//!
//! A client appends one record for each merged Commit. The two rules here decide by those records
//! and never by the state at the time of processing, so that everybody comes to the same answer in
//! whatever order messages reached them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::extensions::{DISAPPEAR_FROM, DISAPPEAR_IN, MODERATION};
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
    /// When messages disappear, as the two attributes say: from, in.
    pub disappearing: (String, String),
    /// The epoch's authenticator.
    pub authenticator: Vec<u8>,
    /// The node's time of the Commit, Unix nanoseconds; 0 in a first record.
    pub created_ns: u64,
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

    /// The record of a merged Commit that the node stamped `created_ns`.
    #[must_use]
    pub fn commit(sequence: u64, created_ns: u64, report: &CommitReport) -> Self {
        let committer = &report.change.committer;
        let committer = (committer.inbox_id.clone(), committer.installation_id);
        Self {
            created_ns,
            ..Self::new(sequence, Some(committer), &report.facts)
        }
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
            disappearing: (
                facts.mutable.attribute(DISAPPEAR_FROM).to_owned(),
                facts.mutable.attribute(DISAPPEAR_IN).to_owned(),
            ),
            authenticator: facts.epoch_authenticator.clone(),
            created_ns: 0,
        }
    }

    /// Whether an inbox led the group.
    #[must_use]
    pub fn is_super_admin(&self, inbox: &str) -> bool {
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

    /// Whether somebody who was in `epoch` read its Commit at another place in the log than we
    /// did, or came to another state by it (PART-2): the node does not show everybody one order.
    #[must_use]
    pub fn disagrees(&self, epoch: u64, claim: &OrderClaim) -> bool {
        let ours = self.epoch(epoch).filter(|record| record.sequence != 0);
        ours.is_some_and(|ours| {
            ours.sequence != claim.sequence || !ours.authenticator.starts_with(&claim.authenticator)
        })
    }

    /// Who has just taken the group over, by the look of it (ROLE-6): an inbox that within
    /// `window` nanoseconds demoted two other super admins, or removed more than half of the
    /// members.
    #[must_use]
    pub fn takeover(&self, window: u64) -> Option<&str> {
        let newest = self.current()?;
        let by = committer_of(newest)?;
        let since = newest.created_ns.saturating_sub(window);
        let (mut demoted, mut removed) = (BTreeSet::new(), BTreeSet::new());
        let mut members = newest.members.len();
        let pairs = self.records.iter().zip(self.records.iter().skip(1)).rev();
        for (before, after) in pairs.take_while(|(_, after)| after.created_ns >= since) {
            members = before.members.len();
            if committer_of(after) == Some(by) {
                let others = before.super_admins.iter().filter(|inbox| *inbox != by);
                demoted.extend(others.filter(|inbox| !after.is_super_admin(inbox)));
                removed
                    .extend((before.members.iter()).filter(|inbox| !after.members.contains(inbox)));
            }
        }
        (demoted.len() >= 2 || removed.len() * 2 > members).then_some(by)
    }

    /// The state before `inboxes` took roles or membership from others in the newest Commits, if
    /// they did (ROLE-6).
    #[must_use]
    pub fn before(&self, inboxes: &[String]) -> Option<&RoleRecord> {
        let theirs = |record: &RoleRecord| {
            committer_of(record).is_some_and(|by| inboxes.iter().any(|inbox| inbox == by))
        };
        let takes = |before: &RoleRecord, after: &RoleRecord| {
            (before
                .members
                .iter()
                .any(|inbox| !after.members.contains(inbox)))
                || (before.super_admins.iter()).any(|inbox| !after.is_super_admin(inbox))
        };
        let pairs = self.records.iter().zip(self.records.iter().skip(1)).rev();
        (pairs.take_while(|(_, after)| theirs(after)))
            .filter(|(before, after)| takes(before, after))
            .last()
            .map_or(self.current(), |(before, _)| Some(before))
    }
}

fn committer_of(record: &RoleRecord) -> Option<&str> {
    record.committer.as_ref().map(|(inbox, _)| inbox.as_str())
}

/// What a message in a strict group says about the order that its sender sees (PART-2). It goes
/// into the authenticated data: everybody can read it, and it tells the node nothing new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderClaim {
    /// Place in the log of the Commit that led to the message's epoch.
    pub sequence: u64,
    /// The first half of the epoch's authenticator.
    pub authenticator: [u8; 16],
}

impl OrderClaim {
    const VERSION: u8 = 1;

    /// What is claimed of an epoch; nothing where its Commit's place is not known.
    #[must_use]
    pub fn of(sequence: u64, authenticator: &[u8]) -> Option<Self> {
        let authenticator = *authenticator.first_chunk()?;
        (sequence != 0).then_some(Self {
            sequence,
            authenticator,
        })
    }

    /// As authenticated data.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![Self::VERSION];
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(self.authenticator);
        bytes
    }

    /// From authenticated data; nothing if it is something else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (sequence, rest) = bytes.strip_prefix(&[Self::VERSION])?.split_first_chunk()?;
        Some(Self {
            sequence: u64::from_be_bytes(*sequence),
            authenticator: rest.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests;
