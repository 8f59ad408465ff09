//! Archives: a user's history as one encrypted file, and what installations of one inbox say to
//! each other when they pass it on.
//!
//! An archive holds conversations, messages and consent; no key and no MLS state. It gives back
//! history, not membership, and nothing in it is proof of anything: who was admin, who sent what
//! and what was deleted is only what the file says.
//!
//! Pure: readers and writers are state machines over chunks of bytes. They do no I/O, read no clock
//! and draw no randomness, and never hold more than one element and one compression window.
//!
//! Reading takes two passes, because nothing may be written before everything has been checked:
//! [`ArchiveScan`] looks through the whole file and ends in an [`ImportPlan`]; [`MessageImport`]
//! goes through it again and gives the messages. Writing is one pass through [`ArchiveWriter`].

mod consent;
mod device_sync;
mod element;
mod error;
mod frame;
mod history_server;
mod import;
mod metadata;
mod plan;
mod reader;
mod seal;
mod writer;

#[cfg(test)]
mod tests;

pub use consent::{ConsentEntity, ConsentRecord, ConsentState};
pub use device_sync::{
    DeviceSyncMessage, HmacKeyUpdate, PreferenceUpdate, SyncReply, SyncRequest, pin_of,
};
pub use element::{
    ArchivedConversation, ArchivedMessage, ConversationKind, Disappearing, Unusable,
};
pub use error::ArchiveError;
pub use history_server::HistoryServer;
pub use import::{DeletedBy, ImportedMessage, MessageImport, RequestedDeletion};
pub use metadata::{ArchiveElements, ArchiveMetadata, ArchiveOptions};
pub use plan::{ArchiveScan, ImportContext, ImportPlan, ResumePoint, Skipped};
pub use reader::{ArchiveReader, Element};
pub use seal::ArchiveKey;
pub use writer::ArchiveWriter;

/// The id of a conversation: that of its MLS group.
pub type ConversationId = [u8; 16];
