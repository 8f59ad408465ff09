//! Streams: a reader of the feed with a filter. JavaScript asks for the next batch; nothing is
//! pushed, so a slow consumer costs no memory.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::Promise;
use prost::Message as _;
use serde::Deserialize;
use wasm_bindgen::prelude::*;

use super::convert::to_js;
use super::engine::{BrowserClient, ConsentView};
use super::env::BrowserEnv;
use super::promise::promise;
use super::views::{ConversationView, MessageView};
use crate::client::GroupId;
use crate::client::conversations::CONSENT_DENIED;
use crate::client::feed::{Ender, Reader};
use crate::client::rows::{ConsentRow, ConversationRow, FeedKind, FeedRow};
use crate::error::Result;

/// What a stream shows.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    /// "messages", "conversations", "deleted", "updated", "consent", "preferences",
    /// "notices" or "events".
    show: String,
    /// Only this conversation (for a DM: all its groups).
    conversation_id: Option<String>,
    /// `ConversationType` of the official SDK: 0 DM, 1 group.
    conversation_type: Option<i32>,
    /// Only these consent states; default all but denied.
    consent_states: Option<Vec<i32>>,
}

/// A running stream.
#[wasm_bindgen]
pub struct EngineStream {
    inner: Rc<Inner>,
    ender: Ender,
}

struct Inner {
    client: BrowserClient,
    filter: Filter,
    reader: RefCell<Option<Reader<BrowserEnv>>>,
}

impl EngineStream {
    /// Starts behind what is in the feed now.
    pub async fn start(client: BrowserClient, filter: Filter) -> Result<EngineStream> {
        let reader = client.read_feed().await?;
        let ender = reader.ender();
        Ok(EngineStream {
            inner: Rc::new(Inner {
                client,
                filter,
                reader: RefCell::new(Some(reader)),
            }),
            ender,
        })
    }
}

#[wasm_bindgen]
impl EngineStream {
    /// The next batch, an array; `undefined` when the stream has ended. One call at a time.
    pub fn next(&self) -> Promise {
        let inner = Rc::clone(&self.inner);
        promise(async move { inner.next().await })
    }

    /// Ends the stream; with `drain` it first gives what was there already. Twice is fine.
    pub fn end(&self, drain: bool) {
        self.ender.end(drain);
    }
}

impl Inner {
    async fn next(&self) -> Result<JsValue> {
        let Some(mut reader) = self.reader.take() else {
            return Ok(JsValue::UNDEFINED);
        };
        let result = self.read(&mut reader).await;
        *self.reader.borrow_mut() = Some(reader);
        result
    }

    async fn read(&self, reader: &mut Reader<BrowserEnv>) -> Result<JsValue> {
        while let Some(entry) = reader.next().await? {
            let batch = self.show(&entry).await?;
            if batch.length() > 0 {
                return Ok(batch.into());
            }
        }
        Ok(JsValue::UNDEFINED)
    }

    // A guard that awaits would hide the read in the pattern.
    #[allow(clippy::collapsible_match)]
    async fn show(&self, entry: &FeedRow) -> Result<js_sys::Array> {
        let out = js_sys::Array::new();
        let kind = FeedKind::try_from(entry.kind).ok();
        match (self.filter.show.as_str(), kind) {
            ("messages", Some(FeedKind::Messages)) | ("updated", Some(FeedKind::Updated)) => {
                if self.conversation_of(entry).await?.is_some() {
                    for id in &entry.items {
                        if let Some((_, row)) = self.client.db.message(id).await? {
                            out.push(&to_js(&MessageView::new(&row))?);
                        }
                    }
                }
            }
            ("conversations", Some(FeedKind::Conversation))
            | ("events", Some(FeedKind::Changed | FeedKind::Conversation)) => {
                if let Some(row) = self.conversation_of(entry).await? {
                    out.push(&to_js(&ConversationView::new(&row))?);
                }
            }
            ("notices", Some(FeedKind::Notice)) => {
                if self.conversation_of(entry).await?.is_some() {
                    let id = JsValue::from(hex::encode(&entry.group_id));
                    for notice in &entry.items {
                        let notice = String::from_utf8_lossy(notice).into_owned();
                        out.push(&js_sys::Array::of2(&id, &notice.into()));
                    }
                }
            }
            ("deleted", Some(FeedKind::Deleted | FeedKind::Withdrawn)) => {
                if self.conversation_of(entry).await?.is_some() {
                    for id in &entry.items {
                        match self.client.db.message(id).await? {
                            Some((_, row)) => out.push(&to_js(&MessageView::new(&row))?),
                            None => out.push(&hex::encode(id).into()),
                        };
                    }
                }
            }
            ("consent", Some(FeedKind::Consent)) => {
                let entity_type = i32::from(entry.group_id.is_empty());
                for item in &entry.items {
                    if let Ok(row) = ConsentRow::decode(item.as_slice()) {
                        // In the sync group the entity says itself what it is.
                        let entity_type = if row.entity.len() == 32 {
                            0
                        } else {
                            entity_type.max(1)
                        };
                        out.push(&to_js(&ConsentView {
                            entity_type,
                            state: row.state,
                            entity: row.entity,
                        })?);
                    }
                }
            }
            ("preferences", Some(FeedKind::Preferences)) => {
                for item in &entry.items {
                    out.push(&js_sys::Uint8Array::from(item.as_slice()));
                }
            }
            _ => {}
        }
        Ok(out)
    }

    /// The entry's conversation, if the stream shows it.
    async fn conversation_of(&self, entry: &FeedRow) -> Result<Option<ConversationRow>> {
        let Some(id) = GroupId::from_slice(&entry.group_id) else {
            return Ok(None);
        };
        let Some(row) = self.client.find(id).await? else {
            return Ok(None);
        };
        let wanted = match &self.filter.conversation_id {
            None => true,
            Some(wanted) if *wanted == id.to_string() => true,
            Some(wanted) => self.same_dm(&row, wanted).await?,
        };
        let kind = match self.filter.conversation_type {
            Some(0) => row.kind == 2,
            Some(1) => row.kind == 1,
            _ => true,
        };
        let consent = match &self.filter.consent_states {
            Some(states) => states.contains(&row.consent),
            None => self.filter.conversation_id.is_some() || row.consent != CONSENT_DENIED,
        };
        Ok((wanted && kind && consent).then_some(row))
    }

    async fn same_dm(&self, row: &ConversationRow, wanted: &str) -> Result<bool> {
        if row.dm_members.is_empty() {
            return Ok(false);
        }
        let other = self.client.find(GroupId::parse(wanted)?).await?;
        Ok(other.is_some_and(|other| {
            !other.dm_members.is_empty()
                && crate::client::conversations::dm_id(&other)
                    == crate::client::conversations::dm_id(row)
        }))
    }
}
