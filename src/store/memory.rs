//! The reference store: ordered maps in memory.
//!
//! Clones share one state, as tabs share one database. Nothing survives the last of them, so an app gets this store
//! only when it asks for it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use super::StoreError;
use super::raw::{Applied, Batch, Range, Rows, Store, Table, revision};

type Rowset = BTreeMap<Vec<u8>, Vec<u8>>;

/// What is durable.
#[derive(Debug, Clone, Default)]
struct State {
    tables: BTreeMap<Table, Rowset>,
    last_append: BTreeMap<Table, u64>,
}

#[derive(Default)]
struct Shared {
    state: RefCell<State>,
    bytes_written: Cell<u64>,
}

/// A store in memory, the reference for all others.
///
/// A clone is another handle on the same rows, open even if this one is closed.
#[derive(Default)]
pub struct MemoryStore {
    shared: Rc<Shared>,
    closed: Cell<bool>,
    #[cfg(any(test, feature = "test-utils"))]
    controls: Controls,
}

impl Clone for MemoryStore {
    fn clone(&self) -> Self {
        Self {
            shared: Rc::clone(&self.shared),
            ..Self::default()
        }
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// A copy of all rows as they are now, which goes its own way: what a thief carries off.
    #[cfg(any(test, feature = "test-utils"))]
    #[must_use]
    pub fn copy(&self) -> Self {
        let copy = Self::default();
        *copy.shared.state.borrow_mut() = self.shared.state.borrow().clone();
        copy
    }

    /// The bytes written through all handles so far, in bytes of keys and values.
    pub fn bytes_written(&self) -> u64 {
        self.shared.bytes_written.get()
    }

    fn check_open(&self) -> Result<(), StoreError> {
        #[cfg(any(test, feature = "test-utils"))]
        if self.controls.is_dead() {
            return Err(faults::crashed());
        }
        if self.closed.get() {
            Err(StoreError::Closed)
        } else {
            Ok(())
        }
    }
}

impl Store for MemoryStore {
    async fn read(&self, ranges: &[Range]) -> Result<Vec<Rows>, StoreError> {
        self.check_open()?;
        #[cfg(any(test, feature = "test-utils"))]
        self.before_read().await?;
        let state = self.shared.state.borrow();
        Ok(ranges.iter().map(|range| state.read(range)).collect())
    }

    async fn apply(&self, batch: Batch) -> Result<Applied, StoreError> {
        self.check_open()?;
        #[cfg(any(test, feature = "test-utils"))]
        let fault = self.before_apply().await?;
        let applied = self.shared.state.borrow_mut().apply(batch)?;
        self.shared
            .bytes_written
            .set(self.shared.bytes_written.get() + applied.bytes);
        #[cfg(any(test, feature = "test-utils"))]
        self.after_apply(fault).await?;
        Ok(applied)
    }

    async fn close(&self) {
        self.closed.set(true);
    }
}

impl State {
    fn read(&self, range: &Range) -> Rows {
        let Some(table) = self.tables.get(&range.table).filter(|_| !range.is_empty()) else {
            return Rows::new();
        };
        let limit = range.limit.map_or(usize::MAX, |limit| limit as usize);
        let own = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        let rows = table.range::<[u8], _>(bounds(range));
        if range.reverse {
            rows.rev().take(limit).map(own).collect()
        } else {
            rows.take(limit).map(own).collect()
        }
    }

    fn apply(&mut self, batch: Batch) -> Result<Applied, StoreError> {
        if !batch.is_well_formed() {
            return Err(StoreError::Unavailable {
                retryable: false,
                reason: "malformed batch".into(),
            });
        }
        let mut applied = Applied {
            bytes: batch.bytes_written(),
            ..Applied::default()
        };
        for (key, expected) in &batch.expect {
            let row = self
                .tables
                .get(&Table::Revisions)
                .and_then(|table| table.get(key));
            match revision(row.map(Vec::as_slice)) {
                Some(stored) if stored == *expected => {
                    applied.revisions.push(expected.saturating_add(1))
                }
                Some(_) => return Err(StoreError::Conflict),
                None => {
                    let (scope, key) = (Vec::new(), key.clone());
                    return Err(StoreError::Corrupt {
                        table: Table::Revisions,
                        scope,
                        key,
                    });
                }
            }
        }
        // From here on nothing can fail.
        for range in batch.delete_ranges.iter().filter(|range| !range.is_empty()) {
            let table = self.tables.entry(range.table).or_default();
            let keys: Vec<_> = table
                .range::<[u8], _>(bounds(range))
                .map(|(key, _)| key.clone())
                .collect();
            for key in keys {
                table.remove(&key);
            }
        }
        for (table, key) in &batch.deletes {
            self.tables.entry(*table).or_default().remove(key);
        }
        for (table, key, value) in batch.puts {
            self.tables.entry(table).or_default().insert(key, value);
        }
        for (table, value) in batch.appends {
            let last = self.last_append.entry(table).or_default();
            *last += 1;
            applied.appended.push(*last);
            self.tables
                .entry(table)
                .or_default()
                .insert(last.to_be_bytes().to_vec(), value);
        }
        for ((key, _), revision) in batch.expect.into_iter().zip(&applied.revisions) {
            self.tables
                .entry(Table::Revisions)
                .or_default()
                .insert(key, revision.to_be_bytes().to_vec());
        }
        Ok(applied)
    }
}

/// The bounds of a range that is not empty.
fn bounds(range: &Range) -> (Bound<&[u8]>, Bound<&[u8]>) {
    let to = range
        .to
        .as_deref()
        .map_or(Bound::Unbounded, Bound::Excluded);
    (Bound::Included(range.from.as_slice()), to)
}

#[cfg(any(test, feature = "test-utils"))]
pub use faults::{Controls, Fault, Snapshot};

#[cfg(any(test, feature = "test-utils"))]
mod faults;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    fn put(value: &[u8]) -> Batch {
        Batch {
            puts: vec![(Table::Meta, b"k".to_vec(), value.to_vec())],
            ..Batch::default()
        }
    }

    fn read(store: &MemoryStore) -> Option<Vec<u8>> {
        let rows = block_on(store.read(&[Range::key(Table::Meta, b"k")])).unwrap();
        rows[0].first().map(|(_, value)| value.clone())
    }

    #[test]
    fn a_planned_failure_hits_its_call_only_and_leaves_nothing() {
        let store = MemoryStore::new();
        store
            .controls()
            .plan(1, Fault::FailBefore(StoreError::Quota));
        block_on(store.apply(put(b"1"))).unwrap();
        assert_eq!(block_on(store.apply(put(b"2"))), Err(StoreError::Quota));
        assert_eq!(read(&store).unwrap(), b"1");
        block_on(store.apply(put(b"3"))).unwrap();
        assert_eq!(read(&store).unwrap(), b"3");
    }

    #[test]
    fn a_failure_after_the_write_reports_an_error_for_what_is_stored() {
        let store = MemoryStore::new();
        store
            .controls()
            .plan(0, Fault::FailAfter(StoreError::Quota));
        assert_eq!(block_on(store.apply(put(b"1"))), Err(StoreError::Quota));
        assert_eq!(read(&store).unwrap(), b"1");
    }

    #[test]
    fn a_crash_kills_one_handle_and_leaves_the_state_before_or_after() {
        for (fault, left) in [
            (Fault::CrashBefore, None),
            (Fault::CrashAfter, Some(b"1".to_vec())),
        ] {
            let store = MemoryStore::new();
            let other = store.clone();
            store.controls().plan(0, fault);
            assert!(block_on(store.apply(put(b"1"))).is_err());
            assert!(block_on(store.read(&[])).is_err());
            assert_eq!(read(&other), left);
            assert_eq!(read(&MemoryStore::from_snapshot(&store.snapshot())), left);
        }
    }

    #[test]
    fn a_crash_in_flight_is_never_applied_afterwards() {
        let store = MemoryStore::new();
        store.controls().set_yielding(true);
        let other = store.clone();
        let (applied, ()) = block_on(async {
            futures::join!(store.apply(put(b"1")), async { store.controls().crash() })
        });
        assert!(applied.is_err());
        assert_eq!(read(&other), None);
    }

    #[test]
    fn bytes_of_keys_values_appends_and_revisions_are_counted() {
        let store = MemoryStore::new();
        let batch = Batch {
            appends: vec![(Table::Feed, vec![0; 10])],
            expect: vec![(b"rev".to_vec(), 0)],
            ..put(b"value")
        };
        let applied = block_on(store.apply(batch)).unwrap();
        assert_eq!(applied.bytes, (1 + 5) + (8 + 10) + (3 + 8));
        assert_eq!(store.bytes_written(), applied.bytes);
    }
}
