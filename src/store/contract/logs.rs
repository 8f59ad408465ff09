//! Logs: positions that only rise.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Harness, appending, keys, rows};
use crate::store::{Batch, Range, Store, Table};

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
