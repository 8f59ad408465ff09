//! Conversations and messages as archives hold them: checked when read, completed when written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sotto_proto::device_sync as proto;

use super::ConversationId;
use crate::content::{Content, ContentKind, EncodedContent, MessageId};
use crate::identity::InboxId;

/// Why an element of an archive is not imported. It is counted, and stops nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Unusable {
    /// A conversation that is neither a group nor a DM.
    ConversationType,
    /// A conversation whose id does not have 16 bytes.
    ConversationId,
    /// A DM that does not name two inboxes.
    DmId,
    /// A DM of another inbox, in an archive that is imported although it is foreign.
    ForeignDm,
    /// A message that is not an application message.
    MessageKind,
    /// A message that was never published.
    MessageStatus,
    /// A message whose id does not have 32 bytes.
    MessageId,
    /// A message whose conversation is neither in the archive nor in the store.
    MessageWithoutConversation,
    /// A message that has disappeared since.
    Expired,
    /// Consent about something other than a conversation or an inbox.
    ConsentType,
    /// Consent without a state.
    ConsentState,
    /// Consent about something that is not an id.
    ConsentEntity,
}

/// What kind of conversation it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationKind {
    /// A group.
    Group,
    /// A DM of these two inboxes, in the order of their ids.
    Dm([InboxId; 2]),
}

impl ConversationKind {
    /// Reads `dm:` and two inbox ids in order.
    fn dm(dm_id: &str) -> Option<Self> {
        let (one, two) = dm_id.strip_prefix("dm:")?.split_once(':')?;
        let (one, two) = (InboxId::parse(one).ok()?, InboxId::parse(two).ok()?);
        (one <= two).then_some(Self::Dm([one, two]))
    }

    /// The index under which duplicates of a DM are found.
    #[must_use]
    pub fn dm_id(&self) -> Option<String> {
        match self {
            Self::Group => None,
            Self::Dm([one, two]) => Some(format!("dm:{one}:{two}")),
        }
    }
}

/// When messages of a conversation disappear. Both values are above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Disappearing {
    /// Messages sent from then on disappear, in nanoseconds since 1970.
    pub from_ns: i64,
    /// How long they stay, in nanoseconds.
    pub in_ns: i64,
}

/// Ten years: the longest that a message is kept before it disappears.
const MAX_IN_NS: i64 = 10 * 365 * 86_400 * 1_000_000_000;

impl Disappearing {
    /// The setting of these two values, if they are one.
    #[must_use]
    pub fn new(from_ns: i64, in_ns: i64) -> Option<Self> {
        (from_ns > 0 && in_ns > 0).then_some(Self { from_ns, in_ns })
    }

    /// When a message of this time disappears, if it does (rule DIS-1).
    #[must_use]
    pub fn expires_at_ns(self, sent_at_ns: i64) -> Option<i64> {
        (sent_at_ns >= self.from_ns).then(|| sent_at_ns.saturating_add(self.in_ns.min(MAX_IN_NS)))
    }
}

/// A conversation in an archive.
///
/// Except for its id and kind, everything is for display: no decision reads it, because nobody has
/// checked what the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedConversation {
    /// The conversation.
    pub id: ConversationId,
    /// Group or DM.
    pub kind: ConversationKind,
    /// When it came to the exporting installation, in nanoseconds since 1970.
    pub created_at_ns: i64,
    /// Who made it.
    pub creator: Option<InboxId>,
    /// Who added the exporting inbox.
    pub added_by: Option<InboxId>,
    /// Its attributes, such as `group_name`. Those that begin with `_` are the software's own, some
    /// are secrets of the members, and none of them is ever in here.
    pub attributes: BTreeMap<String, String>,
    /// Its admins.
    pub admins: Vec<InboxId>,
    /// Its super admins.
    pub super_admins: Vec<InboxId>,
    /// The time of its last message, in nanoseconds since 1970.
    pub last_message_ns: Option<i64>,
    /// When its messages disappear.
    pub disappearing: Option<Disappearing>,
}

impl ArchivedConversation {
    pub(super) fn from_wire(save: proto::GroupSave) -> Result<Self, Unusable> {
        let kind = match save.conversation_type {
            1 => ConversationKind::Group,
            2 => save
                .dm_id
                .as_deref()
                .and_then(ConversationKind::dm)
                .ok_or(Unusable::DmId)?,
            _ => return Err(Unusable::ConversationType),
        };
        let mutable = save.mutable_metadata.unwrap_or_default();
        Ok(Self {
            id: conversation_id(&save.id).ok_or(Unusable::ConversationId)?,
            kind,
            created_at_ns: save.created_at_ns,
            creator: save
                .metadata
                .and_then(|metadata| InboxId::parse(&metadata.creator_inbox_id).ok()),
            added_by: InboxId::parse(&save.added_by_inbox_id).ok(),
            attributes: public_attributes(mutable.attributes),
            admins: inbox_ids(&mutable.admin_list),
            super_admins: inbox_ids(&mutable.super_admin_list),
            last_message_ns: save.last_message_ns,
            disappearing: Disappearing::new(
                save.message_disappear_from_ns.unwrap_or_default(),
                save.message_disappear_in_ns.unwrap_or_default(),
            ),
        })
    }

    pub(super) fn to_wire(&self) -> proto::GroupSave {
        let text = |id: &InboxId| id.to_string();
        proto::GroupSave {
            id: self.id.to_vec(),
            created_at_ns: self.created_at_ns,
            // Allowed. A reader knows better whether it is a member.
            membership_state: 1,
            added_by_inbox_id: self.added_by.as_ref().map(text).unwrap_or_default(),
            conversation_type: match self.kind {
                ConversationKind::Group => 1,
                ConversationKind::Dm(_) => 2,
            },
            dm_id: self.kind.dm_id(),
            last_message_ns: self.last_message_ns,
            message_disappear_from_ns: self.disappearing.map(|setting| setting.from_ns),
            message_disappear_in_ns: self.disappearing.map(|setting| setting.in_ns),
            metadata: Some(proto::group_save::ImmutableMetadata {
                creator_inbox_id: self.creator.as_ref().map(text).unwrap_or_default(),
            }),
            mutable_metadata: Some(proto::group_save::MutableMetadata {
                attributes: public_attributes(self.attributes.clone()),
                admin_list: self.admins.iter().map(text).collect(),
                super_admin_list: self.super_admins.iter().map(text).collect(),
            }),
            ..proto::GroupSave::default()
        }
    }
}

fn public_attributes(mut attributes: BTreeMap<String, String>) -> BTreeMap<String, String> {
    attributes.retain(|name, _| !name.starts_with('_'));
    attributes
}

fn inbox_ids(texts: &[String]) -> Vec<InboxId> {
    texts
        .iter()
        .filter_map(|text| InboxId::parse(text).ok())
        .collect()
}

fn conversation_id(bytes: &[u8]) -> Option<ConversationId> {
    bytes.try_into().ok()
}

/// A message in an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedMessage {
    /// Its id. Not checkable: the idempotency key is not in the archive.
    pub id: MessageId,
    /// The conversation it is in.
    pub conversation_id: ConversationId,
    /// The bytes of its `EncodedContent`, whether or not they can be decoded.
    pub content: Vec<u8>,
    /// The node's time of it, in nanoseconds since 1970.
    pub sent_at_ns: i64,
    /// Who sent it, as the archive says.
    pub sender: Option<InboxId>,
    /// From which installation, as the archive says.
    pub sender_installation: Vec<u8>,
    /// Its position in the log of the node that the archive's maker used.
    pub sequence_id: Option<i64>,
}

/// An application message, on the wire.
const KIND_APPLICATION: i32 = 1;
/// A published message, on the wire.
const STATUS_PUBLISHED: i32 = 2;
/// The node itself, where several could be the origin of a message.
const ORIGINATOR_NODE: i64 = 10;

impl ArchivedMessage {
    pub(super) fn from_wire(save: proto::GroupMessageSave) -> Result<Self, Unusable> {
        if save.kind != KIND_APPLICATION {
            return Err(Unusable::MessageKind);
        }
        if save.delivery_status != STATUS_PUBLISHED {
            return Err(Unusable::MessageStatus);
        }
        Ok(Self {
            id: MessageId::try_from(save.id.as_slice()).map_err(|_| Unusable::MessageId)?,
            conversation_id: conversation_id(&save.group_id)
                .ok_or(Unusable::MessageWithoutConversation)?,
            content: save.decrypted_message_bytes,
            sent_at_ns: save.sent_at_ns,
            sender: InboxId::parse(&save.sender_inbox_id).ok(),
            sender_installation: save.sender_installation_id,
            sequence_id: save.sequence_id,
        })
    }

    /// What content says is repeated in fields of their own for readers that sort by them.
    pub(super) fn to_wire(&self) -> proto::GroupMessageSave {
        let encoded = EncodedContent::from_bytes(&self.content).unwrap_or_default();
        let kind = encoded.kind();
        let reference = match kind {
            Some(ContentKind::Reply | ContentKind::Reaction | ContentKind::DeleteMessage) => {
                Content::decode(&encoded)
                    .ok()
                    .and_then(|content| content.reference()?.parse::<MessageId>().ok())
            }
            _ => None,
        };
        let content_type = encoded.content_type.unwrap_or_default();
        let version = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        proto::GroupMessageSave {
            id: self.id.as_bytes().to_vec(),
            group_id: self.conversation_id.to_vec(),
            decrypted_message_bytes: self.content.clone(),
            sent_at_ns: self.sent_at_ns,
            kind: KIND_APPLICATION,
            sender_installation_id: self.sender_installation.clone(),
            sender_inbox_id: self
                .sender
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            delivery_status: STATUS_PUBLISHED,
            content_type_save: 0,
            version_major: version(content_type.version_major),
            version_minor: version(content_type.version_minor),
            authority_id: content_type.authority_id,
            reference_id: reference.map(|id| id.as_bytes().to_vec()),
            sequence_id: Some(self.sequence_id.unwrap_or_default()),
            originator_id: Some(ORIGINATOR_NODE),
            content_type: match kind {
                // Peers have no name for these.
                None | Some(ContentKind::EditMessage | ContentKind::DeviceSync) => "unknown",
                Some(kind) => kind.type_id(),
            }
            .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::content::{ContentType, DeleteMessage, Text};

    fn inbox(digit: &str) -> InboxId {
        InboxId::parse(&digit.repeat(64)).unwrap()
    }

    fn conversation(kind: ConversationKind) -> ArchivedConversation {
        ArchivedConversation {
            id: [3; 16],
            kind,
            created_at_ns: 5,
            creator: Some(inbox("a")),
            added_by: Some(inbox("b")),
            attributes: [("group_name".to_owned(), "n".to_owned())].into(),
            admins: vec![inbox("c")],
            super_admins: vec![inbox("a"), inbox("b")],
            last_message_ns: Some(9),
            disappearing: Disappearing::new(1, 2),
        }
    }

    #[test]
    fn conversations_come_back_as_they_were() {
        for kind in [
            ConversationKind::Group,
            ConversationKind::Dm([inbox("a"), inbox("b")]),
        ] {
            let sent = conversation(kind);
            assert_eq!(ArchivedConversation::from_wire(sent.to_wire()), Ok(sent));
        }
    }

    #[test]
    fn attributes_of_the_software_are_neither_written_nor_read() {
        let mut sent = conversation(ConversationKind::Group);
        sent.attributes
            .insert("_commit_log_signer".to_owned(), "secret".to_owned());
        let mut wire = sent.to_wire();
        let attributes =
            |wire: &proto::GroupSave| wire.mutable_metadata.clone().unwrap().attributes;
        assert_eq!(attributes(&wire).len(), 1);
        wire.mutable_metadata
            .as_mut()
            .unwrap()
            .attributes
            .insert("_commit_log_signer".to_owned(), "secret".to_owned());
        let read = ArchivedConversation::from_wire(wire).unwrap();
        assert_eq!(read.attributes.len(), 1);
    }

    #[test]
    fn a_dm_id_is_two_inbox_ids_in_order_and_nothing_else() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        assert!(ConversationKind::dm(&format!("dm:{a}:{b}")).is_some());
        assert!(ConversationKind::dm(&format!("dm:{a}:{a}")).is_some());
        for bad in [
            String::new(),
            "nonsense".to_owned(),
            "dm::".to_owned(),
            format!("{a}:{b}"),
            format!("dm:{a}"),
            format!("dm:{b}:{a}"),
            format!("dm:{a}:{b}:{b}"),
            format!("dm:{}:{b}", a.to_uppercase()),
        ] {
            assert_eq!(ConversationKind::dm(&bad), None, "{bad}");
        }
    }

    #[test]
    fn disappearing_needs_both_values_and_never_overflows() {
        assert_eq!(Disappearing::new(0, 1), None);
        assert_eq!(Disappearing::new(1, 0), None);
        assert_eq!(Disappearing::new(-1, 1), None);
        let setting = Disappearing::new(100, 10).unwrap();
        assert_eq!(setting.expires_at_ns(99), None);
        assert_eq!(setting.expires_at_ns(100), Some(110));
        let long = Disappearing::new(1, i64::MAX).unwrap();
        assert_eq!(long.expires_at_ns(1), Some(1 + MAX_IN_NS));
        assert_eq!(long.expires_at_ns(i64::MAX), Some(i64::MAX));
    }

    fn message(content: Vec<u8>) -> ArchivedMessage {
        ArchivedMessage {
            id: MessageId([1; 32]),
            conversation_id: [3; 16],
            content,
            sent_at_ns: 5,
            sender: Some(inbox("a")),
            sender_installation: vec![4; 32],
            sequence_id: Some(7),
        }
    }

    #[test]
    fn messages_come_back_as_they_were_even_if_nobody_can_read_them() {
        for content in [
            Text::from("hi").encode().unwrap().to_bytes(),
            vec![0xff, 0xff],
            vec![],
        ] {
            let sent = message(content);
            assert_eq!(ArchivedMessage::from_wire(sent.to_wire()), Ok(sent));
        }
    }

    #[test]
    fn fields_repeat_what_the_content_says() {
        let delete = DeleteMessage {
            message_id: MessageId([9; 32]),
        };
        let wire = message(delete.encode().unwrap().to_bytes()).to_wire();
        assert_eq!(wire.content_type, "deleteMessage");
        assert_eq!(wire.authority_id, "xmtp.org");
        assert_eq!((wire.version_major, wire.version_minor), (1, 0));
        assert_eq!(wire.reference_id, Some(vec![9; 32]));
        let wire = message(vec![0xff]).to_wire();
        assert_eq!(wire.content_type, "unknown");
        assert_eq!(wire.reference_id, None);
    }
}
