//! Reading out of a staged Commit what the rules look at.

use std::collections::BTreeMap;

use openmls::prelude::tls_codec::Serialize as _;
use openmls::prelude::{
    Extension, Extensions, GroupContext, LeafNodeIndex, Proposal, ProposalOrRefType,
    QueuedProposal, Sender, StagedCommit,
};

use super::super::extensions::{
    ExtensionError, IMMUTABLE_METADATA, MEMBERSHIP, MUTABLE_METADATA, PERMISSIONS,
};
use super::super::facts::{self, Member};
use super::super::{Change, Group, MlsError};
use super::{
    Before, ContextBytes, IdentityStates, Proposed, ProposedAdd, ProposedContext, ProposedRemove,
    Rules, Verdict, evaluate,
};
use crate::gather::Gather;

/// Judges `proposed` in the present state of `group`.
pub(in super::super) fn validate(
    group: &Group,
    proposed: &Proposed,
    states: &dyn IdentityStates,
    rules: &Rules,
) -> Verdict {
    let before = Before {
        facts: group.facts().map_err(|error| match error {
            MlsError::Extension(error) => error,
            _ => ExtensionError::List,
        }),
        context: context_bytes(group.mls.extensions()),
    };
    evaluate(&before, proposed, states, rules)
}

impl Group {
    /// What a staged Commit from the leaf `sender` proposes.
    pub(in super::super) fn proposed(
        &self,
        staged: &StagedCommit,
        sender: LeafNodeIndex,
    ) -> Proposed {
        let committer = self.member_at(sender);
        let mut proposed = Proposed {
            proposers_are_members: true,
            adds: Vec::new(),
            removes: Vec::new(),
            updates: Vec::new(),
            replacement: None,
            credentials_readable: true,
            psk: false,
            reinit: false,
            unsupported: false,
            path_keeps_identity: self.path_keeps_identity(staged, sender),
            context: context_bytes(staged.group_context().extensions()),
            committer,
        };
        for queued in staged.queued_proposals() {
            self.read_proposal(queued, &mut proposed);
        }
        proposed
    }

    /// What a Commit of ours with `change` would propose.
    pub(in super::super) fn proposed_by_us(
        &self,
        change: &Change,
        context: &Extensions<GroupContext>,
        replaced: bool,
    ) -> Proposed {
        let committer = self.member_at(self.mls.own_leaf_index());
        let proposer = committer
            .as_ref()
            .map_or_else(String::new, |own| own.inbox_id.clone());
        let adds = change.add.iter().map(|key_package| ProposedAdd {
            inbox: key_package.inbox_id().to_owned(),
            installation: key_package.installation_id(),
            proposer: proposer.clone(),
        });
        let removes = change.remove.iter().map(|leaf| ProposedRemove {
            member: self.member_at(LeafNodeIndex::new(*leaf)),
            proposer: proposer.clone(),
        });
        Proposed {
            committer,
            proposers_are_members: true,
            adds: adds.collect(),
            removes: removes.collect(),
            updates: Vec::new(),
            replacement: replaced.then(|| ProposedContext {
                proposer: proposer.clone(),
                by_reference: false,
            }),
            credentials_readable: true,
            psk: false,
            reinit: false,
            unsupported: false,
            path_keeps_identity: true,
            context: context_bytes(context),
        }
    }

    fn read_proposal(&self, queued: &QueuedProposal, proposed: &mut Proposed) {
        let proposer = match queued.sender() {
            Sender::Member(leaf) => self.member_at(*leaf).map(|member| member.inbox_id),
            _ => None,
        };
        let Some(proposer) = proposer else {
            proposed.proposers_are_members = false;
            return;
        };
        match queued.proposal() {
            Proposal::Add(add) => match facts::identity(add.key_package().leaf_node()) {
                Some((inbox, installation)) => proposed.adds.push(ProposedAdd {
                    inbox,
                    installation,
                    proposer,
                }),
                None => proposed.credentials_readable = false,
            },
            Proposal::Remove(remove) => proposed.removes.push(ProposedRemove {
                member: self.member_at(remove.removed()),
                proposer,
            }),
            Proposal::Update(update) => match facts::identity(update.leaf_node()) {
                Some(identity) => proposed.updates.push(identity),
                None => proposed.credentials_readable = false,
            },
            Proposal::GroupContextExtensions(_) => {
                proposed.replacement = Some(ProposedContext {
                    proposer,
                    by_reference: queued.proposal_or_ref_type() == ProposalOrRefType::Reference,
                });
            }
            Proposal::PreSharedKey(_) => proposed.psk = true,
            Proposal::ReInit(_) => proposed.reinit = true,
            _ => proposed.unsupported = true,
        }
    }

    /// The member at a leaf of the present tree.
    pub(in super::super) fn member_at(&self, leaf: LeafNodeIndex) -> Option<Member> {
        let (inbox_id, installation_id) = facts::identity(self.mls.public_group().leaf(leaf)?)?;
        Some(Member {
            leaf: leaf.u32(),
            inbox_id,
            installation_id,
            trusted: !self.notes.untrusted.contains(installation_id.as_bytes()),
        })
    }

    /// SAFE-H1: a path must not give its leaf to another inbox or key.
    fn path_keeps_identity(&self, staged: &StagedCommit, sender: LeafNodeIndex) -> bool {
        let Some(new) = staged.update_path_leaf_node() else {
            return true;
        };
        self.mls.public_group().leaf(sender).is_some_and(|old| {
            old.credential() == new.credential() && old.signature_key() == new.signature_key()
        })
    }
}

/// The extensions of a GroupContext as bytes.
pub(in super::super) fn context_bytes(extensions: &Extensions<GroupContext>) -> ContextBytes {
    let ours = |number| {
        extensions
            .unknown(number)
            .map(|extension| extension.0.clone())
    };
    let is_ours = |extension: &&Extension| {
        matches!(
            extension,
            Extension::Unknown(
                IMMUTABLE_METADATA | MUTABLE_METADATA | MEMBERSHIP | PERMISSIONS,
                _
            )
        )
    };
    let rest: BTreeMap<u16, Vec<u8>> = extensions
        .iter()
        .filter(|extension| !is_ours(extension))
        .map(|extension| {
            let bytes = extension.tls_serialize_detached().unwrap_or_default();
            (u16::from(extension.extension_type()), bytes)
        })
        .gather();
    ContextBytes {
        immutable: ours(IMMUTABLE_METADATA),
        mutable: ours(MUTABLE_METADATA),
        membership: ours(MEMBERSHIP),
        permissions: ours(PERMISSIONS),
        rest,
    }
}

/// The inbox of whoever sent a standalone proposal.
pub(in super::super) fn proposer_inbox(group: &Group, sender: &Sender) -> Option<String> {
    match sender {
        Sender::Member(leaf) => group.member_at(*leaf).map(|member| member.inbox_id),
        _ => None,
    }
}
