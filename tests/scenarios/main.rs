//! Many clients over the in-memory node, in virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod chat;
mod forks;
mod history;
mod hostile;
mod identity;
mod installations;
mod leaving;
mod moderation;
mod order;
mod roles;
mod scale;
mod security;
mod support;
mod wishes;
