//! The store in a browser: one IndexedDB database, in a window or any kind of worker.
//!
//! A batch is one transaction. A connection that is lost is opened again and the transaction repeated once. Nothing
//! here deletes a database, or makes one where one was expected, unless it is told to in so many words.

mod channel;
mod connection;
mod failure;
mod lock;
mod marker;
mod migrations;
mod open;
mod persistence;
mod rows;
mod schema;
mod timer;
mod transaction;
mod web_crypto;

use std::rc::Rc;
use std::time::Duration;

use wasm_bindgen::prelude::Closure;
use web_sys::{Event, IdbDatabase};

pub use channel::{Channel, Heard, Messages};
use connection::Connection;
use failure::Failure;
pub use lock::{Guard, LockError, LockMode, LockRequest, locks_available};
pub use migrations::{Step, Upgrade};
use open::Absent;
pub use persistence::{Persistence, persist};
pub use web_crypto::BrowserKey;

use super::{Applied, Batch, Range, Rows, Store, StoreError};

/// What the browser calls with an event.
type Callback = Closure<dyn FnMut(Event)>;

/// How long to wait for other contexts to let go of a database.
pub const DEADLINE: Duration = Duration::from_secs(5);

/// A store in IndexedDB. Clones share one connection, and are closed together.
#[derive(Clone)]
pub struct IndexedDb {
    connection: Rc<Connection>,
}

impl IndexedDb {
    /// Opens the store called `name`, or makes an empty one.
    ///
    /// # Errors
    /// [`StoreError::MissingButExpected`] if it was marked ([`Self::mark`]) and is gone; [`StoreError::UpgradeBlocked`]
    /// after [`DEADLINE`]; [`StoreError::NewerVersion`]; [`StoreError::NoBrowserStorage`]; [`StoreError::Unavailable`].
    pub async fn open(name: &str) -> Result<Self, StoreError> {
        Self::make(name, migrations::STEPS, DEADLINE).await
    }

    /// Opens the store called `name`; `None` if there is none.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_existing(name: &str) -> Result<Option<Self>, StoreError> {
        let connection = Connection::new(name, migrations::STEPS, DEADLINE, Absent::Leave).await?;
        Ok(connection.map(|connection| Self { connection }))
    }

    /// Deletes the store called `name` and its mark. Other contexts lose it at once.
    ///
    /// # Errors
    /// [`StoreError::UpgradeBlocked`] if another context still holds it after [`DEADLINE`]: the browser deletes it as
    /// soon as that lets go. [`StoreError::NoBrowserStorage`]; [`StoreError::Unavailable`].
    pub async fn delete(name: &str) -> Result<(), StoreError> {
        marker::clear(name, DEADLINE).await?;
        match open::delete(name, DEADLINE).await {
            Ok(()) => Ok(()),
            Err(Failure::Store(error)) => Err(error),
            Err(Failure::Lost(reason)) => Err(StoreError::Unavailable {
                retryable: true,
                reason,
            }),
        }
    }

    /// Remembers, outside the store, that the store called `name` holds `installation` (hex). From then on its absence
    /// is an error.
    ///
    /// # Errors
    /// [`StoreError::NoBrowserStorage`]; [`StoreError::Unavailable`].
    pub async fn mark(name: &str, installation: &str) -> Result<(), StoreError> {
        marker::set(name, installation, DEADLINE).await
    }

    /// Forgets what [`Self::mark`] remembered, so that a store that is gone may be made anew.
    ///
    /// # Errors
    /// As [`Self::mark`].
    pub async fn unmark(name: &str) -> Result<(), StoreError> {
        marker::clear(name, DEADLINE).await
    }

    /// The name of the store.
    pub fn name(&self) -> &str {
        self.connection.name()
    }

    /// Whether another context has upgraded or deleted the database while this one had it open. The next call finds
    /// out which.
    pub fn version_changed(&self) -> bool {
        self.connection.version_changed()
    }

    async fn make(
        name: &str,
        steps: &'static [Step],
        deadline: Duration,
    ) -> Result<Self, StoreError> {
        let connection = Connection::new(name, steps, deadline, Absent::Make).await?;
        connection
            .map(|connection| Self { connection })
            .ok_or(StoreError::MissingButExpected { installation: None })
    }

    /// Runs `work` on the live connection. If that proves lost: once more, on a new one.
    ///
    /// A transaction that the browser reports as aborted was not applied, so repeating it is safe. Should an engine
    /// lose its database process in the middle of a commit and report wrongly, a batch with an expectation ends in
    /// [`StoreError::Conflict`], and one without is the same twice, except that it may append twice.
    async fn attempt<T>(
        &self,
        work: impl AsyncFn(&IdbDatabase) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let mut reason = String::new();
        for _ in 0..2 {
            let live = self.connection.live().await?;
            match work(live.database()).await {
                Ok(result) => return Ok(result),
                Err(Failure::Store(error)) => return Err(error),
                Err(Failure::Lost(name)) => {
                    self.connection.lose(live.database());
                    reason = name;
                }
            }
        }
        Err(StoreError::Unavailable {
            retryable: true,
            reason,
        })
    }
}

impl Store for IndexedDb {
    async fn read(&self, ranges: &[Range]) -> Result<Vec<Rows>, StoreError> {
        self.attempt(async |database| rows::read(database, ranges).await)
            .await
    }

    async fn apply(&self, batch: Batch) -> Result<Applied, StoreError> {
        self.attempt(async |database| rows::apply(database, &batch).await)
            .await
    }

    async fn close(&self) {
        self.connection.close();
    }
}

#[cfg(feature = "test-utils")]
impl IndexedDb {
    /// Opens the store called `name` at the version that `steps` lead to, waiting for `deadline` at most.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_at(
        name: &str,
        steps: &'static [Step],
        deadline: Duration,
    ) -> Result<Self, StoreError> {
        Self::make(name, steps, deadline).await
    }

    /// The steps of this release.
    pub fn steps() -> &'static [Step] {
        migrations::STEPS
    }

    /// Closes the connection behind the store's back, as a browser does whose database process has died.
    pub async fn kill_connection(&self) {
        if let Ok(live) = self.connection.live().await {
            live.database().close();
        }
    }
}
