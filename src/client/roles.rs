//! Who was what at a place in the log: rules ORD-APP and ORD-DEL (permissions.md 9.2 to 9.4) over
//! the stored records. Pure: the same records give every member the same answer.

use super::rows::RoleRow;
use crate::mls::{ApplicationMessage, PAST_EPOCHS};

/// Records by the node id of the commit they follow, oldest first.
pub type RoleLog = [(u64, RoleRow)];

/// The last record before a place in the log.
#[must_use]
pub fn state_at(log: &RoleLog, sequence_id: u64) -> Option<&RoleRow> {
    log.iter()
        .rev()
        .find(|(position, _)| *position < sequence_id)
        .map(|(_, row)| row)
}

/// ORD-APP: the sender's installation, if the message may be shown.
#[must_use]
pub fn judge_application(
    log: &RoleLog,
    message: &ApplicationMessage,
    sequence_id: u64,
    current_epoch: u64,
) -> Option<Vec<u8>> {
    if message.epoch > current_epoch || message.epoch + PAST_EPOCHS < current_epoch {
        return None;
    }
    let inbox = message.inbox_id.as_str();
    let (_, then) = log
        .iter()
        .rev()
        .find(|(_, row)| row.epoch == message.epoch)?;
    let leaf = then.leaves.iter().find(|leaf| leaf.index == message.leaf)?;
    if leaf.inbox_id != inbox || !leaf.trusted {
        return None;
    }
    // The node's order, not ours of arrival: whoever was out before this place says nothing.
    let now = state_at(log, sequence_id)?;
    let member = now.members.iter().any(|member| member == inbox);
    let has_leaf = now
        .leaves
        .iter()
        .any(|other| other.installation == leaf.installation);
    (member && has_leaf).then(|| leaf.installation.clone())
}

/// ORD-DEL: whether an inbox may delete others' messages at a place in the log.
#[must_use]
pub fn may_delete_others(log: &RoleLog, inbox: &str, sequence_id: u64) -> bool {
    state_at(log, sequence_id)
        .is_some_and(|row| !row.moderated && row.super_admins.iter().any(|name| name == inbox))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::client::rows::LeafRow;
    use crate::identity::{Identifier, InboxId};

    fn inbox(nonce: u64) -> InboxId {
        let address = Identifier::ethereum("0x1234567890abcdef1234567890abcdef12345678").unwrap();
        InboxId::derive(&address, nonce)
    }

    fn record(epoch: u64, members: &[u64], supers: &[u64]) -> RoleRow {
        RoleRow {
            epoch,
            members: members.iter().map(|n| inbox(*n).to_string()).collect(),
            super_admins: supers.iter().map(|n| inbox(*n).to_string()).collect(),
            leaves: members
                .iter()
                .map(|n| LeafRow {
                    index: *n as u32,
                    inbox_id: inbox(*n).to_string(),
                    installation: vec![*n as u8; 32],
                    trusted: true,
                })
                .collect(),
            ..RoleRow::default()
        }
    }

    fn message(sender: u64, epoch: u64) -> ApplicationMessage {
        ApplicationMessage {
            epoch,
            leaf: sender as u32,
            inbox_id: inbox(sender).to_string(),
            plaintext: vec![],
        }
    }

    #[test]
    fn the_nodes_order_decides_about_a_removed_sender() {
        let log = [(1, record(4, &[1, 2], &[1])), (9, record(5, &[1], &[1]))];
        assert!(judge_application(&log, &message(2, 4), 8, 5).is_some());
        assert!(judge_application(&log, &message(2, 4), 10, 5).is_none());
    }

    #[test]
    fn three_past_epochs_are_readable_and_no_more() {
        let log = [(1, record(4, &[1], &[1]))];
        assert!(judge_application(&log, &message(1, 4), 20, 7).is_some());
        assert!(judge_application(&log, &message(1, 4), 20, 8).is_none());
        assert!(judge_application(&log, &message(1, 4), 20, 3).is_none());
    }

    #[test]
    fn a_leaf_speaks_only_for_its_own_inbox_and_only_if_trusted() {
        let mut row = record(4, &[1, 2], &[1]);
        let forged = ApplicationMessage {
            leaf: 1,
            ..message(2, 4)
        };
        assert!(judge_application(&[(1, row.clone())], &forged, 5, 4).is_none());
        row.leaves[1].trusted = false;
        assert!(judge_application(&[(1, row)], &message(2, 4), 5, 4).is_none());
    }

    #[test]
    fn deleting_others_needs_the_role_at_that_place() {
        let log = [
            (1, record(4, &[1, 2], &[1])),
            (12, record(5, &[1, 2], &[2])),
        ];
        assert!(may_delete_others(&log, inbox(1).as_str(), 11));
        assert!(!may_delete_others(&log, inbox(1).as_str(), 13));
        assert!(!may_delete_others(&log, inbox(2).as_str(), 11));
        assert!(may_delete_others(&log, inbox(2).as_str(), 13));
    }
}
