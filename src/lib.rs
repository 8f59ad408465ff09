//! sotto

pub mod content;
pub mod identity;
pub mod mls;
pub mod store;
