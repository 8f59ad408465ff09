//! The association state: who belongs to an inbox after some number of its updates.
//!
//! What is accepted here everyone accepts, and what is refused here everyone refuses; a rule of
//! our own would tear groups apart. Rules for new updates alone are in [`super::publish`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sotto_proto::{Message, associations as proto};

use super::contract::ContractAnswers;
use super::error::IdentityError;
use super::identifier::Identifier;
use super::inbox::InboxId;
use super::installation::InstallationId;
use super::member::{Member, MemberIdentifier, hex_bytes};
use super::signature::{SignatureKind, VerifiedSignature};
use super::update::{Action, SignedUpdate, VerifiedUpdate};

/// How many installations an inbox may have for another to register. Only whoever registers
/// looks at this; a log that holds more is as valid as any.
pub const MAX_INSTALLATIONS: usize = 10;

/// The members of an inbox, who may revoke them, and which signatures are used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociationState {
    inbox_id: InboxId,
    members: BTreeMap<MemberIdentifier, Member>,
    recovery_identifier: Identifier,
    seen_signatures: BTreeSet<Vec<u8>>,
}

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
        if let Action::CreateInbox {
            identifier,
            nonce,
            signature,
        } = action
        {
            return match state {
                Some(_) => Err(IdentityError::MultipleCreate),
                None => Self::create(identifier, *nonce, signature),
            };
        }
        let mut state = state.ok_or(IdentityError::NotCreated)?;
        let seen = |s: &VerifiedSignature| state.seen_signatures.contains(s.replay_bytes());
        if action.signatures().any(seen) {
            return Err(IdentityError::Replay);
        }
        match action {
            Action::CreateInbox { .. } => return Err(IdentityError::MultipleCreate),
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
        if !member.allows(signature.kind()) {
            return Err(IdentityError::SignatureNotAllowed);
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
        if !new_member.allows(new.kind()) {
            return Err(IdentityError::SignatureNotAllowed);
        }
        if self.members.contains_key(existing.signer()) {
            self.check_chain(existing)?;
        } else {
            self.check_is_recovery(existing)?;
            if is_legacy(existing) {
                return Err(IdentityError::LegacySignatureReuse);
            }
        }
        if !existing.signer().allows(existing.kind()) {
            return Err(IdentityError::SignatureNotAllowed);
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

    fn insert(&mut self, member: Member) {
        // The key too: two passkeys can be equal and differ in their relying party.
        self.members.remove(&member.identifier);
        self.members.insert(member.identifier.clone(), member);
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

impl AssociationState {
    /// The inbox.
    #[must_use]
    pub fn inbox_id(&self) -> &InboxId {
        &self.inbox_id
    }

    /// Who may revoke members and name another recovery identifier. Need not be a member.
    #[must_use]
    pub fn recovery_identifier(&self) -> &Identifier {
        &self.recovery_identifier
    }

    /// The members in the order in which they were added, by their clients' clocks; last those
    /// without a time, which is the inbox's creator.
    #[must_use]
    pub fn members(&self) -> Vec<&Member> {
        let mut members: Vec<&Member> = self.members.values().collect();
        members.sort_by_key(|member| member.client_timestamp_ns.unwrap_or(u64::MAX));
        members
    }

    /// One member.
    #[must_use]
    pub fn member(&self, identifier: &MemberIdentifier) -> Option<&Member> {
        self.members.get(identifier)
    }

    /// Whether this is a member.
    #[must_use]
    pub fn contains(&self, identifier: &MemberIdentifier) -> bool {
        self.members.contains_key(identifier)
    }

    /// Whether this is one of the inbox's installations.
    #[must_use]
    pub fn contains_installation(&self, id: &InstallationId) -> bool {
        self.contains(&MemberIdentifier::from(*id))
    }

    /// The wallets and passkeys, in the order of [`AssociationState::members`].
    #[must_use]
    pub fn identifiers(&self) -> Vec<&Identifier> {
        self.members()
            .into_iter()
            .filter_map(|member| member.identifier.identifier())
            .collect()
    }

    /// The installations.
    #[must_use]
    pub fn installations(&self) -> BTreeSet<InstallationId> {
        self.members
            .keys()
            .filter_map(MemberIdentifier::installation)
            .collect()
    }

    /// What changed from `old`, or from nothing, to `new`. Members added once more and another
    /// recovery identifier do not show.
    #[must_use]
    pub fn diff(old: Option<&Self>, new: &Self) -> Diff {
        let missing_in = |state: Option<&Self>, members: &Self| {
            let is_new = |m: &&MemberIdentifier| !state.is_some_and(|state| state.contains(m));
            members.members.keys().filter(is_new).cloned().collect()
        };
        Diff {
            new_members: missing_in(old, new),
            removed_members: old.map_or_else(BTreeSet::new, |old| missing_in(Some(new), old)),
        }
    }

    /// The state as bytes for a cache; equal states have equal bytes. It is the
    /// `AssociationState` message of the protocol.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let member = |(key, member): (&MemberIdentifier, &Member)| proto::MemberMap {
            key: Some(key.to_proto()),
            value: Some(member.to_proto()),
        };
        proto::AssociationState {
            inbox_id: self.inbox_id.to_string(),
            members: self.members.iter().map(member).collect(),
            recovery_identifier: self.recovery_identifier.to_string(),
            seen_signatures: self.seen_signatures.iter().cloned().collect(),
            recovery_identifier_kind: self.recovery_identifier.kind().to_wire(),
            relying_party: self.recovery_identifier.relying_party().map(str::to_owned),
        }
        .encode_to_vec()
    }

    /// Reads what [`AssociationState::encode`] wrote. Nothing is verified: only a cache of our
    /// own may be read.
    ///
    /// # Errors
    /// [`IdentityError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, IdentityError> {
        let malformed = IdentityError::Malformed("association state");
        let Ok(message) = proto::AssociationState::decode(bytes) else {
            return Err(malformed);
        };
        let recovery = Identifier::from_wire(
            message.recovery_identifier_kind,
            message.recovery_identifier,
            message.relying_party,
        );
        let (Ok(inbox_id), Some(recovery_identifier)) =
            (InboxId::parse(&message.inbox_id), recovery)
        else {
            return Err(malformed);
        };
        let mut state = Self {
            inbox_id,
            members: BTreeMap::new(),
            recovery_identifier,
            seen_signatures: message.seen_signatures.into_iter().collect(),
        };
        for entry in message.members {
            match entry.value.and_then(Member::from_proto) {
                Some(member) => state.insert(member),
                None => return Err(malformed),
            }
        }
        Ok(state)
    }
}

impl Serialize for AssociationState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        hex_bytes::serialize(&self.encode(), serializer)
    }
}

impl<'de> Deserialize<'de> for AssociationState {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::decode(&hex_bytes::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The members that came and went between two states of an inbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diff {
    /// Members in the new state only.
    pub new_members: BTreeSet<MemberIdentifier>,
    /// Members in the old state only.
    pub removed_members: BTreeSet<MemberIdentifier>,
}

impl Diff {
    /// The installations among the new members.
    #[must_use]
    pub fn new_installations(&self) -> BTreeSet<InstallationId> {
        installations(&self.new_members)
    }

    /// The installations among the removed members.
    #[must_use]
    pub fn removed_installations(&self) -> BTreeSet<InstallationId> {
        installations(&self.removed_members)
    }
}

fn installations(members: &BTreeSet<MemberIdentifier>) -> BTreeSet<InstallationId> {
    members
        .iter()
        .filter_map(MemberIdentifier::installation)
        .collect()
}
