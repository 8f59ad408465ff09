//! Typed access to stored rows: which message lies under which key, in one place.

use prost::Message;

use super::rows::{
    ConsentRow, ConversationRow, FeedRow, IdentityLogRow, IdentityRow, IntentRow, MessagePlace,
    MessageRow, RoleRow,
};
use super::{GroupId, env::Env};
use crate::error::{Code, Error, Result};
use crate::mls::roles::RoleLog;
use crate::store::{Changes, Key, Query, Row, StoreError, Table, Vault};

/// The vault with the client's own row types.
pub struct Db<E: Env>(pub Vault<E::Store>);

/// Revision scope of what belongs to the installation rather than to a group.
pub const IDENTITY_SCOPE: &[u8] = b"identity";

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let code = match &error {
            StoreError::Unavailable { .. } => Code::StorageUnavailable,
            StoreError::Quota => Code::StorageQuota,
            StoreError::Corrupt { .. } => Code::StorageCorrupt,
            StoreError::Conflict => return Error::conflict(),
            StoreError::WrongKey => Code::WrongKey,
            StoreError::UpgradeBlocked | StoreError::NewerVersion => Code::StorageVersion,
            StoreError::MissingButExpected { .. } => Code::StorageMissing,
            StoreError::Closed => Code::Closed,
            StoreError::NoBrowserStorage => Code::NoStorage,
        };
        Error::new(code, error.to_string())
    }
}

impl Error {
    /// Somebody else changed the rows between our reading and our writing.
    #[must_use]
    pub fn conflict() -> Self {
        Self::new(Code::Busy, "another tab changed this meanwhile").with("conflict", true)
    }

    /// Whether reading again and repeating the step is the answer.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code() == Code::Busy && self.details().iter().any(|(name, _)| *name == "conflict")
    }
}

fn decode<T: Message + Default>(row: &Row, table: Table) -> Result<T> {
    T::decode(row.value.as_slice()).map_err(|_| {
        Error::new(
            Code::StorageCorrupt,
            format!("a row of the table {} cannot be read", table.name()),
        )
    })
}

impl<E: Env> Db<E> {
    /// Reads several ranges at one point in time.
    pub async fn read(&self, queries: &[Query]) -> Result<Vec<Vec<Row>>> {
        Ok(self.0.read(queries).await?)
    }

    /// Applies changes whole or not at all.
    pub async fn apply(&self, changes: Changes) -> Result<crate::store::Applied> {
        Ok(self.0.apply(changes).await?)
    }

    async fn rows<T: Message + Default>(
        &self,
        table: Table,
        query: Query,
    ) -> Result<Vec<(Vec<u8>, T)>> {
        let rows = self
            .read(&[query])
            .await?
            .into_iter()
            .next()
            .unwrap_or_default();
        rows.into_iter()
            .map(|row| Ok((row.order.clone(), decode(&row, table)?)))
            .collect()
    }

    async fn one<T: Message + Default>(&self, key: Key) -> Result<Option<T>> {
        let table = key.table;
        Ok(self
            .rows(table, Query::key(&key))
            .await?
            .into_iter()
            .next()
            .map(|(_, row)| row))
    }

    /// This installation, and the revision of its row.
    pub async fn identity(&self) -> Result<(Option<IdentityRow>, u64)> {
        let key = identity_key();
        let revision = self.0.revision(IDENTITY_SCOPE).await?;
        Ok((self.one(key).await?, revision))
    }

    /// A conversation.
    pub async fn conversation(&self, id: GroupId) -> Result<Option<ConversationRow>> {
        self.one(conversation_key(id)).await
    }

    /// Every conversation. A row that cannot be read is left out and counted.
    pub async fn conversations(&self) -> Result<(Vec<ConversationRow>, usize)> {
        let rows = self
            .read(&[Query::table(Table::Conversations)])
            .await?
            .into_iter()
            .next()
            .unwrap_or_default();
        let total = rows.len();
        let good: Vec<ConversationRow> = rows
            .iter()
            .filter_map(|row| ConversationRow::decode(row.value.as_slice()).ok())
            .collect();
        let lost = total - good.len();
        Ok((good, lost))
    }

    /// Messages of a group by order key.
    pub async fn messages(&self, query: Query) -> Result<Vec<(Vec<u8>, MessageRow)>> {
        self.rows(Table::Messages, query).await
    }

    /// Where the message with this id lies.
    pub async fn message_place(&self, id: &[u8]) -> Result<Option<MessagePlace>> {
        self.one(Key::scope(Table::MessageIds, id)).await
    }

    /// The message with this id, and its order key.
    pub async fn message(&self, id: &[u8]) -> Result<Option<(Vec<u8>, MessageRow)>> {
        let Some(place) = self.message_place(id).await? else {
            return Ok(None);
        };
        let key = Key::new(Table::Messages, place.group_id, place.order.clone());
        Ok(self.one(key).await?.map(|row| (place.order, row)))
    }

    /// The messages that refer to the message with this id (reactions, replies, edits, deletions), oldest first.
    pub async fn related(&self, id: &[u8]) -> Result<Vec<MessageRow>> {
        let places: Vec<(Vec<u8>, MessagePlace)> = self
            .rows(Table::Relations, Query::scope(Table::Relations, id))
            .await?;
        let queries: Vec<Query> = places
            .into_iter()
            .map(|(_, place)| Query::key(&Key::new(Table::Messages, place.group_id, place.order)))
            .collect();
        if queries.is_empty() {
            return Ok(Vec::new());
        }
        self.read(&queries)
            .await?
            .iter()
            .flatten()
            .map(|row| decode(row, Table::Messages))
            .collect()
    }

    /// An inbox's log, oldest first, from after `sequence_id`.
    pub async fn identity_log(
        &self,
        inbox: &str,
        sequence_id: u64,
    ) -> Result<Vec<(u64, IdentityLogRow)>> {
        let from = sequence_id.saturating_add(1).to_be_bytes();
        let query = Query::scope(Table::IdentityLogs, inbox).from(from);
        let rows: Vec<(Vec<u8>, IdentityLogRow)> = self.rows(Table::IdentityLogs, query).await?;
        Ok(rows
            .into_iter()
            .filter_map(|(order, row)| Some((number(&order)?, row)))
            .collect())
    }

    /// Every intent of every group.
    pub async fn intents(&self) -> Result<Vec<IntentRow>> {
        let rows = self
            .rows(Table::Intents, Query::table(Table::Intents))
            .await?;
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    /// Consent to an inbox.
    pub async fn consent(&self, inbox: &str) -> Result<Option<ConsentRow>> {
        self.one(Key::scope(Table::Consent, inbox)).await
    }

    /// Consent to every inbox that has any.
    pub async fn consents(&self) -> Result<Vec<ConsentRow>> {
        Ok(self
            .rows(Table::Consent, Query::table(Table::Consent))
            .await?
            .into_iter()
            .map(|(_, row)| row)
            .collect())
    }

    /// Feed entries after `position`, oldest first.
    pub async fn feed(&self, position: u64, limit: u32) -> Result<Vec<(u64, FeedRow)>> {
        let query = Query::table(Table::Feed)
            .from(position.saturating_add(1).to_be_bytes())
            .limit(limit);
        let rows: Vec<(Vec<u8>, FeedRow)> = self.rows(Table::Feed, query).await?;
        Ok(rows
            .into_iter()
            .filter_map(|(order, row)| Some((number(&order)?, row)))
            .collect())
    }

    /// The newest feed position; 0 when there is none.
    pub async fn feed_end(&self) -> Result<u64> {
        let rows = self
            .read(&[Query::table(Table::Feed).reverse().limit(1)])
            .await?;
        Ok(rows
            .first()
            .and_then(|rows| rows.first())
            .and_then(|row| number(&row.order))
            .unwrap_or(0))
    }

    /// The role log of a group.
    pub async fn roles(&self, id: GroupId) -> Result<RoleLog> {
        let rows: Vec<(Vec<u8>, RoleRow)> = self
            .rows(Table::Roles, Query::scope(Table::Roles, id.as_bytes()))
            .await?;
        let records = (rows.into_iter())
            .filter_map(|(order, row)| Some(row.into_record(number(&order)?)))
            .collect();
        Ok(RoleLog::from_records(records))
    }
}

/// Reads rows of a step that were fetched together.
pub fn decode_rows<T: Message + Default>(rows: &[Row], table: Table) -> Result<Vec<T>> {
    rows.iter().map(|row| decode(row, table)).collect()
}

/// Key of this installation's row.
#[must_use]
pub fn identity_key() -> Key {
    Key::global(Table::Identity, b"self")
}

/// Key of a conversation's row.
#[must_use]
pub fn conversation_key(id: GroupId) -> Key {
    Key::scope(Table::Conversations, id.as_bytes())
}

/// Key of an intent.
#[must_use]
pub fn intent_key(id: GroupId, intent: &IntentRow) -> Key {
    Key::new(Table::Intents, id.as_bytes(), intent.number.to_be_bytes())
}

/// An 8-byte big-endian order key as a number.
#[must_use]
pub fn number(order: &[u8]) -> Option<u64> {
    order.try_into().ok().map(u64::from_be_bytes)
}
