#![allow(clippy::unwrap_used)]

use futures::executor::block_on;

use super::super::header::AppKey;
use super::super::memory::{Fault, MemoryStore};
use super::*;

fn key(byte: u8) -> AppKey {
    AppKey::new(vec![byte; 32]).unwrap()
}

fn open(store: &MemoryStore) -> Vault<MemoryStore> {
    block_on(Vault::open(store.clone(), &key(1), system_random())).unwrap()
}

fn put(vault: &Vault<MemoryStore>, rows: &[(Key, &[u8])]) {
    let mut changes = Changes::new();
    for (key, value) in rows {
        changes.put(key.clone(), *value);
    }
    block_on(vault.apply(changes)).unwrap();
}

fn message(scope: &[u8], order: u8) -> Key {
    Key::new(Table::Messages, scope, [order])
}

#[test]
fn what_was_put_is_read_after_opening_again() {
    let store = MemoryStore::new();
    put(&open(&store), &[(message(b"g", 1), b"one")]);
    assert_eq!(
        block_on(open(&store).get(&message(b"g", 1)))
            .unwrap()
            .unwrap(),
        b"one"
    );
    assert_eq!(block_on(open(&store).get(&message(b"g", 2))).unwrap(), None);
    assert_eq!(block_on(open(&store).get(&message(b"h", 1))).unwrap(), None);
}

#[test]
fn nothing_stored_contains_a_value_or_a_scope() {
    let store = MemoryStore::new();
    let vault = open(&store);
    let (scope, value) = (b"group id of sixteen", b"a secret of the group");
    let mut changes = Changes::new();
    changes
        .put(message(scope, 1), *value)
        .append(Table::Feed, *value)
        .expect(*scope, 0);
    block_on(vault.apply(changes)).unwrap();
    let mut seen = 0;
    for (_, key, stored) in store.snapshot().rows() {
        for bytes in [key, stored] {
            assert!(
                !bytes
                    .windows(8)
                    .any(|part| part == &value[..8] || part == &scope[..8])
            );
        }
        seen += 1;
    }
    assert!(seen >= 5, "header, its revision, message, feed, revision");
}

#[test]
fn a_wrong_key_is_told_before_anything_is_written() {
    let store = MemoryStore::new();
    put(&open(&store), &[(message(b"g", 1), b"one")]);
    let before: Vec<_> = store
        .snapshot()
        .rows()
        .map(|(t, k, v)| (t, k.to_vec(), v.to_vec()))
        .collect();
    let handle = store.clone();
    let controls = handle.controls();
    assert_eq!(
        block_on(Vault::open(handle, &key(2), system_random())).err(),
        Some(StoreError::WrongKey)
    );
    assert_eq!(controls.applies(), 0);
    let after: Vec<_> = store
        .snapshot()
        .rows()
        .map(|(t, k, v)| (t, k.to_vec(), v.to_vec()))
        .collect();
    assert_eq!(before, after);
    assert_eq!(
        block_on(open(&store).get(&message(b"g", 1)))
            .unwrap()
            .unwrap(),
        b"one"
    );
}

#[test]
fn rows_without_a_header_are_corrupt_and_left_alone() {
    let store = MemoryStore::new();
    store.tamper(Table::Mls, b"k", b"v");
    let result = block_on(Vault::open(store.clone(), &key(1), system_random()));
    assert!(matches!(
        result.err(),
        Some(StoreError::Corrupt {
            table: Table::Header,
            ..
        })
    ));
    assert_eq!(store.snapshot().rows().count(), 1);
}

#[test]
fn a_damaged_header_is_never_replaced() {
    for header in [b"".as_slice(), b"garbage", b"sotto\x01"] {
        let store = MemoryStore::new();
        open(&store);
        store.tamper(Table::Header, HEADER, header);
        let result = block_on(Vault::open(store.clone(), &key(1), system_random()));
        assert!(matches!(
            result.err(),
            Some(StoreError::Corrupt {
                table: Table::Header,
                ..
            })
        ));
        assert!(
            store
                .snapshot()
                .rows()
                .any(|(table, _, value)| table == Table::Header && value == header)
        );
    }
}

#[test]
fn two_contexts_that_make_a_vault_at_once_share_one_data_key() {
    let store = MemoryStore::new();
    let (first, second) = (store.clone(), store.clone());
    first.controls().set_yielding(true);
    second.controls().set_yielding(true);
    let controls = [first.controls(), second.controls()];
    let wrapper = key(1);
    let (a, b) = block_on(async {
        futures::join!(
            Vault::open(first, &wrapper, system_random()),
            Vault::open(second, &wrapper, system_random())
        )
    });
    assert!(
        controls.iter().all(|controls| controls.applies() == 1),
        "both tried"
    );
    let (a, b) = (a.unwrap(), b.unwrap());
    put(&a, &[(message(b"g", 1), b"one")]);
    assert_eq!(block_on(b.get(&message(b"g", 1))).unwrap().unwrap(), b"one");
}

#[test]
fn a_corrupt_row_fails_reads_of_its_scope_only() {
    let store = MemoryStore::new();
    let vault = open(&store);
    put(
        &vault,
        &[
            (message(b"g", 1), b"g1"),
            (message(b"g", 2), b"g2"),
            (message(b"h", 1), b"h1"),
        ],
    );
    let stored = vault.stored_key(&message(b"g", 1));
    store.tamper(Table::Messages, &stored, b"\x01damage");
    let corrupt = StoreError::Corrupt {
        table: Table::Messages,
        scope: b"g".to_vec(),
        key: stored,
    };
    assert_eq!(
        block_on(vault.read(&[Query::scope(Table::Messages, b"g")])),
        Err(corrupt.clone())
    );
    assert_eq!(
        block_on(vault.get(&message(b"g", 2))).unwrap().unwrap(),
        b"g2"
    );
    assert_eq!(
        block_on(vault.get(&message(b"h", 1))).unwrap().unwrap(),
        b"h1"
    );
    let scanned = block_on(vault.scan(&Query::scope(Table::Messages, b"g"))).unwrap();
    assert_eq!(
        scanned,
        vec![
            Err(corrupt),
            Ok(Row {
                order: vec![2],
                value: b"g2".to_vec()
            })
        ]
    );
}

#[test]
fn a_row_moved_to_another_scope_does_not_open_there() {
    let store = MemoryStore::new();
    let vault = open(&store);
    put(&vault, &[(message(b"g", 1), b"g1")]);
    let snapshot = store.snapshot();
    let (_, _, sealed) = snapshot
        .rows()
        .find(|(table, ..)| *table == Table::Messages)
        .unwrap();
    store.tamper(
        Table::Messages,
        &vault.stored_key(&message(b"h", 1)),
        sealed,
    );
    assert!(matches!(
        block_on(vault.get(&message(b"h", 1))),
        Err(StoreError::Corrupt { .. })
    ));
}

#[test]
fn queries_see_their_scope_in_order_and_within_bounds() {
    let vault = open(&MemoryStore::new());
    let rows: Vec<_> = (0..10)
        .map(|n| (message(b"g", n), b"g".as_slice()))
        .collect();
    put(&vault, &rows);
    put(
        &vault,
        &[
            (message(b"h", 3), b"h"),
            (Key::global(Table::Messages, [3]), b"global"),
        ],
    );
    let scope = || Query::scope(Table::Messages, b"g");
    let orders = |query: Query| {
        let rows = block_on(vault.read(&[query])).unwrap().remove(0);
        rows.into_iter().map(|row| row.order[0]).collect::<Vec<_>>()
    };
    assert_eq!(orders(scope()), (0..10).collect::<Vec<_>>());
    assert_eq!(orders(scope().from([7])), [7, 8, 9]);
    assert_eq!(orders(scope().from([2]).to([5]).reverse().limit(2)), [4, 3]);
    assert_eq!(orders(scope().prefix(&[4])), [4]);
    assert_eq!(orders(Query::key(&message(b"g", 4))), [4]);
    assert!(orders(scope().limit(0)).is_empty());
    assert!(orders(Query::scope(Table::Messages, b"none")).is_empty());
    assert_eq!(
        block_on(vault.read(&[Query::table(Table::Messages)])).unwrap()[0].len(),
        12
    );
}

#[test]
fn deleting_a_scope_leaves_the_others_and_goes_before_the_puts() {
    let vault = open(&MemoryStore::new());
    put(
        &vault,
        &[
            (message(b"g", 1), b"old"),
            (message(b"g", 2), b"old"),
            (message(b"h", 1), b"h"),
        ],
    );
    let mut changes = Changes::new();
    changes
        .put(message(b"g", 1), *b"new")
        .delete_scope(Table::Messages, b"g")
        .delete_scope(Table::Messages, b"");
    block_on(vault.apply(changes)).unwrap();
    let rows = block_on(vault.read(&[
        Query::scope(Table::Messages, b"g"),
        Query::scope(Table::Messages, b"h"),
    ]))
    .unwrap();
    assert_eq!(
        rows[0],
        [Row {
            order: vec![1],
            value: b"new".to_vec()
        }]
    );
    assert_eq!(rows[1].len(), 1);
}

#[test]
fn a_revision_guards_its_scope_and_is_loaded_with_its_rows() {
    let vault = open(&MemoryStore::new());
    let step = |expected: u64, value: &'static [u8]| {
        let mut changes = Changes::new();
        changes.put(message(b"g", 1), value).expect(*b"g", expected);
        block_on(vault.apply(changes))
    };
    assert_eq!(step(0, b"one").unwrap().revisions, [1]);
    assert_eq!(step(0, b"late"), Err(StoreError::Conflict));
    let (revision, rows) =
        block_on(vault.load(b"g", &[Query::scope(Table::Messages, b"g")])).unwrap();
    assert_eq!(
        (revision, rows[0][0].value.as_slice()),
        (1, b"one".as_slice())
    );
    assert_eq!(step(1, b"two").unwrap().revisions, [2]);
    assert_eq!(block_on(vault.revision(b"g")).unwrap(), 2);
    assert_eq!(block_on(vault.revision(b"h")).unwrap(), 0);
}

#[test]
fn log_entries_are_read_by_position() {
    let vault = open(&MemoryStore::new());
    let mut changes = Changes::new();
    changes
        .append(Table::Feed, *b"a")
        .append(Table::Feed, *b"b")
        .append(Table::Feed, *b"c");
    let positions = block_on(vault.apply(changes)).unwrap().appended;
    let query = Query::table(Table::Feed).from(positions[1].to_be_bytes());
    let rows = block_on(vault.read(&[query])).unwrap().remove(0);
    let values: Vec<_> = rows.iter().map(|row| row.value.as_slice()).collect();
    assert_eq!(values, [b"b", b"c"]);
    assert_eq!(rows[0].order, positions[1].to_be_bytes());
}

#[test]
fn tables_that_are_not_the_clients_are_refused() {
    let store = MemoryStore::new();
    let vault = open(&store);
    let refused = |fill: &dyn Fn(&mut Changes)| {
        let mut changes = Changes::new();
        fill(&mut changes);
        assert!(matches!(
            block_on(vault.apply(changes)),
            Err(StoreError::Unavailable {
                retryable: false,
                ..
            })
        ));
    };
    refused(&|changes| {
        changes.put(Key::global(Table::Header, *b"header"), *b"x");
    });
    refused(&|changes| {
        changes.delete(Key::global(Table::Header, *b"header"));
    });
    refused(&|changes| {
        changes.delete_range(Query::table(Table::Header));
    });
    refused(&|changes| {
        changes.put(Key::global(Table::Revisions, *b"r"), *b"x");
    });
    refused(&|changes| {
        changes.put(Key::global(Table::Feed, *b"f"), *b"x");
    });
    refused(&|changes| {
        changes.append(Table::Messages, *b"x");
    });
    open(&store);
}

#[test]
fn equal_values_are_sealed_differently_each_time() {
    let store = MemoryStore::new();
    let vault = open(&store);
    let sealed = || {
        put(&vault, &[(message(b"g", 1), b"same")]);
        let snapshot = store.snapshot();
        snapshot
            .rows()
            .find(|(table, ..)| *table == Table::Messages)
            .map(|(.., value)| value.to_vec())
            .unwrap()
    };
    assert_ne!(sealed(), sealed());
}

#[test]
fn no_randomness_means_no_write() {
    let store = MemoryStore::new();
    open(&store);
    let handle = store.clone();
    let controls = handle.controls();
    let dry: Random = Rc::new(|_| {
        Err(StoreError::Unavailable {
            retryable: true,
            reason: "dry".into(),
        })
    });
    let vault = block_on(Vault::open(handle, &key(1), dry)).unwrap();
    let mut changes = Changes::new();
    changes.put(message(b"g", 1), *b"one");
    assert!(block_on(vault.apply(changes)).is_err());
    assert_eq!(controls.applies(), 0);
}

#[test]
fn a_failed_write_of_the_header_leaves_a_store_that_can_be_made_again() {
    let store = MemoryStore::new();
    let handle = store.clone();
    handle
        .controls()
        .plan(0, Fault::FailBefore(StoreError::Quota));
    assert_eq!(
        block_on(Vault::open(handle, &key(1), system_random())).err(),
        Some(StoreError::Quota)
    );
    put(&open(&store), &[(message(b"g", 1), b"one")]);
}

#[test]
fn the_bytes_of_a_step_are_reported() {
    let vault = open(&MemoryStore::new());
    let mut changes = Changes::new();
    changes.put(message(b"g", 1), vec![0; 100]);
    assert_eq!(
        block_on(vault.apply(changes)).unwrap().bytes,
        16 + 1 + 41 + 100
    );
}
