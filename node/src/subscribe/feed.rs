//! The engine of a subscription: waves of history, then live messages.
//!
//! A wave reads its topics from the view, window by window. When nothing is left it registers
//! them for live delivery and reads once more: what was stored before the registration is in
//! that last read, what was stored after it comes live, and what is in both is told apart by its
//! id. Only then are the topics live. So there is neither a gap nor a duplicate, and live
//! messages need to be held back only during the last read.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use tokio::task::JoinHandle;

use crate::{
    envelope::Envelope,
    fanout::{Fanout, Lagged, Subscriber},
    status::{Code, Status},
    topic::{Kind, Topic},
    view::{Scan, View, Window},
};

/// Live messages held back for a wave in its last read.
const MAX_HELD_BACK: usize = 4_096;

/// What a subscriber is to be told next.
#[derive(Debug)]
pub enum Event {
    /// Messages of one kind, ascending; `wave` is `None` for live ones.
    Messages {
        /// The wave that they belong to.
        wave: Option<u64>,
        /// The messages.
        envelopes: Vec<Arc<Envelope>>,
    },
    /// A wave is complete; its topics are live unless it was for history only.
    WaveDone {
        /// The wave.
        wave: u64,
        /// Its topics.
        topics: Vec<Topic>,
    },
}

/// What to do when live messages were lost because the subscriber read too slowly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnLag {
    /// End the stream with `Aborted`.
    Abort,
    /// Read what was missed from the view. For welcome streams, which must not end alone.
    Reread,
}

/// A subscription of one connection.
pub struct Feed {
    view: Arc<View>,
    subscriber: Subscriber,
    on_lag: OnLag,
    topics: HashMap<Topic, State>,
    waves: VecDeque<Wave>,
    reading: Option<JoinHandle<Result<Window, Status>>>,
    rereads: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Delivered live, everything up to the floor having been delivered.
    Live { floor: u64 },
    /// Part of this unfinished wave.
    InWave(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Reading what is there; not registered for live delivery.
    History(Kind),
    /// Registered; reading what was stored meanwhile.
    Rest(Kind),
}

struct Wave {
    id: u64,
    history_only: bool,
    /// Topics, each with the id up to which this wave has delivered it. Order is only relied on
    /// within a topic.
    topics: HashMap<Topic, u64>,
    phase: Phase,
    /// Live messages that arrived during `Rest`.
    held_back: Vec<Arc<Envelope>>,
}

impl Wave {
    /// Keeps what is still to be delivered, and counts it as delivered.
    fn take(&mut self, mut envelopes: Vec<Arc<Envelope>>) -> Vec<Arc<Envelope>> {
        envelopes.retain(|envelope| match self.topics.get_mut(&envelope.topic) {
            Some(cursor) if envelope.id > *cursor => {
                *cursor = envelope.id;
                true
            }
            // Delivered, or the topic has left the wave.
            _ => false,
        });
        envelopes
    }
}

impl Feed {
    /// A subscription to nothing yet.
    pub fn new(view: Arc<View>, fanout: &Arc<Fanout>, on_lag: OnLag) -> Self {
        Self {
            view,
            subscriber: fanout.subscriber(),
            on_lag,
            topics: HashMap::new(),
            waves: VecDeque::new(),
            reading: None,
            rereads: 0,
        }
    }

    /// Number of topics, live or in a wave.
    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// Whether a wave of this id is unfinished.
    pub fn has_wave(&self, id: u64) -> bool {
        self.waves.iter().any(|wave| wave.id == id)
    }

    /// Whether any wave is unfinished.
    pub fn catching_up(&self) -> bool {
        !self.waves.is_empty()
    }

    /// Whether `topic` is followed, live or in a wave.
    pub fn contains(&self, topic: &Topic) -> bool {
        self.topics.contains_key(topic)
    }

    /// Stops following a topic and forgets what was delivered of it.
    pub fn remove(&mut self, topic: &Topic) {
        match self.topics.remove(topic) {
            Some(State::InWave(id)) => self.leave_wave(id, topic),
            Some(State::Live { .. }) | None => {}
        }
        self.subscriber.unsubscribe(topic);
    }

    /// Starts a wave. A topic that is live at or above its cursor is left as it is; one that is
    /// in another wave moves to this one. Returns false, and starts nothing, if no topic is left.
    pub fn add_wave(&mut self, id: u64, adds: Vec<(Topic, u64)>, history_only: bool) -> bool {
        let mut topics: HashMap<Topic, u64> = HashMap::with_capacity(adds.len());
        for (topic, cursor) in adds {
            // A topic twice counts once, from the lower cursor.
            let lower = topics.entry(topic).or_insert(cursor);
            *lower = cursor.min(*lower);
        }
        topics.retain(|topic, cursor| match self.topics.get(topic) {
            Some(State::Live { floor }) => *cursor < *floor,
            Some(State::InWave(other)) => {
                // Nothing that the other wave had not delivered yet may be skipped.
                let other = self.waves.iter().find(|wave| wave.id == *other);
                let reached = other.and_then(|wave| wave.topics.get(topic));
                *cursor = reached.map_or(*cursor, |reached| *reached.min(cursor));
                true
            }
            None => true,
        });
        if topics.is_empty() {
            return false;
        }
        for topic in topics.keys() {
            if let Some(State::InWave(other)) = self.topics.insert(*topic, State::InWave(id)) {
                self.leave_wave(other, topic);
            }
            self.subscriber.unsubscribe(topic);
        }
        self.waves.push_back(Wave {
            id,
            history_only,
            topics,
            phase: Phase::History(Kind::Welcome),
            held_back: Vec::new(),
        });
        true
    }

    fn leave_wave(&mut self, id: u64, topic: &Topic) {
        if let Some(wave) = self.waves.iter_mut().find(|wave| wave.id == id) {
            wave.topics.remove(topic);
        }
    }

    /// The next event; pending for ever while nothing happens. Safe to cancel.
    ///
    /// # Errors
    /// `Aborted` for a subscriber that is too slow, `Internal` when the view fails.
    pub async fn next(&mut self) -> Result<Event, Status> {
        loop {
            if self.reading.is_none() {
                self.reading = self.read_front();
            }
            let arrived = match &mut self.reading {
                Some(reading) => tokio::select! {
                    window = reading => {
                        self.reading = None;
                        let window = window
                            .map_err(|_| Status::storage(&"the reading task was lost"))??;
                        if let Some(event) = self.window(window) {
                            return Ok(event);
                        }
                        continue;
                    }
                    arrived = self.subscriber.next() => arrived,
                },
                None => self.subscriber.next().await,
            };
            match arrived {
                Ok(envelope) => match self.live(envelope) {
                    Ok(Some(event)) => return Ok(event),
                    Ok(None) => {}
                    Err(Lagged) => self.lagged()?,
                },
                Err(Lagged) => self.lagged()?,
            }
        }
    }

    /// Starts reading the next window of the first wave.
    fn read_front(&self) -> Option<JoinHandle<Result<Window, Status>>> {
        let wave = self.waves.front()?;
        let (Phase::History(kind) | Phase::Rest(kind)) = wave.phase;
        let topics = wave
            .topics
            .iter()
            .filter(|(topic, _)| topic.kind() == kind)
            .map(|(topic, cursor)| (*topic, *cursor))
            .collect::<Vec<_>>();
        let view = Arc::clone(&self.view);
        Some(tokio::spawn(async move {
            if topics.is_empty() {
                return Ok(Window::nothing());
            }
            let scan = Scan { kind, topics };
            view.read(move |connection| Ok(scan.window(connection)?))
                .await
        }))
    }

    /// Takes a window of the first wave.
    fn window(&mut self, window: Window) -> Option<Event> {
        let mut wave = self.waves.pop_front()?;
        let (Phase::History(kind) | Phase::Rest(kind)) = wave.phase;
        let envelopes = wave.take(window.envelopes);

        let mut done = false;
        if window.exhausted {
            match (wave.phase, kind) {
                (Phase::History(_), Kind::Welcome) => wave.phase = Phase::History(Kind::Group),
                (Phase::History(_), Kind::Group) if wave.history_only => done = true,
                (Phase::History(_), Kind::Group) => {
                    for topic in wave.topics.keys() {
                        self.subscriber.subscribe(*topic);
                    }
                    wave.phase = Phase::Rest(Kind::Welcome);
                }
                (Phase::Rest(_), Kind::Welcome) => wave.phase = Phase::Rest(Kind::Group),
                (Phase::Rest(_), Kind::Group) => done = true,
            }
        }
        if done && envelopes.is_empty() {
            return self.finish(wave);
        }
        let event = (!envelopes.is_empty()).then_some(Event::Messages {
            wave: Some(wave.id),
            envelopes,
        });
        if done {
            // Once more, so that the end is an event of its own.
            self.waves.push_front(wave);
        } else {
            // The waves take turns: a small one does not wait for a large one.
            self.waves.push_back(wave);
        }
        event
    }

    /// Delivers what arrived live during the last read, and then the end of the wave.
    fn finish(&mut self, mut wave: Wave) -> Option<Event> {
        // One kind a frame: the other kind's turn is the next round.
        let held_back = std::mem::take(&mut wave.held_back);
        let kind = held_back.first().map(|first| first.topic.kind());
        let (now, later) = held_back
            .into_iter()
            .partition(|envelope| Some(envelope.topic.kind()) == kind);
        wave.held_back = later;
        let envelopes = wave.take(now);
        if !envelopes.is_empty() || !wave.held_back.is_empty() {
            let id = wave.id;
            self.waves.push_front(wave);
            return (!envelopes.is_empty()).then_some(Event::Messages {
                wave: Some(id),
                envelopes,
            });
        }
        for (topic, floor) in &wave.topics {
            if wave.history_only {
                self.topics.remove(topic);
            } else {
                self.topics.insert(*topic, State::Live { floor: *floor });
            }
        }
        Some(Event::WaveDone {
            wave: wave.id,
            topics: wave.topics.into_keys().collect(),
        })
    }

    /// Takes a live message.
    fn live(&mut self, envelope: Arc<Envelope>) -> Result<Option<Event>, Lagged> {
        match self.topics.get_mut(&envelope.topic) {
            Some(State::Live { floor }) if envelope.id > *floor => {
                *floor = envelope.id;
                Ok(Some(Event::Messages {
                    wave: None,
                    envelopes: vec![envelope],
                }))
            }
            Some(State::InWave(id)) => {
                let id = *id;
                if let Some(wave) = self.waves.iter_mut().find(|wave| wave.id == id)
                    // Before the registration it comes with the history.
                    && matches!(wave.phase, Phase::Rest(_))
                {
                    if wave.held_back.len() >= MAX_HELD_BACK {
                        return Err(Lagged);
                    }
                    wave.held_back.push(envelope);
                }
                Ok(None)
            }
            Some(State::Live { .. }) | None => Ok(None),
        }
    }

    /// After lost messages: the end, or everything again from what was delivered.
    fn lagged(&mut self) -> Result<(), Status> {
        if self.on_lag == OnLag::Abort {
            let message = "the subscriber reads too slowly";
            return Err(Status::new(Code::Aborted, message));
        }
        self.reading = None;
        for wave in &mut self.waves {
            wave.held_back.clear();
            wave.phase = Phase::History(Kind::Welcome);
            for topic in wave.topics.keys() {
                self.subscriber.unsubscribe(topic);
            }
        }
        let live: Vec<(Topic, u64)> = self
            .topics
            .iter()
            .filter_map(|(topic, state)| match state {
                State::Live { floor } => Some((*topic, *floor)),
                State::InWave(_) => None,
            })
            .collect();
        for (topic, _) in &live {
            self.topics.remove(topic);
        }
        // Counts down, far from the ids that callers give.
        self.rereads += 1;
        self.add_wave(u64::MAX - self.rereads, live, false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fanout::QueueLimits,
        log::{LocalLog, Log},
        metrics::Metrics,
        record::{GroupMessage, Record},
        view::Location,
    };

    const GROUP: [u8; 16] = [1; 16];

    struct Bench {
        log: LocalLog,
        feed: Feed,
    }

    impl Bench {
        fn new(on_lag: OnLag) -> Self {
            let view = Arc::new(View::open(&Location::Memory, 1).unwrap());
            let limits = QueueLimits {
                messages: 4,
                bytes: 1 << 20,
            };
            let fanout = Fanout::start(limits).unwrap();
            let log = LocalLog::start(&view, Arc::clone(&fanout), Arc::new(Metrics::default()));
            Self {
                log: log.unwrap(),
                feed: Feed::new(view, &fanout, on_lag),
            }
        }

        async fn put(&self, text: &str) {
            let message = GroupMessage {
                group_id: GROUP,
                data: text.into(),
                sender_hmac: vec![],
                should_push: false,
                is_commit: false,
            };
            self.log
                .submit(vec![Record::GroupMessage(message)])
                .await
                .unwrap();
        }

        /// Lets the wave read a window and holds it back: the view may move on meanwhile.
        async fn read(&mut self) -> Window {
            self.feed.read_front().unwrap().await.unwrap().unwrap()
        }

        /// The ids of the next messages, until a wave ends or `count` have come.
        async fn ids(&mut self, count: usize) -> Vec<u64> {
            let mut ids = vec![];
            while ids.len() < count {
                match self.feed.next().await.unwrap() {
                    Event::Messages { envelopes, .. } => ids.extend(envelopes.iter().map(|e| e.id)),
                    Event::WaveDone { .. } => break,
                }
            }
            ids
        }
    }

    #[tokio::test]
    async fn what_is_stored_between_the_last_history_and_the_registration_comes_once() {
        let mut bench = Bench::new(OnLag::Abort);
        bench.put("1").await;
        bench
            .feed
            .add_wave(1, vec![(Topic::Group(GROUP), 0)], false);
        let welcomes = bench.read().await;
        assert!(bench.feed.window(welcomes).is_none());
        let history = bench.read().await;
        // Neither in the history that was read nor live.
        bench.put("2").await;
        assert!(matches!(
            bench.feed.window(history),
            Some(Event::Messages { .. })
        ));
        assert_eq!(bench.ids(9).await, [2]);
        bench.put("3").await;
        assert_eq!(bench.ids(1).await, [3]);
    }

    #[tokio::test]
    async fn what_is_both_in_the_last_read_and_live_comes_once() {
        let mut bench = Bench::new(OnLag::Abort);
        bench
            .feed
            .add_wave(1, vec![(Topic::Group(GROUP), 0)], false);
        for _ in 0..2 {
            let window = bench.read().await;
            assert!(bench.feed.window(window).is_none());
        }
        // Registered: these are live and will be read as well.
        bench.put("1").await;
        bench.put("2").await;
        let welcomes = bench.read().await;
        assert!(bench.feed.window(welcomes).is_none());
        let rest = bench.read().await;
        // Live only.
        bench.put("3").await;
        assert!(matches!(
            bench.feed.window(rest),
            Some(Event::Messages { .. })
        ));
        assert_eq!(bench.ids(9).await, [3]);
        bench.put("4").await;
        assert_eq!(bench.ids(1).await, [4]);
    }

    #[tokio::test]
    async fn a_feed_that_may_not_end_reads_again_what_it_missed() {
        let mut bench = Bench::new(OnLag::Reread);
        bench
            .feed
            .add_wave(1, vec![(Topic::Group(GROUP), 0)], false);
        assert_eq!(bench.ids(1).await, [0; 0]);
        for round in 0..3_u64 {
            for n in 0..10 {
                bench.put(&format!("{round}/{n}")).await;
            }
            let wanted: Vec<u64> = (round * 10 + 1..=round * 10 + 10).collect();
            let mut got = vec![];
            while got.len() < 10 {
                got.extend(bench.ids(10 - got.len()).await);
            }
            assert_eq!(got, wanted);
        }
    }

    #[tokio::test]
    async fn a_topic_that_moves_to_another_wave_loses_nothing() {
        let mut bench = Bench::new(OnLag::Abort);
        for n in 0..3 {
            bench.put(&n.to_string()).await;
        }
        bench
            .feed
            .add_wave(1, vec![(Topic::Group(GROUP), 0)], false);
        // The client asks for less than the first wave has yet delivered.
        bench
            .feed
            .add_wave(2, vec![(Topic::Group(GROUP), 2)], false);
        let mut waves = vec![];
        let mut ids = vec![];
        while waves.len() < 2 {
            match bench.feed.next().await.unwrap() {
                Event::Messages { wave, envelopes } => {
                    assert_eq!(wave, Some(2));
                    ids.extend(envelopes.iter().map(|e| e.id));
                }
                Event::WaveDone { wave, topics } => waves.push((wave, topics.len())),
            }
        }
        assert_eq!(ids, [1, 2, 3]);
        assert_eq!(waves, [(1, 0), (2, 1)]);
    }
}
