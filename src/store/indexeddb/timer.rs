//! Timers that stop when dropped, in any kind of context: window or worker.

use std::time::Duration;

use futures::channel::oneshot;
use js_sys::{Function, Reflect};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};

/// A call that is yet to come; none comes after the drop.
#[derive(Debug)]
pub(super) struct Timer {
    id: JsValue,
    _callback: Closure<dyn FnMut()>,
}

impl Timer {
    /// Calls `callback` once, `delay` from now. Without timers in this context, never.
    pub(super) fn new(delay: Duration, callback: impl FnOnce() + 'static) -> Self {
        let callback = Closure::once(callback);
        let millis = i32::try_from(delay.as_millis()).unwrap_or(i32::MAX);
        let id = global_function("setTimeout").and_then(|set| {
            set.call2(&JsValue::UNDEFINED, callback.as_ref(), &millis.into())
                .ok()
        });
        Self {
            id: id.unwrap_or(JsValue::UNDEFINED),
            _callback: callback,
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some(clear) = global_function("clearTimeout") {
            let _ = clear.call1(&JsValue::UNDEFINED, &self.id);
        }
    }
}

/// Returns after `delay`.
pub(super) async fn sleep(delay: Duration) {
    let (sender, receiver) = oneshot::channel();
    let _timer = Timer::new(delay, move || {
        let _ = sender.send(());
    });
    let _ = receiver.await;
}

fn global_function(name: &str) -> Option<Function> {
    Reflect::get(&js_sys::global(), &JsValue::from_str(name))
        .ok()?
        .dyn_into()
        .ok()
}
