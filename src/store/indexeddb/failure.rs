//! What an error of the browser means for us. Only names of errors are kept: messages may quote data.

use wasm_bindgen::JsValue;

use crate::store::StoreError;

/// Why an attempt failed.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The connection is of no use any more; nothing was written. Worth another attempt on a new one.
    Lost(String),
    /// A verdict that another attempt would not change.
    Store(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<JsValue> for Failure {
    fn from(error: JsValue) -> Self {
        let name = name(&error);
        match name.as_str() {
            "QuotaExceededError" => Self::Store(StoreError::Quota),
            "VersionError" => Self::Store(StoreError::NewerVersion),
            "SecurityError" => Self::Store(StoreError::NoBrowserStorage),
            // The request itself is wrong: our fault, and the same on any connection.
            "ConstraintError" | "DataError" | "DataCloneError" | "InvalidAccessError"
            | "NotSupportedError" | "ReadOnlyError" | "SyntaxError" | "TypeError" => {
                Self::Store(StoreError::Unavailable {
                    retryable: false,
                    reason: name,
                })
            }
            // AbortError, InvalidStateError, NotFoundError, TransactionInactiveError, UnknownError, and what engines
            // make up when their database process dies.
            _ => Self::Lost(name),
        }
    }
}

/// The name of an error.
pub(super) fn name(error: &JsValue) -> String {
    js_sys::Reflect::get(error, &JsValue::from_str("name"))
        .ok()
        .and_then(|name| name.as_string())
        .unwrap_or_else(|| "unknown error".into())
}
