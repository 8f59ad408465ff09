//! The rest of what a client needs of its context, be it a window or a worker.

use std::time::Duration;

use sotto::store::indexeddb::{BrowserKey, Channel, Guard, IndexedDb, LockRequest, persist};
use sotto::store::{Changes, Key, Table, Vault, system_random};
use wasm_bindgen_test::{console_log, wasm_bindgen_test};

#[wasm_bindgen_test]
async fn a_vault_works_in_this_context() {
    for expected in [None, Some(b"value".to_vec())] {
        let store = IndexedDb::open("context").await.unwrap();
        let key = BrowserKey::new(&store);
        let vault = Vault::open(store, &key, system_random()).await.unwrap();
        let row = Key::new(Table::Messages, *b"g", *b"1");
        assert_eq!(vault.get(&row).await.unwrap(), expected);
        let mut changes = Changes::new();
        changes.put(row, *b"value");
        vault.apply(changes).await.unwrap();
        vault.close().await;
    }
    IndexedDb::mark("context", "c0ffee").await.unwrap();
}

#[wasm_bindgen_test]
async fn locks_channels_and_persistence_work_in_this_context() {
    let request = LockRequest {
        wait: Duration::from_secs(5),
        ..LockRequest::default()
    };
    assert!(Guard::acquire("context", request).await.unwrap().is_real());
    let (one, _) = Channel::open("context");
    let (_two, mut heard) = Channel::open("context");
    assert!(one.is_real());
    one.post(b"hello");
    assert!(futures::StreamExt::next(&mut heard).await.is_some());
    console_log!("persistence here: {:?}", persist().await);
}
