//! The content types we know, and what holds for each: one table, so that it can be compared with
//! spec/mls.md 9 and spec/permissions.md 13 at a glance.

use super::ContentTypeId;

const XMTP: &str = "xmtp.org";
const COINBASE: &str = "coinbase.com";

/// A content type that we know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentKind {
    /// Plain text.
    Text,
    /// Text in Markdown.
    Markdown,
    /// An emoji (or other short content) on an earlier message.
    Reaction,
    /// Content that answers an earlier message.
    Reply,
    /// The sender has read the conversation up to here.
    ReadReceipt,
    /// A file inside the message.
    Attachment,
    /// A file stored elsewhere, encrypted.
    RemoteAttachment,
    /// Several files stored elsewhere, encrypted.
    MultiRemoteAttachment,
    /// A transaction on a chain.
    TransactionReference,
    /// A request to sign and send transactions (EIP-5792).
    WalletSendCalls,
    /// A choice of buttons.
    Actions,
    /// The choice made.
    Intent,
    /// What a commit changed; made by each client for itself, never sent.
    GroupUpdated,
    /// The sender asks to be removed.
    LeaveRequest,
    /// The sender deletes an earlier message.
    DeleteMessage,
    /// The sender replaces the content of an earlier message.
    EditMessage,
    /// What old clients wrote instead of [`ContentKind::GroupUpdated`].
    GroupMembershipChange,
    /// What one's own installations tell each other in their sync group.
    DeviceSync,
}

use ContentKind as K;

impl ContentKind {
    /// Every kind.
    pub const ALL: [Self; 18] = [
        K::Text,
        K::Markdown,
        K::Reaction,
        K::Reply,
        K::ReadReceipt,
        K::Attachment,
        K::RemoteAttachment,
        K::MultiRemoteAttachment,
        K::TransactionReference,
        K::WalletSendCalls,
        K::Actions,
        K::Intent,
        K::GroupUpdated,
        K::LeaveRequest,
        K::DeleteMessage,
        K::EditMessage,
        K::GroupMembershipChange,
        K::DeviceSync,
    ];

    /// The kind that a content type id names. Minor versions add, so they are not compared; a
    /// major version that we do not know is a type that we do not know.
    #[must_use]
    pub fn of(id: &ContentTypeId) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| {
            kind.authority_id() == id.authority_id
                && kind.type_id() == id.type_id
                && kind.reads_version(id.version_major)
        })
    }

    /// Who defines the type.
    #[must_use]
    pub const fn authority_id(self) -> &'static str {
        match self {
            K::Actions | K::Intent => COINBASE,
            _ => XMTP,
        }
    }

    /// The name of the type.
    #[must_use]
    pub const fn type_id(self) -> &'static str {
        match self {
            K::Text => "text",
            K::Markdown => "markdown",
            K::Reaction => "reaction",
            K::Reply => "reply",
            K::ReadReceipt => "readReceipt",
            K::Attachment => "attachment",
            K::RemoteAttachment => "remoteStaticAttachment",
            K::MultiRemoteAttachment => "multiRemoteStaticAttachment",
            K::TransactionReference => "transactionReference",
            K::WalletSendCalls => "walletSendCalls",
            K::Actions => "actions",
            K::Intent => "intent",
            K::GroupUpdated => "group_updated",
            K::LeaveRequest => "leave_request",
            K::DeleteMessage => "deleteMessage",
            K::EditMessage => "editMessage",
            K::GroupMembershipChange => "group_membership_change",
            K::DeviceSync => "application/x-protobuf",
        }
    }

    /// The version that we write.
    #[must_use]
    pub const fn version_major(self) -> u32 {
        match self {
            K::Reaction => 2,
            _ => 1,
        }
    }

    /// The content type id that we write.
    #[must_use]
    pub fn content_type(self) -> ContentTypeId {
        ContentTypeId {
            authority_id: self.authority_id().to_owned(),
            type_id: self.type_id().to_owned(),
            version_major: self.version_major(),
            version_minor: 0,
        }
    }

    /// Whether a message of this kind asks for a push notification, unless its sender decides.
    #[must_use]
    pub const fn should_push(self) -> bool {
        match self {
            K::Text
            | K::Markdown
            | K::Reply
            | K::Attachment
            | K::RemoteAttachment
            | K::MultiRemoteAttachment
            | K::TransactionReference
            | K::WalletSendCalls
            | K::Actions
            | K::Intent => true,
            K::Reaction
            | K::ReadReceipt
            | K::GroupUpdated
            | K::LeaveRequest
            | K::DeleteMessage
            | K::EditMessage
            | K::GroupMembershipChange
            | K::DeviceSync => false,
        }
    }

    /// Whether a delete request may name a message of this kind (spec/permissions.md 13.2).
    #[must_use]
    pub const fn deletable(self) -> bool {
        match self {
            K::Text
            | K::Markdown
            | K::Reply
            | K::Attachment
            | K::RemoteAttachment
            | K::MultiRemoteAttachment
            | K::TransactionReference
            | K::WalletSendCalls => true,
            K::Reaction
            | K::ReadReceipt
            | K::Actions
            | K::Intent
            | K::GroupUpdated
            | K::LeaveRequest
            | K::DeleteMessage
            | K::EditMessage
            | K::GroupMembershipChange
            | K::DeviceSync => false,
        }
    }

    /// Whether a message of this kind may be edited (spec/permissions.md 13.4).
    #[must_use]
    pub const fn editable(self) -> bool {
        matches!(self, K::Text | K::Markdown | K::Reply)
    }

    fn reads_version(self, major: u32) -> bool {
        major == self.version_major() || (self == K::Reaction && major == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_the_id_it_writes() {
        for kind in ContentKind::ALL {
            assert_eq!(ContentKind::of(&kind.content_type()), Some(kind));
        }
    }

    #[test]
    fn a_new_minor_version_is_the_same_kind_and_a_new_major_version_is_not() {
        let mut id = ContentKind::Text.content_type();
        id.version_minor = 7;
        assert_eq!(ContentKind::of(&id), Some(ContentKind::Text));
        id.version_major = 2;
        assert_eq!(ContentKind::of(&id), None);
    }

    #[test]
    fn both_reaction_versions_are_reactions() {
        let mut id = ContentKind::Reaction.content_type();
        assert_eq!(id.version_major, 2);
        id.version_major = 1;
        assert_eq!(ContentKind::of(&id), Some(ContentKind::Reaction));
        id.version_major = 3;
        assert_eq!(ContentKind::of(&id), None);
    }

    #[test]
    fn the_authority_is_part_of_the_name() {
        let mut id = ContentKind::Text.content_type();
        id.authority_id = "example.org".to_owned();
        assert_eq!(ContentKind::of(&id), None);
        let mut id = ContentKind::Actions.content_type();
        id.authority_id = XMTP.to_owned();
        assert_eq!(ContentKind::of(&id), None);
    }

    #[test]
    fn what_can_be_edited_can_be_deleted() {
        for kind in ContentKind::ALL {
            assert!(!kind.editable() || kind.deletable());
        }
    }
}
