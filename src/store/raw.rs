//! The raw store: tables of opaque bytes under opaque keys, ordered bytewise.
//!
//! Nothing here encrypts, decodes or keeps time.

use super::StoreError;

/// The tables of a store. Names and numbers are part of the stored format and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// The header of the store, the one row that is not sealed; only the vault touches it.
    Header = 0,
    /// Settings of the client.
    Meta = 1,
    /// Revision counters; written only by [`Batch::expect`].
    Revisions = 2,
    /// Our own installation: keys and registration.
    Identity = 3,
    /// Identity updates of the inboxes we know.
    IdentityLogs = 4,
    /// Association states folded from those updates.
    Associations = 5,
    /// Our key packages and their private keys.
    KeyPackages = 6,
    /// One row for each group: what a conversation list shows.
    Conversations = 7,
    /// MLS group state.
    Mls = 8,
    /// Messages of a conversation, in the order they are shown.
    Messages = 9,
    /// Message ids, to find a message and to know a duplicate.
    MessageIds = 10,
    /// Which message refers to which: replies, reactions, deletions.
    Relations = 11,
    /// What we want to publish and have not yet seen published.
    Intents = 12,
    /// Roles as they were at a position in the log.
    Roles = 13,
    /// Consent to inboxes and conversations.
    Consent = 14,
    /// When disappearing messages go.
    Expiry = 15,
    /// The log of what happened here, for other tabs and slow readers; append-only.
    Feed = 16,
    /// Spare, so that a queue of outgoing work needs no new version of the schema.
    Outbox = 17,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 18] = [
        Self::Header,
        Self::Meta,
        Self::Revisions,
        Self::Identity,
        Self::IdentityLogs,
        Self::Associations,
        Self::KeyPackages,
        Self::Conversations,
        Self::Mls,
        Self::Messages,
        Self::MessageIds,
        Self::Relations,
        Self::Intents,
        Self::Roles,
        Self::Consent,
        Self::Expiry,
        Self::Feed,
        Self::Outbox,
    ];

    /// The stored name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Meta => "meta",
            Self::Revisions => "revisions",
            Self::Identity => "identity",
            Self::IdentityLogs => "identity-logs",
            Self::Associations => "associations",
            Self::KeyPackages => "key-packages",
            Self::Conversations => "conversations",
            Self::Mls => "mls",
            Self::Messages => "messages",
            Self::MessageIds => "message-ids",
            Self::Relations => "relations",
            Self::Intents => "intents",
            Self::Roles => "roles",
            Self::Consent => "consent",
            Self::Expiry => "expiry",
            Self::Feed => "feed",
            Self::Outbox => "outbox",
        }
    }

    /// The stored number.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether rows are only appended, under rising 8-byte big-endian keys that the store assigns.
    pub const fn is_log(self) -> bool {
        matches!(self, Self::Feed)
    }
}

/// A run of rows of one table, by key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The table to read.
    pub table: Table,
    /// The least key, inclusive.
    pub from: Vec<u8>,
    /// The end, exclusive; `None` is the end of the table.
    pub to: Option<Vec<u8>>,
    /// Whether the greatest key comes first.
    pub reverse: bool,
    /// The greatest number of rows; `None` is all of them.
    pub limit: Option<u32>,
}

impl Range {
    /// The one row at `key`.
    pub fn key(table: Table, key: &[u8]) -> Self {
        let mut end = key.to_vec();
        end.push(0);
        Self {
            from: key.to_vec(),
            to: Some(end),
            ..Self::all(table)
        }
    }

    /// The rows whose keys begin with `prefix`.
    pub fn prefix(table: Table, prefix: &[u8]) -> Self {
        Self {
            from: prefix.to_vec(),
            to: after_prefix(prefix),
            ..Self::all(table)
        }
    }

    /// Every row of a table.
    pub fn all(table: Table) -> Self {
        Self {
            table,
            from: Vec::new(),
            to: None,
            reverse: false,
            limit: None,
        }
    }

    /// The same range, greatest key first.
    pub fn reversed(self) -> Self {
        Self {
            reverse: true,
            ..self
        }
    }

    /// The same range, at most `limit` rows of it.
    pub fn limited(self, limit: u32) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }

    /// Whether no key can be in the range.
    pub fn is_empty(&self) -> bool {
        self.limit == Some(0) || self.to.as_ref().is_some_and(|to| *to <= self.from)
    }
}

/// The least key greater than every key that begins with `prefix`; `None` if there is no such key.
pub(super) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix.get(..=last)?.to_vec();
    if let Some(byte) = end.last_mut() {
        *byte += 1;
    }
    Some(end)
}

/// Keys and values of one range, in its order.
pub type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// How sure a write must be before it is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// On the disk: survives a loss of power. What is about to be published needs this.
    #[default]
    Strict,
    /// With the operating system: survives the end of the browser. Enough for what can be fetched again.
    Relaxed,
}

/// Changes that are applied together or not at all.
///
/// Expectations are checked first, against the state before the batch. Then ranges are deleted, then rows, then rows
/// are put, then appended; so a batch can replace what it deletes.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Rows to write, replacing what is there. A later row for the same key wins.
    pub puts: Vec<(Table, Vec<u8>, Vec<u8>)>,
    /// Rows to delete; one that is not there is no error.
    pub deletes: Vec<(Table, Vec<u8>)>,
    /// Ranges to delete; `reverse` and `limit` are ignored.
    pub delete_ranges: Vec<Range>,
    /// Rows to append to a log ([`Table::is_log`]).
    pub appends: Vec<(Table, Vec<u8>)>,
    /// Revisions, by key in [`Table::Revisions`], that must be stored as given (absent is 0) and then rise by one.
    pub expect: Vec<(Vec<u8>, u64)>,
    /// How sure the write must be.
    pub durability: Durability,
}

impl Batch {
    /// Whether the batch would change nothing.
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty()
            && self.deletes.is_empty()
            && self.delete_ranges.is_empty()
            && self.appends.is_empty()
            && self.expect.is_empty()
    }

    /// The bytes the batch writes, in bytes of keys and values.
    pub fn bytes_written(&self) -> u64 {
        let puts = self
            .puts
            .iter()
            .map(|(_, key, value)| key.len() + value.len());
        let appends = self.appends.iter().map(|(_, value)| 8 + value.len());
        let revisions = self.expect.iter().map(|(key, _)| key.len() + 8);
        puts.chain(appends)
            .chain(revisions)
            .map(|length| length as u64)
            .sum()
    }

    /// Whether each row goes to a table that takes it: logs are only appended to, nothing else is, and revisions are
    /// left to `expect`.
    pub fn is_well_formed(&self) -> bool {
        let counted = |table: Table| table == Table::Revisions;
        self.puts
            .iter()
            .all(|(table, ..)| !table.is_log() && !counted(*table))
            && self.deletes.iter().all(|(table, _)| !counted(*table))
            && self.delete_ranges.iter().all(|range| !counted(range.table))
            && self.appends.iter().all(|(table, _)| table.is_log())
    }
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// The positions given to the appended rows, rising in the order of commits over all contexts.
    pub appended: Vec<u64>,
    /// The new revisions, in the order of [`Batch::expect`].
    pub revisions: Vec<u64>,
    /// The bytes written, as [`Batch::bytes_written`].
    pub bytes: u64,
}

/// A store of opaque rows.
///
/// Several handles, in one context or in several, may share one store. A store encrypts nothing and keeps no time.
#[allow(async_fn_in_trait)] // A browser has one thread: no caller needs the futures to be `Send`.
pub trait Store: 'static {
    /// Reads `ranges` at one point in time, one answer for each.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Closed`], or what opening the medium again has found.
    async fn read(&self, ranges: &[Range]) -> Result<Vec<Rows>, StoreError>;

    /// Applies `batch` whole or not at all; returns once it is as durable as it asks.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a revision is not as expected; [`StoreError::Quota`]; as [`Store::read`].
    async fn apply(&self, batch: Batch) -> Result<Applied, StoreError>;

    /// Lets go of the medium. Calls in flight end as they would; later ones are refused with [`StoreError::Closed`].
    async fn close(&self);
}

/// A stored revision as a number; absent is 0, `None` is a row that is no revision.
pub(super) fn revision(row: Option<&[u8]>) -> Option<u64> {
    match row {
        None => Some(0),
        Some(bytes) => bytes.try_into().ok().map(u64::from_be_bytes),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn table_names_and_numbers_are_unique_and_dense() {
        let names: std::collections::BTreeSet<_> =
            Table::ALL.iter().map(|table| table.name()).collect();
        assert_eq!(names.len(), Table::ALL.len());
        for (place, table) in Table::ALL.iter().enumerate() {
            assert_eq!(usize::from(table.number()), place);
        }
    }

    #[test]
    fn a_prefix_of_highest_bytes_ends_at_the_next_shorter_one() {
        assert_eq!(after_prefix(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(after_prefix(&[1, 255, 255]), Some(vec![2]));
        assert_eq!(after_prefix(&[255, 255]), None);
        assert_eq!(after_prefix(&[]), None);
    }

    #[test]
    fn a_key_range_holds_that_key_only() {
        let range = Range::key(Table::Meta, b"k");
        let to = range.to.clone().unwrap();
        assert!(range.from.as_slice() <= b"k".as_slice() && b"k".as_slice() < to.as_slice());
        assert!(to.as_slice() <= b"k\0".as_slice());
    }

    #[test]
    fn a_revision_is_eight_bytes_or_absent() {
        assert_eq!(revision(None), Some(0));
        assert_eq!(revision(Some(&7u64.to_be_bytes())), Some(7));
        assert_eq!(revision(Some(b"short")), None);
    }
}
