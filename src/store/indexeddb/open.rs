//! Opening and deleting a database, each with a deadline.
//!
//! rexie cannot do this part: it says nothing of blocked requests and of version changes, its builder only declares
//! object stores (no steps from one version to the next, and a missing database is made in passing), and a database
//! opened otherwise cannot be handed to it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};
use js_sys::Reflect;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{
    Event, IdbDatabase, IdbFactory, IdbOpenDbRequest, IdbTransaction, IdbVersionChangeEvent,
};

use super::Callback;
use super::failure::Failure;
use super::migrations::{self, Step, Upgrade};
use super::timer::sleep;
use crate::store::StoreError;

/// What to do where there is no database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// Make one.
    Make,
    /// Leave it so.
    Leave,
}

/// An open database; closed when dropped.
pub(super) struct Opened(pub(super) IdbDatabase);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// The database factory of this context.
pub(super) fn factory() -> Result<IdbFactory, StoreError> {
    // Some engines throw on access where storage is not allowed. IdbFactory is checked by shape, not by class: the
    // class of another realm is as good.
    let factory = Reflect::get(&js_sys::global(), &JsValue::from_str("indexedDB")).ok();
    let factory = factory
        .filter(|factory| factory.is_object())
        .ok_or(StoreError::NoBrowserStorage)?;
    Ok(factory.unchecked_into())
}

/// Opens the database called `name` at the version `steps` lead to; `None` if there is none and it is to be left so.
///
/// If it is still blocked after `deadline`, that is [`StoreError::UpgradeBlocked`], whether or not the browser said so:
/// a request queued behind somebody else's blocked one hears nothing. A database that opens after all is closed.
pub(super) async fn open(
    name: &str,
    steps: &'static [Step],
    absent: Absent,
    deadline: Duration,
) -> Result<Option<Opened>, Failure> {
    let version = migrations::version(steps);
    let pending = Pending::new(factory()?.open_with_u32(name, version)?);
    let left_absent = Rc::new(Cell::new(false));
    let upgrade = {
        let (pending, left_absent) = (Rc::clone(&pending), Rc::clone(&left_absent));
        Closure::new(move |event: Event| {
            pending.upgrading.set(true);
            let from = event
                .dyn_ref::<IdbVersionChangeEvent>()
                .map_or(0, |event| event.old_version() as u32);
            let Some(upgrade) = pending.upgrade() else {
                return;
            };
            left_absent.set(from == 0 && absent == Absent::Leave);
            if left_absent.get() || migrations::run(steps, from, &upgrade).is_err() {
                // The abort is reported as an error of the request; what a step managed to do is undone.
                let _ = upgrade.transaction.abort();
            }
        })
    };
    pending
        .request
        .set_onupgradeneeded(Some(upgrade.as_ref().unchecked_ref()));
    pending.closures.borrow_mut().push(upgrade);
    match pending.settle(deadline).await {
        Ok(Some(opened)) => Ok(Some(opened)),
        Ok(None) => Err(Failure::Lost("no database".into())),
        Err(_) if left_absent.get() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Deletes the database called `name`. After [`StoreError::UpgradeBlocked`] the browser still deletes it as soon as
/// nobody holds it open.
pub(super) async fn delete(name: &str, deadline: Duration) -> Result<(), Failure> {
    let pending = Pending::new(factory()?.delete_database(name)?);
    pending.settle(deadline).await.map(drop)
}

/// What came of a request: a database that was opened, or nothing to hold.
type Outcome = Result<Option<Opened>, Failure>;

/// A request under way. Its callbacks live until it is settled, even if nobody waits any more.
struct Pending {
    request: IdbOpenDbRequest,
    upgrading: Cell<bool>,
    sender: RefCell<Option<oneshot::Sender<Outcome>>>,
    receiver: RefCell<Option<oneshot::Receiver<Outcome>>>,
    closures: RefCell<Vec<Callback>>,
}

impl Pending {
    fn new(request: IdbOpenDbRequest) -> Rc<Self> {
        let (sender, receiver) = oneshot::channel();
        let pending = Rc::new(Self {
            request,
            upgrading: Cell::new(false),
            sender: RefCell::new(Some(sender)),
            receiver: RefCell::new(Some(receiver)),
            closures: RefCell::default(),
        });
        let settled = || {
            let pending = Rc::clone(&pending);
            Closure::new(move |_: Event| pending.report())
        };
        let (success, error) = (settled(), settled());
        pending
            .request
            .set_onsuccess(Some(success.as_ref().unchecked_ref()));
        pending
            .request
            .set_onerror(Some(error.as_ref().unchecked_ref()));
        pending.closures.borrow_mut().extend([success, error]);
        pending
    }

    fn upgrade(&self) -> Option<Upgrade> {
        let database = self.request.result().ok()?.dyn_into::<IdbDatabase>().ok()?;
        let transaction = self
            .request
            .transaction()?
            .dyn_into::<IdbTransaction>()
            .ok()?;
        Some(Upgrade {
            database,
            transaction,
        })
    }

    /// Hands over the outcome; a database that nobody waits for is closed. Ends the life of the callbacks.
    fn report(&self) {
        let outcome = match self.request.error() {
            Ok(Some(error)) => Err(Failure::from(JsValue::from(error))),
            Ok(None) | Err(_) => {
                let result = self.request.result().map_err(Failure::from);
                result.map(|result| result.dyn_into::<IdbDatabase>().ok().map(Opened))
            }
        };
        if let Some(sender) = self.sender.take() {
            let _ = sender.send(outcome);
        }
        self.request.set_onsuccess(None);
        self.request.set_onerror(None);
        self.request.set_onupgradeneeded(None);
        self.closures.take();
    }

    async fn settle(&self, deadline: Duration) -> Outcome {
        let Some(mut receiver) = self.receiver.take() else {
            return Err(Failure::Lost("settled".into()));
        };
        let outcome = match select(&mut receiver, Box::pin(sleep(deadline))).await {
            Either::Left((outcome, _)) => outcome,
            // Our own upgrade has begun: nobody blocks it, and it may take as long as it takes.
            Either::Right(_) if self.upgrading.get() => receiver.await,
            Either::Right(_) => return Err(StoreError::UpgradeBlocked.into()),
        };
        outcome.unwrap_or_else(|_| Err(Failure::Lost("no answer".into())))
    }
}
