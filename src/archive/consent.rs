//! Consent: whether a user wants a conversation or a person. One rule decides between two records
//! of the same thing, so that all installations end at the same state.

use serde::{Deserialize, Serialize};
use sotto_proto::device_sync as proto;

use super::{ConversationId, Unusable};
use crate::identity::InboxId;

/// What the user decided. A number in JavaScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum ConsentState {
    /// Nothing yet (0).
    Unknown,
    /// Yes (1).
    Allowed,
    /// No (2).
    Denied,
}

impl From<ConsentState> for u8 {
    fn from(state: ConsentState) -> Self {
        state as Self
    }
}

impl TryFrom<u8> for ConsentState {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            0 => Ok(Self::Unknown),
            1 => Ok(Self::Allowed),
            2 => Ok(Self::Denied),
            _ => Err("not a consent state"),
        }
    }
}

/// What the user decided about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConsentEntity {
    /// A conversation.
    Conversation(ConversationId),
    /// A person, in whatever conversation.
    Inbox(InboxId),
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsentRecord {
    /// About what.
    pub entity: ConsentEntity,
    /// What.
    pub state: ConsentState,
    /// When, in nanoseconds since 1970.
    pub consented_at_ns: i64,
}

impl ConsentRecord {
    /// Whether this record takes the place of `stored`, a record of the same entity.
    ///
    /// The newer wins, and of two at the same time the more restrictive: in whatever order records
    /// arrive, the same one is left.
    #[must_use]
    pub fn replaces(&self, stored: &Self) -> bool {
        (self.consented_at_ns, self.state) > (stored.consented_at_ns, stored.state)
    }

    /// The record with its time moved to `latest_ns` if it is later.
    #[must_use]
    pub fn no_later_than(mut self, latest_ns: i64) -> Self {
        self.consented_at_ns = self.consented_at_ns.min(latest_ns);
        self
    }

    pub(super) fn from_wire(save: &proto::ConsentSave) -> Result<Self, Unusable> {
        let entity = match save.entity_type {
            1 => lower_hex(&save.entity).map(ConsentEntity::Conversation),
            2 => InboxId::parse(&save.entity).ok().map(ConsentEntity::Inbox),
            _ => return Err(Unusable::ConsentType),
        };
        let state = match save.state {
            1 => ConsentState::Unknown,
            2 => ConsentState::Allowed,
            3 => ConsentState::Denied,
            _ => return Err(Unusable::ConsentState),
        };
        Ok(Self {
            entity: entity.ok_or(Unusable::ConsentEntity)?,
            state,
            consented_at_ns: save.consented_at_ns,
        })
    }

    pub(super) fn to_wire(&self) -> proto::ConsentSave {
        let (entity_type, entity) = match &self.entity {
            ConsentEntity::Conversation(id) => (1, hex::encode(id)),
            ConsentEntity::Inbox(id) => (2, id.to_string()),
        };
        proto::ConsentSave {
            entity_type,
            state: match self.state {
                ConsentState::Unknown => 1,
                ConsentState::Allowed => 2,
                ConsentState::Denied => 3,
            },
            entity,
            consented_at_ns: self.consented_at_ns,
        }
    }
}

/// Exactly 32 lower-case hex digits: entities are compared as texts by others.
fn lower_hex(text: &str) -> Option<ConversationId> {
    let mut id = [0; 16];
    hex::decode_to_slice(text, &mut id).ok()?;
    (hex::encode(id) == text).then_some(id)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn record(state: ConsentState, consented_at_ns: i64) -> ConsentRecord {
        ConsentRecord {
            entity: ConsentEntity::Conversation([1; 16]),
            state,
            consented_at_ns,
        }
    }

    #[test]
    fn three_decisions_in_any_order_leave_the_same_one() {
        use ConsentState::{Allowed, Denied, Unknown};
        let sets = [
            [(Allowed, 1), (Denied, 2), (Allowed, 3)],
            [(Allowed, 1), (Denied, 1), (Unknown, 1)],
            [(Denied, 5), (Denied, 1), (Allowed, 3)],
        ];
        let orders = [
            [0, 1, 2],
            [0, 2, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 0, 1],
            [2, 1, 0],
        ];
        for (set, expected) in sets.iter().zip([(Allowed, 3), (Denied, 1), (Denied, 5)]) {
            for order in orders {
                let mut stored: Option<ConsentRecord> = None;
                for index in order {
                    let (state, time) = *set.get(index).unwrap();
                    let received = record(state, time);
                    if stored
                        .as_ref()
                        .is_none_or(|stored| received.replaces(stored))
                    {
                        stored = Some(received);
                    }
                }
                assert_eq!(stored.unwrap(), record(expected.0, expected.1));
            }
        }
    }

    #[test]
    fn an_equal_record_changes_nothing() {
        let stored = record(ConsentState::Allowed, 1);
        assert!(!stored.clone().replaces(&stored));
    }

    #[test]
    fn records_come_back_from_the_wire() {
        for entity in [
            ConsentEntity::Conversation([0xab; 16]),
            ConsentEntity::Inbox(InboxId::parse(&"cd".repeat(32)).unwrap()),
        ] {
            for state in [
                ConsentState::Unknown,
                ConsentState::Allowed,
                ConsentState::Denied,
            ] {
                let sent = ConsentRecord {
                    entity: entity.clone(),
                    state,
                    consented_at_ns: 7,
                };
                assert_eq!(ConsentRecord::from_wire(&sent.to_wire()), Ok(sent));
            }
        }
    }

    #[test]
    fn entities_that_are_not_ids_are_unusable() {
        let good = record(ConsentState::Allowed, 1).to_wire();
        for (entity_type, entity, unusable) in [
            (0, good.entity.as_str(), Unusable::ConsentType),
            (3, "0x1", Unusable::ConsentType),
            (1, "NOT hex", Unusable::ConsentEntity),
            (1, "abab", Unusable::ConsentEntity),
            (1, &"AB".repeat(16), Unusable::ConsentEntity),
            (2, good.entity.as_str(), Unusable::ConsentEntity),
        ] {
            let save = proto::ConsentSave {
                entity_type,
                entity: entity.to_owned(),
                ..good.clone()
            };
            assert_eq!(ConsentRecord::from_wire(&save), Err(unusable));
        }
        let save = proto::ConsentSave { state: 0, ..good };
        assert_eq!(ConsentRecord::from_wire(&save), Err(Unusable::ConsentState));
    }
}
