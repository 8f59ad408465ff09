//! A stored message on its way to subscribers, encoded once for all of them.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use prost::Message;

use crate::{
    record::{GroupMessage, Stored, Welcome},
    subscribe::frames,
    topic::Topic,
};

/// A stored group message or welcome.
#[derive(Debug)]
pub struct Envelope {
    /// Where it was published.
    pub topic: Topic,
    /// Its id, rising within the topic.
    pub id: u64,
    /// `GroupMessage` or `WelcomeMessage`, encoded.
    pub message: Bytes,
    live_frame: OnceLock<Bytes>,
}

impl Envelope {
    /// A stored group message.
    pub fn group(message: Stored<GroupMessage>) -> Arc<Self> {
        let (topic, id) = (Topic::Group(message.item.group_id), message.id);
        Self::new(topic, id, message.into_wire().encode_to_vec())
    }

    /// A stored welcome.
    pub fn welcome(welcome: Stored<Welcome>) -> Arc<Self> {
        let (topic, id) = (Topic::Welcome(welcome.item.installation_key), welcome.id);
        Self::new(topic, id, welcome.into_wire().encode_to_vec())
    }

    fn new(topic: Topic, id: u64, message: Vec<u8>) -> Arc<Self> {
        Arc::new(Self {
            topic,
            id,
            message: message.into(),
            live_frame: OnceLock::new(),
        })
    }

    /// The XIP-83 frame that carries this message live, the same for every subscriber.
    pub fn live_frame(self: &Arc<Self>) -> Bytes {
        self.live_frame
            .get_or_init(|| frames::messages(std::slice::from_ref(self), 0))
            .clone()
    }
}
