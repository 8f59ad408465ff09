//! The view: SQLite tables that answer every query, written only by `apply`.
//!
//! One connection writes, inside the log's thread; a few others read, each query in a snapshot,
//! so that readers never wait for writers nor writers for readers. Nothing outside `apply` may
//! change a row.

mod apply;
mod history;
pub mod query;
mod schema;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

pub use apply::{Outcome, Position, apply, load_position, save_position};
pub use history::{Scan, Window};
pub use query::Page;

use crate::status::Status;

/// Where the tables are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In memory, gone with the process: for tests and demos.
    Memory,
    /// In this SQLite file.
    File(PathBuf),
}

/// Why the view could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// SQLite refused.
    #[error("cannot open the store: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file belongs to something else.
    #[error("the file is a database of another program")]
    Foreign,
    /// The file was written by a newer node.
    #[error("the store has schema version {found}, this node knows {known}")]
    TooNew {
        /// Version in the file.
        found: i32,
        /// Newest version that this node can read.
        known: i32,
    },
}

/// The tables, and the connections to them.
pub struct View {
    writer: Arc<Mutex<Connection>>,
    readers: Arc<Readers>,
}

struct Readers {
    idle: Mutex<Vec<Arc<Mutex<Connection>>>>,
    permits: Semaphore,
}

impl View {
    /// Opens the tables, creating or migrating them as needed.
    ///
    /// # Errors
    /// When SQLite refuses, or the file is not ours or too new.
    pub fn open(location: &Location, readers: usize) -> Result<Self, OpenError> {
        let readers = readers.max(1);
        match location {
            Location::Memory => {
                let mut connection = Connection::open_in_memory()?;
                schema::migrate(&mut connection)?;
                let writer = Arc::new(Mutex::new(connection));
                Ok(Self {
                    readers: Arc::new(Readers::new(vec![Arc::clone(&writer)])),
                    writer,
                })
            }
            Location::File(path) => {
                let mut writer = Connection::open(path)?;
                writer.busy_timeout(Duration::from_secs(5))?;
                writer.pragma_update(None, "journal_mode", "WAL")?;
                // With WAL this syncs the log at every commit: what is acknowledged survives
                // loss of power, not only of the process.
                writer.pragma_update(None, "synchronous", "FULL")?;
                writer.pragma_update(None, "cache_size", -65_536)?;
                schema::migrate(&mut writer)?;
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let connections = (0..readers)
                    .map(|_| {
                        let reader = Connection::open_with_flags(path, flags)?;
                        reader.busy_timeout(Duration::from_secs(5))?;
                        reader.pragma_update(None, "cache_size", -16_384)?;
                        reader.set_prepared_statement_cache_capacity(64);
                        Ok(Arc::new(Mutex::new(reader)))
                    })
                    .collect::<Result<_, rusqlite::Error>>()?;
                Ok(Self {
                    readers: Arc::new(Readers::new(connections)),
                    writer: Arc::new(Mutex::new(writer)),
                })
            }
        }
    }

    /// The writing connection. Only a log may take it.
    pub fn writer(&self) -> Arc<Mutex<Connection>> {
        Arc::clone(&self.writer)
    }

    /// Runs `query` on a reading connection, in one snapshot.
    ///
    /// # Errors
    /// Those of the query; `Internal` when SQLite fails.
    pub async fn read<T, F>(&self, query: F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Status> + Send + 'static,
    {
        let readers = Arc::clone(&self.readers);
        let lost = |_| Status::storage(&"the reading task was lost");
        let work = async move {
            // Waiting here, not in a blocking thread, keeps the number of threads small.
            let _permit = readers.permits.acquire().await.ok();
            let readers = Arc::clone(&readers);
            tokio::task::spawn_blocking(move || readers.run(query)).await
        };
        work.await.map_err(lost)?
    }
}

impl Readers {
    fn new(connections: Vec<Arc<Mutex<Connection>>>) -> Self {
        Self {
            permits: Semaphore::new(connections.len()),
            idle: Mutex::new(connections),
        }
    }

    fn run<T>(&self, query: impl FnOnce(&Connection) -> Result<T, Status>) -> Result<T, Status> {
        let connection = lock(&self.idle).pop();
        let Some(connection) = connection else {
            return Err(Status::storage(&"more readers than connections"));
        };
        let result = {
            let guard = lock(&connection);
            match guard.unchecked_transaction() {
                // Dropping it ends it; there is nothing to roll back.
                Ok(snapshot) => query(&snapshot),
                Err(error) => Err(error.into()),
            }
        };
        lock(&self.idle).push(connection);
        result
    }
}

/// Locks, also after another thread panicked: SQLite's own state is transactional.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        record::{GroupMessage, Record},
        topic::{Kind, Topic},
    };

    fn message(group: u8, text: &str) -> Record {
        Record::GroupMessage(GroupMessage {
            group_id: [group; 16],
            data: text.into(),
            sender_hmac: vec![],
            should_push: false,
            is_commit: false,
        })
    }

    #[tokio::test]
    async fn applying_is_idempotent_by_content_and_position_is_part_of_the_transaction() {
        let view = View::open(&Location::Memory, 1).unwrap();
        let connection = view.writer();
        {
            let mut guard = lock(&connection);
            let transaction = guard.transaction().unwrap();
            let first = apply(&transaction, 7, 70, &message(1, "a")).unwrap();
            assert_eq!(first, Outcome::Stored(7));
            let again = apply(&transaction, 8, 80, &message(1, "a")).unwrap();
            assert_eq!(again, Outcome::Duplicate);
            let position = Position {
                last_id: 7,
                last_ns: 70,
            };
            save_position(&transaction, 0, position).unwrap();
            // Not committed: neither is there afterwards.
        }
        assert_eq!(
            load_position(&lock(&connection), 0).unwrap(),
            Position::default()
        );
        let page = Page::from_wire(None);
        let (rows, _) = view
            .read(move |view| Ok(query::group_messages(view, &[1; 16], page)?))
            .await
            .unwrap();
        assert!(rows.is_empty());
    }

    #[tokio::test]
    async fn a_scan_is_one_ascending_pass_in_bounded_windows() {
        let view = View::open(&Location::Memory, 1).unwrap();
        {
            let connection = view.writer();
            let guard = lock(&connection);
            for id in 1..=5_000_u64 {
                let group = if id % 10 == 0 { 2 } else { 1 };
                apply(&guard, id, id, &message(group, &id.to_string())).unwrap();
            }
        }
        let mut cursors = vec![(Topic::Group([1; 16]), 0), (Topic::Group([2; 16]), 2_500)];
        let mut ids = vec![];
        loop {
            let scan = Scan {
                kind: Kind::Group,
                topics: cursors.clone(),
            };
            let window = view.read(move |view| Ok(scan.window(view)?)).await.unwrap();
            assert!(window.envelopes.len() <= 1_024);
            for envelope in &window.envelopes {
                ids.push(envelope.id);
                for (topic, cursor) in &mut cursors {
                    if *topic == envelope.topic {
                        *cursor = envelope.id;
                    }
                }
            }
            if window.exhausted {
                break;
            }
        }
        let wanted: Vec<u64> = (1..=5_000)
            .filter(|id| id % 10 != 0 || *id > 2_500)
            .collect();
        assert_eq!(ids, wanted);
    }

    #[test]
    fn no_query_scans_or_sorts_a_table() {
        let view = View::open(&Location::Memory, 1).unwrap();
        let connection = view.writer();
        let guard = lock(&connection);
        // Every shape of `query` and `apply`, and what its plan has to use.
        let shapes = [
            ("= ?1 AND id > ?2 ORDER BY id ASC LIMIT ?3", "rowid>?"),
            ("= ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3", "rowid<?"),
            ("= ?1 ORDER BY id DESC LIMIT 1", "=?)"),
            ("= ?1 AND digest = ?2", "digest=?"),
        ];
        for (table, topic) in [
            ("group_messages", "group_id"),
            ("welcomes", "installation_key"),
            ("commit_log", "group_id"),
        ] {
            for (shape, wanted) in shapes {
                let sql = format!("EXPLAIN QUERY PLAN SELECT * FROM {table} WHERE {topic} {shape}");
                let mut statement = guard.prepare(&sql).unwrap();
                let parameters = vec![1; statement.parameter_count()];
                let plan: Vec<String> = statement
                    .query_map(rusqlite::params_from_iter(parameters), |row| row.get(3))
                    .unwrap()
                    .collect::<Result<_, _>>()
                    .unwrap();
                let plan = plan.join("; ");
                assert!(
                    plan.starts_with("SEARCH") && !plan.contains("B-TREE"),
                    "{sql}: {plan}"
                );
                assert!(plan.contains(wanted), "{sql}: {plan}");
            }
        }
    }
}
