//! The second pass over an archive: its messages.

use std::collections::BTreeMap;

use super::plan::count;
use super::{
    ArchiveError, ArchiveKey, ArchiveReader, ArchivedMessage, ConversationId, Disappearing,
    Element, ImportPlan, ResumePoint, Skipped, Unusable,
};
use crate::content::{EncodedContent, MessageId};
use crate::identity::InboxId;

/// A delete request in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedDeletion {
    /// The message to delete.
    pub target: MessageId,
    /// The conversation that both are in.
    pub conversation_id: ConversationId,
    /// Who sent the request.
    pub requested_by: InboxId,
    /// Whether the archive says that the sender was a super admin.
    pub by_super_admin: bool,
}

impl RequestedDeletion {
    /// Who deletes a message that came from an archive, if this request does.
    ///
    /// Not for messages that came from the log: there the roles of their time decide, and nothing
    /// that an archive says.
    #[must_use]
    pub fn deletes(&self, message: &ArchivedMessage) -> Option<DeletedBy> {
        let same_message =
            message.id == self.target && message.conversation_id == self.conversation_id;
        if !same_message || !is_deletable(&message.content) {
            return None;
        }
        if message.sender.as_ref() == Some(&self.requested_by) {
            Some(DeletedBy::Sender)
        } else {
            self.by_super_admin
                .then(|| DeletedBy::Admin(self.requested_by.clone()))
        }
    }
}

fn is_deletable(content: &[u8]) -> bool {
    EncodedContent::from_bytes(content)
        .ok()
        .and_then(|encoded| encoded.kind())
        .is_some_and(|kind| kind.deletable())
}

/// Who deleted a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeletedBy {
    /// The one who had sent it.
    Sender,
    /// A super admin.
    Admin(InboxId),
}

/// A message to store, unless one with its id is there.
///
/// It comes from an archive, and is to be stored as such: it proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedMessage {
    /// The message. If it is deleted its content is empty.
    pub message: ArchivedMessage,
    /// When it disappears, in nanoseconds since 1970.
    pub expires_at_ns: Option<i64>,
    /// Who deleted it, if it is deleted.
    pub deleted_by: Option<DeletedBy>,
}

/// Gives the messages of an archive that has been checked.
pub struct MessageImport {
    reader: ArchiveReader,
    first_nonce: [u8; 12],
    element_count: u64,
    /// Elements before this one are done.
    resume_at: u64,
    settings: BTreeMap<ConversationId, Option<Disappearing>>,
    deletions: BTreeMap<MessageId, Vec<RequestedDeletion>>,
    now_ns: i64,
    skipped: Skipped,
}

impl MessageImport {
    /// Ready for the first byte of the archive that `plan` was made from. With `resume`, the
    /// messages before that point are passed over.
    ///
    /// # Errors
    /// [`ArchiveError::OtherArchive`] if the point is one of another archive.
    pub fn new(
        key: ArchiveKey,
        plan: &ImportPlan,
        resume: Option<ResumePoint>,
    ) -> Result<Self, ArchiveError> {
        if resume.is_some_and(|point| point.first_nonce != plan.first_nonce) {
            return Err(ArchiveError::OtherArchive);
        }
        let mut deletions: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for deletion in &plan.deletions {
            deletions
                .entry(deletion.target)
                .or_default()
                .push(deletion.clone());
        }
        Ok(Self {
            reader: ArchiveReader::new(key),
            first_nonce: plan.first_nonce,
            element_count: plan.element_count,
            resume_at: resume.map_or(0, |point| point.elements_done),
            settings: plan.settings.clone(),
            deletions,
            now_ns: plan.now_ns,
            skipped: Skipped::new(),
        })
    }

    /// Takes the next bytes of the file and gives the messages that have arrived whole, in the
    /// order of the archive. Store them together with [`MessageImport::resume_point`], or none.
    ///
    /// # Errors
    /// [`ArchiveError::OtherArchive`], or as [`ArchiveReader`] if the file has changed since.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<ImportedMessage>, ArchiveError> {
        self.reader.push(bytes)?;
        if self
            .reader
            .first_nonce()
            .is_some_and(|nonce| nonce != self.first_nonce)
        {
            return Err(ArchiveError::OtherArchive);
        }
        let mut messages = Vec::new();
        while let Some(element) = self.reader.next_element()? {
            if self.reader.elements_read() <= self.resume_at {
                continue;
            }
            match element {
                Element::Message(message) => match self.import(message) {
                    Ok(message) => messages.push(message),
                    Err(reason) => count(&mut self.skipped, reason),
                },
                Element::Unusable(
                    reason @ (Unusable::MessageId
                    | Unusable::MessageKind
                    | Unusable::MessageStatus
                    | Unusable::MessageWithoutConversation),
                ) => count(&mut self.skipped, reason),
                _ => {}
            }
        }
        Ok(messages)
    }

    /// Where to go on after a crash, once what [`MessageImport::push`] gave is stored.
    #[must_use]
    pub fn resume_point(&self) -> ResumePoint {
        ResumePoint {
            first_nonce: self.first_nonce,
            elements_done: self.reader.elements_read().max(self.resume_at),
        }
    }

    /// How many elements are done, of [`ImportPlan::element_count`].
    #[must_use]
    pub const fn elements_read(&self) -> u64 {
        self.reader.elements_read()
    }

    /// To be called at the end of the file: which messages were skipped, and the delete requests,
    /// to be applied with [`RequestedDeletion::deletes`] to messages that earlier archives brought.
    ///
    /// # Errors
    /// [`ArchiveError::Truncated`] or [`ArchiveError::OtherArchive`] if the file has changed since.
    pub fn finish(mut self) -> Result<(Skipped, Vec<RequestedDeletion>), ArchiveError> {
        self.reader.finish()?;
        if self.reader.elements_read() != self.element_count {
            return Err(ArchiveError::OtherArchive);
        }
        Ok((
            self.skipped,
            self.deletions.into_values().flatten().collect(),
        ))
    }

    fn import(&self, mut message: ArchivedMessage) -> Result<ImportedMessage, Unusable> {
        let setting = self
            .settings
            .get(&message.conversation_id)
            .ok_or(Unusable::MessageWithoutConversation)?;
        let expires_at_ns = setting.and_then(|setting| setting.expires_at_ns(message.sent_at_ns));
        if expires_at_ns.is_some_and(|expires| expires <= self.now_ns) {
            return Err(Unusable::Expired);
        }
        let deleted_by = self
            .deletions
            .get(&message.id)
            .into_iter()
            .flatten()
            .find_map(|deletion| deletion.deletes(&message));
        if deleted_by.is_some() {
            message.content.clear();
        }
        Ok(ImportedMessage {
            message,
            expires_at_ns,
            deleted_by,
        })
    }
}
