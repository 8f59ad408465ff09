//! sotto: private group chat for the web.
//!
//! MLS (RFC 9420) groups over the XMTP v3 wire protocol. `identity`, `mls`, `content` and
//! `archive` are pure: bytes, a time and a storage view in; bytes, events and changes out. `store`
//! and `net` reach the world behind traits, `client` is the engine over them, and `wasm` is the
//! only part that JavaScript sees.

pub mod archive;
pub mod client;
pub mod content;
pub mod error;
mod gather;
pub mod identity;
pub mod mls;
pub mod net;
pub mod store;

#[cfg(target_arch = "wasm32")]
mod wasm;

pub use error::{Code, Error, Result};
