//! `Content`: content of any type, decoded.

use serde::Serialize;

use super::{
    Actions, Attachment, Compression, ContentError, ContentKind, ContentType, DeleteMessage,
    EditMessage, EncodedContent, GroupUpdated, Intent, LeaveRequest, Markdown,
    MultiRemoteAttachment, Reaction, ReadReceipt, RemoteAttachment, Reply, Text,
    TransactionReference, WalletSendCalls,
};

/// Decoded content. In JavaScript `{ type, content }`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", content = "content", rename_all = "camelCase")]
#[expect(
    missing_docs,
    reason = "each variant holds the type that it is named after"
)]
pub enum Content {
    Text(Text),
    Markdown(Markdown),
    Reaction(Reaction),
    Reply(Reply),
    ReadReceipt(ReadReceipt),
    Attachment(Attachment),
    RemoteAttachment(RemoteAttachment),
    MultiRemoteAttachment(MultiRemoteAttachment),
    TransactionReference(TransactionReference),
    WalletSendCalls(WalletSendCalls),
    Actions(Actions),
    Intent(Intent),
    GroupUpdated(GroupUpdated),
    LeaveRequest(LeaveRequest),
    DeleteMessage(DeleteMessage),
    EditMessage(EditMessage),
    /// A type that is not ours to read, or compressed in a way that we do not know.
    #[serde(rename = "custom")]
    Unknown(EncodedContent),
}

impl Content {
    /// Reads content of any type. A type that we do not know is [`Content::Unknown`].
    ///
    /// # Errors
    /// When content of a type that we know does not say what the type promises. The message stays
    /// a message: keep its bytes, show its fallback.
    pub fn decode(encoded: &EncodedContent) -> Result<Self, ContentError> {
        if let Some(Compression::Other(_)) = encoded.compression {
            return Ok(Self::Unknown(encoded.clone()));
        }
        match encoded.kind() {
            Some(ContentKind::Text) => Text::decode(encoded).map(Self::Text),
            Some(ContentKind::Markdown) => Markdown::decode(encoded).map(Self::Markdown),
            Some(ContentKind::Reaction) => Reaction::decode(encoded).map(Self::Reaction),
            Some(ContentKind::Reply) => Reply::decode(encoded).map(Self::Reply),
            Some(ContentKind::ReadReceipt) => ReadReceipt::decode(encoded).map(Self::ReadReceipt),
            Some(ContentKind::Attachment) => Attachment::decode(encoded).map(Self::Attachment),
            Some(ContentKind::RemoteAttachment) => {
                RemoteAttachment::decode(encoded).map(Self::RemoteAttachment)
            }
            Some(ContentKind::MultiRemoteAttachment) => {
                MultiRemoteAttachment::decode(encoded).map(Self::MultiRemoteAttachment)
            }
            Some(ContentKind::TransactionReference) => {
                TransactionReference::decode(encoded).map(Self::TransactionReference)
            }
            Some(ContentKind::WalletSendCalls) => {
                WalletSendCalls::decode(encoded).map(Self::WalletSendCalls)
            }
            Some(ContentKind::Actions) => Actions::decode(encoded).map(Self::Actions),
            Some(ContentKind::Intent) => Intent::decode(encoded).map(Self::Intent),
            Some(ContentKind::GroupUpdated) => {
                GroupUpdated::decode(encoded).map(Self::GroupUpdated)
            }
            Some(ContentKind::LeaveRequest) => {
                LeaveRequest::decode(encoded).map(Self::LeaveRequest)
            }
            Some(ContentKind::DeleteMessage) => {
                DeleteMessage::decode(encoded).map(Self::DeleteMessage)
            }
            Some(ContentKind::EditMessage) => EditMessage::decode(encoded).map(Self::EditMessage),
            Some(ContentKind::GroupMembershipChange | ContentKind::DeviceSync) | None => {
                Ok(Self::Unknown(encoded.clone()))
            }
        }
    }

    /// The content to send.
    ///
    /// # Errors
    /// As [`ContentType::encode`] of the type inside.
    pub fn encode(&self) -> Result<EncodedContent, ContentError> {
        match self {
            Self::Text(content) => content.encode(),
            Self::Markdown(content) => content.encode(),
            Self::Reaction(content) => content.encode(),
            Self::Reply(content) => content.encode(),
            Self::ReadReceipt(content) => content.encode(),
            Self::Attachment(content) => content.encode(),
            Self::RemoteAttachment(content) => content.encode(),
            Self::MultiRemoteAttachment(content) => content.encode(),
            Self::TransactionReference(content) => content.encode(),
            Self::WalletSendCalls(content) => content.encode(),
            Self::Actions(content) => content.encode(),
            Self::Intent(content) => content.encode(),
            Self::GroupUpdated(content) => content.encode(),
            Self::LeaveRequest(content) => content.encode(),
            Self::DeleteMessage(content) => content.encode(),
            Self::EditMessage(content) => content.encode(),
            Self::Unknown(content) => Ok(content.clone()),
        }
    }

    /// The message that this content refers to, as the sender wrote it.
    #[must_use]
    pub fn reference(&self) -> Option<String> {
        match self {
            Self::Reaction(reaction) => Some(reaction.reference.clone()),
            Self::Reply(reply) => Some(reply.reference.clone()),
            Self::DeleteMessage(delete) => Some(delete.message_id.to_string()),
            Self::EditMessage(edit) => Some(edit.message_id.to_string()),
            _ => None,
        }
    }
}
