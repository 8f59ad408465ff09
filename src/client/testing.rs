//! Surroundings for tests and simulations: one thread, virtual time, seeded chance, any number of
//! clients and contexts over memory stores and an in-memory node.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::channel::mpsc;
use futures::executor::LocalPool;
use futures::future::{LocalBoxFuture, pending};
use futures::lock::{Mutex, OwnedMutexGuard};
use futures::task::LocalSpawnExt;
use futures::{FutureExt, StreamExt};

use super::db::Db;
use super::env::{Env, LockGuard, Notice};
use super::registration::{Begun, Opened, WalletSignature, open};
use super::{Client, Options};
use crate::error::{Error, Result};
use crate::identity::EthereumKey;
use crate::net::api::Api;
use crate::net::fake::{FakeNode, FakeTransport, Hook};
use crate::store::{AppKey, MemoryStore, Random, Vault};

/// Virtual time: it moves only when everything waits.
#[derive(Clone, Default)]
pub struct Clock(Rc<ClockState>);

#[derive(Default)]
struct ClockState {
    now_ns: Cell<u64>,
    next: Cell<u64>,
    timers: RefCell<BTreeMap<(u64, u64), Waker>>,
}

impl Clock {
    /// Nanoseconds since the epoch.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.0.now_ns.get()
    }

    /// Moves time on by hand.
    pub fn advance(&self, by: Duration) {
        self.0.now_ns.set(self.now_ns() + by.as_nanos() as u64);
        self.fire();
    }

    fn fire(&self) {
        let due = (self.now_ns(), u64::MAX);
        let mut timers = self.0.timers.borrow_mut();
        let later = timers.split_off(&due);
        for (_, waker) in std::mem::replace(&mut *timers, later) {
            waker.wake();
        }
    }

    /// Jumps to the next timer; false if there is none before `limit`.
    fn jump(&self, limit: u64) -> bool {
        let next = self.0.timers.borrow().keys().next().map(|(at, _)| *at);
        match next {
            Some(at) if at <= limit => {
                self.0.now_ns.set(at.max(self.now_ns()));
                self.fire();
                true
            }
            _ => false,
        }
    }

    fn sleep(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        let number = self.0.next.get();
        self.0.next.set(number + 1);
        let timer = Timer {
            clock: self.clone(),
            key: (self.now_ns() + duration.as_nanos() as u64, number),
        };
        timer.boxed_local()
    }
}

struct Timer {
    clock: Clock,
    key: (u64, u64),
}

impl Future for Timer {
    type Output = ();
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.clock.now_ns() >= self.key.0 {
            return Poll::Ready(());
        }
        self.clock
            .0
            .timers
            .borrow_mut()
            .insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.clock.0.timers.borrow_mut().remove(&self.key);
    }
}

type Channel = (u64, mpsc::UnboundedSender<Notice>);

/// What the contexts on one store share besides the store.
#[derive(Clone, Default)]
pub struct Origin {
    locks: Rc<RefCell<HashMap<String, Arc<Mutex<()>>>>>,
    channels: Rc<RefCell<Vec<Channel>>>,
}

/// One context's surroundings.
pub struct TestEnv {
    clock: Clock,
    chance: Cell<u64>,
    spawner: futures::executor::LocalSpawner,
    origin: Origin,
    number: u64,
    notices: Rc<RefCell<mpsc::UnboundedReceiver<Notice>>>,
    alive: Rc<Cell<bool>>,
}

struct Held(#[allow(dead_code)] OwnedMutexGuard<()>);

impl LockGuard for Held {}

impl Env for TestEnv {
    type Store = MemoryStore;
    type Transport = FakeTransport;

    fn now_ns(&self) -> u64 {
        self.clock.now_ns()
    }

    fn random(&self, bytes: &mut [u8]) {
        for byte in bytes {
            *byte = (split_mix(&self.chance) >> 56) as u8;
        }
    }

    fn sleep(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        self.clock.sleep(duration)
    }

    fn spawn(&self, future: LocalBoxFuture<'static, ()>) {
        let alive = Rc::clone(&self.alive);
        // A dead context's tasks are never polled again.
        let mut future = Some(future);
        let guarded = futures::future::poll_fn(move |context| {
            if !alive.get() {
                future = None;
            }
            match future.as_mut() {
                Some(running) => running.as_mut().poll(context),
                None => Poll::Ready(()),
            }
        });
        let _ = self.spawner.spawn_local(guarded);
    }

    fn lock(&self, name: &str) -> LocalBoxFuture<'static, Result<Box<dyn LockGuard>, Error>> {
        let lock = Arc::clone(
            self.origin
                .locks
                .borrow_mut()
                .entry(name.to_owned())
                .or_default(),
        );
        async move { Ok(Box::new(Held(lock.lock_owned().await)) as Box<dyn LockGuard>) }
            .boxed_local()
    }

    fn lead(&self, name: &str) -> LocalBoxFuture<'static, Result<Box<dyn LockGuard>, Error>> {
        self.lock(&format!("lead:{name}"))
    }

    fn announce(&self, notice: Notice) {
        self.origin
            .channels
            .borrow_mut()
            .retain(|(number, sink)| *number == self.number || sink.unbounded_send(notice).is_ok());
    }

    fn next_notice(&self) -> LocalBoxFuture<'static, Notice> {
        let notices = Rc::clone(&self.notices);
        futures::future::poll_fn(move |context| {
            match notices.borrow_mut().poll_next_unpin(context) {
                Poll::Ready(Some(notice)) => Poll::Ready(notice),
                _ => Poll::Pending,
            }
        })
        .boxed_local()
    }

    fn wake(&self) -> LocalBoxFuture<'static, ()> {
        pending().boxed_local()
    }
}

fn split_mix(state: &Cell<u64>) -> u64 {
    let next = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    state.set(next);
    let mut z = next;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A node, a clock, and everybody on it.
pub struct World {
    pool: RefCell<LocalPool>,
    /// Virtual time.
    pub clock: Clock,
    /// The node.
    pub node: FakeNode,
    next: Cell<u64>,
}

/// One store with whoever uses it: an installation, in any number of contexts.
#[derive(Clone)]
pub struct Device {
    /// The durable rows.
    pub store: MemoryStore,
    /// The wallet whose identifier registers it.
    pub wallet: Rc<EthereumKey>,
    /// The wallet that signs: the same, unless a test wants otherwise.
    pub signer: Rc<EthereumKey>,
    /// How often a wallet was asked to sign.
    pub prompts: Rc<Cell<u32>>,
    /// Settings of its clients.
    pub options: Options,
    origin: Origin,
    seed: u64,
}

/// A context that can be killed.
pub struct Tab {
    /// The client in it.
    pub client: Client<TestEnv>,
    alive: Rc<Cell<bool>>,
}

impl std::ops::Deref for Tab {
    type Target = Client<TestEnv>;
    fn deref(&self) -> &Client<TestEnv> {
        &self.client
    }
}

impl Tab {
    /// Ends the context at once, as closing a tab does: nothing of it runs any more.
    pub fn kill(&self) {
        self.alive.set(false);
    }
}

impl World {
    /// A world whose clock starts at the real present, so that key packages are valid.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |age| age.as_nanos() as u64);
        let clock = Clock::default();
        clock.0.now_ns.set(now);
        Self {
            pool: RefCell::new(LocalPool::new()),
            clock,
            node: FakeNode::new(now),
            next: Cell::new(seed),
        }
    }

    /// Runs a future to its end; time passes while everything waits.
    ///
    /// # Panics
    /// If it waits for something that never happens.
    pub fn run<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> T {
        let result = Rc::new(RefCell::new(None));
        let slot = Rc::clone(&result);
        let task = async move {
            let value = future.await;
            *slot.borrow_mut() = Some(value);
        };
        let spawned = self.pool.borrow().spawner().spawn_local(task);
        assert!(spawned.is_ok(), "the executor is gone");
        let limit = self.clock.now_ns() + Duration::from_secs(24 * 3600).as_nanos() as u64;
        loop {
            self.pool.borrow_mut().run_until_stalled();
            self.node.set_now(self.clock.now_ns());
            if let Some(value) = result.borrow_mut().take() {
                return value;
            }
            assert!(
                self.clock.jump(limit),
                "a test waits for something that never happens"
            );
        }
    }

    /// Starts something that nobody waits for.
    pub fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) {
        let task = async move { drop(future.await) };
        let _ = self.pool.borrow().spawner().spawn_local(task);
    }

    /// Lets everything run for a while of virtual time.
    pub fn pass(&self, duration: Duration) {
        let sleep = self.clock.sleep(duration);
        self.run(sleep);
    }

    /// A while of virtual time, for use in a future that [`World::run`] runs.
    pub fn sleep(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        self.clock.sleep(duration)
    }

    /// A fresh store with a fresh wallet.
    #[must_use]
    pub fn device(&self) -> Device {
        let wallet = self.wallet();
        self.device_of(&wallet)
    }

    /// A fresh wallet.
    ///
    /// # Panics
    /// Never, in practice.
    #[must_use]
    pub fn wallet(&self) -> Rc<EthereumKey> {
        loop {
            let mut bytes = [0u8; 32];
            for byte in &mut bytes {
                *byte = (split_mix(&self.next) >> 56) as u8;
            }
            if let Ok(key) = EthereumKey::from_bytes(&bytes) {
                return Rc::new(key);
            }
        }
    }

    /// A fresh store for a wallet's next installation.
    #[must_use]
    pub fn device_of(&self, wallet: &Rc<EthereumKey>) -> Device {
        Device {
            store: MemoryStore::new(),
            wallet: Rc::clone(wallet),
            signer: Rc::clone(wallet),
            prompts: Rc::default(),
            options: Options::default(),
            origin: Origin::default(),
            seed: split_mix(&self.next),
        }
    }

    /// Somebody else's machine with a full copy of a device's rows and the key that opens them.
    #[must_use]
    pub fn thief_of(&self, device: &Device) -> Device {
        Device {
            store: device.store.copy(),
            origin: Origin::default(),
            seed: split_mix(&self.next),
            ..device.clone()
        }
    }

    /// Opens a context on a device, registering the installation if there is none.
    pub fn open(&self, device: &Device) -> Result<Tab> {
        self.open_with(device, None)
    }

    /// The same over a network that misbehaves.
    pub fn open_with(&self, device: &Device, hook: Option<Hook>) -> Result<Tab> {
        let alive = Rc::new(Cell::new(true));
        let opening = self.opening(device, hook, alive);
        self.run(opening)
            .unwrap_or_else(|| Err(Error::internal("killed while opening")))
    }

    /// The same, not run yet. Once `alive` is false nothing of it runs any more, and it gives
    /// nothing.
    pub fn opening(
        &self,
        device: &Device,
        hook: Option<Hook>,
        alive: Rc<Cell<bool>>,
    ) -> LocalBoxFuture<'static, Option<Result<Tab>>> {
        let number = split_mix(&self.next);
        let (sink, notices) = mpsc::unbounded();
        device.origin.channels.borrow_mut().push((number, sink));
        let env = Rc::new(TestEnv {
            clock: self.clock.clone(),
            chance: Cell::new(number ^ device.seed),
            spawner: self.pool.borrow().spawner(),
            origin: device.origin.clone(),
            number,
            notices: Rc::new(RefCell::new(notices)),
            alive: Rc::clone(&alive),
        });
        let transport = Rc::new(self.node.transport(hook));
        let api = Rc::new(Api::new(Rc::clone(&env), transport));
        let device = device.clone();
        let opened = async move {
            let (store, wallet, options) = (device.store, device.wallet, device.options);
            let env_of_prompt = Rc::clone(&env);
            let chance = Rc::clone(&env);
            let random: Random = Rc::new(move |bytes: &mut [u8]| {
                chance.random(bytes);
                Ok(())
            });
            let key =
                AppKey::new(vec![7; 32]).ok_or_else(|| Error::internal("a key of 32 bytes"))?;
            let db = Rc::new(Db(Vault::open(store, &key, random).await?));
            match open(env, api, db, wallet.identifier(), None, options).await? {
                Opened::Ready(client) => Ok(client),
                Opened::Unregistered(registration) => match registration.begin().await? {
                    Begun::Done(client) => Ok(client),
                    Begun::Sign(signing) => {
                        device.prompts.set(device.prompts.get() + 1);
                        // A wallet takes its time.
                        env_of_prompt.sleep(Duration::from_secs(2)).await;
                        let signature = device.signer.sign_personal(signing.text());
                        signing
                            .finish(WalletSignature::Eoa(signature.to_vec()))
                            .await
                    }
                },
            }
        };
        let mut opened = Some(opened.boxed_local());
        futures::future::poll_fn(move |context| {
            let polled = match opened.as_mut().filter(|_| alive.get()) {
                Some(opening) => opening.as_mut().poll(context),
                None => Poll::Pending,
            };
            if !alive.get() {
                opened = None;
                return Poll::Ready(None);
            }
            polled.map(|client| {
                Some(client.map(|client| Tab {
                    client,
                    alive: Rc::clone(&alive),
                }))
            })
        })
        .boxed_local()
    }
}
