//! The association state: who belongs to an inbox after some number of its updates. How it comes
//! about is in [`super::association`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sotto_proto::{Message, associations as proto};

use super::error::IdentityError;
use super::identifier::Identifier;
use super::inbox::InboxId;
use super::installation::InstallationId;
use super::member::{Member, MemberIdentifier, hex_bytes};
use crate::gather::Gather;

/// How many installations an inbox may have for another to register. Only whoever registers
/// looks at this; a log that holds more is as valid as any.
pub const MAX_INSTALLATIONS: usize = 10;

/// The members of an inbox, who may revoke them, and which signatures are used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociationState {
    pub(super) inbox_id: InboxId,
    pub(super) members: BTreeMap<MemberIdentifier, Member>,
    pub(super) recovery_identifier: Identifier,
    pub(super) seen_signatures: BTreeSet<Vec<u8>>,
}

impl AssociationState {
    pub(super) fn insert(&mut self, member: Member) {
        // The key too: two passkeys can be equal and differ in their relying party.
        self.members.remove(&member.identifier);
        self.members.insert(member.identifier.clone(), member);
    }

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
            .gather()
    }

    /// What changed from `old`, or from nothing, to `new`. Members added once more and another
    /// recovery identifier do not show.
    #[must_use]
    pub fn diff(old: Option<&Self>, new: &Self) -> Diff {
        let missing_in = |state: Option<&Self>, members: &Self| {
            let is_new = |m: &&MemberIdentifier| !state.is_some_and(|state| state.contains(m));
            members.members.keys().filter(is_new).cloned().gather()
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
            seen_signatures: message.seen_signatures.into_iter().gather(),
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
        .gather()
}
