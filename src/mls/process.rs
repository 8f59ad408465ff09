//! Messages of others: decrypting them, judging Commits, merging them.
//!
//! A message leaves a trace in the view only if it was accepted. In particular a Commit that the
//! MLS library took and our rules did not is undone to the last byte: its sender may use the same
//! ratchet generation again for its next one (CV-ROLLBACK).

use openmls::prelude::tls_codec::Deserialize as _;
use openmls::prelude::{
    ContentType, MlsMessageBodyIn, MlsMessageIn, ProcessedMessage, ProcessedMessageContent,
    ProtocolMessage, Sender, StagedCommit,
};

use super::clock;
use super::facts;
use super::group::{Group, PAST_EPOCHS};
use super::validate::{
    Accepted, CommitChange, IdentityStates, Pause, Rejection, Rules, Verdict, validate,
};
use super::{GroupFacts, MlsError};
use crate::gather::Gather;

/// What a message of the group's log turned out to be.
#[derive(Debug)]
pub enum Incoming {
    /// An application message.
    Application(ApplicationMessage),
    /// A Commit; it is merged.
    Commit(Box<CommitReport>),
    /// A Commit that removes us; it is merged and all rows of the group are deleted.
    RemovedUs(Box<CommitReport>),
    /// A standalone proposal; it is kept until the epoch ends.
    Held,
    /// Nothing to do: go on with the next message.
    Skip(SkipReason),
    /// Load these identity states and process the message again.
    NeedIdentity(Vec<(String, u64)>),
    /// The group asks for a newer version than ours: stop before this message.
    Paused(Pause),
}

/// A decrypted application message. Whether it is shown is decided by
/// [`roles`](super::roles), in the order of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplicationMessage {
    /// The epoch it was encrypted in.
    pub epoch: u64,
    /// Leaf index of the sender in that epoch.
    pub leaf: u32,
    /// The inbox that the leaf's credential named in that epoch.
    pub inbox_id: String,
    /// The decrypted content.
    pub plaintext: Vec<u8>,
    /// What the sender authenticated besides, in the clear.
    pub authenticated_data: Vec<u8>,
}

/// Why a message is skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkipReason {
    /// It is no MLSMessage.
    Malformed,
    /// It is not a PrivateMessage.
    Unsupported,
    /// It names another group.
    OtherGroup,
    /// A Commit or proposal of an epoch that is over.
    StaleHandshake(u64),
    /// An application message older than the epochs we keep.
    TooOld(u64),
    /// It names an epoch that we have not reached. The header is not authenticated.
    FutureEpoch(u64),
    /// The MLS library could not decrypt or verify it; its reason.
    Undecryptable(String),
    /// We sent it ourselves.
    Own,
    /// Its sender's credential is not readable.
    InvalidSender,
    /// A proposal that we do not keep.
    Proposal,
    /// A Commit that breaks a rule.
    Rejected(Rejection),
}

/// What a merged Commit did.
#[derive(Debug, Clone)]
pub struct CommitReport {
    /// What it changed.
    pub change: CommitChange,
    /// The group afterwards. If it removed us, without us, and the authenticator is the last one
    /// that we know.
    pub facts: GroupFacts,
}

impl Group {
    /// Processes one message of the log, stamped `created_ns` by the node.
    ///
    /// # Errors
    ///
    /// If we are no member, or our own rows are damaged. What is wrong with the message is never
    /// an error.
    pub fn process(
        &mut self,
        data: &[u8],
        created_ns: u64,
        states: &dyn IdentityStates,
        rules: &Rules,
    ) -> Result<Incoming, MlsError> {
        if !self.is_active() {
            return Err(MlsError::Inactive);
        }
        let message = match self.screen(data) {
            Ok(message) => message,
            Err(reason) => return Ok(Incoming::Skip(reason)),
        };
        match message.content_type() {
            ContentType::Application => self.process_application(message),
            ContentType::Commit => self.process_commit(message, created_ns, states, rules),
            ContentType::Proposal => self.process_proposal(message),
        }
    }

    /// The checks that need no keys.
    pub(super) fn screen(&self, data: &[u8]) -> Result<ProtocolMessage, SkipReason> {
        let message =
            MlsMessageIn::tls_deserialize_exact(data).map_err(|_| SkipReason::Malformed)?;
        // Whatever comes in the clear is refused here: the wire format policy of the MLS library
        // does not cover external senders and new members.
        let MlsMessageBodyIn::PrivateMessage(message) = message.extract() else {
            return Err(SkipReason::Unsupported);
        };
        let message = ProtocolMessage::from(message);
        if message.group_id() != self.mls.group_id() {
            return Err(SkipReason::OtherGroup);
        }
        let (epoch, current) = (message.epoch().as_u64(), self.epoch());
        if epoch > current {
            return Err(SkipReason::FutureEpoch(epoch));
        }
        match message.content_type() {
            ContentType::Application if epoch.saturating_add(PAST_EPOCHS) < current => {
                Err(SkipReason::TooOld(epoch))
            }
            ContentType::Commit | ContentType::Proposal if epoch < current => {
                Err(SkipReason::StaleHandshake(epoch))
            }
            _ => Ok(message),
        }
    }

    fn process_application(&mut self, message: ProtocolMessage) -> Result<Incoming, MlsError> {
        let processed = match self.mls.process_message(&self.provider, message) {
            Ok(processed) => processed,
            Err(error) => return Ok(Incoming::Skip(undecryptable(&error))),
        };
        let (epoch, sender) = (processed.epoch().as_u64(), processed.sender().clone());
        let inbox_id = facts::inbox_id(processed.credential());
        let authenticated_data = processed.aad().to_vec();
        match (processed.into_content(), sender, inbox_id) {
            (ProcessedMessageContent::OwnPrivateMessage, ..) => Ok(Incoming::Skip(SkipReason::Own)),
            (
                ProcessedMessageContent::ApplicationMessage(content),
                Sender::Member(leaf),
                Some(inbox_id),
            ) => Ok(Incoming::Application(ApplicationMessage {
                epoch,
                leaf: leaf.u32(),
                inbox_id,
                plaintext: content.into_bytes(),
                authenticated_data,
            })),
            _ => Ok(Incoming::Skip(SkipReason::InvalidSender)),
        }
    }

    fn process_commit(
        &mut self,
        message: ProtocolMessage,
        created_ns: u64,
        states: &dyn IdentityStates,
        rules: &Rules,
    ) -> Result<Incoming, MlsError> {
        let savepoint = self.view().savepoint();
        self.inject_held()?;
        let processed = clock::at(created_ns, || {
            self.mls.process_message(&self.provider, message.clone())
        });
        let processed = match processed {
            Ok(processed) => processed,
            Err(error) => {
                // Nothing else was changed.
                self.withdraw_held()?;
                return Ok(Incoming::Skip(undecryptable(&error)));
            }
        };
        let (verdict, staged) = match self.judge(processed, states, rules) {
            Ok(judged) => judged,
            Err(reason) => {
                self.roll_back(&savepoint)?;
                return Ok(Incoming::Skip(reason));
            }
        };
        let refused = match verdict {
            Verdict::Accepted(accepted) => return self.merge(*staged, *accepted),
            Verdict::Rejected(rejection) => Incoming::Skip(SkipReason::Rejected(rejection)),
            Verdict::NeedIdentity(missing) => Incoming::NeedIdentity(missing),
            Verdict::Paused(pause) => Incoming::Paused(pause),
        };
        self.roll_back(&savepoint)?;
        Ok(refused)
    }

    fn judge(
        &self,
        processed: ProcessedMessage,
        states: &dyn IdentityStates,
        rules: &Rules,
    ) -> Result<(Verdict, Box<StagedCommit>), SkipReason> {
        let sender = match processed.sender() {
            Sender::Member(leaf) => *leaf,
            _ => return Err(SkipReason::InvalidSender),
        };
        match processed.into_content() {
            ProcessedMessageContent::StagedCommitMessage(staged) => {
                let proposed = self.proposed(&staged, sender);
                Ok((validate(self, &proposed, states, rules), staged))
            }
            ProcessedMessageContent::OwnPrivateMessage
            | ProcessedMessageContent::OwnPendingCommit => Err(SkipReason::Own),
            _ => Err(SkipReason::Unsupported),
        }
    }

    fn merge(&mut self, staged: StagedCommit, accepted: Accepted) -> Result<Incoming, MlsError> {
        let removes_us = staged.self_removed();
        self.mls
            .merge_staged_commit(&self.provider, staged)
            .map_err(MlsError::mls)?;
        let report = Box::new(self.finish_merge(accepted)?);
        if removes_us {
            // The MLS library leaves secrets of the last epochs behind.
            self.view().clear();
            return Ok(Incoming::RemovedUs(report));
        }
        Ok(Incoming::Commit(report))
    }

    /// What follows every merge.
    pub(super) fn finish_merge(&mut self, accepted: Accepted) -> Result<CommitReport, MlsError> {
        let Accepted { change, untrusted } = accepted;
        self.notes.untrusted = untrusted.iter().map(|id| *id.as_bytes()).gather();
        self.save_notes()?;
        self.drop_held();
        Ok(CommitReport {
            change,
            facts: self.facts()?,
        })
    }

    fn process_proposal(&mut self, message: ProtocolMessage) -> Result<Incoming, MlsError> {
        let savepoint = self.view().savepoint();
        let processed = match self.mls.process_message(&self.provider, message) {
            Ok(processed) => processed,
            Err(error) => return Ok(Incoming::Skip(undecryptable(&error))),
        };
        let reason = match processed.into_content() {
            ProcessedMessageContent::ProposalMessage(proposal) => {
                if self.hold(&proposal)? {
                    return Ok(Incoming::Held);
                }
                SkipReason::Proposal
            }
            ProcessedMessageContent::OwnPrivateMessage => SkipReason::Own,
            _ => SkipReason::Unsupported,
        };
        self.roll_back(&savepoint)?;
        Ok(Incoming::Skip(reason))
    }
}

fn undecryptable(error: &impl std::fmt::Debug) -> SkipReason {
    SkipReason::Undecryptable(super::error::reason(error))
}
