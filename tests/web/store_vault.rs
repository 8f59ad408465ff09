//! Encryption at rest in IndexedDB.

use sotto::store::indexeddb::{BrowserKey, IndexedDb};
use sotto::store::{AppKey, Changes, Key, Query, Store, StoreError, Table, Vault, system_random};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::{console_log, wasm_bindgen_test};
use web_sys::CryptoKey;

use crate::browser;

type BrowserVault = Vault<IndexedDb>;

async fn open(name: &str) -> Result<BrowserVault, StoreError> {
    let store = IndexedDb::open(name).await?;
    let key = BrowserKey::new(&store);
    Vault::open(store, &key, system_random()).await
}

async fn open_with(name: &str, byte: u8) -> Result<BrowserVault, StoreError> {
    let key = AppKey::new(vec![byte; 32]).unwrap();
    Vault::open(IndexedDb::open(name).await?, &key, system_random()).await
}

async fn put(vault: &BrowserVault, scope: &[u8], value: &[u8]) {
    let mut changes = Changes::new();
    changes.put(Key::new(Table::Messages, scope, *b"1"), value);
    vault.apply(changes).await.unwrap();
}

async fn get(vault: &BrowserVault, scope: &[u8]) -> Option<Vec<u8>> {
    vault
        .get(&Key::new(Table::Messages, scope, *b"1"))
        .await
        .unwrap()
}

/// FR-03: opened again, nothing is asked and all is there.
#[wasm_bindgen_test]
async fn a_vault_with_a_key_of_the_browser_opens_again() {
    let vault = open("vault-again").await.unwrap();
    put(&vault, b"g", b"value").await;
    vault.close().await;
    assert_eq!(
        get(&open("vault-again").await.unwrap(), b"g")
            .await
            .unwrap(),
        b"value"
    );
}

#[wasm_bindgen_test]
async fn no_stored_byte_tells_a_value_or_a_scope() {
    let (name, scope) = ("vault-at-rest", b"0123456789abcdef-group");
    let vault = open(name).await.unwrap();
    let value = b"the plaintext of a private message".as_slice();
    let mut changes = Changes::new();
    for table in Table::ALL {
        if table.is_log() {
            changes.append(table, value);
        } else if table != Table::Header && table != Table::Revisions {
            changes.put(Key::new(table, *scope, *b"1"), value);
        }
    }
    changes.expect(*scope, 0);
    vault.apply(changes).await.unwrap();
    let dump = browser::dump(name).await;
    // Header and its revision, a revision, 16 rows, the wrapping key: keys and values.
    assert_eq!(dump.len(), 2 * (2 + 1 + 16 + 1));
    for bytes in dump {
        for secret in [value, scope.as_slice()] {
            assert!(
                !secret
                    .windows(6)
                    .any(|part| bytes.windows(6).any(|found| found == part))
            );
        }
    }
}

#[wasm_bindgen_test]
async fn the_wrapping_key_cannot_be_read_by_scripts() {
    open("vault-extract").await.unwrap();
    let key = browser::stored("vault-extract", "wrapping-keys", &"data-key".into()).await;
    assert!(!key.dyn_into::<CryptoKey>().unwrap().extractable());
}

/// FR-18: a wrong key is told before any write, and the right one still opens.
#[wasm_bindgen_test]
async fn a_wrong_key_changes_nothing() {
    let name = "vault-wrong-key";
    put(&open_with(name, 1).await.unwrap(), b"g", b"value").await;
    let before = browser::dump(name).await;
    assert_eq!(open_with(name, 2).await.err(), Some(StoreError::WrongKey));
    assert_eq!(open(name).await.err(), Some(StoreError::WrongKey));
    assert_eq!(browser::dump(name).await, before);
    assert_eq!(
        get(&open_with(name, 1).await.unwrap(), b"g").await.unwrap(),
        b"value"
    );
}

/// FR-18: the wrapping key is gone while the data stay.
#[wasm_bindgen_test]
async fn a_wrapping_key_that_is_gone_is_a_wrong_key_and_never_replaced() {
    let name = "vault-key-gone";
    put(&open(name).await.unwrap(), b"g", b"value").await;
    browser::erase(name, "wrapping-keys", &"data-key".into()).await;
    let before = browser::dump(name).await;
    assert_eq!(open(name).await.err(), Some(StoreError::WrongKey));
    assert_eq!(browser::dump(name).await, before);
}

#[wasm_bindgen_test]
async fn a_header_that_is_gone_is_corruption_and_never_replaced() {
    let name = "vault-header-gone";
    put(&open(name).await.unwrap(), b"g", b"value").await;
    for key in browser::keys(name, "header").await {
        browser::erase(name, "header", &key).await;
    }
    let before = browser::dump(name).await;
    assert!(matches!(
        open(name).await.err(),
        Some(StoreError::Corrupt {
            table: Table::Header,
            ..
        })
    ));
    assert_eq!(browser::dump(name).await, before);
}

/// FR-19: one bad row in each object store in turn costs that row only.
#[wasm_bindgen_test]
async fn a_corrupt_row_fails_its_scope_only() {
    let name = "vault-corrupt";
    let vault = open(name).await.unwrap();
    let tables = Table::ALL
        .into_iter()
        .filter(|table| !table.is_log() && *table != Table::Header && *table != Table::Revisions);
    for table in tables {
        let key = |scope: &[u8]| Key::new(table, scope, *b"1");
        let mut changes = Changes::new();
        changes.put(key(b"bad"), *b"value");
        vault.apply(changes).await.unwrap();
        let stored = browser::keys(name, table.name()).await.remove(0);
        let mut changes = Changes::new();
        changes.put(key(b"good"), *b"value");
        vault.apply(changes).await.unwrap();
        browser::overwrite(name, table.name(), &stored, b"\x01damage").await;
        match vault.get(&key(b"bad")).await {
            Err(StoreError::Corrupt {
                table: found,
                scope,
                ..
            }) => assert_eq!((found, scope), (table, b"bad".to_vec())),
            other => panic!("{other:?}"),
        }
        assert_eq!(vault.get(&key(b"good")).await.unwrap().unwrap(), b"value");
        let scanned = vault.scan(&Query::table(table)).await.unwrap();
        assert_eq!(scanned.iter().filter(|row| row.is_ok()).count(), 1);
        assert_eq!(scanned.len(), 2);
    }
}

/// FR-29: contexts that start at the same moment on an empty store end up with one data key.
#[wasm_bindgen_test]
async fn vaults_made_at_once_share_one_data_key() {
    let name = "vault-race";
    let (a, b, c) = futures::join!(open(name), open(name), open(name));
    let (a, b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
    put(&a, b"g", b"value").await;
    assert_eq!(get(&b, b"g").await.unwrap(), b"value");
    put(&b, b"g", b"other").await;
    assert_eq!(get(&c, b"g").await.unwrap(), b"other");
}

#[wasm_bindgen_test]
async fn without_web_crypto_no_vault_is_made() {
    let name = "vault-insecure";
    let fault = browser::hide("crypto", "subtle");
    let result = open(name).await;
    drop(fault);
    assert!(matches!(
        result.err(),
        Some(StoreError::Unavailable {
            retryable: false,
            ..
        })
    ));
    assert!(browser::keys(name, "header").await.is_empty());
}

/// Not a test of speed: the log shows what a batch of a thousand rows costs.
#[wasm_bindgen_test]
async fn a_thousand_rows_are_written_and_read_and_timed() {
    let vault = open("vault-timing").await.unwrap();
    for durability in [
        sotto::store::Durability::Strict,
        sotto::store::Durability::Relaxed,
    ] {
        let mut changes = Changes::new();
        for n in 0..1000u32 {
            changes.put(
                Key::new(Table::Messages, *b"g", n.to_be_bytes()),
                vec![n as u8; 500],
            );
        }
        changes.durability(durability);
        let start = js_sys::Date::now();
        let applied = vault.apply(changes).await.unwrap();
        let written = js_sys::Date::now();
        let rows = vault
            .read(&[Query::scope(Table::Messages, *b"g")])
            .await
            .unwrap()
            .remove(0);
        let read = js_sys::Date::now();
        assert_eq!(rows.len(), 1000);
        let last = Query::scope(Table::Messages, *b"g").reverse().limit(50);
        assert_eq!(vault.read(&[last]).await.unwrap()[0].len(), 50);
        let walked = js_sys::Date::now();
        console_log!(
            "1,000 puts, {durability:?}: {} bytes written in {} ms, read in {} ms; last 50 in {} ms",
            applied.bytes,
            written - start,
            read - written,
            walked - read
        );
    }
    let start = js_sys::Date::now();
    for n in 0..100u32 {
        let mut changes = Changes::new();
        changes
            .put(
                Key::new(Table::Messages, *b"h", n.to_be_bytes()),
                vec![n as u8; 500],
            )
            .expect(*b"h", n.into());
        vault.apply(changes).await.unwrap();
    }
    console_log!(
        "100 strict steps of one row in a row: {} ms",
        js_sys::Date::now() - start
    );
}

#[wasm_bindgen_test]
async fn a_value_that_is_not_bytes_is_corrupt() {
    let name = "vault-not-bytes";
    let vault = open(name).await.unwrap();
    put(&vault, b"g", b"value").await;
    let stored = browser::keys(name, "messages").await.remove(0);
    browser::overwrite_with(name, "messages", &stored, &JsValue::from_str("text")).await;
    let read = vault.get(&Key::new(Table::Messages, *b"g", *b"1")).await;
    assert!(matches!(
        read,
        Err(StoreError::Corrupt {
            table: Table::Messages,
            ..
        })
    ));
    vault.store().close().await;
}
