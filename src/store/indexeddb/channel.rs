//! Telling the other tabs and workers of an origin that there is something to look at.
//!
//! A message here is a hint, never the truth: what it is about stands in the store. So a listener that falls behind
//! loses hints, is told that it did, and looks.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use futures::Stream;
use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{BroadcastChannel, MessageEvent};

/// How many messages wait for a slow listener.
const CAPACITY: usize = 256;

/// A channel between the contexts of an origin; closed when dropped. Where the browser has none, nobody hears.
pub struct Channel {
    open: Option<BroadcastChannel>,
    _listener: Listener,
    queue: Rc<RefCell<Queue>>,
}

type Listener = Closure<dyn FnMut(MessageEvent)>;

/// What the others say, in their order. Ends when the [`Channel`] is dropped.
pub struct Messages {
    queue: Rc<RefCell<Queue>>,
}

/// What a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Message(Vec<u8>),
    /// That messages were lost here, because too many came before they were read.
    Missed,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Vec<u8>>,
    missed: bool,
    closed: bool,
    waker: Option<Waker>,
}

impl Channel {
    /// Opens the channel called `name`. Its messages reach every other channel of that name in this origin.
    pub fn open(name: &str) -> (Self, Messages) {
        let queue = Rc::new(RefCell::new(Queue::default()));
        let available = Reflect::get(&js_sys::global(), &"BroadcastChannel".into())
            .is_ok_and(|class| class.is_function());
        let listener = {
            let queue = Rc::clone(&queue);
            Listener::new(move |event: MessageEvent| {
                if let Some(bytes) = event.data().dyn_ref::<Uint8Array>() {
                    queue.borrow_mut().push(bytes.to_vec());
                }
            })
        };
        let open = available
            .then(|| BroadcastChannel::new(name))
            .and_then(Result::ok);
        if let Some(channel) = &open {
            channel.set_onmessage(Some(listener.as_ref().unchecked_ref()));
        }
        let channel = Self {
            open,
            _listener: listener,
            queue: Rc::clone(&queue),
        };
        (channel, Messages { queue })
    }

    /// Whether there is anybody who could hear: `false` where the browser has no such channels.
    pub fn is_real(&self) -> bool {
        self.open.is_some()
    }

    /// Tells all others. There is no answer, and no telling whether anybody heard.
    pub fn post(&self, message: &[u8]) {
        if let Some(channel) = &self.open {
            let _ = channel.post_message(&Uint8Array::from(message));
        }
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if let Some(channel) = &self.open {
            channel.set_onmessage(None);
            channel.close();
        }
        let mut queue = self.queue.borrow_mut();
        queue.closed = true;
        queue.wake();
    }
}

impl Queue {
    fn push(&mut self, message: Vec<u8>) {
        if self.messages.len() < CAPACITY {
            self.messages.push_back(message);
        } else {
            self.missed = true;
        }
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Stream for Messages {
    type Item = Heard;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Heard>> {
        let mut queue = self.queue.borrow_mut();
        if let Some(message) = queue.messages.pop_front() {
            return Poll::Ready(Some(Heard::Message(message)));
        }
        if std::mem::take(&mut queue.missed) {
            return Poll::Ready(Some(Heard::Missed));
        }
        if queue.closed {
            return Poll::Ready(None);
        }
        queue.waker = Some(context.waker().clone());
        Poll::Pending
    }
}
