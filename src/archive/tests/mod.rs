//! Archives of official clients, archives made by hand, and our own, through the whole importer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod damage;
mod device_sync;
mod made;
mod official;
mod round_trip;

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;
use crate::content::MessageId;
use crate::identity::InboxId;

/// The key of all archives in `tests/vectors/archive`: bytes 00 … 1f.
fn key() -> ArchiveKey {
    let bytes: Vec<u8> = (0..32).collect();
    ArchiveKey::new(&bytes).unwrap()
}

fn inbox(digit: &str) -> InboxId {
    InboxId::parse(&digit.repeat(64)).unwrap()
}

/// What official clients exported, and who they were.
fn archives() -> Value {
    serde_json::from_str(include_str!("../../../tests/vectors/archive/archives.json")).unwrap()
}

/// The inbox that a name in `archives.json` stands for.
fn named_inbox(archives: &Value, name: &str) -> InboxId {
    InboxId::parse(archives["inboxes"][name].as_str().unwrap()).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn int(value: &Value) -> i64 {
    text(value).parse().unwrap()
}

/// What a store has after an import, if it had nothing before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Imported {
    conversations: BTreeMap<ConversationId, ArchivedConversation>,
    messages: BTreeMap<MessageId, ImportedMessage>,
    consent: BTreeMap<ConsentEntity, ConsentRecord>,
    skipped: Skipped,
}

impl Imported {
    fn skipped_in_all(&self) -> u64 {
        self.skipped.values().sum()
    }
}

fn context(own_inbox: &InboxId) -> ImportContext {
    ImportContext {
        own_inbox: own_inbox.clone(),
        now_ns: 1,
        known_conversations: BTreeMap::new(),
        allow_foreign: false,
    }
}

fn scan(file: &[u8], context: &ImportContext, chunk: usize) -> Result<ImportPlan, ArchiveError> {
    let mut scan = ArchiveScan::new(key());
    for chunk in file.chunks(chunk) {
        scan.push(chunk)?;
    }
    scan.finish(context)
}

fn import(file: &[u8], context: &ImportContext, chunk: usize) -> Result<Imported, ArchiveError> {
    let plan = scan(file, context, chunk)?;
    let mut imported = Imported {
        skipped: plan.skipped.clone(),
        ..Imported::default()
    };
    for record in &plan.consent {
        imported
            .consent
            .insert(record.entity.clone(), record.clone());
    }
    for conversation in &plan.conversations {
        let before = imported
            .conversations
            .insert(conversation.id, conversation.clone());
        assert_eq!(before, None, "a conversation is in a plan once");
    }
    let mut messages = MessageImport::new(key(), &plan, None)?;
    for chunk in file.chunks(chunk) {
        for message in messages.push(chunk)? {
            imported
                .messages
                .entry(message.message.id)
                .or_insert(message);
        }
    }
    let (skipped, _) = messages.finish()?;
    for (reason, count) in skipped {
        *imported.skipped.entry(reason).or_default() += count;
    }
    Ok(imported)
}

/// Every element, in file order.
fn elements(file: &[u8], key: ArchiveKey) -> Result<Vec<Element>, ArchiveError> {
    let mut reader = ArchiveReader::new(key);
    let mut elements = Vec::new();
    for chunk in file.chunks(1000) {
        reader.push(chunk)?;
        while let Some(element) = reader.next_element()? {
            elements.push(element);
        }
    }
    reader.finish()?;
    Ok(elements)
}
