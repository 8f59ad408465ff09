//! The first pass over an archive: everything is checked, and what is small is kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::import::RequestedDeletion;
use super::{
    ArchiveError, ArchiveKey, ArchiveMetadata, ArchiveReader, ArchivedConversation,
    ArchivedMessage, ConsentEntity, ConsentRecord, ConversationId, ConversationKind, Disappearing,
    Element, Unusable,
};
use crate::content::{ContentKind, ContentType, DeleteMessage, EncodedContent};
use crate::identity::InboxId;

/// How many elements were not imported, by reason.
pub type Skipped = BTreeMap<Unusable, u64>;

/// What the importer has to know about the store.
#[derive(Debug, Clone)]
pub struct ImportContext {
    /// The inbox that imports.
    pub own_inbox: InboxId,
    /// The time, in nanoseconds since 1970.
    pub now_ns: i64,
    /// Conversations in the store, with their settings. Messages of them need no conversation in
    /// the archive.
    pub known_conversations: BTreeMap<ConversationId, Option<Disappearing>>,
    /// Import an archive of another inbox too, without its DMs.
    pub allow_foreign: bool,
}

/// Where an import was interrupted: goes on in the same archive, after a first pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResumePoint {
    /// Which archive.
    pub first_nonce: [u8; 12],
    /// How many of its elements are done.
    pub elements_done: u64,
}

/// What an archive that has been checked from end to end will bring, except for its messages.
///
/// Write consent first, so that no denied conversation shows up in between; then conversations;
/// then go through the file again with [`super::MessageImport`].
#[derive(Debug, Clone)]
pub struct ImportPlan {
    /// What the archive says of itself. Rows made from it carry its `exported_at_ns`.
    pub metadata: ArchiveMetadata,
    /// Conversations to restore where the store does not have them: read-only until a Welcome
    /// arrives, and treated then as if they had not been there.
    pub conversations: Vec<ArchivedConversation>,
    /// Consent, one record an entity. A stored record stays unless
    /// [`ConsentRecord::replaces`] says otherwise; nothing is sent to other installations.
    pub consent: Vec<ConsentRecord>,
    /// What cannot be imported, messages excepted.
    pub skipped: Skipped,
    /// How many elements the archive has, for progress.
    pub element_count: u64,
    pub(super) first_nonce: [u8; 12],
    pub(super) settings: BTreeMap<ConversationId, Option<Disappearing>>,
    pub(super) deletions: Vec<RequestedDeletion>,
    pub(super) now_ns: i64,
}

/// Checks a whole archive, chunk by chunk.
pub struct ArchiveScan {
    reader: ArchiveReader,
    metadata: Option<ArchiveMetadata>,
    conversations: Vec<ArchivedConversation>,
    consent: BTreeMap<ConsentEntity, ConsentRecord>,
    deletions: Vec<RequestedDeletion>,
    skipped: Skipped,
    end: Option<End>,
}

struct End {
    inbox_id: String,
    element_count: u64,
    /// How many elements stood before it.
    position: u64,
}

impl ArchiveScan {
    /// Ready for the first byte.
    #[must_use]
    pub fn new(key: ArchiveKey) -> Self {
        Self {
            reader: ArchiveReader::new(key),
            metadata: None,
            conversations: Vec::new(),
            consent: BTreeMap::new(),
            deletions: Vec::new(),
            skipped: Skipped::new(),
            end: None,
        }
    }

    /// Takes the next bytes of the file.
    ///
    /// # Errors
    /// As [`ArchiveReader`]; the archive cannot be imported.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.reader.push(bytes)?;
        while let Some(element) = self.reader.next_element()? {
            match element {
                Element::Metadata(metadata) => {
                    self.metadata.get_or_insert(metadata);
                }
                Element::Conversation(conversation) => self.conversations.push(*conversation),
                Element::Consent(record) => self.add_consent(record),
                Element::Message(message) => self.deletions.extend(deletion(&message)),
                Element::End {
                    inbox_id,
                    element_count,
                } => {
                    self.end = Some(End {
                        inbox_id,
                        element_count,
                        position: self.reader.elements_read().saturating_sub(1),
                    });
                }
                // Messages are counted in the second pass, with those that are imported.
                Element::Unusable(
                    Unusable::MessageId
                    | Unusable::MessageKind
                    | Unusable::MessageStatus
                    | Unusable::MessageWithoutConversation,
                )
                | Element::Other => {}
                Element::Unusable(reason) => count(&mut self.skipped, reason),
            }
        }
        Ok(())
    }

    /// How many bytes of the file have been checked.
    #[must_use]
    pub const fn bytes_read(&self) -> u64 {
        self.reader.bytes_read()
    }

    /// To be called at the end of the file.
    ///
    /// # Errors
    /// [`ArchiveError::Truncated`], also if the archive itself says that it was longer;
    /// [`ArchiveError::ForeignArchive`], unless that is allowed.
    pub fn finish(mut self, context: &ImportContext) -> Result<ImportPlan, ArchiveError> {
        self.reader.finish()?;
        let (Some(metadata), Some(first_nonce)) = (self.metadata, self.reader.first_nonce()) else {
            return Err(ArchiveError::Corrupt("no metadata"));
        };
        let element_count = self.reader.elements_read();
        // Only as the last element is it what it says.
        let end = self
            .end
            .filter(|end| end.position.checked_add(1) == Some(element_count));
        if end
            .as_ref()
            .is_some_and(|end| end.element_count != end.position)
        {
            return Err(ArchiveError::Truncated);
        }

        let of_another = end.is_some_and(|end| end.inbox_id != context.own_inbox.as_str())
            || self
                .conversations
                .iter()
                .any(|conversation| is_foreign_dm(conversation, &context.own_inbox));
        if of_another && !context.allow_foreign {
            return Err(ArchiveError::ForeignArchive);
        }
        let mut skipped = self.skipped;
        let mut seen = BTreeSet::new();
        let mut conversations = self.conversations;
        conversations.retain(|conversation| {
            if of_another && conversation.kind != ConversationKind::Group {
                count(&mut skipped, Unusable::ForeignDm);
                return false;
            }
            seen.insert(conversation.id)
        });

        let mut settings = context.known_conversations.clone();
        settings.extend(
            conversations
                .iter()
                .map(|conversation| (conversation.id, conversation.disappearing)),
        );
        let mut deletions = self.deletions;
        for deletion in &mut deletions {
            deletion.by_super_admin = conversations
                .iter()
                .filter(|conversation| conversation.id == deletion.conversation_id)
                .any(|conversation| conversation.super_admins.contains(&deletion.requested_by));
        }
        // Nobody decides after the archive was made.
        let consent = self
            .consent
            .into_values()
            .map(|record| record.no_later_than(metadata.exported_at_ns))
            .collect();
        Ok(ImportPlan {
            metadata,
            conversations,
            consent,
            skipped,
            element_count,
            first_nonce,
            settings,
            deletions,
            now_ns: context.now_ns,
        })
    }

    fn add_consent(&mut self, record: ConsentRecord) {
        let newer = self
            .consent
            .get(&record.entity)
            .is_none_or(|stored| record.replaces(stored));
        if newer {
            self.consent.insert(record.entity.clone(), record);
        }
    }
}

pub(super) fn count(skipped: &mut Skipped, reason: Unusable) {
    *skipped.entry(reason).or_default() += 1;
}

fn is_foreign_dm(conversation: &ArchivedConversation, own_inbox: &InboxId) -> bool {
    match &conversation.kind {
        ConversationKind::Group => false,
        ConversationKind::Dm(inboxes) => !inboxes.contains(own_inbox),
    }
}

/// The delete request that a message is, if it is one.
fn deletion(message: &ArchivedMessage) -> Option<RequestedDeletion> {
    let encoded = EncodedContent::from_bytes(&message.content).ok()?;
    if encoded.kind() != Some(ContentKind::DeleteMessage) {
        return None;
    }
    let delete = DeleteMessage::decode(&encoded).ok()?;
    Some(RequestedDeletion {
        target: delete.message_id,
        conversation_id: message.conversation_id,
        requested_by: message.sender.clone()?,
        by_super_admin: false,
    })
}
