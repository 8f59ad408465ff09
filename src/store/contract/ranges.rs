//! Ranges: bounds, order, limits.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Harness, keys, put, rows, value};
use crate::store::{Batch, Range, Store, Table};

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
