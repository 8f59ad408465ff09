//! sotto

pub mod content;
pub mod identity;
pub mod store;
