//! Batches: all or nothing, whatever their size.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Harness, appending, everything, expecting, put, rows, value};
use crate::store::{Batch, Range, Store, StoreError, Table};

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

/// Nothing to do is done.
pub async fn an_empty_batch_is_fine(harness: &impl Harness, name: &str) {
    let store = harness.open(name).await;
    assert_eq!(
        store.apply(Batch::default()).await.unwrap(),
        Default::default()
    );
    assert!(everything(&store).await.iter().all(Vec::is_empty));
}
