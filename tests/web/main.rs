//! Tests in a headless browser: `npm run test:web`.
#![cfg(all(target_arch = "wasm32", target_os = "unknown"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod browser;
mod mls_clock;
mod store_connection;
mod store_context;
mod store_contract;
mod store_tabs;
mod store_vault;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
