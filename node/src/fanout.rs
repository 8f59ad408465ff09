//! Live subscribers: who hears what, as it is stored.
//!
//! The log hands over what it has committed; a thread of its own passes it on, so that a group
//! with a thousand subscribers never delays a write. Nobody waits for a subscriber: its queue is
//! bounded, and when it is full the queue is emptied and the subscriber told that it lags.
//!
//! Lock order: a shard of the directory, then a subscriber's queue. Never the other way round.

use std::{
    collections::{HashMap, HashSet, VecDeque, hash_map::Entry},
    hash::{BuildHasher, RandomState},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use tokio::sync::Notify;

use crate::{
    envelope::Envelope,
    record::{Record, Stored},
    topic::Topic,
    view::lock,
};

const SHARDS: usize = 64;

/// What a subscriber's queue may hold.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Messages.
    pub messages: usize,
    /// Bytes of payload.
    pub bytes: usize,
}

/// The directory of live subscribers.
pub struct Fanout {
    shards: Vec<Mutex<HashMap<Topic, Vec<Arc<Queue>>>>>,
    hasher: RandomState,
    input: mpsc::Sender<Vec<Stored<Record>>>,
    limits: QueueLimits,
    subscribers: AtomicUsize,
}

/// The subscriber's queue was full: it has missed messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagged;

#[derive(Default)]
struct Queue {
    state: Mutex<QueueState>,
    ready: Notify,
}

#[derive(Default)]
struct QueueState {
    envelopes: VecDeque<Arc<Envelope>>,
    bytes: usize,
    lagged: bool,
}

/// One connection's place in the directory; dropping it unsubscribes from everything.
pub struct Subscriber {
    fanout: Arc<Fanout>,
    queue: Arc<Queue>,
    topics: HashSet<Topic>,
}

impl Fanout {
    /// Starts the thread that passes messages on.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(limits: QueueLimits) -> std::io::Result<Arc<Self>> {
        let (input, output) = mpsc::channel::<Vec<Stored<Record>>>();
        let fanout = Arc::new(Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            input,
            limits,
            subscribers: AtomicUsize::new(0),
        });
        // Weak: the thread ends when the last owner of the input is gone.
        let directory = Arc::downgrade(&fanout);
        thread::Builder::new()
            .name("fanout".into())
            .spawn(move || {
                for batch in output {
                    let Some(fanout) = directory.upgrade() else {
                        return;
                    };
                    for published in batch {
                        fanout.deliver(published);
                    }
                }
            })?;
        Ok(fanout)
    }

    /// Takes what was committed, in order. The rows must already be visible to readers.
    pub fn publish(&self, batch: Vec<Stored<Record>>) {
        // Fails only when the thread has ended, and with it every subscriber.
        let _ = self.input.send(batch);
    }

    /// A subscriber without topics.
    pub fn subscriber(self: &Arc<Self>) -> Subscriber {
        self.subscribers.fetch_add(1, Ordering::Relaxed);
        Subscriber {
            fanout: Arc::clone(self),
            queue: Arc::default(),
            topics: HashSet::new(),
        }
    }

    /// Live subscribers now.
    pub fn subscribers(&self) -> usize {
        self.subscribers.load(Ordering::Relaxed)
    }

    fn shard(&self, topic: &Topic) -> &Mutex<HashMap<Topic, Vec<Arc<Queue>>>> {
        let hash = self.hasher.hash_one(topic);
        // The remainder is below the length.
        &self.shards[(hash % SHARDS as u64) as usize]
    }

    fn deliver(&self, published: Stored<Record>) {
        let Some(topic) = published.item.topic() else {
            return;
        };
        let shard = lock(self.shard(&topic));
        let Some(queues) = shard.get(&topic) else {
            return;
        };
        let Stored {
            id,
            created_ns,
            item,
        } = published;
        let envelope = match item {
            Record::GroupMessage(item) => Envelope::group(Stored {
                id,
                created_ns,
                item,
            }),
            Record::Welcome(item) => Envelope::welcome(Stored {
                id,
                created_ns,
                item,
            }),
            Record::KeyPackage(_) | Record::IdentityUpdate(_) | Record::CommitLog(_) => return,
        };
        for queue in queues {
            queue.push(&envelope, self.limits);
        }
    }

    fn remove(&self, topic: &Topic, queue: &Arc<Queue>) {
        let mut shard = lock(self.shard(topic));
        if let Entry::Occupied(mut entry) = shard.entry(*topic) {
            let queues = entry.get_mut();
            if let Some(index) = queues.iter().position(|other| Arc::ptr_eq(other, queue)) {
                queues.swap_remove(index);
            }
            if queues.is_empty() {
                entry.remove();
            }
        }
    }
}

impl Queue {
    fn push(&self, envelope: &Arc<Envelope>, limits: QueueLimits) {
        let mut state = lock(&self.state);
        if state.lagged {
            return;
        }
        let bytes = state.bytes + envelope.message.len();
        // One message always fits, whatever its size.
        let full = state.envelopes.len() >= limits.messages || bytes > limits.bytes;
        if full && !state.envelopes.is_empty() {
            *state = QueueState {
                lagged: true,
                ..QueueState::default()
            };
        } else {
            state.envelopes.push_back(Arc::clone(envelope));
            state.bytes = bytes;
        }
        drop(state);
        self.ready.notify_one();
    }
}

impl Subscriber {
    /// Starts live delivery of a topic. What is committed after this returns will be delivered;
    /// what was passed on before is visible to a read that starts now.
    pub fn subscribe(&mut self, topic: Topic) {
        if !self.topics.insert(topic) {
            return;
        }
        let mut shard = lock(self.fanout.shard(&topic));
        shard
            .entry(topic)
            .or_default()
            .push(Arc::clone(&self.queue));
    }

    /// Stops live delivery. Messages that are queued stay queued.
    pub fn unsubscribe(&mut self, topic: &Topic) {
        if self.topics.remove(topic) {
            self.fanout.remove(topic, &self.queue);
        }
    }

    /// The next message. Safe to cancel.
    ///
    /// # Errors
    /// [`Lagged`], once, when the queue overflowed; it starts afresh after that.
    pub async fn next(&mut self) -> Result<Arc<Envelope>, Lagged> {
        loop {
            {
                let mut state = lock(&self.queue.state);
                if state.lagged {
                    state.lagged = false;
                    return Err(Lagged);
                }
                if let Some(envelope) = state.envelopes.pop_front() {
                    state.bytes -= envelope.message.len();
                    return Ok(envelope);
                }
                if state.envelopes.capacity() > 64 {
                    state.envelopes.shrink_to(0);
                }
            }
            self.queue.ready.notified().await;
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        for topic in &self.topics {
            self.fanout.remove(topic, &self.queue);
        }
        self.fanout.subscribers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::GroupMessage;

    fn message(group: u8, id: u64, bytes: usize) -> Stored<Record> {
        Stored {
            id,
            created_ns: id,
            item: Record::GroupMessage(GroupMessage {
                group_id: [group; 16],
                data: vec![0; bytes],
                sender_hmac: vec![],
                should_push: false,
                is_commit: false,
            }),
        }
    }

    fn fanout() -> Arc<Fanout> {
        Fanout::start(QueueLimits {
            messages: 4,
            bytes: 1_000,
        })
        .unwrap()
    }

    #[tokio::test]
    async fn a_subscriber_hears_its_topics_in_order_and_no_others() {
        let fanout = fanout();
        let mut subscriber = fanout.subscriber();
        subscriber.subscribe(Topic::Group([1; 16]));
        subscriber.subscribe(Topic::Group([2; 16]));
        fanout.publish(vec![message(1, 1, 1), message(3, 2, 1), message(2, 3, 1)]);
        assert_eq!(subscriber.next().await.unwrap().id, 1);
        assert_eq!(subscriber.next().await.unwrap().id, 3);
        subscriber.unsubscribe(&Topic::Group([1; 16]));
        fanout.publish(vec![message(1, 4, 1), message(2, 5, 1)]);
        assert_eq!(subscriber.next().await.unwrap().id, 5);
    }

    #[tokio::test]
    async fn a_full_queue_lags_and_does_not_hurt_others() {
        let fanout = fanout();
        let (mut slow, mut other) = (fanout.subscriber(), fanout.subscriber());
        slow.subscribe(Topic::Group([1; 16]));
        other.subscribe(Topic::Group([2; 16]));
        fanout.publish((1..=5).map(|id| message(1, id, 1)).collect());
        fanout.publish(vec![message(2, 6, 1)]);
        assert_eq!(other.next().await.unwrap().id, 6);
        assert_eq!(slow.next().await.unwrap_err(), Lagged);
        fanout.publish(vec![message(1, 7, 1)]);
        assert_eq!(slow.next().await.unwrap().id, 7);
    }

    #[tokio::test]
    async fn bytes_are_bounded_too_but_one_message_always_fits() {
        let fanout = fanout();
        let (mut subscriber, mut barrier) = (fanout.subscriber(), fanout.subscriber());
        subscriber.subscribe(Topic::Group([1; 16]));
        barrier.subscribe(Topic::Group([2; 16]));
        fanout.publish(vec![message(1, 1, 5_000)]);
        assert_eq!(subscriber.next().await.unwrap().id, 1);
        fanout.publish(vec![
            message(1, 2, 600),
            message(1, 3, 600),
            message(2, 4, 1),
        ]);
        assert_eq!(barrier.next().await.unwrap().id, 4);
        assert_eq!(subscriber.next().await.unwrap_err(), Lagged);
    }

    #[tokio::test]
    async fn dropping_a_subscriber_empties_the_directory() {
        let fanout = fanout();
        let mut subscriber = fanout.subscriber();
        subscriber.subscribe(Topic::Group([1; 16]));
        assert_eq!(fanout.subscribers(), 1);
        drop(subscriber);
        assert_eq!(fanout.subscribers(), 0);
        assert!(fanout.shards.iter().all(|shard| lock(shard).is_empty()));
    }
}
