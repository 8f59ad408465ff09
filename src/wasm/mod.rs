//! The boundary to JavaScript: converts and delegates, decides nothing. The only folder that
//! exports anything. Exported classes are handles around an `Rc`; what they return is plain data.
//! The classes that apps use are in `js/`, on top of these.

mod conversation;
mod convert;
mod engine;
mod env;
mod helpers;
mod promise;
mod statics;
mod stream;
mod views;

use std::cell::Cell;

use wasm_bindgen::prelude::*;

thread_local! {
    static ON_PANIC: Cell<Option<js_sys::Function>> = const { Cell::new(None) };
}

/// Has `callback` called once with a sentence when the engine crashes. After that no call into
/// this instance may be made.
#[wasm_bindgen(js_name = onPanic)]
pub fn on_panic(callback: js_sys::Function) {
    ON_PANIC.with(|slot| slot.set(Some(callback)));
    std::panic::set_hook(Box::new(|info| {
        // The place only: a panic's words may hold what it failed on.
        let place = info
            .location()
            .map(|place| format!("{}:{}", place.file(), place.line()))
            .unwrap_or_default();
        if let Some(callback) = ON_PANIC.with(Cell::take) {
            let _ = callback.call1(&JsValue::UNDEFINED, &JsValue::from_str(&place));
        }
    }));
}

/// The version of this package.
#[wasm_bindgen(js_name = packageVersion)]
#[must_use]
pub fn package_version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}
