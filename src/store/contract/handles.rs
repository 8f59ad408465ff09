//! Several handles on one store, as several tabs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Harness, appending, expecting, put, rows, value};
use crate::store::{Batch, Durability, Range, Store, StoreError, Table};

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
                let revision = crate::store::raw::revision(stored.as_deref()).unwrap();
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
