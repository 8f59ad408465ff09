//! The clock that the MLS library reads, under the name and with the part of the API of the
//! crate that it asks for.
//!
//! On the host this is the standard library's clock. In a browser [`SystemTime::now`] is
//! `Date.now()`, unless the calling thread holds a [`Pin`]: a list of times, handed out one a
//! call, the last one for every further call. The engine pins the time a node stamped on a Commit
//! while that Commit is processed, because members that read it years apart must agree on whether
//! it is valid. Nothing else may pin: key packages that are to be added are judged by the real
//! clock.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

#[cfg(any(test, all(target_arch = "wasm32", target_os = "unknown")))]
mod pinned;

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub use pinned::{Pin, SystemTime, UNIX_EPOCH, pin};

#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub use std::time::{SystemTime, UNIX_EPOCH};

#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
mod host {
    /// Stands for a pinned time; on the host it changes nothing.
    #[must_use]
    #[derive(Debug)]
    pub struct Pin(());

    impl Pin {
        /// How often the clock was read under this pin: never, on the host.
        #[must_use]
        pub fn readings(&self) -> usize {
            0
        }
    }

    /// Does nothing on the host: the MLS library reads the standard library's clock there.
    pub fn pin(_seconds: &[u64]) -> Pin {
        Pin(())
    }
}

#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub use host::{Pin, pin};
