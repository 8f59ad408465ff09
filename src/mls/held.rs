//! Standalone proposals of other members, set aside (permissions.md 7.10, PROP-1 to PROP-3).
//!
//! A peer may refer to such a proposal in a later Commit of the same epoch; without it we could not
//! process that Commit. They live in a row of ours and not in openmls' queue, where they would
//! block sending, and we never commit one.

use openmls::prelude::{Proposal, QueuedProposal, Sender};
use openmls_traits::OpenMlsProvider as _;

use super::extensions::{self, MUTABLE_METADATA, MutableMetadata, PERMISSIONS};
use super::group::{Group, read_row, write_row};
use super::policy::{PolicySet, Roles};
use super::validate::{changed_attributes, changed_list, proposer_inbox};
use super::view::{decode_value, encode_value};
use super::{GroupFacts, MlsError};

/// Most proposals held in one epoch.
const MAX_HELD: usize = 16;
/// Key of the row.
const HELD: u8 = 65;

/// The held proposals of one epoch, encoded.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Held {
    epoch: u64,
    proposals: Vec<Vec<u8>>,
}

impl Group {
    /// Keeps a proposal if it may matter. Whether it was kept; if not, the caller rolls back.
    pub(super) fn hold(&self, proposal: &QueuedProposal) -> Result<bool, MlsError> {
        let mut held = self.held()?;
        if held.proposals.len() >= MAX_HELD || !self.may_hold(proposal)? {
            return Ok(false);
        }
        held.proposals.push(encode_value(proposal)?.to_vec());
        write_row(self.view(), HELD, &held)?;
        Ok(true)
    }

    /// Puts the held proposals where the MLS library looks for them.
    pub(super) fn inject_held(&mut self) -> Result<(), MlsError> {
        for proposal in self.held()?.proposals {
            let proposal: QueuedProposal = decode_value(&proposal)?;
            self.mls
                .store_pending_proposal(self.provider.storage(), proposal)?;
        }
        Ok(())
    }

    /// Takes them out again.
    pub(super) fn withdraw_held(&mut self) -> Result<(), MlsError> {
        Ok(self.mls.clear_pending_proposals(self.provider.storage())?)
    }

    /// Forgets them: the epoch is over.
    pub(super) fn drop_held(&self) {
        self.view().set_own_row(HELD, None);
    }

    fn held(&self) -> Result<Held, MlsError> {
        let stored: Option<Held> = read_row(self.view(), HELD)?;
        let epoch = self.epoch();
        let current = stored.filter(|held| held.epoch == epoch);
        Ok(current.unwrap_or(Held {
            epoch,
            proposals: Vec::new(),
        }))
    }

    /// Whether a peer would keep it: a change of the extensions that its author may make, where
    /// attributes without a policy entry are not looked at.
    fn may_hold(&self, queued: &QueuedProposal) -> Result<bool, MlsError> {
        let Proposal::GroupContextExtensions(proposal) = queued.proposal() else {
            return Ok(false);
        };
        let Sender::Member(_) = queued.sender() else {
            return Ok(false);
        };
        let Some(proposer) = proposer_inbox(self, queued.sender()) else {
            return Ok(false);
        };
        let facts = self.facts()?;
        let list = proposal.extensions();
        let metadata = extensions::data(list, MUTABLE_METADATA).and_then(MutableMetadata::decode);
        let permissions =
            extensions::data(list, PERMISSIONS).and_then(|data| Ok(PolicySet::decode(data)?));
        let (Ok(metadata), Ok(permissions)) = (metadata, permissions) else {
            return Ok(false);
        };
        let roles = Roles::of(&proposer, &facts.mutable);
        Ok(may_propose(&facts, &metadata, &permissions, roles))
    }
}

fn may_propose(
    facts: &GroupFacts,
    metadata: &MutableMetadata,
    permissions: &PolicySet,
    roles: Roles,
) -> bool {
    let policies = &facts.permissions;
    let attributes = changed_attributes(&facts.mutable, metadata);
    let attributes_allowed = attributes.iter().all(|change| {
        let entry = policies.metadata.get(&change.key);
        entry.is_none_or(|policy| policy.holds(roles))
    });
    let admins = changed_list(&facts.mutable.admins, &metadata.admins);
    let super_admins = changed_list(&facts.mutable.super_admins, &metadata.super_admins);
    attributes_allowed
        && (admins.added.is_empty() || policies.add_admin.holds(roles))
        && (admins.removed.is_empty() || policies.remove_admin.holds(roles))
        && (super_admins == super::ListChange::default() || roles.super_admin)
        && (super_admins.removed.is_empty() || !metadata.super_admins.is_empty())
        && (permissions == policies || roles.super_admin)
}
