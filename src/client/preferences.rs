//! Consent, and what an inbox's installations tell each other about it in their sync group.

use prost::Message as _;
use sotto_proto::device_sync::{
    DeviceSyncContent, PreferenceUpdate, device_sync_content, preference_update,
};

use super::env::Env;
use super::rows::{ConsentRow, FeedKind, FeedRow};
use super::step::Step;
use super::{Client, GroupId};
use crate::content::EncodedContent;
use crate::error::{Code, Error, Result};
use crate::store::{Changes, Key, Table};

/// `ConsentEntityType` numbers, as the official SDK counts.
pub const ENTITY_GROUP: i32 = 0;
/// An inbox.
pub const ENTITY_INBOX: i32 = 1;

/// Consent to one entity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// [`ENTITY_GROUP`] or [`ENTITY_INBOX`].
    pub entity_type: i32,
    /// `ConsentState` number: 0 unknown, 1 allowed, 2 denied.
    pub state: i32,
    /// Group id in hex, or inbox id.
    pub entity: String,
}

/// Whether a new decision replaces the stored one (CON-1): the newer wins; at the same time the
/// stricter.
#[must_use]
pub fn replaces(stored: (i32, u64), new: (i32, u64)) -> bool {
    let strictness = |state: i32| match state {
        2 => 2,
        1 => 1,
        _ => 0,
    };
    new.1 > stored.1 || (new.1 == stored.1 && strictness(new.0) > strictness(stored.0))
}

impl<E: Env> Client<E> {
    /// Records consent decisions made here and now.
    pub async fn set_consent(&self, records: &[Consent]) -> Result<()> {
        let now = self.env.now_ns();
        for record in records {
            if !(0..=2).contains(&record.state) {
                return Err(Error::new(Code::InvalidArgument, "no such consent state"));
            }
            self.store_consent(record, now).await?;
        }
        Ok(())
    }

    async fn store_consent(&self, record: &Consent, at_ns: u64) -> Result<()> {
        if record.entity_type == ENTITY_GROUP {
            let id = GroupId::parse(&record.entity)?;
            return self
                .step(id, async |step| {
                    step.take_consent(record.state, at_ns);
                    Ok(())
                })
                .await;
        }
        let row = ConsentRow {
            entity: record.entity.clone(),
            state: record.state,
            at_ns,
        };
        let stored = self.db.consent(&record.entity).await?.unwrap_or_default();
        if stored.at_ns != 0 && !replaces((stored.state, stored.at_ns), (row.state, row.at_ns)) {
            return Ok(());
        }
        let mut changes = Changes::new();
        changes.put(
            Key::scope(Table::Consent, row.entity.clone()),
            row.encode_to_vec(),
        );
        let entry = FeedRow {
            kind: FeedKind::Consent as i32,
            group_id: vec![],
            items: vec![row.encode_to_vec()],
        };
        changes.append(Table::Feed, entry.encode_to_vec());
        self.db.apply(changes).await?;
        self.feed_grew();
        self.env.announce(super::env::Notice::Feed);
        Ok(())
    }

    /// The consent state of an entity; 0 where there is no record.
    pub async fn consent_state(&self, entity_type: i32, entity: &str) -> Result<i32> {
        if entity_type == ENTITY_GROUP {
            return Ok(self
                .db
                .conversation(GroupId::parse(entity)?)
                .await?
                .map_or(0, |row| row.consent));
        }
        Ok(self.db.consent(entity).await?.map_or(0, |row| row.state))
    }
}

impl<E: Env> Step<'_, E> {
    /// Takes a decision about this conversation if it is the newest.
    pub fn take_consent(&mut self, state: i32, at_ns: u64) {
        let row = &mut self.group.row;
        if row.consent_ns != 0 && !replaces((row.consent, row.consent_ns), (state, at_ns)) {
            return;
        }
        row.consent = state;
        row.consent_ns = at_ns;
        let item = ConsentRow {
            entity: self.id.to_string(),
            state,
            at_ns,
        }
        .encode_to_vec();
        self.report(FeedKind::Consent, vec![item]);
    }

    /// What another installation of ours says in the sync group. Archives and requests for them
    /// are not for this step.
    pub async fn accept_device_sync(&mut self, content: &EncodedContent) -> Result<()> {
        let Ok(message) = DeviceSyncContent::decode(content.content.as_slice()) else {
            return Ok(());
        };
        let Some(device_sync_content::Content::PreferenceUpdates(updates)) = message.content else {
            return Ok(());
        };
        let items: Vec<Vec<u8>> = updates
            .updates
            .iter()
            .map(PreferenceUpdate::encode_to_vec)
            .collect();
        for update in updates.updates {
            if let Some(preference_update::Update::Consent(save)) = update.update
                && save.entity_type == 2
            {
                let row = ConsentRow {
                    entity: save.entity,
                    state: save.state - 1,
                    at_ns: save.consented_at_ns.max(0) as u64,
                };
                let stored = self
                    .client
                    .db
                    .consent(&row.entity)
                    .await?
                    .unwrap_or_default();
                if (0..=2).contains(&row.state)
                    && (stored.at_ns == 0
                        || replaces((stored.state, stored.at_ns), (row.state, row.at_ns)))
                {
                    self.changes.put(
                        Key::scope(Table::Consent, row.entity.clone()),
                        row.encode_to_vec(),
                    );
                    self.report(FeedKind::Consent, vec![row.encode_to_vec()]);
                }
            }
        }
        self.report(FeedKind::Preferences, items);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::replaces;

    #[test]
    fn the_newest_decision_wins_and_ties_go_to_the_stricter() {
        assert!(replaces((1, 10), (2, 11)));
        assert!(!replaces((2, 11), (1, 10)));
        assert!(replaces((1, 10), (2, 10)));
        assert!(!replaces((2, 10), (1, 10)));
        assert!(!replaces((1, 10), (1, 10)));
    }
}
