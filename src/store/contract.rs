//! The suite every store passes: run on the memory store on the host, and on IndexedDB in a browser.
//!
//! Each case takes a [`Harness`] and a fresh store name. [`contract_cases`](crate::contract_cases) lists them all, so
//! that a new case runs on every store.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::StoreError;
use super::raw::{Batch, Durability, Range, Rows, Store, Table};

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

/// Rows of all tables arrive together.
pub async fn a_batch_is_applied_whole(harness: &impl Harness, name: &str) {
    let store = harness.open(name).await;
    let writable = Table::ALL
        .into_iter()
        .filter(|table| !table.is_log() && *table != Table::Revisions);
    let puts: Vec<_> = writable
        .map(|table| (table, b"k".to_vec(), table.name().as_bytes().to_vec()))
        .collect();
    let batch = Batch {
        puts: puts.clone(),
        ..expecting(b"r", 0, appending(&[b"entry"]))
    };
    let bytes = batch.bytes_written();
    let applied = store.apply(batch).await.unwrap();
    assert_eq!(
        (applied.revisions, applied.appended.len(), applied.bytes),
        (vec![1], 1, bytes)
    );
    for (table, key, expected) in puts {
        assert_eq!(value(&store, table, &key).await, Some(expected));
    }
    assert_eq!(rows(&store, Range::all(Table::Feed)).await[0].1, b"entry");
    assert_eq!(
        value(&store, Table::Revisions, b"r").await,
        Some(1u64.to_be_bytes().to_vec())
    );
}

/// A range is what it says.
pub async fn ranges_are_bounded_limited_and_reversed(harness: &impl Harness, name: &str) {
    let store = harness.open(name).await;
    let puts = (0..10u8)
        .map(|n| (Table::Messages, vec![7, n], vec![n]))
        .collect();
    store
        .apply(Batch {
            puts,
            ..Batch::default()
        })
        .await
        .unwrap();
    store.apply(put(Table::Messages, &[8], b"")).await.unwrap();
    store
        .apply(put(Table::Mls, &[7, 3], b"other table"))
        .await
        .unwrap();

    let run = |numbers: &[u8]| numbers.iter().map(|n| vec![7, *n]).collect::<Vec<_>>();
    let prefix = || Range::prefix(Table::Messages, &[7]);
    let bounded = || Range {
        from: vec![7, 2],
        to: Some(vec![7, 5]),
        ..prefix()
    };
    assert_eq!(keys(&store, prefix()).await.len(), 10);
    assert_eq!(keys(&store, Range::all(Table::Messages)).await.len(), 11);
    assert_eq!(keys(&store, bounded()).await, run(&[2, 3, 4]));
    assert_eq!(keys(&store, bounded().reversed()).await, run(&[4, 3, 2]));
    assert_eq!(keys(&store, prefix().limited(2)).await, run(&[0, 1]));
    assert_eq!(
        keys(&store, prefix().reversed().limited(2)).await,
        run(&[9, 8])
    );
    assert_eq!(
        keys(&store, prefix().reversed().limited(100)).await.len(),
        10
    );
    assert_eq!(
        keys(
            &store,
            Range {
                to: None,
                ..bounded()
            }
            .limited(1)
        )
        .await,
        run(&[2])
    );
    assert_eq!(keys(&store, prefix().limited(0)).await, run(&[]));
    assert_eq!(
        keys(
            &store,
            Range {
                to: Some(vec![7, 2]),
                ..bounded()
            }
        )
        .await,
        run(&[])
    );
    assert_eq!(
        keys(
            &store,
            Range {
                to: Some(vec![7, 1]),
                ..bounded()
            }
        )
        .await,
        run(&[])
    );
    assert_eq!(
        rows(&store, bounded().reversed().limited(1)).await,
        [(vec![7, 4], vec![4])]
    );
    assert_eq!(value(&store, Table::Messages, &[7]).await, None);
    let many = store
        .read(&[
            bounded(),
            Range::key(Table::Mls, &[7, 3]),
            prefix().limited(1),
        ])
        .await
        .unwrap();
    assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [3, 1, 1]);
    assert!(store.read(&[]).await.unwrap().is_empty());
}

/// Keys compare as bytes do.
pub async fn keys_are_ordered_bytewise_and_may_be_empty(harness: &impl Harness, name: &str) {
    let store = harness.open(name).await;
    let ordered: [&[u8]; 7] = [b"", b"\0", b"\0\0", b"\0\xff", b"a", b"ab", b"\xff\xff"];
    let puts = ordered
        .iter()
        .rev()
        .map(|key| (Table::Mls, key.to_vec(), key.to_vec()))
        .collect();
    store
        .apply(Batch {
            puts,
            ..Batch::default()
        })
        .await
        .unwrap();
    assert_eq!(keys(&store, Range::all(Table::Mls)).await, ordered);
    assert_eq!(
        keys(&store, Range::prefix(Table::Mls, b"\xff")).await,
        [b"\xff\xff"]
    );
    assert_eq!(value(&store, Table::Mls, b"").await, Some(vec![]));
}

/// A read over several tables never sees half a batch.
pub async fn reads_see_one_point_in_time(harness: &impl Harness, name: &str) {
    let (writer, reader) = (harness.open(name).await, harness.open(name).await);
    let write = async {
        for n in 0..20u8 {
            let puts = vec![
                (Table::Mls, b"k".to_vec(), vec![n]),
                (Table::Messages, b"k".to_vec(), vec![n]),
            ];
            writer
                .apply(Batch {
                    puts,
                    durability: Durability::Relaxed,
                    ..Batch::default()
                })
                .await
                .unwrap();
        }
    };
    let read = async {
        for _ in 0..20 {
            let ranges = [Range::all(Table::Mls), Range::all(Table::Messages)];
            let rows = reader.read(&ranges).await.unwrap();
            assert_eq!(rows[0], rows[1]);
        }
    };
    futures::join!(write, read);
}

/// A batch that expected another revision changes nothing at all.
pub async fn a_conflict_leaves_nothing(harness: &impl Harness, name: &str) {
    let store = harness.open(name).await;
    store
        .apply(expecting(b"r", 0, put(Table::Mls, b"k", b"old")))
        .await
        .unwrap();
    let before = everything(&store).await;
    for stale in [0, 2, u64::MAX] {
        let batch = Batch {
            deletes: vec![(Table::Mls, b"k".to_vec())],
            delete_ranges: vec![Range::all(Table::Mls)],
            appends: vec![(Table::Feed, b"x".to_vec())],
            ..expecting(b"r", stale, put(Table::Messages, b"new", b"new"))
        };
        assert_eq!(store.apply(batch).await, Err(StoreError::Conflict));
        assert_eq!(everything(&store).await, before);
    }
    assert_eq!(
        store
            .apply(expecting(b"r", 1, Batch::default()))
            .await
            .unwrap()
            .revisions,
        [2]
    );
}

/// One unmet expectation of several refuses the batch; met ones rise together.
pub async fn every_expectation_counts(harness: &impl Harness, name: &str) {
    let store = harness.open(name).await;
    let batch = |a, b| Batch {
        expect: vec![(b"a".to_vec(), a), (b"b".to_vec(), b)],
        ..Batch::default()
    };
    assert_eq!(store.apply(batch(0, 0)).await.unwrap().revisions, [1, 1]);
    assert_eq!(store.apply(batch(1, 0)).await, Err(StoreError::Conflict));
    assert_eq!(store.apply(batch(0, 1)).await, Err(StoreError::Conflict));
    assert_eq!(
        store
            .apply(expecting(b"a", 1, Batch::default()))
            .await
            .unwrap()
            .revisions,
        [2]
    );
    assert_eq!(store.apply(batch(2, 1)).await.unwrap().revisions, [3, 2]);
}

/// A batch that puts into a log, appends to what is none, or writes a revision itself, is refused as a whole.
pub async fn a_malformed_batch_leaves_nothing(harness: &impl Harness, name: &str) {
    let store = harness.open(name).await;
    let good = || put(Table::Mls, b"k", b"v");
    let mut into_log = good();
    into_log.puts.push((Table::Feed, vec![0; 8], b"v".to_vec()));
    let no_log = Batch {
        appends: vec![(Table::Mls, b"v".to_vec())],
        ..good()
    };
    let mut revision = good();
    revision
        .puts
        .push((Table::Revisions, b"r".to_vec(), vec![0; 8]));
    let reset = Batch {
        deletes: vec![(Table::Revisions, b"r".to_vec())],
        ..good()
    };
    let resets = Batch {
        delete_ranges: vec![Range::all(Table::Revisions)],
        ..good()
    };
    for batch in [into_log, no_log, revision, reset, resets] {
        assert!(matches!(
            store.apply(batch).await,
            Err(StoreError::Unavailable {
                retryable: false,
                ..
            })
        ));
        assert!(everything(&store).await.iter().all(Vec::is_empty));
    }
}

/// A batch can replace what it deletes, and the last put of a key wins.
pub async fn deletes_go_before_puts(harness: &impl Harness, name: &str) {
    let store = harness.open(name).await;
    store.apply(put(Table::Mls, b"a", b"old")).await.unwrap();
    store.apply(put(Table::Mls, b"b", b"old")).await.unwrap();
    let batch = Batch {
        deletes: vec![
            (Table::Mls, b"a".to_vec()),
            (Table::Mls, b"absent".to_vec()),
        ],
        delete_ranges: vec![Range::all(Table::Mls)],
        puts: vec![
            (Table::Mls, b"a".to_vec(), b"first".to_vec()),
            (Table::Mls, b"a".to_vec(), b"last".to_vec()),
        ],
        ..Batch::default()
    };
    store.apply(batch).await.unwrap();
    assert_eq!(
        rows(&store, Range::all(Table::Mls)).await,
        [(b"a".to_vec(), b"last".to_vec())]
    );
}

/// Deleting a range leaves its neighbours.
pub async fn ranges_are_deleted_within_their_bounds(harness: &impl Harness, name: &str) {
    let store = harness.open(name).await;
    let puts = (0..=255u8)
        .map(|n| (Table::Mls, vec![n], vec![n]))
        .collect();
    store
        .apply(Batch {
            puts,
            ..Batch::default()
        })
        .await
        .unwrap();
    let range = |from: u8, to: Option<u8>| Range {
        from: vec![from],
        to: to.map(|to| vec![to]),
        ..Range::all(Table::Mls)
    };
    let delete_ranges = vec![
        range(10, Some(20)),
        range(30, Some(30)),
        range(40, Some(35)),
        range(250, None),
    ];
    store
        .apply(Batch {
            delete_ranges,
            ..Batch::default()
        })
        .await
        .unwrap();
    let left: Vec<_> = (0..10).chain(20..250).map(|n: u8| vec![n]).collect();
    assert_eq!(keys(&store, Range::all(Table::Mls)).await, left);
}

/// Two handles that append in turn see one rising sequence.
pub async fn appends_rise_over_all_handles(harness: &impl Harness, name: &str) {
    let (one, two) = (harness.open(name).await, harness.open(name).await);
    let mut positions = Vec::new();
    for n in 0..6u8 {
        let store = if n % 2 == 0 { &one } else { &two };
        positions.extend(
            store
                .apply(appending(&[&[n, 0], &[n, 1]]))
                .await
                .unwrap()
                .appended,
        );
    }
    assert_eq!(positions.len(), 12);
    assert!(
        positions.windows(2).all(|pair| pair[0] < pair[1]),
        "{positions:?}"
    );
    let stored = rows(&one, Range::all(Table::Feed)).await;
    let expected = (0..6u8).flat_map(|n| [vec![n, 0], vec![n, 1]]);
    for ((row, position), value) in stored.iter().zip(&positions).zip(expected) {
        assert_eq!(*row, (position.to_be_bytes().to_vec(), value));
    }
}

/// A position is not given again, neither after its row is deleted nor after the store is opened again.
pub async fn positions_are_never_used_twice(harness: &impl Harness, name: &str) {
    let store = harness.open(name).await;
    let first = store
        .apply(appending(&[b"a", b"b"]))
        .await
        .unwrap()
        .appended;
    store
        .apply(Batch {
            delete_ranges: vec![Range::all(Table::Feed)],
            ..Batch::default()
        })
        .await
        .unwrap();
    assert!(rows(&store, Range::all(Table::Feed)).await.is_empty());
    let again = harness.open(name).await;
    store.close().await;
    let next = again.apply(appending(&[b"c"])).await.unwrap().appended;
    assert!(next[0] > first[1]);
    let deletes = vec![(Table::Feed, next[0].to_be_bytes().to_vec())];
    again
        .apply(Batch {
            deletes,
            ..Batch::default()
        })
        .await
        .unwrap();
    assert!(again.apply(appending(&[b"d"])).await.unwrap().appended[0] > next[0]);
}

/// Any bound on a log means what it means for bytes.
pub async fn a_log_is_read_by_position(harness: &impl Harness, name: &str) {
    let store = harness.open(name).await;
    let positions = store
        .apply(appending(&[b"a", b"b", b"c", b"d"]))
        .await
        .unwrap()
        .appended;
    let key = |place: usize| positions[place].to_be_bytes().to_vec();
    let run = |from: usize, to: usize| (from..to).map(key).collect::<Vec<_>>();
    let all = || Range::all(Table::Feed);
    assert_eq!(
        keys(
            &store,
            Range {
                from: key(1),
                ..all()
            }
        )
        .await,
        run(1, 4)
    );
    assert_eq!(
        keys(
            &store,
            Range {
                from: key(1),
                to: Some(key(3)),
                ..all()
            }
        )
        .await,
        run(1, 3)
    );
    assert_eq!(
        keys(&store, Range::key(Table::Feed, &key(2))).await,
        run(2, 3)
    );
    assert_eq!(keys(&store, all().reversed().limited(1)).await, run(3, 4));
    let longer = |place: usize| [key(place), vec![0]].concat();
    assert_eq!(
        keys(
            &store,
            Range {
                from: longer(1),
                ..all()
            }
        )
        .await,
        run(2, 4)
    );
    assert_eq!(
        keys(
            &store,
            Range {
                to: Some(longer(1)),
                ..all()
            }
        )
        .await,
        run(0, 2)
    );
    assert_eq!(
        keys(&store, Range::prefix(Table::Feed, &[0, 0, 0])).await,
        run(0, 4)
    );
    assert_eq!(
        keys(&store, Range::prefix(Table::Feed, &[1])).await,
        run(0, 0)
    );
    assert_eq!(
        keys(
            &store,
            Range {
                from: vec![255; 9],
                ..all()
            }
        )
        .await,
        run(0, 0)
    );
    assert_eq!(
        keys(
            &store,
            Range {
                to: Some(vec![255; 9]),
                ..all()
            }
        )
        .await,
        run(0, 4)
    );
}

/// A batch of a thousand rows is one step.
pub async fn a_batch_of_a_thousand_rows_is_applied(harness: &impl Harness, name: &str) {
    let store = harness.open(name).await;
    let puts = (0..1000u16)
        .map(|n| {
            (
                Table::Messages,
                n.to_be_bytes().to_vec(),
                vec![n as u8; 300],
            )
        })
        .collect();
    store
        .apply(Batch {
            puts,
            ..expecting(b"r", 0, Batch::default())
        })
        .await
        .unwrap();
    let stored = rows(&store, Range::all(Table::Messages)).await;
    assert_eq!(stored.len(), 1000);
    for (n, (key, value)) in (0..1000u16).zip(&stored) {
        assert_eq!(
            (key.as_slice(), value),
            (n.to_be_bytes().as_slice(), &vec![n as u8; 300])
        );
    }
}

/// Five mebibytes come back as they went.
pub async fn large_values_are_kept(harness: &impl Harness, name: &str) {
    let store = harness.open(name).await;
    let large: Vec<u8> = (0..5 * 1024 * 1024u32).map(|n| (n % 251) as u8).collect();
    store
        .apply(put(Table::Mls, b"large", &large))
        .await
        .unwrap();
    assert_eq!(value(&store, Table::Mls, b"large").await, Some(large));
}

/// Of batches applied at once through two handles, guarded ones lose or count, and unguarded ones all count.
pub async fn concurrent_batches_all_count(harness: &impl Harness, name: &str) {
    let (one, two) = (harness.open(name).await, harness.open(name).await);
    let guarded = |store: bool| {
        let (one, two) = (&one, &two);
        async move {
            let store = if store { one } else { two };
            let mut wins = 0u64;
            while wins < 10 {
                let stored = value(store, Table::Revisions, b"r").await;
                let revision = super::raw::revision(stored.as_deref()).unwrap();
                let batch = Batch {
                    durability: Durability::Relaxed,
                    ..appending(&[b"x"])
                };
                match store.apply(expecting(b"r", revision, batch)).await {
                    Ok(applied) => {
                        assert_eq!(applied.revisions, [revision + 1]);
                        wins += 1;
                    }
                    Err(error) => assert_eq!(error, StoreError::Conflict),
                }
            }
        }
    };
    let plain =
        futures::future::join_all((0..20u8).map(|n| two.apply(put(Table::Mls, &[n], &[n]))));
    let (_, _, plain) = futures::join!(guarded(true), guarded(false), plain);
    assert!(plain.into_iter().all(|applied| applied.is_ok()));
    assert_eq!(
        value(&one, Table::Revisions, b"r").await,
        Some(20u64.to_be_bytes().to_vec())
    );
    assert_eq!(rows(&one, Range::all(Table::Feed)).await.len(), 20);
    assert_eq!(rows(&one, Range::all(Table::Mls)).await.len(), 20);
}

/// Nothing to do is done.
pub async fn an_empty_batch_is_fine(harness: &impl Harness, name: &str) {
    let store = harness.open(name).await;
    assert_eq!(
        store.apply(Batch::default()).await.unwrap(),
        Default::default()
    );
    assert!(everything(&store).await.iter().all(Vec::is_empty));
}

/// A relaxed write is seen by other handles once it is reported.
pub async fn relaxed_writes_are_seen(harness: &impl Harness, name: &str) {
    let (one, two) = (harness.open(name).await, harness.open(name).await);
    let batch = Batch {
        durability: Durability::Relaxed,
        ..put(Table::Mls, b"k", b"v")
    };
    one.apply(batch).await.unwrap();
    assert_eq!(value(&two, Table::Mls, b"k").await, Some(b"v".to_vec()));
}

/// Rows outlive the handle they were written through.
pub async fn rows_are_there_when_opened_again(harness: &impl Harness, name: &str) {
    let keeper = harness.open(name).await; // a store in memory lives as long as one handle does
    let store = harness.open(name).await;
    store
        .apply(expecting(b"r", 0, put(Table::Mls, b"k", b"v")))
        .await
        .unwrap();
    store.close().await;
    drop(store);
    let again = harness.open(name).await;
    assert_eq!(value(&again, Table::Mls, b"k").await, Some(b"v".to_vec()));
    assert_eq!(
        again
            .apply(expecting(b"r", 1, Batch::default()))
            .await
            .unwrap()
            .revisions,
        [2]
    );
    keeper.close().await;
}

/// Closing ends one handle, not the store, and can be done twice.
pub async fn a_closed_handle_is_refused_and_others_work_on(harness: &impl Harness, name: &str) {
    let (one, two) = (harness.open(name).await, harness.open(name).await);
    one.close().await;
    one.close().await;
    assert_eq!(
        one.read(&[Range::all(Table::Mls)]).await,
        Err(StoreError::Closed)
    );
    assert_eq!(
        one.apply(put(Table::Mls, b"k", b"v")).await,
        Err(StoreError::Closed)
    );
    two.apply(put(Table::Mls, b"k", b"v")).await.unwrap();
    assert_eq!(value(&two, Table::Mls, b"k").await, Some(b"v".to_vec()));
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
