//! An XMTP v3 node: one binary, SQLite inside.
//!
//! The node is a log and a view. Every accepted write is one [`record`] in an ordered, durable
//! [`log`]; a deterministic `apply` turns records into the tables of the [`view`], which answers
//! every query and, through [`fanout`], feeds every subscriber. It checks form ([`validate`]),
//! orders, stores and fans out; it knows no accounts, sees no plaintext, and keeps no address.

pub mod config;
pub mod contract;
pub mod envelope;
pub mod fanout;
pub mod http;
pub mod limits;
pub mod log;
pub mod metrics;
pub mod node;
pub mod proxies;
pub mod record;
pub mod rpc;
pub mod server;
pub mod status;
pub mod subscribe;
pub mod topic;
pub mod validate;
pub mod view;

pub use config::Config;
pub use server::{Server, StartError};
