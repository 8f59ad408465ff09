//! What the engine asks of its surroundings: storage, network, time, chance, and the other
//! contexts (tabs, workers) on the same store. The browser has one implementation, tests and
//! the simulator have another; the engine itself cannot tell.

use std::rc::Rc;
use std::time::Duration;

use futures::future::LocalBoxFuture;

use crate::error::Error;
use crate::net::Transport;
use crate::store::Store;

/// A lock shared by all contexts on one store; dropped = released.
pub trait LockGuard {
    /// Whether somebody took the lock away by force. What was loaded under it is stale then.
    fn is_stolen(&self) -> bool {
        false
    }
}

/// A word to the other contexts on the same store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Rows were appended to the feed.
    Feed,
    /// The set of conversations, hence of topics, changed.
    Topics,
    /// The connection's state changed; the number is [`super::live::LinkState`]'s.
    Link(u8),
    /// Somebody wants the topics queried now.
    Sync,
}

impl Notice {
    /// The notice as a small number for a channel between contexts.
    #[must_use]
    pub fn to_code(self) -> u32 {
        match self {
            Self::Feed => 1,
            Self::Topics => 2,
            Self::Sync => 3,
            Self::Link(state) => 0x100 | u32::from(state),
        }
    }

    /// The reverse; `None` for what a newer release may send.
    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Feed),
            2 => Some(Self::Topics),
            3 => Some(Self::Sync),
            0x100..=0x1ff => Some(Self::Link((code & 0xff) as u8)),
            _ => None,
        }
    }
}

/// The surroundings of one client.
pub trait Env: 'static {
    /// Where rows are kept.
    type Store: Store;
    /// How the node is reached.
    type Transport: Transport;

    /// Wall clock, nanoseconds since the Unix epoch.
    fn now_ns(&self) -> u64;

    /// Fills `bytes` from a cryptographic generator.
    fn random(&self, bytes: &mut [u8]);

    /// Resolves after `duration`.
    fn sleep(&self, duration: Duration) -> LocalBoxFuture<'static, ()>;

    /// Runs a future to its end in the background.
    fn spawn(&self, future: LocalBoxFuture<'static, ()>);

    /// Waits for the lock `name`, shared with the other contexts on this store. Held for one
    /// short operation only. Fails with `ERR_BUSY` when it takes unreasonably long.
    fn lock(&self, name: &str) -> LocalBoxFuture<'static, Result<Box<dyn LockGuard>, Error>>;

    /// Waits, for however long, to become the one context that holds the role `name`.
    fn lead(&self, name: &str) -> LocalBoxFuture<'static, Result<Box<dyn LockGuard>, Error>>;

    /// Tells the other contexts.
    fn announce(&self, notice: Notice);

    /// The next word from another context; pends for ever where there are none.
    fn next_notice(&self) -> LocalBoxFuture<'static, Notice>;

    /// Resolves when it is worth trying the network again at once (`online`, tab shown).
    fn wake(&self) -> LocalBoxFuture<'static, ()>;
}

/// Draws an array from the environment's generator.
pub fn random<const N: usize, E: Env>(env: &E) -> [u8; N] {
    let mut bytes = [0; N];
    env.random(&mut bytes);
    bytes
}

/// An environment shared by all parts of one client.
pub type Shared<E> = Rc<E>;
