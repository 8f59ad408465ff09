//! What every request handler shares.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex},
};

use sotto::identity::AssociationState;
use tokio::sync::{Mutex as AsyncMutex, Semaphore, watch};

use crate::{
    contract::Contracts,
    fanout::Fanout,
    limits::Limiter,
    log::Log,
    metrics::Metrics,
    subscribe::session::SessionLimits,
    topic::InboxId,
    view::{View, lock},
};

/// Bounds of single requests.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Bytes of one request.
    pub request_bytes: usize,
    /// Bytes of one message, welcome, key package or identity update.
    pub envelope_bytes: usize,
    /// Entries of one batch.
    pub batch: usize,
    /// Topics of one stream.
    pub topics: usize,
}

/// A running node.
pub struct Node {
    /// Where writes go.
    pub log: Arc<dyn Log>,
    /// Where reads are answered.
    pub view: Arc<View>,
    /// Who hears live.
    pub fanout: Arc<Fanout>,
    /// Rate limits.
    pub limiter: Limiter,
    /// Request limits.
    pub limits: RequestLimits,
    /// Memory for large requests, in units of [`UPLOAD_UNIT`](crate::http::UPLOAD_UNIT).
    pub uploads: Arc<Semaphore>,
    /// Limits of XIP-83 streams.
    pub session: SessionLimits,
    /// Contract wallets.
    pub contracts: Contracts,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Becomes true when the node shuts down.
    pub drain: watch::Receiver<bool>,
    /// Verified identity states.
    pub inboxes: Inboxes,
}

/// Waits until the node shuts down.
pub async fn draining(drain: &mut watch::Receiver<bool>) {
    // An error means that the server is gone: the same.
    let _ = drain.wait_for(|drain| *drain).await;
}

/// Association states that were folded recently, and the locks that make publishes of one inbox
/// serial on this node. Both only save work: what is accepted is decided when a record is
/// applied.
#[derive(Default)]
pub struct Inboxes {
    states: Mutex<HashMap<InboxId, (u64, Arc<AssociationState>)>>,
    turns: [AsyncMutex<()>; 32],
}

/// States that are remembered.
const MAX_STATES: usize = 4_096;

impl Inboxes {
    /// The turn of an inbox. Others may share it.
    pub fn turn(&self, inbox: &InboxId) -> &AsyncMutex<()> {
        // The remainder is below the length.
        &self.turns[usize::from(inbox[0]) % self.turns.len()]
    }

    /// The state at exactly this sequence id, if it is remembered.
    pub fn get(&self, inbox: &InboxId, sequence_id: u64) -> Option<Arc<AssociationState>> {
        let states = lock(&self.states);
        let (at, state) = states.get(inbox)?;
        (*at == sequence_id).then(|| Arc::clone(state))
    }

    /// Remembers a state.
    pub fn put(&self, inbox: InboxId, sequence_id: u64, state: Arc<AssociationState>) {
        let mut states = lock(&self.states);
        if states.len() >= MAX_STATES && !states.contains_key(&inbox) {
            // Any one: a hash map's order is as good as random here.
            let victim = states.keys().next().copied();
            victim.map(|victim| states.remove(&victim));
        }
        match states.entry(inbox) {
            Entry::Occupied(entry) if entry.get().0 > sequence_id => {}
            Entry::Occupied(mut entry) => {
                entry.insert((sequence_id, state));
            }
            Entry::Vacant(entry) => {
                entry.insert((sequence_id, state));
            }
        }
    }
}
