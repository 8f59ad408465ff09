//! A node as its clients see it: in this process on a free port, or the real binary.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod chains;
mod framing;
mod process;
mod replay;
mod rpcs;
mod streams;
mod subscribe;
mod support;
