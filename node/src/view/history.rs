//! Reading what many topics hold, in one ascending pass, with bounded memory.

use std::sync::Arc;

use rusqlite::{Connection, params};

use super::query;
use crate::{
    envelope::Envelope,
    topic::{Kind, Topic},
};

/// Ids looked at in one window, over all topics.
const WINDOW_IDS: usize = 4_096;
/// Messages in a window.
const WINDOW_MESSAGES: usize = 1_024;
/// Payload bytes after which a window ends.
const WINDOW_BYTES: usize = 900 << 10;

/// Topics of one kind, each with the id above which it is read.
#[derive(Clone, Debug)]
pub struct Scan {
    /// The kind of all topics.
    pub kind: Kind,
    /// Topics and cursors.
    pub topics: Vec<(Topic, u64)>,
}

/// The next part of a pass.
#[derive(Debug)]
pub struct Window {
    /// Messages in ascending order, over all topics.
    pub envelopes: Vec<Arc<Envelope>>,
    /// Whether nothing else was there.
    pub exhausted: bool,
}

impl Window {
    /// What a scan of no topics gives.
    pub fn nothing() -> Self {
        Self {
            envelopes: Vec::new(),
            exhausted: true,
        }
    }
}

impl Scan {
    /// Reads the next window: all that the topics hold above their cursors, up to some id.
    pub fn window(&self, connection: &Connection) -> rusqlite::Result<Window> {
        let (list, fetch) = match self.kind {
            Kind::Group => (
                "SELECT id FROM group_messages WHERE group_id = ?1 AND id > ?2
                 ORDER BY id LIMIT ?3",
                "SELECT id, created_ns, group_id, is_commit, should_push, sender_hmac, data
                 FROM group_messages WHERE id = ?1",
            ),
            Kind::Welcome => (
                "SELECT id FROM welcomes WHERE installation_key = ?1 AND id > ?2
                 ORDER BY id LIMIT ?3",
                "SELECT id, created_ns, installation_key, is_pointer, algorithm, metadata,
                 hpke_public_key, data FROM welcomes WHERE id = ?1",
            ),
        };

        // Up to `per_topic` ids of every topic. A topic with more bounds the window.
        let per_topic = (WINDOW_IDS / self.topics.len().max(1)).max(4);
        let mut ids: Vec<u64> = Vec::new();
        let mut end = u64::MAX;
        let mut statement = connection.prepare_cached(list)?;
        for (topic, cursor) in &self.topics {
            let before = ids.len();
            let mut rows =
                statement.query(params![topic.id(), query::sql_id(*cursor), per_topic])?;
            while let Some(row) = rows.next()? {
                ids.push(row.get(0)?);
            }
            if ids.len() - before == per_topic {
                end = end.min(ids.last().copied().unwrap_or(u64::MAX));
            }
        }
        ids.retain(|id| *id <= end);
        ids.sort_unstable();

        let mut exhausted = end == u64::MAX;
        let mut bytes = 0;
        let mut envelopes = Vec::new();
        let mut statement = connection.prepare_cached(fetch)?;
        for id in ids {
            if envelopes.len() >= WINDOW_MESSAGES || bytes >= WINDOW_BYTES {
                exhausted = false;
                break;
            }
            let envelope = statement.query_row([id], |row| match self.kind {
                Kind::Group => query::group_message(row).map(Envelope::group),
                Kind::Welcome => query::welcome(row).map(Envelope::welcome),
            })?;
            bytes += envelope.message.len();
            envelopes.push(envelope);
        }
        Ok(Window {
            envelopes,
            exhausted,
        })
    }
}
