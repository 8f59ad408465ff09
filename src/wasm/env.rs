//! The browser as the engine's surroundings, in pages and in every kind of worker.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use futures::StreamExt;
use futures::channel::mpsc;
use futures::future::{LocalBoxFuture, pending};
use js_sys::{Function, Promise, Reflect};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use crate::client::env::{Env, LockGuard, Notice};
use crate::error::{Code, Error};
use crate::net::fetch::FetchTransport;
use crate::store::indexeddb::{Channel, Guard, Heard, IndexedDb, LockError, LockRequest, Messages};
use crate::store::{Applied, Batch, MemoryStore, Range, Rows, Store, StoreError};

/// How long a call waits for another context before it reports `ERR_BUSY`.
const LOCK_WAIT: Duration = Duration::from_secs(10);
/// How long an operation's lock is held at most; a frozen context loses it.
const LOCK_HOLD: Duration = Duration::from_secs(15);
/// How long a try to become the leader waits before it is made again.
const LEAD_WAIT: Duration = Duration::from_secs(3600);

/// Where a client's rows are kept: the app's choice, never a silent fallback.
#[derive(Clone)]
pub enum BrowserStore {
    /// In the browser's database.
    IndexedDb(IndexedDb),
    /// In this context, until it ends.
    Memory(MemoryStore),
}

impl Store for BrowserStore {
    async fn read(&self, ranges: &[Range]) -> Result<Vec<Rows>, StoreError> {
        match self {
            Self::IndexedDb(store) => store.read(ranges).await,
            Self::Memory(store) => store.read(ranges).await,
        }
    }

    async fn apply(&self, batch: Batch) -> Result<Applied, StoreError> {
        match self {
            Self::IndexedDb(store) => store.apply(batch).await,
            Self::Memory(store) => store.apply(batch).await,
        }
    }

    async fn close(&self) {
        match self {
            Self::IndexedDb(store) => store.close().await,
            Self::Memory(store) => store.close().await,
        }
    }
}

/// The browser.
pub struct BrowserEnv {
    scope: String,
    channel: Channel,
    messages: Rc<RefCell<Messages>>,
    wakes: Rc<RefCell<mpsc::UnboundedReceiver<()>>>,
    _listeners: Vec<Listener>,
}

struct Listener {
    target: JsValue,
    event: &'static str,
    callback: Closure<dyn FnMut()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        let remove = Reflect::get(&self.target, &"removeEventListener".into())
            .ok()
            .and_then(|f| f.dyn_into::<Function>().ok());
        if let Some(remove) = remove {
            let _ = remove.call2(&self.target, &self.event.into(), self.callback.as_ref());
        }
    }
}

struct Held(Guard);

impl LockGuard for Held {
    fn is_stolen(&self) -> bool {
        !self.0.is_held()
    }
}

impl BrowserEnv {
    /// Surroundings for the store called `name`; contexts with the same name hear each other.
    pub fn new(name: &str) -> Self {
        let scope = format!("sotto:{name}");
        let (channel, messages) = Channel::open(&scope);
        let (sink, wakes) = mpsc::unbounded();
        Self {
            scope,
            channel,
            messages: Rc::new(RefCell::new(messages)),
            wakes: Rc::new(RefCell::new(wakes)),
            _listeners: listen(&sink),
        }
    }

    fn acquire(
        &self,
        name: &str,
        wait: Duration,
        hold: Option<Duration>,
    ) -> impl Future<Output = Result<Guard, LockError>> + 'static {
        let name = format!("{}:{name}", self.scope);
        async move {
            Guard::acquire(
                &name,
                LockRequest {
                    wait,
                    hold,
                    ..LockRequest::default()
                },
            )
            .await
        }
    }
}

/// Calls `sink` when the network is back or the page is shown.
fn listen(sink: &mpsc::UnboundedSender<()>) -> Vec<Listener> {
    let global: JsValue = js_sys::global().into();
    let document = Reflect::get(&global, &"document".into()).unwrap_or(JsValue::UNDEFINED);
    let mut listeners = Vec::new();
    for (target, event) in [(global, "online"), (document, "visibilitychange")] {
        let Some(add) = Reflect::get(&target, &"addEventListener".into())
            .ok()
            .and_then(|f| f.dyn_into::<Function>().ok())
        else {
            continue;
        };
        let sink = sink.clone();
        let callback = Closure::<dyn FnMut()>::new(move || {
            let _ = sink.unbounded_send(());
        });
        if add.call2(&target, &event.into(), callback.as_ref()).is_ok() {
            listeners.push(Listener {
                target,
                event,
                callback,
            });
        }
    }
    listeners
}

impl Env for BrowserEnv {
    type Store = BrowserStore;
    type Transport = FetchTransport;

    fn now_ns(&self) -> u64 {
        // Whole milliseconds; what must differ within one of them is told apart by counters.
        (js_sys::Date::now() as u64).saturating_mul(1_000_000)
    }

    fn random(&self, bytes: &mut [u8]) {
        // Without a generator there is no secrecy to keep: the panic hook tells, nothing is sent.
        #[allow(clippy::expect_used)]
        getrandom::fill(bytes).expect("no source of randomness");
    }

    fn sleep(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        sleep(duration).boxed_local()
    }

    fn spawn(&self, future: LocalBoxFuture<'static, ()>) {
        spawn_local(future);
    }

    fn lock(&self, name: &str) -> LocalBoxFuture<'static, Result<Box<dyn LockGuard>, Error>> {
        let acquire = self.acquire(name, LOCK_WAIT, Some(LOCK_HOLD));
        async move {
            match acquire.await {
                Ok(guard) => Ok(Box::new(Held(guard)) as Box<dyn LockGuard>),
                Err(LockError::Busy) => Err(Error::new(
                    Code::Busy,
                    "another tab holds this for too long",
                )),
                Err(error) => Err(Error::new(Code::StorageUnavailable, error.to_string())),
            }
        }
        .boxed_local()
    }

    fn lead(&self, name: &str) -> LocalBoxFuture<'static, Result<Box<dyn LockGuard>, Error>> {
        let name = format!("{}:lead:{name}", self.scope);
        async move {
            loop {
                let request = LockRequest {
                    wait: LEAD_WAIT,
                    ..LockRequest::default()
                };
                match Guard::acquire(&name, request).await {
                    Ok(guard) => return Ok(Box::new(Held(guard)) as Box<dyn LockGuard>),
                    Err(LockError::Busy) => {}
                    Err(error) => {
                        return Err(Error::new(Code::StorageUnavailable, error.to_string()));
                    }
                }
            }
        }
        .boxed_local()
    }

    fn announce(&self, notice: Notice) {
        self.channel.post(&notice.to_code().to_be_bytes());
    }

    fn next_notice(&self) -> LocalBoxFuture<'static, Notice> {
        let messages = Rc::clone(&self.messages);
        futures::future::poll_fn(move |context| {
            loop {
                let heard = futures::ready!(messages.borrow_mut().poll_next_unpin(context));
                let notice = match heard {
                    Some(Heard::Message(bytes)) => <[u8; 4]>::try_from(bytes.as_slice())
                        .ok()
                        .and_then(|code| Notice::from_code(u32::from_be_bytes(code))),
                    // Hints were lost: look at everything.
                    Some(Heard::Missed) => Some(Notice::Feed),
                    None => return std::task::Poll::Pending,
                };
                if let Some(notice) = notice {
                    return std::task::Poll::Ready(notice);
                }
            }
        })
        .boxed_local()
    }

    fn wake(&self) -> LocalBoxFuture<'static, ()> {
        let wakes = Rc::clone(&self.wakes);
        async move {
            let woken =
                futures::future::poll_fn(|context| wakes.borrow_mut().poll_next_unpin(context))
                    .await;
            if woken.is_none() {
                pending::<()>().await;
            }
        }
        .boxed_local()
    }
}

/// Resolves after `duration`, in any kind of context.
pub async fn sleep(duration: Duration) {
    let millis = duration.as_millis().min(i32::MAX as u128) as i32;
    let set = Reflect::get(&js_sys::global(), &"setTimeout".into())
        .ok()
        .and_then(|f| f.dyn_into::<Function>().ok());
    let promise = Promise::new(&mut |resolve, _| {
        if let Some(set) = &set {
            let _ = set.call2(&JsValue::UNDEFINED, &resolve, &millis.into());
        }
    });
    let _ = JsFuture::from(promise).await;
}
