//! Revisions: what keeps two contexts from overwriting each other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Harness, everything, expecting, put};
use crate::store::{Batch, Range, Store, StoreError, Table};

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
