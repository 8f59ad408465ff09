//! Connections that are lost, blocked, upgraded, refused or full.

use std::cell::RefCell;
use std::time::Duration;

use sotto::store::indexeddb::{IndexedDb, Step, Upgrade};
use sotto::store::{Batch, Durability, Range, Store, StoreError, Table};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::wasm_bindgen_test;
use web_sys::IdbObjectStoreParameters;

use crate::browser;

const SHORT: Duration = Duration::from_millis(200);

fn put(key: &[u8], value: &[u8]) -> Batch {
    Batch {
        puts: vec![(Table::Mls, key.to_vec(), value.to_vec())],
        ..Batch::default()
    }
}

async fn value(store: &IndexedDb, key: &[u8]) -> Option<Vec<u8>> {
    let rows = store.read(&[Range::key(Table::Mls, key)]).await.unwrap();
    rows[0].first().map(|(_, value)| value.clone())
}

#[wasm_bindgen_test]
async fn the_schema_holds_every_table() {
    IndexedDb::open("schema").await.unwrap();
    let database = browser::connect("schema", 0, false).await;
    let names = database.object_store_names();
    let mut found: Vec<_> = (0..names.length())
        .filter_map(|place| names.get(place))
        .collect();
    let mut expected: Vec<_> = Table::ALL
        .iter()
        .map(|table| table.name().to_owned())
        .collect();
    expected.push("wrapping-keys".into());
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(database.version(), IndexedDb::steps().len() as f64);
    database.close();
}

/// FR-06, FR-07: a connection that is closing is replaced, and the call succeeds.
#[wasm_bindgen_test]
async fn a_connection_closed_behind_our_back_is_opened_again() {
    let store = IndexedDb::open("killed").await.unwrap();
    store.apply(put(b"k", b"1")).await.unwrap();
    store.kill_connection().await;
    store.apply(put(b"k", b"2")).await.unwrap();
    store.kill_connection().await;
    assert_eq!(value(&store, b"k").await.unwrap(), b"2");
}

/// FR-07: every request on the old connection fails; new connections work.
#[wasm_bindgen_test]
async fn a_dead_connection_is_replaced_whatever_its_error() {
    for error in [
        "UnknownError",
        "InvalidStateError",
        "AbortError",
        "NewlyInventedError",
    ] {
        let store = IndexedDb::open("dead").await.unwrap();
        let _fault = browser::kill_next_connection(error);
        store.apply(put(b"k", error.as_bytes())).await.unwrap();
        assert_eq!(value(&store, b"k").await.unwrap(), error.as_bytes());
    }
}

#[wasm_bindgen_test]
async fn many_calls_on_a_dead_connection_all_succeed() {
    let store = IndexedDb::open("dead-many").await.unwrap();
    store.kill_connection().await;
    let calls = futures::future::join_all((0..20u8).map(|n| store.apply(put(&[n], &[n])))).await;
    assert!(calls.iter().all(Result::is_ok));
    assert_eq!(
        store.read(&[Range::all(Table::Mls)]).await.unwrap()[0].len(),
        20
    );
}

/// FR-07: if a new connection does not help, the caller is told that it may try again, and later it works.
#[wasm_bindgen_test]
async fn a_medium_that_stays_dead_is_unavailable_until_it_is_back() {
    let store = IndexedDb::open("dead-long").await.unwrap();
    let fault = browser::kill_all_connections("UnknownError");
    let unavailable = StoreError::Unavailable {
        retryable: true,
        reason: "UnknownError".into(),
    };
    assert_eq!(store.apply(put(b"k", b"1")).await, Err(unavailable.clone()));
    assert_eq!(
        store.read(&[Range::all(Table::Mls)]).await,
        Err(unavailable)
    );
    drop(fault);
    store.apply(put(b"k", b"2")).await.unwrap();
    assert_eq!(value(&store, b"k").await.unwrap(), b"2");
}

/// FR-01, FR-17: an open that fails is reported as what it is; nothing is deleted, nothing is replaced.
#[wasm_bindgen_test]
async fn a_failed_open_leaves_the_store_as_it_was() {
    let name = "failed-open";
    let store = IndexedDb::open(name).await.unwrap();
    store.apply(put(b"k", b"v")).await.unwrap();
    store.close().await;
    let before = browser::dump(name).await;
    let deletes = browser::count_deletes();
    for (error, expected) in [
        ("QuotaExceededError", StoreError::Quota),
        ("SecurityError", StoreError::NoBrowserStorage),
        (
            "UnknownError",
            StoreError::Unavailable {
                retryable: true,
                reason: "UnknownError".into(),
            },
        ),
    ] {
        let fault = browser::fail_opens(&[error, error]);
        assert_eq!(IndexedDb::open(name).await.err(), Some(expected));
        drop(fault);
    }
    assert_eq!(deletes.end().as_f64(), Some(0.0));
    assert_eq!(browser::dump(name).await, before);
    assert_eq!(
        value(&IndexedDb::open(name).await.unwrap(), b"k")
            .await
            .unwrap(),
        b"v"
    );
}

#[wasm_bindgen_test]
async fn an_open_that_fails_once_is_tried_again() {
    let fault = browser::fail_opens(&["UnknownError"]);
    assert!(IndexedDb::open("open-twice").await.is_ok());
    drop(fault);
}

/// FR-94: no IndexedDB is a typed error.
#[wasm_bindgen_test]
async fn no_indexed_db_is_no_browser_storage() {
    let fault = browser::hide("globalThis", "indexedDB");
    let results = [
        IndexedDb::open("none").await.err(),
        IndexedDb::delete("none").await.err(),
        IndexedDb::mark("none", "00").await.err(),
    ];
    drop(fault);
    assert!(
        results
            .into_iter()
            .all(|result| result == Some(StoreError::NoBrowserStorage))
    );
}

/// FR-05: a full disk, found at the put or only at the commit, undoes the whole batch.
#[wasm_bindgen_test]
async fn a_full_disk_is_quota_and_leaves_nothing() {
    let store = IndexedDb::open("quota").await.unwrap();
    store.apply(put(b"old", b"old")).await.unwrap();
    let batch = || Batch {
        expect: vec![(b"r".to_vec(), 0)],
        ..put(b"k", b"v")
    };
    let faults: [fn() -> browser::Fault; 2] = [
        || browser::fail_puts(1, "QuotaExceededError"),
        || browser::fail_commits("QuotaExceededError"),
    ];
    for inject in faults {
        let fault = inject();
        assert_eq!(store.apply(batch()).await, Err(StoreError::Quota));
        drop(fault);
        let rows = store
            .read(&[Range::all(Table::Mls), Range::all(Table::Revisions)])
            .await
            .unwrap();
        assert_eq!(rows, [vec![(b"old".to_vec(), b"old".to_vec())], vec![]]);
    }
    store.apply(batch()).await.unwrap();
    assert_eq!(value(&store, b"k").await.unwrap(), b"v");
}

/// FR-13: an error after the second of five puts leaves none of them, and does not hang.
#[wasm_bindgen_test]
async fn an_error_half_way_leaves_nothing() {
    let store = IndexedDb::open("half-way").await.unwrap();
    let puts: Vec<_> = (0..5u8).map(|n| (Table::Mls, vec![n], vec![n])).collect();
    let fault = browser::fail_puts(2, "DataError");
    let result = store
        .apply(Batch {
            puts,
            ..Batch::default()
        })
        .await;
    drop(fault);
    assert_eq!(
        result,
        Err(StoreError::Unavailable {
            retryable: false,
            reason: "DataError".into()
        })
    );
    assert!(store.read(&[Range::all(Table::Mls)]).await.unwrap()[0].is_empty());
}

/// FR-13: a call that is given up leaves nothing, or all of it.
#[wasm_bindgen_test]
async fn a_dropped_call_leaves_nothing() {
    let store = IndexedDb::open("dropped").await.unwrap();
    {
        let mut call = std::pin::pin!(store.apply(put(b"k", b"v")));
        assert!(futures::poll!(call.as_mut()).is_pending());
        assert!(futures::poll!(call.as_mut()).is_pending());
    }
    assert_eq!(value(&store, b"k").await, None);
    store.apply(put(b"k", b"w")).await.unwrap();
}

#[wasm_bindgen_test]
async fn writes_ask_for_the_durability_of_their_batch() {
    let store = IndexedDb::open("durability").await.unwrap();
    let recorded = browser::record_durability();
    store.apply(put(b"k", b"1")).await.unwrap();
    store
        .apply(Batch {
            durability: Durability::Relaxed,
            ..put(b"k", b"2")
        })
        .await
        .unwrap();
    let asked = js_sys::Array::from(&recorded.end());
    assert_eq!(asked.join(" "), "strict relaxed");
}

/// FR-06: another context upgrades: we give way at once, and then say that we are too old.
#[wasm_bindgen_test]
async fn an_upgrade_elsewhere_is_let_through_and_reported() {
    let name = "upgraded";
    let store = IndexedDb::open(name).await.unwrap();
    store.apply(put(b"k", b"v")).await.unwrap();
    let newer = IndexedDb::steps().len() as u32 + 1;
    let other = browser::connect(name, newer, false).await;
    assert!(store.version_changed());
    assert_eq!(
        store.apply(put(b"k", b"w")).await,
        Err(StoreError::NewerVersion)
    );
    assert_eq!(
        IndexedDb::open(name).await.err(),
        Some(StoreError::NewerVersion)
    );
    other.close();
}

/// FR-09: a context that holds the old version blocks both an upgrade and a request queued behind it; each ends by
/// the deadline, and all go on once the old one lets go.
#[wasm_bindgen_test]
async fn a_blocked_upgrade_ends_by_its_deadline_and_recovers() {
    let name = "blocked";
    IndexedDb::open_at(name, &[one], SHORT)
        .await
        .unwrap()
        .close()
        .await;
    let old = browser::connect(name, 0, true).await;
    let (second, third) = futures::join!(
        IndexedDb::open_at(name, &[one, two], SHORT),
        IndexedDb::open_at(name, &[one, two], SHORT)
    );
    assert_eq!(second.err(), Some(StoreError::UpgradeBlocked));
    assert_eq!(third.err(), Some(StoreError::UpgradeBlocked));
    old.close();
    let store = IndexedDb::open_at(name, &[one, two], Duration::from_secs(5))
        .await
        .unwrap();
    store.apply(put(b"k", b"v")).await.unwrap();
    // The two that were given up have opened meanwhile, and must not stay open: nothing blocks the next upgrade.
    store.close().await;
    IndexedDb::open_at(name, &[one, two, three], SHORT)
        .await
        .unwrap();
}

/// FR-15: an open that is dropped early, upgrade and all, neither panics nor stays open.
#[wasm_bindgen_test]
async fn a_dropped_open_does_no_harm() {
    let name = "dropped-open";
    {
        let mut first = std::pin::pin!(IndexedDb::open(name));
        assert!(futures::poll!(first.as_mut()).is_pending());
    }
    let second = IndexedDb::open(name).await.unwrap();
    second.apply(put(b"k", b"v")).await.unwrap();
    second.close().await;
    IndexedDb::open_at(name, &[one, two], SHORT).await.unwrap();
}

thread_local! {
    static RAN: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

fn ran(step: u32) {
    RAN.with_borrow_mut(|ran| ran.push(step));
}

fn one(upgrade: &Upgrade) -> Result<(), JsValue> {
    ran(1);
    IndexedDb::steps()[0](upgrade)
}

fn two(upgrade: &Upgrade) -> Result<(), JsValue> {
    ran(2);
    upgrade
        .transaction
        .object_store("mls")?
        .create_index_with_str("by-value", "byteLength")
        .map(drop)
}

fn three(upgrade: &Upgrade) -> Result<(), JsValue> {
    ran(3);
    let parameters = IdbObjectStoreParameters::new();
    upgrade
        .database
        .create_object_store_with_optional_parameters("later", &parameters)
        .map(drop)
}

fn failing(upgrade: &Upgrade) -> Result<(), JsValue> {
    upgrade.database.create_object_store("half-made")?;
    upgrade.transaction.object_store("mls")?.clear()?;
    Err(JsValue::from_str("failed"))
}

/// FR-10, FR-14: from a database of version 1 with rows to each later version, every step runs exactly once, an index
/// over rows that are there included.
#[wasm_bindgen_test]
async fn each_migration_runs_exactly_once() {
    let all: [&'static [Step]; 3] = [&[one], &[one, two], &[one, two, three]];
    for (steps, expected) in [(all[1], vec![2]), (all[2], vec![2, 3])] {
        let name = &format!("migrate-{}", steps.len());
        IndexedDb::open_at(name, all[0], SHORT)
            .await
            .unwrap()
            .close()
            .await;
        browser::fixture(name, "mls", 10_000).await;
        for ran in [expected, vec![], vec![]] {
            RAN.take();
            let store = IndexedDb::open_at(name, steps, SHORT).await.unwrap();
            assert_eq!(RAN.take(), ran);
            assert_eq!(
                store.read(&[Range::all(Table::Mls)]).await.unwrap()[0].len(),
                10_000
            );
            store.close().await;
        }
    }
    RAN.take();
    IndexedDb::open_at("migrate-fresh", all[2], SHORT)
        .await
        .unwrap()
        .close()
        .await;
    IndexedDb::open_at("migrate-fresh", all[2], SHORT)
        .await
        .unwrap()
        .close()
        .await;
    assert_eq!(RAN.take(), [1, 2, 3]);
}

#[wasm_bindgen_test]
async fn a_failed_migration_leaves_the_old_version() {
    let name = "migrate-failed";
    let store = IndexedDb::open(name).await.unwrap();
    store.apply(put(b"k", b"v")).await.unwrap();
    store.close().await;
    let steps: &'static [Step] = &[one, failing];
    let result = IndexedDb::open_at(name, steps, SHORT).await;
    assert!(matches!(result.err(), Some(StoreError::Unavailable { .. })));
    assert_eq!(
        value(&IndexedDb::open(name).await.unwrap(), b"k")
            .await
            .unwrap(),
        b"v"
    );
}

/// FR-02: a marked store that is gone is reported, and not made again until the mark is taken away.
#[wasm_bindgen_test]
async fn a_marked_store_that_is_gone_is_missed() {
    let name = "marked";
    IndexedDb::open(name).await.unwrap().close().await;
    IndexedDb::mark(name, "c0ffee").await.unwrap();
    IndexedDb::open(name).await.unwrap().close().await;
    browser::remove(name).await;
    for _ in 0..2 {
        let missing = StoreError::MissingButExpected {
            installation: Some("c0ffee".into()),
        };
        assert_eq!(IndexedDb::open(name).await.err(), Some(missing));
        assert!(!browser::exists(name).await);
    }
    IndexedDb::unmark(name).await.unwrap();
    IndexedDb::open(name).await.unwrap();
}

/// FR-22: the store is cleared while it is open: the next call says so, and makes nothing.
#[wasm_bindgen_test]
async fn a_store_cleared_while_open_is_missed_and_not_made_again() {
    let name = "cleared";
    let store = IndexedDb::open(name).await.unwrap();
    store.apply(put(b"k", b"v")).await.unwrap();
    browser::remove(name).await;
    assert!(store.version_changed());
    let missing = StoreError::MissingButExpected { installation: None };
    assert_eq!(store.apply(put(b"k", b"w")).await, Err(missing.clone()));
    assert_eq!(store.read(&[Range::all(Table::Mls)]).await, Err(missing));
    assert!(!browser::exists(name).await);
    let fresh = IndexedDb::open(name).await.unwrap();
    assert_eq!(value(&fresh, b"k").await, None);
}

#[wasm_bindgen_test]
async fn an_existing_store_is_opened_and_none_is_made() {
    let name = "existing";
    assert!(IndexedDb::open_existing(name).await.unwrap().is_none());
    assert!(!browser::exists(name).await);
    IndexedDb::open(name)
        .await
        .unwrap()
        .apply(put(b"k", b"v"))
        .await
        .unwrap();
    let store = IndexedDb::open_existing(name).await.unwrap().unwrap();
    assert_eq!(value(&store, b"k").await.unwrap(), b"v");
}

/// FR-11: deleting works while handles are about; those are refused from then on.
#[wasm_bindgen_test]
async fn a_store_is_deleted_in_spite_of_live_handles() {
    let name = "deleted";
    let (store, other) = (
        IndexedDb::open(name).await.unwrap(),
        IndexedDb::open(name).await.unwrap(),
    );
    IndexedDb::mark(name, "c0ffee").await.unwrap();
    let clone = store.clone();
    store.close().await;
    IndexedDb::delete(name).await.unwrap();
    assert!(!browser::exists(name).await);
    assert_eq!(clone.read(&[]).await, Err(StoreError::Closed));
    assert!(matches!(
        other.read(&[]).await,
        Err(StoreError::MissingButExpected { .. })
    ));
    IndexedDb::open(name).await.unwrap();
}

#[wasm_bindgen_test]
async fn calls_under_way_end_when_the_store_is_closed() {
    let store = IndexedDb::open("closing").await.unwrap();
    let (applied, ()) = futures::join!(store.apply(put(b"k", b"v")), store.close());
    applied.unwrap();
    assert_eq!(
        value(&IndexedDb::open("closing").await.unwrap(), b"k")
            .await
            .unwrap(),
        b"v"
    );
    assert!(store.name() == "closing" && !store.version_changed());
}

#[wasm_bindgen_test]
async fn a_store_value_is_stored_as_plain_bytes() {
    let store = IndexedDb::open("bytes").await.unwrap();
    store.apply(put(b"k", b"v")).await.unwrap();
    let key = browser::keys("bytes", "mls").await.remove(0);
    assert!(key.is_instance_of::<js_sys::ArrayBuffer>());
    let value = browser::stored("bytes", "mls", &key)
        .await
        .dyn_into::<js_sys::Uint8Array>()
        .unwrap();
    // Not a view of wasm memory: that would clone all of it.
    assert_eq!(value.buffer().byte_length(), 1);
}
