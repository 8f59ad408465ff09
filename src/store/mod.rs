//! Where a client's state lives: opaque rows in tables, changed by batches that are applied whole or not at all.
//!
//! [`Store`] is the raw store: it knows neither keys nor time, and never sees a plaintext. The rest of the client
//! uses it through a [`Vault`], which seals every value and hides what the keys name.
//!
//! A store must never delete or overwrite anything on an error, and must never report a batch as applied before the
//! medium has said so.

mod changes;
#[cfg(any(test, feature = "test-utils"))]
pub mod contract;
mod header;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub mod indexeddb;
mod memory;
mod raw;
mod seal;
mod vault;

pub use changes::{Changes, Key, Query, Row};
pub use header::{AppKey, KeyWrapper, WrapKind};
pub use memory::MemoryStore;
#[cfg(any(test, feature = "test-utils"))]
pub use memory::{Controls, Fault, Snapshot};
pub use raw::{Applied, Batch, Durability, Range, Rows, Store, Table};
pub use vault::{Random, Vault, system_random};

/// Why a store could not do what it was asked.
///
/// No variant carries a key, a plaintext or an identifier in its message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The medium does not answer; nothing was changed.
    #[error("storage is unavailable: {reason}")]
    Unavailable {
        /// Whether the same call may succeed later.
        retryable: bool,
        /// What the medium said.
        reason: String,
    },
    /// There is no room left; nothing was changed.
    #[error("storage is full")]
    Quota,
    /// A row, or the header of the store, does not hold what was written to it.
    #[error("a row of the table {} is corrupt", table.name())]
    Corrupt {
        /// The table the row is in.
        table: Table,
        /// The scope that was read, empty if the read was not of one scope.
        scope: Vec<u8>,
        /// The row's key as stored.
        key: Vec<u8>,
    },
    /// Somebody else changed a revision the batch relied on; nothing was written.
    #[error("the stored state has changed since it was read")]
    Conflict,
    /// The key that was given does not open this store, or the key that does is gone.
    #[error("the key does not open this store")]
    WrongKey,
    /// Another context holds an older version of the database open and does not let go.
    #[error("the upgrade of the database is blocked by another tab")]
    UpgradeBlocked,
    /// The store was written by a later release than this one.
    #[error("the store was written by a newer version of this library")]
    NewerVersion,
    /// A store was here, and it is gone.
    #[error("the store that was here is gone")]
    MissingButExpected {
        /// The installation that lived in it, in hex, if known.
        installation: Option<String>,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// This environment has no IndexedDB, or does not allow it.
    #[error("this environment offers no browser storage")]
    NoBrowserStorage,
}

impl StoreError {
    /// Whether the same call may succeed later without the caller changing anything.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { retryable, .. } => *retryable,
            Self::Quota | Self::UpgradeBlocked => true,
            Self::Corrupt { .. }
            | Self::Conflict
            | Self::WrongKey
            | Self::NewerVersion
            | Self::MissingButExpected { .. }
            | Self::Closed
            | Self::NoBrowserStorage => false,
        }
    }
}
