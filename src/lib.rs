//! sotto

pub mod content;
pub mod store;
