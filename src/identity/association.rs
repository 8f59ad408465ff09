//! The rules of association: what an update has to hold to be taken in, and what it then does.
//!
//! Which kind of signature may speak for which kind of member is no rule of its own: verifying a
//! signature gives a signer of its kind and no other.
//!
//! What is accepted here everyone accepts, and what is refused here everyone refuses; a rule of
//! our own would tear groups apart. Rules for new updates alone are in [`super::publish`].

use std::collections::{BTreeMap, BTreeSet};

use super::contract::ContractAnswers;
use super::error::IdentityError;
use super::identifier::Identifier;
use super::inbox::InboxId;
use super::member::{Member, MemberIdentifier};
use super::signature::{SignatureKind, VerifiedSignature};
use super::state::AssociationState;
use super::update::{Action, SignedUpdate, VerifiedUpdate};

impl AssociationState {
    /// Verifies `update` and takes it in: all of it or nothing.
    ///
    /// # Errors
    /// Why the update is refused; see [`IdentityError::is_retryable`].
    pub fn apply(
        state: Option<&Self>,
        update: &SignedUpdate,
        answers: &ContractAnswers,
    ) -> Result<Self, IdentityError> {
        Self::apply_verified(state, &update.verify(answers)?)
    }

    /// Takes in an update whose signatures are verified: all of it or nothing.
    ///
    /// # Errors
    /// Why the update is refused.
    pub fn apply_verified(
        state: Option<&Self>,
        update: &VerifiedUpdate,
    ) -> Result<Self, IdentityError> {
        let update = update.update();
        let mut next = state.cloned();
        for action in &update.actions {
            next = Some(Self::step(next, action, update.client_timestamp_ns)?);
        }
        let mut next = next.ok_or(IdentityError::NotCreated)?;
        if next.inbox_id.as_str() != update.inbox_id {
            return Err(IdentityError::WrongInboxId);
        }
        // Only now, so that one signature may fill several fields of one update.
        for signature in update.signatures() {
            next.seen_signatures
                .insert(signature.replay_bytes().to_vec());
        }
        Ok(next)
    }

    /// One action on the result of the one before. The order of the checks decides which error
    /// is reported.
    fn step(
        state: Option<Self>,
        action: &Action<VerifiedSignature>,
        client_timestamp_ns: u64,
    ) -> Result<Self, IdentityError> {
        let Some(mut state) = state else {
            return match action {
                Action::CreateInbox {
                    identifier,
                    nonce,
                    signature,
                } => Self::create(identifier, *nonce, signature),
                _ => Err(IdentityError::NotCreated),
            };
        };
        let seen = |s: &VerifiedSignature| state.seen_signatures.contains(s.replay_bytes());
        let is_replay = action.signatures().any(seen);
        match action {
            Action::CreateInbox { .. } => return Err(IdentityError::MultipleCreate),
            _ if is_replay => return Err(IdentityError::Replay),
            Action::AddAssociation {
                new_member,
                existing_member_signature,
                new_member_signature,
            } => {
                state.check_addition(
                    new_member,
                    existing_member_signature,
                    new_member_signature,
                )?;
                let member = Member {
                    // Not as the action names it: a passkey's relying party is what it signed.
                    identifier: new_member_signature.signer().clone(),
                    added_by: Some(existing_member_signature.signer().clone()),
                    client_timestamp_ns: Some(client_timestamp_ns),
                    chain_id: new_member_signature.chain_id(),
                };
                state.insert(member);
            }
            Action::RevokeAssociation {
                member,
                recovery_signature,
            } => {
                state.check_recovery(recovery_signature)?;
                state.revoke(member);
            }
            Action::ChangeRecoveryIdentifier {
                identifier,
                recovery_signature,
            } => {
                state.check_recovery(recovery_signature)?;
                state.recovery_identifier = identifier.clone();
            }
        }
        Ok(state)
    }

    fn create(
        identifier: &Identifier,
        nonce: u64,
        signature: &VerifiedSignature,
    ) -> Result<Self, IdentityError> {
        let member = MemberIdentifier::from(identifier.clone());
        if *signature.signer() != member {
            return Err(IdentityError::MissingExistingMember);
        }
        if signature.kind() == SignatureKind::LegacyDelegated && nonce != 0 {
            return Err(IdentityError::LegacySignatureReuse);
        }
        // A contract wallet's account ID may lack the prefix; an inbox's creator may not.
        if matches!(identifier, Identifier::Ethereum(address) if !address.starts_with("0x")) {
            return Err(IdentityError::Malformed("address without 0x"));
        }
        let mut state = Self {
            inbox_id: InboxId::derive(identifier, nonce),
            members: BTreeMap::new(),
            recovery_identifier: identifier.clone(),
            seen_signatures: BTreeSet::new(),
        };
        state.insert(Member {
            identifier: member,
            added_by: None,
            client_timestamp_ns: None,
            chain_id: signature.chain_id(),
        });
        Ok(state)
    }

    fn check_addition(
        &self,
        new_member: &MemberIdentifier,
        existing: &VerifiedSignature,
        new: &VerifiedSignature,
    ) -> Result<(), IdentityError> {
        if new.signer() != new_member {
            return Err(IdentityError::NewMemberSignatureMismatch);
        }
        if new.signer() == existing.signer() {
            return Err(IdentityError::AddSelf);
        }
        let is_legacy = |s: &VerifiedSignature| s.kind() == SignatureKind::LegacyDelegated;
        if (is_legacy(existing) || is_legacy(new))
            && let MemberIdentifier::Identifier(identifier) = existing.signer()
            && InboxId::derive(identifier, 0) != self.inbox_id
        {
            return Err(IdentityError::LegacySignatureReuse);
        }
        if self.members.contains_key(existing.signer()) {
            self.check_chain(existing)?;
        } else {
            self.check_is_recovery(existing)?;
            if is_legacy(existing) {
                return Err(IdentityError::LegacySignatureReuse);
            }
        }
        match (existing.signer(), new_member) {
            (MemberIdentifier::Installation(_), MemberIdentifier::Installation(_)) => {
                Err(IdentityError::MemberNotAllowed)
            }
            _ => Ok(()),
        }
    }

    fn check_recovery(&self, signature: &VerifiedSignature) -> Result<(), IdentityError> {
        self.check_chain(signature)?;
        if signature.kind() == SignatureKind::LegacyDelegated {
            return Err(IdentityError::SignatureNotAllowed);
        }
        self.check_is_recovery(signature)
    }

    fn check_is_recovery(&self, signature: &VerifiedSignature) -> Result<(), IdentityError> {
        match signature.signer().identifier() {
            Some(signer) if *signer == self.recovery_identifier => Ok(()),
            _ => Err(IdentityError::MissingExistingMember),
        }
    }

    /// A member signs on the chain on which it joined. Who is no member is bound to none.
    fn check_chain(&self, signature: &VerifiedSignature) -> Result<(), IdentityError> {
        match self.members.get(signature.signer()) {
            Some(member) if member.chain_id != signature.chain_id() => {
                Err(IdentityError::ChainIdMismatch {
                    joined: member.chain_id,
                    signed: signature.chain_id(),
                })
            }
            _ => Ok(()),
        }
    }

    /// Removes the member, if there, and every installation that it added, whether it is there
    /// or not. Wallets and passkeys that it added stay.
    fn revoke(&mut self, revoked: &MemberIdentifier) {
        self.members.retain(|identifier, member| {
            let is_installation = matches!(identifier, MemberIdentifier::Installation(_));
            identifier != revoked && !(is_installation && member.added_by.as_ref() == Some(revoked))
        });
    }
}
