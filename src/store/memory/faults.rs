//! Faults for the simulator and the tests: failing calls, dying handles, what a crash leaves.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::{MemoryStore, State};
use crate::store::{StoreError, Table};

/// What happens to one call of [`Store::apply`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It fails, and nothing is written.
    FailBefore(StoreError),
    /// It fails although everything was written.
    FailAfter(StoreError),
    /// The handle dies, and nothing is written.
    CrashBefore,
    /// The handle dies once everything is written.
    CrashAfter,
}

/// A copy of all rows at one point in time: what a crash would leave.
#[derive(Debug, Clone, Default)]
pub struct Snapshot(State);

impl Snapshot {
    /// Every stored row, sealed as it is.
    pub fn rows(&self) -> impl Iterator<Item = (Table, &[u8], &[u8])> {
        self.0.tables.iter().flat_map(|(table, rows)| {
            rows.iter()
                .map(move |(key, value)| (*table, key.as_slice(), value.as_slice()))
        })
    }
}

/// What the simulator does to one handle; works on while the handle is owned by a client.
#[derive(Debug, Clone, Default)]
pub struct Controls(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    applies: Cell<u64>,
    planned: RefCell<BTreeMap<u64, Fault>>,
    yielding: Cell<bool>,
    dead: Cell<bool>,
}

pub(super) fn crashed() -> StoreError {
    StoreError::Unavailable {
        retryable: false,
        reason: "crashed".into(),
    }
}

impl Controls {
    /// How often [`Store::apply`] was called on this handle, failed calls included.
    pub fn applies(&self) -> u64 {
        self.0.applies.get()
    }

    /// Plans `fault` for the call of [`Store::apply`] on this handle after `skip` further ones.
    pub fn plan(&self, skip: u64, fault: Fault) {
        self.0
            .planned
            .borrow_mut()
            .insert(self.applies() + skip, fault);
    }

    /// Whether every call lets other tasks run once before it acts and once after, as calls to a real medium do.
    pub fn set_yielding(&self, yielding: bool) {
        self.0.yielding.set(yielding);
    }

    /// Kills the handle: every later call fails, and calls in flight are not applied.
    pub fn crash(&self) {
        self.0.dead.set(true);
    }

    /// Whether the handle was killed.
    pub fn is_dead(&self) -> bool {
        self.0.dead.get()
    }

    async fn give_way(&self) {
        let mut gave = !self.0.yielding.get();
        std::future::poll_fn(|context| {
            if std::mem::replace(&mut gave, true) {
                return std::task::Poll::Ready(());
            }
            context.waker().wake_by_ref();
            std::task::Poll::Pending
        })
        .await;
    }
}

impl MemoryStore {
    /// A new store holding the rows of `snapshot`, as after a restart.
    pub fn from_snapshot(snapshot: &Snapshot) -> Self {
        let store = Self::new();
        store.shared.state.replace(snapshot.0.clone());
        store
    }

    /// What is durable now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.shared.state.borrow().clone())
    }

    /// Writes a row past all checks, as a failing disk or an attacker would.
    pub fn tamper(&self, table: Table, key: &[u8], value: &[u8]) {
        self.shared
            .state
            .borrow_mut()
            .tables
            .entry(table)
            .or_default()
            .insert(key.to_vec(), value.to_vec());
    }

    /// The controls of this handle.
    pub fn controls(&self) -> Controls {
        self.controls.clone()
    }

    pub(super) async fn before_read(&self) -> Result<(), StoreError> {
        self.controls.give_way().await;
        self.check_open()
    }

    pub(super) async fn before_apply(&self) -> Result<Option<Fault>, StoreError> {
        self.controls.give_way().await;
        self.check_open()?;
        let count = self.controls.applies();
        self.controls.0.applies.set(count + 1);
        let planned = self.controls.0.planned.borrow_mut().remove(&count);
        match planned {
            Some(Fault::FailBefore(error)) => Err(error),
            Some(Fault::CrashBefore) => {
                self.controls.crash();
                Err(crashed())
            }
            fault => Ok(fault),
        }
    }

    pub(super) async fn after_apply(&self, fault: Option<Fault>) -> Result<(), StoreError> {
        match fault {
            Some(Fault::FailAfter(error)) => return Err(error),
            Some(Fault::CrashAfter) => self.controls.crash(),
            _ => {}
        }
        self.controls.give_way().await;
        if self.controls.is_dead() {
            Err(crashed())
        } else {
            Ok(())
        }
    }
}
