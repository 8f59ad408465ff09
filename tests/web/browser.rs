//! What the tests do to the browser behind the library's back: see `browser.js`.

use js_sys::{Array, Function, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::IdbDatabase;

#[wasm_bindgen(module = "/tests/web/browser.js")]
extern "C" {
    #[wasm_bindgen(catch, js_name = connect)]
    async fn js_connect(name: &str, version: u32, deaf: bool) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = remove)]
    async fn js_remove(name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = databases)]
    async fn js_databases() -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = dump)]
    async fn js_dump(name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = overwrite)]
    async fn js_overwrite(
        name: &str,
        store: &str,
        key: JsValue,
        value: JsValue,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = keys)]
    async fn js_keys(name: &str, store: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = stored)]
    async fn js_stored(name: &str, store: &str, key: JsValue) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = fixture)]
    async fn js_fixture(name: &str, store: &str, rows: u32) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = holdLock)]
    async fn js_hold_lock(name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch, js_name = stealLock)]
    async fn js_steal_lock(name: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(js_name = failOpens)]
    fn js_fail_opens(names: Array) -> Function;
    #[wasm_bindgen(js_name = failPuts)]
    fn js_fail_puts(after: u32, name: &str) -> Function;
    #[wasm_bindgen(js_name = failCommits)]
    fn js_fail_commits(name: &str) -> Function;
    #[wasm_bindgen(js_name = killNextConnection)]
    fn js_kill_next_connection(name: &str) -> Function;
    #[wasm_bindgen(js_name = killAllConnections)]
    fn js_kill_all_connections(name: &str) -> Function;
    #[wasm_bindgen(js_name = countDeletes)]
    fn js_count_deletes() -> Function;
    #[wasm_bindgen(js_name = recordDurability)]
    fn js_record_durability() -> Function;
    #[wasm_bindgen(js_name = hide)]
    fn js_hide(owner: &str, property: &str) -> Function;
}

/// Something done to the browser, undone when dropped.
pub struct Fault(Function);

impl Fault {
    /// Undoes it now, and returns what it has found out.
    pub fn end(mut self) -> JsValue {
        let undo = std::mem::replace(&mut self.0, Function::new_no_args(""));
        undo.call0(&JsValue::UNDEFINED).unwrap()
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let _ = self.0.call0(&JsValue::UNDEFINED);
    }
}

pub fn fail_opens(names: &[&str]) -> Fault {
    Fault(js_fail_opens(
        names.iter().map(|name| JsValue::from_str(name)).collect(),
    ))
}

pub fn fail_puts(after: u32, name: &str) -> Fault {
    Fault(js_fail_puts(after, name))
}

pub fn fail_commits(name: &str) -> Fault {
    Fault(js_fail_commits(name))
}

pub fn kill_next_connection(name: &str) -> Fault {
    Fault(js_kill_next_connection(name))
}

pub fn kill_all_connections(name: &str) -> Fault {
    Fault(js_kill_all_connections(name))
}

pub fn count_deletes() -> Fault {
    Fault(js_count_deletes())
}

pub fn record_durability() -> Fault {
    Fault(js_record_durability())
}

pub fn hide(owner: &str, property: &str) -> Fault {
    Fault(js_hide(owner, property))
}

pub async fn hold_lock(name: &str) -> Fault {
    Fault(js_hold_lock(name).await.unwrap().unchecked_into())
}

pub async fn steal_lock(name: &str) {
    js_steal_lock(name).await.unwrap();
}

/// Opens a database as another tab would; `deaf` to version changes, or giving way.
pub async fn connect(name: &str, version: u32, deaf: bool) -> IdbDatabase {
    js_connect(name, version, deaf)
        .await
        .unwrap()
        .unchecked_into()
}

pub async fn remove(name: &str) {
    js_remove(name).await.unwrap();
}

pub async fn exists(name: &str) -> bool {
    Array::from(&js_databases().await.unwrap()).includes(&name.into(), 0)
}

/// Every key and value of a database.
pub async fn dump(name: &str) -> Vec<Vec<u8>> {
    let items = Array::from(&js_dump(name).await.unwrap());
    items
        .iter()
        .map(|item| item.unchecked_into::<Uint8Array>().to_vec())
        .collect()
}

pub async fn overwrite(name: &str, store: &str, key: &JsValue, value: &[u8]) {
    js_overwrite(name, store, key.clone(), Uint8Array::from(value).into())
        .await
        .unwrap();
}

pub async fn erase(name: &str, store: &str, key: &JsValue) {
    js_overwrite(name, store, key.clone(), JsValue::UNDEFINED)
        .await
        .unwrap();
}

pub async fn keys(name: &str, store: &str) -> Vec<JsValue> {
    Array::from(&js_keys(name, store).await.unwrap()).to_vec()
}

pub async fn stored(name: &str, store: &str, key: &JsValue) -> JsValue {
    js_stored(name, store, key.clone()).await.unwrap()
}

pub async fn fixture(name: &str, store: &str, rows: u32) {
    js_fixture(name, store, rows).await.unwrap();
}

pub async fn overwrite_with(name: &str, store: &str, key: &JsValue, value: &JsValue) {
    js_overwrite(name, store, key.clone(), value.clone())
        .await
        .unwrap();
}
