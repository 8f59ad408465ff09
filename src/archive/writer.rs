//! Writing an archive that every reader can read.

use std::collections::BTreeSet;

use prost::Message;
use sotto_proto::device_sync as proto;
use zeroize::Zeroizing;

use super::frame::{self, write_blocks};
use super::reader::{MAX_ELEMENT_BYTES, VERSION};
use super::seal::{ElementSeal, NONCE_BYTES, TAG_BYTES};
use super::{
    ArchiveError, ArchiveKey, ArchiveMetadata, ArchiveOptions, ArchivedConversation,
    ArchivedMessage, ConsentEntity, ConsentRecord, ConsentState, ConversationId, ConversationKind,
};
use crate::identity::InboxId;

/// Writes an archive, each call appending bytes to `out`.
///
/// Call in this order, from one consistent snapshot of the store: [`ArchiveWriter::new`],
/// [`ArchiveWriter::announce`] for every conversation, [`ArchiveWriter::conversation`] for every
/// conversation, [`ArchiveWriter::message`], [`ArchiveWriter::consent`], [`ArchiveWriter::finish`].
///
/// What belongs in: published messages that were neither deleted nor have expired, delete requests
/// too, and the conversation of every one of them, whatever the time window says. A row that cannot
/// be read is skipped and reported by the caller; a broken row must not cost the others.
pub struct ArchiveWriter {
    seal: ElementSeal,
    owner: InboxId,
    exclude_disappearing: bool,
    elements: u64,
    /// DMs about which there is no consent, and whose readers have to be told so at the end.
    undecided: BTreeSet<ConversationId>,
}

impl ArchiveWriter {
    /// Begins the archive of `owner`. `first_nonce` is random and never used again with this key.
    ///
    /// # Errors
    /// None in practice: [`ArchiveError::ElementTooLarge`] is for metadata of 16 MiB.
    pub fn new(
        key: &ArchiveKey,
        first_nonce: [u8; NONCE_BYTES],
        owner: InboxId,
        options: &ArchiveOptions,
        exported_at_ns: i64,
        out: &mut Vec<u8>,
    ) -> Result<Self, ArchiveError> {
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&first_nonce);
        out.extend_from_slice(&frame::HEADER);
        let mut writer = Self {
            seal: ElementSeal::new(key, first_nonce),
            owner,
            exclude_disappearing: options.exclude_disappearing_messages,
            elements: 0,
            undecided: BTreeSet::new(),
        };
        let metadata = ArchiveMetadata::of(options, exported_at_ns).to_wire();
        writer.write(proto::backup_element::Element::Metadata(metadata), out)?;
        Ok(writer)
    }

    /// Says that a conversation will follow, and what the user decided about it.
    ///
    /// Some readers allow every DM that they import. They are kept from announcing that by being
    /// told first that it is allowed, and from believing it by being told the truth last; readers
    /// that keep the newer record see the truth either way.
    ///
    /// # Errors
    /// As [`ArchiveWriter::message`].
    pub fn announce(
        &mut self,
        conversation: &ArchivedConversation,
        consent: Option<&ConsentRecord>,
        out: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        if conversation.kind == ConversationKind::Group {
            return Ok(());
        }
        let consented_at_ns = match consent {
            Some(record) => record.consented_at_ns.saturating_sub(1),
            None => {
                self.undecided.insert(conversation.id);
                1
            }
        };
        self.write_consent(
            &ConsentRecord {
                entity: ConsentEntity::Conversation(conversation.id),
                state: ConsentState::Allowed,
                consented_at_ns,
            },
            out,
        )
    }

    /// Writes a conversation.
    ///
    /// # Errors
    /// As [`ArchiveWriter::message`].
    pub fn conversation(
        &mut self,
        conversation: &ArchivedConversation,
        out: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        self.write(
            proto::backup_element::Element::Group(conversation.to_wire()),
            out,
        )
    }

    /// Writes a message.
    ///
    /// # Errors
    /// [`ArchiveError::ElementTooLarge`] above 16 MiB; nothing has been written then, and the next
    /// element can be.
    pub fn message(
        &mut self,
        message: &ArchivedMessage,
        out: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        self.write(
            proto::backup_element::Element::GroupMessage(message.to_wire()),
            out,
        )
    }

    /// Writes what the user decided about a conversation or an inbox.
    ///
    /// # Errors
    /// As [`ArchiveWriter::message`].
    pub fn consent(
        &mut self,
        record: &ConsentRecord,
        out: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        if let ConsentEntity::Conversation(id) = &record.entity {
            self.undecided.remove(id);
        }
        self.write_consent(record, out)
    }

    /// Ends the archive. Without this its readers take it for truncated.
    ///
    /// # Errors
    /// As [`ArchiveWriter::message`].
    pub fn finish(mut self, out: &mut Vec<u8>) -> Result<(), ArchiveError> {
        for id in std::mem::take(&mut self.undecided) {
            self.write_consent(
                &ConsentRecord {
                    entity: ConsentEntity::Conversation(id),
                    state: ConsentState::Unknown,
                    consented_at_ns: 2,
                },
                out,
            )?;
        }
        let end = proto::ArchiveEnd {
            inbox_id: self.owner.to_string(),
            element_count: self.elements,
            exclude_disappearing: self.exclude_disappearing,
        };
        self.write_element(proto::backup_element::Element::ArchiveEnd(end), true, out)
    }

    /// How many elements have been written.
    #[must_use]
    pub const fn elements_written(&self) -> u64 {
        self.elements
    }

    /// Makes the end claim more elements than there are.
    #[cfg(test)]
    pub(super) const fn claim_elements(&mut self, more: u64) {
        self.elements += more;
    }

    fn write_consent(
        &mut self,
        record: &ConsentRecord,
        out: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        self.write(
            proto::backup_element::Element::Consent(record.to_wire()),
            out,
        )
    }

    fn write(
        &mut self,
        element: proto::backup_element::Element,
        out: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        self.write_element(element, false, out)
    }

    /// Encrypts first and frames second: the frame's form depends on lengths only.
    fn write_element(
        &mut self,
        element: proto::backup_element::Element,
        last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), ArchiveError> {
        let element = proto::BackupElement {
            element: Some(element),
        };
        let plaintext = Zeroizing::new(element.encode_to_vec());
        let sealed_bytes = plaintext.len() + TAG_BYTES;
        let too_large = ArchiveError::ElementTooLarge {
            max: MAX_ELEMENT_BYTES,
            got: sealed_bytes,
        };
        if sealed_bytes > MAX_ELEMENT_BYTES {
            return Err(too_large);
        }
        let length = u32::try_from(sealed_bytes).map_err(|_| too_large)?;
        let sealed = self.seal.seal(&plaintext).ok_or(too_large)?;
        let mut framed = length.to_le_bytes().to_vec();
        framed.extend_from_slice(&sealed);
        write_blocks(&framed, last, out);
        self.elements += 1;
        Ok(())
    }
}
