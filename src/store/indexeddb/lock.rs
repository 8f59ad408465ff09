//! Web Locks: one holder at a time over all tabs and workers of an origin.
//!
//! A lock keeps contexts from wasting work on each other; it is not what keeps the state whole. A frozen tab keeps its
//! lock, a stolen one is lost without the holder running, and some browsers have none: every write checks its revision
//! regardless ([`Batch::expect`](crate::store::Batch)). So nobody waits for a lock without an end, and nobody
//! should hold one for longer than a short operation.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::Shared;
use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::AbortController;

use super::failure;
use super::timer::Timer;

/// Who else may hold the lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LockMode {
    /// Nobody.
    #[default]
    Exclusive,
    /// Others in this mode.
    Shared,
}

/// How a lock is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LockRequest {
    /// Who else may hold it.
    pub mode: LockMode,
    /// How long to wait; zero is not at all.
    pub wait: Duration,
    /// How long to hold it at most; `None` only for what is meant to last, such as being the one that holds the socket.
    pub hold: Option<Duration>,
    /// Whether to take it from whoever holds it: for a holder that is known to be frozen. Exclusive, and at once.
    pub steal: bool,
}

/// Why there is no lock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Others held it for as long as we waited.
    #[error("the lock is held elsewhere")]
    Busy,
    /// The browser refused.
    #[error("the lock manager failed: {0}")]
    Failed(String),
}

/// Whether this context has Web Locks. Without them [`Guard`]s are granted freely and guard nothing.
pub fn locks_available() -> bool {
    lock_manager().is_some()
}

/// A lock that is held; released when dropped.
#[derive(Debug)]
pub struct Guard {
    /// `None` where there are no Web Locks.
    held: Option<Rc<Held>>,
    _limit: Option<Timer>,
}

impl Guard {
    /// Asks for the lock called `name`.
    ///
    /// # Errors
    /// [`LockError::Busy`] after `request.wait`; [`LockError::Failed`] if the browser refuses.
    pub async fn acquire(name: &str, request: LockRequest) -> Result<Self, LockError> {
        let Some(manager) = lock_manager() else {
            return Ok(Self {
                held: None,
                _limit: None,
            });
        };
        let failed = |error: JsValue| LockError::Failed(failure::name(&error));
        let controller = AbortController::new().map_err(failed)?;
        let options = options(request, &controller).map_err(failed)?;
        let (answer, answered) = oneshot::channel();
        let answer: Answer = Rc::new(RefCell::new(Some(answer)));
        let (over, is_over) = oneshot::channel();
        let grant = {
            let (answer, is_over) = (Rc::clone(&answer), is_over.shared());
            Closure::once_into_js(move |lock: JsValue| grant(&lock, &answer, is_over))
        };
        let promise = Reflect::get(&manager, &"request".into())
            .and_then(JsCast::dyn_into::<Function>)
            .and_then(|method| method.call3(&manager, &name.into(), &options, &grant))
            .map_err(failed)?;
        spawn_local(watch(promise.unchecked_into(), answer, over));

        let _deadline =
            may_wait(request).then(|| Timer::new(request.wait, move || controller.abort()));
        // If we are dropped while we wait, a lock that still comes is released along with the answer nobody takes.
        let held = answered
            .await
            .unwrap_or_else(|_| Err(LockError::Failed("no answer".into())))?;
        let limit = request.hold.map(|hold| {
            let held = Rc::clone(&held);
            Timer::new(hold, move || held.release())
        });
        Ok(Self {
            held: Some(held),
            _limit: limit,
        })
    }

    /// Whether the lock is still ours: nobody has stolen it, and it was not held beyond its limit.
    ///
    /// Without Web Locks this is `true` and means nothing: see [`Self::is_real`].
    pub fn is_held(&self) -> bool {
        self.held
            .as_ref()
            .is_none_or(|held| !held.released.get() && held.over.peek().is_none())
    }

    /// Whether there is a lock at all; `false` where the browser has none.
    pub fn is_real(&self) -> bool {
        self.held.is_some()
    }

    /// Returns once the lock is no longer ours; without Web Locks, never.
    pub async fn lost(&self) {
        match &self.held {
            Some(held) => drop(held.over.clone().await),
            None => std::future::pending().await,
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(held) = &self.held {
            held.release();
        }
    }
}

/// A lock that was granted. The browser holds it for us until the promise it got is resolved.
#[derive(Debug)]
struct Held {
    resolve: Function,
    released: Cell<bool>,
    over: Shared<oneshot::Receiver<()>>,
}

impl Held {
    fn release(&self) {
        if !self.released.replace(true) {
            let _ = self.resolve.call0(&JsValue::UNDEFINED);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

type Answer = Rc<RefCell<Option<oneshot::Sender<Result<Rc<Held>, LockError>>>>>;

/// Called by the browser with the lock, or with null if it was not free. Returns what the browser is to wait for.
fn grant(lock: &JsValue, answer: &Answer, over: Shared<oneshot::Receiver<()>>) -> JsValue {
    if !lock.is_object() {
        if let Some(answer) = answer.take() {
            let _ = answer.send(Err(LockError::Busy));
        }
        return JsValue::UNDEFINED;
    }
    let promise = Promise::new(&mut |resolve, _| {
        let held = Held {
            resolve,
            released: Cell::new(false),
            over: over.clone(),
        };
        if let Some(answer) = answer.take() {
            let _ = answer.send(Ok(Rc::new(held)));
        }
    });
    promise.into()
}

/// Follows the request to its end: refused, released or stolen.
async fn watch(request: Promise, answer: Answer, over: oneshot::Sender<()>) {
    let result = JsFuture::from(request).await;
    if let (Err(error), Some(answer)) = (result, answer.take()) {
        // Before the lock was granted, an abort is the deadline's.
        let name = failure::name(&error);
        let _ = answer.send(Err(if name == "AbortError" {
            LockError::Busy
        } else {
            LockError::Failed(name)
        }));
    }
    let _ = over.send(());
}

fn may_wait(request: LockRequest) -> bool {
    !request.steal && !request.wait.is_zero()
}

fn options(request: LockRequest, controller: &AbortController) -> Result<Object, JsValue> {
    let options = Object::new();
    let set = |name: &str, value: &JsValue| Reflect::set(&options, &name.into(), value);
    if request.steal {
        set("steal", &JsValue::TRUE)?;
        return Ok(options);
    }
    let mode = match request.mode {
        LockMode::Exclusive => "exclusive",
        LockMode::Shared => "shared",
    };
    set("mode", &mode.into())?;
    // A request has either a signal or `ifAvailable`, never both.
    if may_wait(request) {
        set("signal", &controller.signal())?
    } else {
        set("ifAvailable", &JsValue::TRUE)?
    };
    Ok(options)
}

/// `navigator.locks`; web-sys has it only among its unstable APIs.
fn lock_manager() -> Option<JsValue> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into())
        .ok()
        .filter(JsValue::is_object)?;
    Reflect::get(&navigator, &"locks".into())
        .ok()
        .filter(JsValue::is_object)
}
