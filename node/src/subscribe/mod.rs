//! Subscriptions: history first, then live, without gap or duplicate.
//!
//! `feed` is the engine. Both kinds of stream use it: the server-streaming RPCs (`frames` turns
//! what it says into gRPC messages) and XIP-83's `Subscribe` (`session`), over HTTP/2 or a
//! WebSocket.

pub mod feed;
pub mod frames;
pub mod session;
