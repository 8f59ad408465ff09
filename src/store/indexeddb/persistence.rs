//! Asking the browser not to evict what we store.

use js_sys::Reflect;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::StorageManager;

/// What the browser promises about stored data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It stays until the person clears it.
    Persistent,
    /// It may go when space is short.
    BestEffort,
    /// The browser does not say.
    Unknown,
}

/// Asks for persistence and reports the answer. Workers may not ask; they report what holds already.
pub async fn persist() -> Persistence {
    let Some(manager) = storage_manager() else {
        return Persistence::Unknown;
    };
    for (method, ask) in [
        ("persist", StorageManager::persist as fn(&_) -> _),
        ("persisted", StorageManager::persisted),
    ] {
        let exists = Reflect::get(&manager, &JsValue::from_str(method))
            .is_ok_and(|method| method.is_function());
        if let Some(answer) = exists.then(|| ask(&manager)).and_then(Result::ok) {
            return match JsFuture::from(answer)
                .await
                .ok()
                .and_then(|answer| answer.as_bool())
            {
                Some(true) => Persistence::Persistent,
                Some(false) => Persistence::BestEffort,
                None => Persistence::Unknown,
            };
        }
    }
    Persistence::Unknown
}

fn storage_manager() -> Option<StorageManager> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into())
        .ok()
        .filter(JsValue::is_object)?;
    let manager = Reflect::get(&navigator, &"storage".into())
        .ok()
        .filter(JsValue::is_object)?;
    Some(manager.unchecked_into())
}
