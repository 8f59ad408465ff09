//! sotto

pub mod content;
