//! What a message says: the plaintext envelope, `EncodedContent`, and one file per content type.
//!
//! Pure: bytes in, values out. Nothing here does I/O, reads a clock, draws randomness or names a
//! browser crate. Whatever a peer sent, decoding returns a value or a typed error and never panics;
//! the caller keeps the raw bytes, because ids and deletions are about those, not about what we
//! understood of them.
//!
//! The structs serialise (serde) to the shapes that the official browser SDK gives to JavaScript.

mod actions;
mod any;
mod attachment;
mod attachment_crypto;
mod change;
mod compression;
mod encoded;
mod envelope;
mod error;
mod group_updated;
mod intent;
mod kind;
mod leave_request;
mod reaction;
mod read_receipt;
mod remote_attachment;
mod reply;
mod text;
mod timestamp;
mod transaction_reference;
mod wallet_send_calls;

#[cfg(test)]
mod tests;

pub use actions::{Action, ActionStyle, Actions};
pub use any::Content;
pub use attachment::Attachment;
pub use attachment_crypto::{
    AttachmentRandomness, EncryptedAttachment, decrypt_attachment, encrypt_attachment,
};
pub use change::{DeleteMessage, EditMessage};
pub use compression::MAX_DECOMPRESSED_BYTES;
pub use encoded::{Compression, ContentTypeId, EncodedContent, MAX_CONTENT_BYTES};
pub use envelope::{Envelope, MessageId, PlaintextEnvelope};
pub use error::ContentError;
pub use group_updated::{CommitChanges, GroupUpdated, Inbox, MetadataFieldChange, RoleLists};
pub use intent::Intent;
pub use kind::ContentKind;
pub use leave_request::LeaveRequest;
pub use reaction::{Reaction, ReactionAction, ReactionCount, ReactionSchema, count_reactions};
pub use read_receipt::ReadReceipt;
pub use remote_attachment::{MultiRemoteAttachment, RemoteAttachment};
pub use reply::Reply;
pub use text::{Markdown, Text};
pub use transaction_reference::{TransactionMetadata, TransactionReference};
pub use wallet_send_calls::{WalletCall, WalletSendCalls};

/// A content type: how its value becomes an [`EncodedContent`] and is read from one.
pub trait ContentType: Sized {
    /// Which content type this is.
    const KIND: ContentKind;

    /// The content to send, with its parameters and fallback text.
    ///
    /// # Errors
    /// When the value is one that no reader would accept.
    fn encode(&self) -> Result<EncodedContent, ContentError>;

    /// Reads content whose type is known to be this one and whose bytes are not compressed.
    ///
    /// # Errors
    /// When the content does not say what its type promises.
    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError>;

    /// Checks the type, decompresses, and reads the content.
    ///
    /// # Errors
    /// [`ContentError::WrongType`], or as [`ContentType::parse`] and
    /// [`EncodedContent::decompressed`].
    fn decode(encoded: &EncodedContent) -> Result<Self, ContentError> {
        match encoded.kind() {
            Some(kind) if kind == Self::KIND => Self::parse(&*encoded.decompressed()?),
            _ => Err(ContentError::WrongType {
                expected: Self::KIND,
            }),
        }
    }
}
