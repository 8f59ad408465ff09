//! How the rest of the client names rows: by table, scope and order, in the clear. The [`Vault`](super::Vault) turns
//! them into stored keys.
//!
//! A scope is whose row it is, such as a group id; the stored key does not reveal it. The order is where the row
//! stands within its scope; the stored key shows it, so it must not identify anyone (see
//! [`Vault::blind`](super::Vault::blind)).

use super::raw::{Durability, Table};

/// The name of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The table.
    pub table: Table,
    /// Whose row it is; empty for what belongs to the client as a whole.
    pub scope: Vec<u8>,
    /// Its place within the scope; bytewise order.
    pub order: Vec<u8>,
}

impl Key {
    /// The row at `order` within `scope`.
    pub fn new(table: Table, scope: impl Into<Vec<u8>>, order: impl Into<Vec<u8>>) -> Self {
        Self {
            table,
            scope: scope.into(),
            order: order.into(),
        }
    }

    /// The only row of `scope`.
    pub fn scope(table: Table, scope: impl Into<Vec<u8>>) -> Self {
        Self::new(table, scope, Vec::new())
    }

    /// A row of the client as a whole.
    pub fn global(table: Table, order: impl Into<Vec<u8>>) -> Self {
        Self::new(table, Vec::new(), order)
    }
}

/// A run of rows of one scope, or of a whole table, by order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub(super) table: Table,
    pub(super) scope: Vec<u8>,
    pub(super) from: Vec<u8>,
    pub(super) to: Option<Vec<u8>>,
    pub(super) reverse: bool,
    pub(super) limit: Option<u32>,
}

impl Query {
    /// Every row of `scope`.
    pub fn scope(table: Table, scope: impl Into<Vec<u8>>) -> Self {
        Self {
            table,
            scope: scope.into(),
            from: Vec::new(),
            to: None,
            reverse: false,
            limit: None,
        }
    }

    /// Every row of a table, of all scopes. Rows of named scopes come in no order of meaning, and their
    /// [`Row::order`] begins with the hidden scope.
    pub fn table(table: Table) -> Self {
        Self::scope(table, Vec::new())
    }

    /// The one row at `key`.
    pub fn key(key: &Key) -> Self {
        let mut end = key.order.clone();
        end.push(0);
        Self::scope(key.table, key.scope.clone())
            .from(key.order.clone())
            .to(end)
    }

    /// Only rows at `order` or after it.
    pub fn from(self, order: impl Into<Vec<u8>>) -> Self {
        Self {
            from: order.into(),
            ..self
        }
    }

    /// Only rows before `order`.
    pub fn to(self, order: impl Into<Vec<u8>>) -> Self {
        Self {
            to: Some(order.into()),
            ..self
        }
    }

    /// Only rows whose order begins with `prefix`.
    pub fn prefix(self, prefix: &[u8]) -> Self {
        Self {
            from: prefix.to_vec(),
            to: super::raw::after_prefix(prefix),
            ..self
        }
    }

    /// Last row first.
    pub fn reverse(self) -> Self {
        Self {
            reverse: true,
            ..self
        }
    }

    /// At most `limit` rows.
    pub fn limit(self, limit: u32) -> Self {
        Self {
            limit: Some(limit),
            ..self
        }
    }
}

/// A row as read.
#[derive(Clone, PartialEq, Eq)]
pub struct Row {
    /// Its place within the scope that was read; for a whole table, the stored key.
    pub order: Vec<u8>,
    /// Its value, opened.
    pub value: Vec<u8>,
}

impl std::fmt::Debug for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Row({} bytes, [redacted])", self.value.len())
    }
}

/// Changes to apply together or not at all.
///
/// Ranges and scopes are deleted first, then rows, then rows are put, then appended.
#[derive(Default)]
pub struct Changes {
    pub(super) puts: Vec<(Key, Vec<u8>)>,
    pub(super) deletes: Vec<Key>,
    pub(super) delete_ranges: Vec<Query>,
    pub(super) appends: Vec<(Table, Vec<u8>)>,
    pub(super) expect: Vec<(Vec<u8>, u64)>,
    pub(super) durability: Durability,
}

impl Changes {
    /// No changes yet, strictly durable.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes `value` at `key`, replacing what is there.
    pub fn put(&mut self, key: Key, value: impl Into<Vec<u8>>) -> &mut Self {
        self.puts.push((key, value.into()));
        self
    }

    /// Deletes the row at `key`, if there is one.
    pub fn delete(&mut self, key: Key) -> &mut Self {
        self.deletes.push(key);
        self
    }

    /// Deletes every row of `scope` in `table`. The empty scope names no rows to delete: use
    /// [`Self::delete_range`] with [`Query::table`] to empty a table.
    pub fn delete_scope(&mut self, table: Table, scope: &[u8]) -> &mut Self {
        if !scope.is_empty() {
            self.delete_ranges.push(Query::scope(table, scope));
        }
        self
    }

    /// Deletes every row that `query` names; its direction and limit are ignored.
    pub fn delete_range(&mut self, query: Query) -> &mut Self {
        self.delete_ranges.push(query);
        self
    }

    /// Appends `value` to a log ([`Table::is_log`]); its position is in
    /// [`Applied::appended`](super::Applied::appended).
    pub fn append(&mut self, table: Table, value: impl Into<Vec<u8>>) -> &mut Self {
        self.appends.push((table, value.into()));
        self
    }

    /// Applies the changes only if the revision of `scope` is `revision` (0 if there was none), and raises it by one.
    pub fn expect(&mut self, scope: impl Into<Vec<u8>>, revision: u64) -> &mut Self {
        self.expect.push((scope.into(), revision));
        self
    }

    /// Sets how sure the write must be.
    pub fn durability(&mut self, durability: Durability) -> &mut Self {
        self.durability = durability;
        self
    }

    /// Adds all of `other`; strictly durable if either is.
    pub fn merge(&mut self, other: Self) -> &mut Self {
        self.puts.extend(other.puts);
        self.deletes.extend(other.deletes);
        self.delete_ranges.extend(other.delete_ranges);
        self.appends.extend(other.appends);
        self.expect.extend(other.expect);
        if other.durability == Durability::Strict {
            self.durability = Durability::Strict;
        }
        self
    }

    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.puts.is_empty()
            && self.deletes.is_empty()
            && self.delete_ranges.is_empty()
            && self.appends.is_empty()
            && self.expect.is_empty()
    }
}
