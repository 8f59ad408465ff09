//! The suite every store passes, on IndexedDB.

use sotto::store::contract::{self, Harness};
use sotto::store::indexeddb::IndexedDb;
use wasm_bindgen_test::wasm_bindgen_test;

struct Browser;

impl Harness for Browser {
    type Store = IndexedDb;

    async fn open(&self, name: &str) -> IndexedDb {
        IndexedDb::open(name).await.unwrap()
    }
}

macro_rules! on_indexed_db {
    ($($case:ident),* $(,)?) => {
        $(#[wasm_bindgen_test]
        async fn $case() {
            contract::$case(&Browser, concat!("contract-", stringify!($case))).await;
        })*
    };
}

sotto::contract_cases!(on_indexed_db);
