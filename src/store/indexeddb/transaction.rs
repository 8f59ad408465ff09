//! One transaction: every request is issued before anything is awaited, and it counts only once it is complete.
//!
//! Answers are taken from the requests after the end, so that no Rust future runs between two requests and none can
//! let the transaction close early. What has to be decided within it (is the revision as expected?) is decided in the
//! callback of a request.
//!
//! rexie cannot do this part: it does not pass on how durable a write is to be, and not why a transaction was aborted,
//! so a full disk found at the commit would look like any other failure.

use std::cell::RefCell;
use std::rc::Rc;

use futures::channel::oneshot;
use js_sys::{Array, Function, Object, Reflect};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Event, IdbDatabase, IdbObjectStore, IdbRequest, IdbTransaction};

use super::Callback;
use super::failure::Failure;
use crate::store::{Durability, StoreError};

/// Whether a transaction writes, and how surely.
pub(super) enum Mode {
    ReadOnly,
    ReadWrite(Durability),
}

/// A transaction under way; aborted when dropped before its end.
pub(super) struct Transaction {
    inner: IdbTransaction,
    shared: Rc<Shared>,
    receiver: oneshot::Receiver<Result<(), Failure>>,
    closures: Vec<Callback>,
    handled: Vec<IdbRequest>,
}

#[derive(Default)]
struct Shared {
    sender: RefCell<Option<oneshot::Sender<Result<(), Failure>>>>,
    /// Why we aborted it ourselves.
    verdict: RefCell<Option<StoreError>>,
}

impl Transaction {
    /// Begins a transaction over `object_stores`.
    pub(super) fn begin(
        database: &IdbDatabase,
        object_stores: &[&str],
        mode: Mode,
    ) -> Result<Self, Failure> {
        let names: Array = object_stores
            .iter()
            .map(|name| JsValue::from_str(name))
            .collect();
        let inner = open(database, &names, mode)?;
        let (sender, receiver) = oneshot::channel();
        let shared = Rc::new(Shared {
            sender: RefCell::new(Some(sender)),
            ..Shared::default()
        });
        let report = |committed: bool| {
            let (shared, inner) = (Rc::clone(&shared), inner.clone());
            Closure::new(move |_: Event| {
                let outcome = if committed {
                    Ok(())
                } else {
                    Err(shared.reason(&inner))
                };
                if let Some(sender) = shared.sender.take() {
                    let _ = sender.send(outcome);
                }
            })
        };
        let (complete, abort) = (report(true), report(false));
        inner.set_oncomplete(Some(complete.as_ref().unchecked_ref()));
        inner.set_onabort(Some(abort.as_ref().unchecked_ref()));
        Ok(Self {
            inner,
            shared,
            receiver,
            closures: vec![complete, abort],
            handled: Vec::new(),
        })
    }

    /// An object store within the transaction.
    pub(super) fn object_store(&self, name: &str) -> Result<IdbObjectStore, Failure> {
        Ok(self.inner.object_store(name)?)
    }

    /// Calls `handle` with each answer of `request`, within the transaction. An error it returns aborts everything.
    pub(super) fn on_success(
        &mut self,
        request: &IdbRequest,
        mut handle: impl FnMut(JsValue) -> Result<(), Failure> + 'static,
    ) {
        let (inner, shared, source) =
            (self.inner.clone(), Rc::clone(&self.shared), request.clone());
        let closure = Closure::new(move |_: Event| {
            if let Err(failure) = source.result().map_err(Failure::from).and_then(&mut handle) {
                if let Failure::Store(error) = failure {
                    shared.verdict.replace(Some(error));
                }
                let _ = inner.abort();
            }
        });
        request.set_onsuccess(Some(closure.as_ref().unchecked_ref()));
        self.closures.push(closure);
        self.handled.push(request.clone());
    }

    /// Waits for the end. The answers of the requests are there afterwards.
    pub(super) async fn complete(mut self) -> Result<(), Failure> {
        match (&mut self.receiver).await {
            Ok(outcome) => outcome,
            Err(oneshot::Canceled) => Err(Failure::Lost("no answer".into())),
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        self.inner.set_oncomplete(None);
        self.inner.set_onabort(None);
        for request in &self.handled {
            request.set_onsuccess(None);
        }
        if self.shared.sender.take().is_some() {
            let _ = self.inner.abort();
        }
    }
}

impl Shared {
    fn reason(&self, transaction: &IdbTransaction) -> Failure {
        match (self.verdict.take(), transaction.error()) {
            (Some(verdict), _) => Failure::Store(verdict),
            (None, Some(error)) => Failure::from(JsValue::from(error)),
            (None, None) => Failure::Lost("AbortError".into()),
        }
    }
}

/// `database.transaction(names, mode, { durability })`. web-sys has the last argument only among its unstable APIs;
/// browsers that do not know it ignore it.
fn open(database: &IdbDatabase, names: &Array, mode: Mode) -> Result<IdbTransaction, JsValue> {
    let options = Object::new();
    let mode = match mode {
        Mode::ReadOnly => "readonly",
        Mode::ReadWrite(durability) => {
            let durability = match durability {
                Durability::Strict => "strict",
                Durability::Relaxed => "relaxed",
            };
            Reflect::set(&options, &"durability".into(), &durability.into())?;
            "readwrite"
        }
    };
    let method: Function = Reflect::get(database, &"transaction".into())?.dyn_into()?;
    Ok(method
        .call3(database, names, &mode.into(), &options)?
        .unchecked_into())
}
