//! The log: where accepted writes get their order and become durable.
//!
//! A log takes records, gives each its place, and applies them to this node's view in that
//! order. What has been answered is in the view, is durable, and will never change its id.
//! How a log orders (one file, or a replicated cluster) is its own affair; what a record means
//! is `view::apply`'s.

mod local;

use futures_util::future::BoxFuture;

use crate::{record::Record, status::Status, view::Outcome};

pub use local::LocalLog;

/// The outcomes of submitted records, in their order.
pub type Submitted = BoxFuture<'static, Result<Vec<Outcome>, Status>>;

/// An ordered, durable log of records.
pub trait Log: Send + Sync + 'static {
    /// Orders `records`, makes them durable and applies them to this node's view. They keep
    /// their order. The future fails with `Unavailable` or `Internal`, and then says nothing
    /// about whether they were stored: publishing is idempotent, so a caller tries again.
    /// Dropping it does not take the records back.
    fn submit(&self, records: Vec<Record>) -> Submitted;

    /// Waits until this node's view shows whatever any node had acknowledged before the call.
    fn catch_up(&self) -> BoxFuture<'static, Result<(), Status>>;

    /// Takes no more records, finishes those that it has, and releases the store.
    fn close(&self) -> BoxFuture<'static, ()>;
}
