//! The queries behind the unary RPCs. Each runs in the snapshot of `View::read`.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sotto_proto::mls_api::{PagingInfo, SortDirection};

use crate::{
    record::{CommitLogEntry, GroupMessage, Identifier, Stored, Welcome},
    topic::{GroupId, InboxId, InstallationKey},
};

/// Messages in a full page. Clients take a shorter page for the last one.
pub const PAGE: u32 = 100;

/// Bytes that an answer may have: no client decodes more than 25 MiB. A page ends early before
/// it grows beyond this, with its cursor set like that of a full one; what has no pages is
/// refused.
pub const MAX_ANSWER: usize = 20 << 20;

/// Which page of a topic is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    descending: bool,
    limit: u32,
    cursor: u64,
}

impl Page {
    /// Reads a request's paging. Unspecified means descending, and 100 a page.
    pub fn from_wire(info: Option<&PagingInfo>) -> Self {
        let info = info.copied().unwrap_or_default();
        Self {
            descending: info.direction() != SortDirection::Ascending,
            limit: match info.limit {
                1..=PAGE => info.limit,
                _ => PAGE,
            },
            cursor: info.id_cursor,
        }
    }

    /// Reads the paging of a log that only goes forward: unspecified means ascending here, and
    /// descending is refused.
    pub fn ascending(info: Option<&PagingInfo>) -> Option<Self> {
        let asked = info.map_or(SortDirection::Unspecified, PagingInfo::direction);
        (asked != SortDirection::Descending).then(|| Self {
            descending: false,
            ..Self::from_wire(info)
        })
    }

    /// What the response says about the page: the cursor is set if there may be more.
    fn to_wire(self, last: Option<u64>, full: bool) -> PagingInfo {
        let direction = if self.descending {
            SortDirection::Descending
        } else {
            SortDirection::Ascending
        };
        PagingInfo {
            direction: direction.into(),
            limit: self.limit,
            id_cursor: last.filter(|_| full).unwrap_or(0),
        }
    }

    /// Runs one of two queries with parameters topic, cursor, limit; `read` also gives the size.
    fn run<T>(
        self,
        connection: &Connection,
        [ascending, descending]: [&str; 2],
        topic: &[u8],
        read: impl Fn(&Row<'_>) -> rusqlite::Result<(usize, Stored<T>)>,
    ) -> rusqlite::Result<Paged<T>> {
        let (sql, cursor) = match (self.descending, self.cursor) {
            (false, cursor) => (ascending, cursor),
            (true, 0) => (descending, u64::MAX),
            (true, cursor) => (descending, cursor),
        };
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(params![topic, sql_id(cursor), self.limit])?;
        let (mut items, mut last, mut bytes) = (Vec::new(), None, 0);
        while let Some(row) = rows.next()? {
            let (size, item) = read(row)?;
            bytes += size;
            if bytes > MAX_ANSWER && !items.is_empty() {
                return Ok((items, self.to_wire(last, true)));
            }
            last = Some(item.id);
            items.push(item);
        }
        let full = items.len() >= self.limit as usize;
        Ok((items, self.to_wire(last, full)))
    }
}

/// A cursor as SQLite compares it: ids are positive and never exceed `i64::MAX`.
pub(super) fn sql_id(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

/// Both directions of a page query; the index on the topic also orders by id.
macro_rules! page_sql {
    ($columns:literal, $table:literal, $topic:literal) => {
        [
            concat!(
                "SELECT ",
                $columns,
                " FROM ",
                $table,
                " WHERE ",
                $topic,
                " = ?1 AND id > ?2 ORDER BY id ASC LIMIT ?3"
            ),
            concat!(
                "SELECT ",
                $columns,
                " FROM ",
                $table,
                " WHERE ",
                $topic,
                " = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
            ),
        ]
    };
}

/// A page, and what the response says about it.
pub type Paged<T> = (Vec<Stored<T>>, PagingInfo);

/// Reads id and time from the first two columns.
fn stored<T>(row: &Row<'_>, item: T) -> rusqlite::Result<Stored<T>> {
    Ok(Stored {
        id: row.get(0)?,
        created_ns: row.get(1)?,
        item,
    })
}

/// Reads id, time and message from columns id, created_ns, group_id, is_commit, should_push,
/// sender_hmac, data.
pub(super) fn group_message(row: &Row<'_>) -> rusqlite::Result<Stored<GroupMessage>> {
    let message = GroupMessage {
        group_id: row.get(2)?,
        is_commit: row.get(3)?,
        should_push: row.get(4)?,
        sender_hmac: row.get(5)?,
        data: row.get(6)?,
    };
    stored(row, message)
}

/// Reads id, time and welcome from columns id, created_ns, installation_key, is_pointer,
/// algorithm, metadata, hpke_public_key, data.
pub(super) fn welcome(row: &Row<'_>) -> rusqlite::Result<Stored<Welcome>> {
    let welcome = Welcome {
        installation_key: row.get(2)?,
        is_pointer: row.get(3)?,
        wrapper_algorithm: row.get(4)?,
        welcome_metadata: row.get(5)?,
        hpke_public_key: row.get(6)?,
        data: row.get(7)?,
    };
    stored(row, welcome)
}

/// A page of a group's messages, with ids and times.
pub fn group_messages(
    connection: &Connection,
    group_id: &[u8],
    page: Page,
) -> rusqlite::Result<Paged<GroupMessage>> {
    const SQL: [&str; 2] = page_sql!(
        "id, created_ns, group_id, is_commit, should_push, sender_hmac, data",
        "group_messages",
        "group_id"
    );
    page.run(connection, SQL, group_id, |row| {
        let found = group_message(row)?;
        Ok((found.item.data.len(), found))
    })
}

/// The newest message of a group: id, time, and the message, without payload unless asked.
pub fn newest_group_message(
    connection: &Connection,
    group_id: GroupId,
    with_content: bool,
) -> rusqlite::Result<Option<Stored<GroupMessage>>> {
    // The header columns stand before the large ones: without content those stay unread.
    let sql = if with_content {
        "SELECT id, created_ns, group_id, is_commit, should_push, sender_hmac, data
         FROM group_messages WHERE group_id = ?1 ORDER BY id DESC LIMIT 1"
    } else {
        "SELECT id, created_ns, group_id, is_commit, 0, x'', x''
         FROM group_messages WHERE group_id = ?1 ORDER BY id DESC LIMIT 1"
    };
    connection
        .prepare_cached(sql)?
        .query_row([group_id], group_message)
        .optional()
}

/// A page of an installation's welcomes, with ids and times.
pub fn welcomes(
    connection: &Connection,
    installation_key: &[u8],
    page: Page,
) -> rusqlite::Result<Paged<Welcome>> {
    const SQL: [&str; 2] = page_sql!(
        "id, created_ns, installation_key, is_pointer, algorithm, metadata, hpke_public_key, data",
        "welcomes",
        "installation_key"
    );
    page.run(connection, SQL, installation_key, |row| {
        let found = welcome(row)?;
        Ok((found.item.data.len(), found))
    })
}

/// A page of a group's commit log.
pub fn commit_log(
    connection: &Connection,
    group_id: &[u8],
    page: Page,
) -> rusqlite::Result<Paged<CommitLogEntry>> {
    const SQL: [&str; 2] = page_sql!(
        "id, created_ns, group_id, public_key, signature, entry",
        "commit_log",
        "group_id"
    );
    page.run(connection, SQL, group_id, |row| {
        let entry = CommitLogEntry {
            group_id: row.get(2)?,
            public_key: row.get(3)?,
            signature: row.get(4)?,
            entry: row.get(5)?,
        };
        Ok((entry.entry.len(), stored(row, entry)?))
    })
}

/// An installation's newest key package.
pub fn key_package(
    connection: &Connection,
    installation_key: InstallationKey,
) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached("SELECT data FROM key_packages WHERE installation_key = ?1")?
        .query_row([installation_key], |row| row.get(0))
        .optional()
}

/// All entries of an inbox's log above `after`, ascending.
pub fn identity_updates(
    connection: &Connection,
    inbox_id: InboxId,
    after: u64,
) -> rusqlite::Result<Vec<Stored<Vec<u8>>>> {
    connection
        .prepare_cached(
            "SELECT id, created_ns, data FROM identity_updates
             WHERE inbox_id = ?1 AND id > ?2 ORDER BY id",
        )?
        .query_map(params![inbox_id, sql_id(after)], |row| {
            stored(row, row.get(2)?)
        })?
        .collect()
}

/// The inbox of an identifier's latest association that is not revoked.
pub fn inbox_of(
    connection: &Connection,
    identifier: &Identifier,
) -> rusqlite::Result<Option<InboxId>> {
    connection
        .prepare_cached(
            "SELECT inbox_id FROM identifiers
             WHERE identifier = ?1 AND kind = ?2 AND revocation_id IS NULL
             ORDER BY association_id DESC LIMIT 1",
        )?
        .query_row(params![identifier.text, identifier.kind], |row| row.get(0))
        .optional()
}
