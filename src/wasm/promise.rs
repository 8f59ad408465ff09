//! Futures to Promises, our errors to plain objects that `js/errors.js` turns into classes.

use std::future::Future;
use std::pin::Pin;

use js_sys::{Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

use crate::error::{Error, Kind, Result};

/// A Promise of what the future gives. Whatever the future borrows must be cloned before.
pub fn promise<T: Into<JsValue>>(future: impl Future<Output = Result<T>> + 'static) -> Promise {
    // Boxed, so that the machinery of a Promise exists once and not once a method.
    let boxed: Pin<Box<dyn Future<Output = std::result::Result<JsValue, JsValue>>>> =
        Box::pin(async move { future.await.map(Into::into).map_err(|error| to_js(&error)) });
    future_to_promise(boxed)
}

/// An error as JavaScript sees it: `{ code, kind, message, retryable, details }`.
pub fn to_js(error: &Error) -> JsValue {
    let object = Object::new();
    let set = |name: &str, value: JsValue| {
        let _ = Reflect::set(&object, &name.into(), &value);
    };
    set("code", error.code().as_str().into());
    set("kind", kind_name(error.code().kind()).into());
    set("message", error.message().into());
    set("retryable", error.retryable().into());
    let details = Object::new();
    for (name, value) in error.details() {
        let _ = Reflect::set(&details, &(*name).into(), &value.into());
    }
    set("details", details.into());
    object.into()
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Usage => "usage",
        Kind::Network => "network",
        Kind::Storage => "storage",
        Kind::Protocol => "protocol",
        Kind::Decrypt => "decrypt",
        Kind::Closed => "closed",
        Kind::Internal => "internal",
    }
}
