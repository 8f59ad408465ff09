//! The suite every store passes: run on the memory store on the host, and on IndexedDB in a browser.
//!
//! Each case takes a [`Harness`] and a fresh store name. [`contract_cases`](crate::contract_cases) lists them all, so
//! that a new case runs on every store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod batches;
mod handles;
mod logs;
mod ranges;
mod revisions;

pub use batches::*;
pub use handles::*;
pub use logs::*;
pub use ranges::*;
pub use revisions::*;

use super::raw::{Batch, Range, Rows, Store, Table};

/// How a store under test is opened.
pub trait Harness {
    /// The store.
    type Store: Store;

    /// Opens a handle on the store called `name`; a second call with the same name opens another handle on the same
    /// rows, as another tab would.
    fn open(&self, name: &str) -> impl Future<Output = Self::Store>;
}

/// Calls `$each!(case, case, …)` with the names of all cases in this module.
#[macro_export]
macro_rules! contract_cases {
    ($each:ident) => {
        $each! {
            a_batch_is_applied_whole,
            ranges_are_bounded_limited_and_reversed,
            keys_are_ordered_bytewise_and_may_be_empty,
            reads_see_one_point_in_time,
            a_conflict_leaves_nothing,
            every_expectation_counts,
            a_malformed_batch_leaves_nothing,
            deletes_go_before_puts,
            ranges_are_deleted_within_their_bounds,
            appends_rise_over_all_handles,
            positions_are_never_used_twice,
            a_log_is_read_by_position,
            a_batch_of_a_thousand_rows_is_applied,
            large_values_are_kept,
            concurrent_batches_all_count,
            an_empty_batch_is_fine,
            relaxed_writes_are_seen,
            rows_are_there_when_opened_again,
            a_closed_handle_is_refused_and_others_work_on,
        }
    };
}

fn put(table: Table, key: &[u8], value: &[u8]) -> Batch {
    Batch {
        puts: vec![(table, key.to_vec(), value.to_vec())],
        ..Batch::default()
    }
}

fn expecting(key: &[u8], revision: u64, batch: Batch) -> Batch {
    Batch {
        expect: vec![(key.to_vec(), revision)],
        ..batch
    }
}

fn appending(values: &[&[u8]]) -> Batch {
    Batch {
        appends: values
            .iter()
            .map(|value| (Table::Feed, value.to_vec()))
            .collect(),
        ..Batch::default()
    }
}

async fn rows(store: &impl Store, range: Range) -> Rows {
    store.read(&[range]).await.unwrap().remove(0)
}

async fn keys(store: &impl Store, range: Range) -> Vec<Vec<u8>> {
    rows(store, range)
        .await
        .into_iter()
        .map(|(key, _)| key)
        .collect()
}

async fn value(store: &impl Store, table: Table, key: &[u8]) -> Option<Vec<u8>> {
    rows(store, Range::key(table, key))
        .await
        .pop()
        .map(|(_, value)| value)
}

async fn everything(store: &impl Store) -> Vec<Rows> {
    store.read(&Table::ALL.map(Range::all)).await.unwrap()
}

#[cfg(test)]
mod memory {
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    use futures::executor::block_on;

    use super::Harness;
    use crate::store::MemoryStore;

    #[derive(Default)]
    struct Memory {
        stores: RefCell<BTreeMap<String, MemoryStore>>,
        yielding: bool,
    }

    impl Harness for Memory {
        type Store = MemoryStore;

        async fn open(&self, name: &str) -> MemoryStore {
            let store = self
                .stores
                .borrow_mut()
                .entry(name.into())
                .or_default()
                .clone();
            store.controls().set_yielding(self.yielding);
            store
        }
    }

    macro_rules! on_memory {
        ($($case:ident),* $(,)?) => {
            $(#[test]
            fn $case() {
                for yielding in [false, true] {
                    block_on(super::$case(&Memory { yielding, ..Memory::default() }, "contract"));
                }
            })*
        };
    }

    crate::contract_cases!(on_memory);
}
