//! The feed: everything that streams show, as one log in the store. A stream is a position in
//! that log and a filter, so that each entry is delivered once, in order, without a gap, to any
//! number of readers in any number of contexts, and a slow reader costs no memory.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Poll, Waker};

use futures::future::poll_fn;

use super::env::Env;
use super::rows::FeedRow;
use super::{Client, Inner};
use crate::error::Result;

/// Entries read at a time.
const CHUNK: u32 = 64;

/// Wakes readers when the feed has grown.
#[derive(Default)]
pub struct Feed {
    generation: Cell<u64>,
    closed: Cell<bool>,
    wakers: RefCell<Vec<Waker>>,
}

impl Feed {
    /// Something was appended, here or in another context.
    pub fn grew(&self) {
        self.generation.set(self.generation.get() + 1);
        self.wake();
    }

    /// Ends all readers.
    pub fn close(&self) {
        self.closed.set(true);
        self.wake();
    }

    fn wake(&self) {
        for waker in self.wakers.take() {
            waker.wake();
        }
    }

    async fn changed(&self, since: u64, ended: &Cell<bool>) {
        poll_fn(|context| {
            if self.generation.get() != since || self.closed.get() || ended.get() {
                return Poll::Ready(());
            }
            self.wakers.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// One reader of the feed.
pub struct Reader<E: Env> {
    client: Client<E>,
    position: u64,
    chunk: std::collections::VecDeque<(u64, FeedRow)>,
    ended: Rc<Cell<bool>>,
    draining: Rc<Cell<bool>>,
}

/// Ends a [`Reader`] from outside.
#[derive(Clone)]
pub struct Ender {
    ended: Rc<Cell<bool>>,
    draining: Rc<Cell<bool>>,
    wake: Rc<dyn Fn()>,
}

impl Ender {
    /// Ends the reader; with `drain` it first yields what was there already.
    pub fn end(&self, drain: bool) {
        self.draining.set(drain);
        self.ended.set(true);
        (self.wake)();
    }
}

impl<E: Env> Client<E> {
    /// A reader that starts behind what is in the feed now.
    pub async fn read_feed(&self) -> Result<Reader<E>> {
        let position = self.db.feed_end().await?;
        Ok(Reader {
            client: self.clone(),
            position,
            chunk: std::collections::VecDeque::new(),
            ended: Rc::default(),
            draining: Rc::default(),
        })
    }
}

impl<E: Env> Inner<E> {
    /// Wakes this context's readers.
    pub fn feed_grew(&self) {
        self.feed.grew();
    }
}

impl<E: Env> Reader<E> {
    /// Ends this reader from outside.
    #[must_use]
    pub fn ender(&self) -> Ender {
        let client = self.client.clone();
        Ender {
            ended: Rc::clone(&self.ended),
            draining: Rc::clone(&self.draining),
            wake: Rc::new(move || client.feed.wake()),
        }
    }

    /// The next entry; `None` once the reader or the client was ended.
    pub async fn next(&mut self) -> Result<Option<FeedRow>> {
        loop {
            if self.ended.get() && !self.draining.get() {
                return Ok(None);
            }
            if let Some((position, entry)) = self.chunk.pop_front() {
                self.position = position;
                return Ok(Some(entry));
            }
            if self.client.is_closed() {
                return Ok(None);
            }
            // The generation is taken before reading: what is appended meanwhile wakes us again.
            let generation = self.client.feed.generation.get();
            self.chunk = self.client.db.feed(self.position, CHUNK).await?.into();
            if !self.chunk.is_empty() {
                continue;
            }
            if self.ended.get() {
                return Ok(None);
            }
            self.client.feed.changed(generation, &self.ended).await;
        }
    }
}
