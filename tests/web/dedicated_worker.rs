//! The store in a dedicated worker.
#![cfg(all(target_arch = "wasm32", target_os = "unknown"))]
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "store_context.rs"]
mod store_context;
#[path = "store_contract.rs"]
mod store_contract;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);
