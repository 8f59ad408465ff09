//! The identity layer from outside: foreign vectors, rules that they leave open, requests, the
//! node's own demands, random histories and random bytes.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fuzz;
mod identifiers;
mod properties;
mod publishing;
mod requests;
mod rules;
mod support;
mod vectors;
