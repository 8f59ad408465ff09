//! A lock that is granted in the order in which it was asked for.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures::channel::oneshot;

/// Who may go next.
#[derive(Default)]
pub struct Turns {
    taken: Cell<bool>,
    waiting: RefCell<VecDeque<oneshot::Sender<Turn>>>,
}

/// A turn; dropped = the next one's. It travels through the channel itself, so that a waiter that
/// is dropped in the meantime passes it on.
pub struct Turn(Rc<Turns>);

impl Turns {
    /// Waits behind everybody who asked before.
    pub async fn take(self: &Rc<Self>) -> Turn {
        if !self.taken.replace(true) {
            return Turn(Rc::clone(self));
        }
        let (sender, turn) = oneshot::channel();
        self.waiting.borrow_mut().push_back(sender);
        match turn.await {
            Ok(turn) => turn,
            // The senders live in the queue of `self`, which we hold.
            Err(oneshot::Canceled) => Turn(Rc::clone(self)),
        }
    }

    fn next(&self) -> Option<oneshot::Sender<Turn>> {
        self.waiting.borrow_mut().pop_front()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        match self.0.next() {
            // A waiter that is gone gives the turn back, which drops it and calls the next.
            Some(next) => drop(next.send(Turn(Rc::clone(&self.0)))),
            None => self.0.taken.set(false),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn turns_come_in_the_order_in_which_they_were_asked_for() {
        let turns = Rc::new(Turns::default());
        let first = turns.take().now_or_never().unwrap();
        let mut second = Box::pin(turns.take());
        let mut third = Box::pin(turns.take());
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        assert!(third.as_mut().now_or_never().is_none());
        let second = second.as_mut().now_or_never().unwrap();
        assert!(third.as_mut().now_or_never().is_none());
        drop(second);
        assert!(third.as_mut().now_or_never().is_some());
    }

    #[test]
    fn a_waiter_that_gives_up_holds_nobody_up() {
        let turns = Rc::new(Turns::default());
        let first = turns.take().now_or_never().unwrap();
        let mut second = Box::pin(turns.take());
        let mut third = Box::pin(turns.take());
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        // It was given the turn and never looked.
        drop(second);
        drop(third.as_mut().now_or_never().unwrap());
        assert!(turns.take().now_or_never().is_some());
    }
}
