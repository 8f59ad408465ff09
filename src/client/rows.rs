//! The rows that the engine stores, as protobuf messages so that later releases can add fields.
//! Field numbers are never reused. What MLS itself stores has rows of its own (`mls`).

use prost::Message;

use crate::identity::InstallationId;
use crate::mls::roles::{Leaf, RoleRecord};

/// A conversation as lists show it, and where its log has been read to.
#[derive(Clone, PartialEq, Message)]
pub struct ConversationRow {
    /// 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub group_id: Vec<u8>,
    /// `xmtp.mls.message_contents.ConversationType`.
    #[prost(int32, tag = "2")]
    pub kind: i32,
    /// Inbox that created it.
    #[prost(string, tag = "3")]
    pub creator: String,
    /// Inbox that added us; ourselves where we created it.
    #[prost(string, tag = "4")]
    pub added_by: String,
    /// When it came to this installation, Unix nanoseconds.
    #[prost(uint64, tag = "5")]
    pub created_ns: u64,
    /// Node id of the last message handled from query pages.
    #[prost(uint64, tag = "6")]
    pub cursor: u64,
    /// Node ids above the cursor that a stream delivered and that were handled.
    #[prost(uint64, repeated, tag = "7")]
    pub ahead: Vec<u64>,
    /// MLS epoch.
    #[prost(uint64, tag = "8")]
    pub epoch: u64,
    /// Whether we are a member.
    #[prost(bool, tag = "9")]
    pub active: bool,
    /// Why it waits, if it does.
    #[prost(message, optional, tag = "10")]
    pub hold: Option<Hold>,
    /// `SHA-256`-like epoch authenticator.
    #[prost(bytes = "vec", tag = "11")]
    pub epoch_authenticator: Vec<u8>,
    /// Whether later epochs were seen than we could follow.
    #[prost(bool, tag = "12")]
    pub maybe_forked: bool,
    /// Mutable metadata attributes.
    #[prost(btree_map = "string, string", tag = "13")]
    pub attributes: std::collections::BTreeMap<String, String>,
    /// Admin list.
    #[prost(string, repeated, tag = "14")]
    pub admins: Vec<String>,
    /// Super admin list.
    #[prost(string, repeated, tag = "15")]
    pub super_admins: Vec<String>,
    /// Members: inbox and its installations.
    #[prost(message, repeated, tag = "16")]
    pub members: Vec<MemberRow>,
    /// Encoded `GroupMutablePermissionsV1`.
    #[prost(bytes = "vec", tag = "17")]
    pub permissions: Vec<u8>,
    /// Installations listed as failed.
    #[prost(bytes = "vec", repeated, tag = "18")]
    pub failed: Vec<Vec<u8>>,
    /// The two inboxes of a DM.
    #[prost(string, repeated, tag = "19")]
    pub dm_members: Vec<String>,
    /// When our leaf key was last rotated, Unix nanoseconds; 0 = never.
    #[prost(uint64, tag = "20")]
    pub rotated_ns: u64,
    /// When the members' identity logs were last looked at, Unix nanoseconds.
    #[prost(uint64, tag = "21")]
    pub checked_ns: u64,
    /// Time of the newest shown message, Unix nanoseconds.
    #[prost(uint64, tag = "22")]
    pub last_message_ns: u64,
    /// `ConsentState` number as the official SDK counts.
    #[prost(int32, tag = "23")]
    pub consent: i32,
    /// When the consent was given, Unix nanoseconds; 0 = never.
    #[prost(uint64, tag = "24")]
    pub consent_ns: u64,
    /// `GroupMembershipState` number.
    #[prost(int32, tag = "25")]
    pub membership_state: i32,
    /// Inboxes that asked to be removed.
    #[prost(string, repeated, tag = "26")]
    pub leaving: Vec<String>,
    /// Our next intent number in this group.
    #[prost(uint64, tag = "27")]
    pub next_intent: u64,
    /// Running hash over the log (`permissions.md` PART-1).
    #[prost(bytes = "vec", tag = "28")]
    pub order_hash: Vec<u8>,
    /// Immutable metadata as first seen, encoded.
    #[prost(bytes = "vec", tag = "29")]
    pub pinned: Vec<u8>,
    /// Up to which time the user has read, Unix nanoseconds.
    #[prost(uint64, tag = "30")]
    pub read_ns: u64,
    /// Foreign commits below our epoch since the last one at it: (first, last, count).
    #[prost(uint64, repeated, tag = "31")]
    pub stale_commits: Vec<u64>,
    /// The app chose to go on although the group asks for a newer version.
    #[prost(bool, tag = "32")]
    pub despite_floor: bool,
    /// Whether intents of ours wait here.
    #[prost(bool, tag = "33")]
    pub open: bool,
    /// Node id of the commit that led to our epoch; 0 = not known.
    #[prost(uint64, tag = "34")]
    pub commit_id: u64,
}

/// Why a conversation does not go on by itself.
#[derive(Clone, PartialEq, Message)]
pub struct Hold {
    /// The protocol floor that is above ours.
    #[prost(string, optional, tag = "1")]
    pub paused_for: Option<String>,
    /// Inbox that raised it.
    #[prost(string, tag = "2")]
    pub paused_by: String,
    /// Safety codes that the app has not acknowledged.
    #[prost(string, repeated, tag = "3")]
    pub quarantine: Vec<String>,
}

/// A member inbox.
#[derive(Clone, PartialEq, Message)]
pub struct MemberRow {
    /// Inbox id.
    #[prost(string, tag = "1")]
    pub inbox_id: String,
    /// Identity sequence in the group's membership.
    #[prost(uint64, tag = "2")]
    pub sequence_id: u64,
    /// Its installations that have a leaf, 32 bytes each.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub installations: Vec<Vec<u8>>,
}

/// A message, ours or another's.
#[derive(Clone, PartialEq, Message)]
pub struct MessageRow {
    /// Message id, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub id: Vec<u8>,
    /// Group, 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub group_id: Vec<u8>,
    /// Node id; 0 until it is known.
    #[prost(uint64, tag = "3")]
    pub sequence_id: u64,
    /// Node's time, or ours until it is known; Unix nanoseconds.
    #[prost(uint64, tag = "4")]
    pub sent_ns: u64,
    /// When it was stored here, Unix nanoseconds.
    #[prost(uint64, tag = "5")]
    pub inserted_ns: u64,
    /// Sender's inbox, authenticated.
    #[prost(string, tag = "6")]
    pub sender_inbox: String,
    /// Sender's installation, authenticated; empty for transcripts.
    #[prost(bytes = "vec", tag = "7")]
    pub sender_installation: Vec<u8>,
    /// 0 application, 1 membership change (`GroupMessageKind`).
    #[prost(int32, tag = "8")]
    pub kind: i32,
    /// 0 unpublished, 1 published, 2 failed (`DeliveryStatus`).
    #[prost(int32, tag = "9")]
    pub status: i32,
    /// Encoded `EncodedContent`, exactly as sent.
    #[prost(bytes = "vec", tag = "10")]
    pub content: Vec<u8>,
    /// Epoch it was sent in.
    #[prost(uint64, tag = "11")]
    pub epoch: u64,
    /// Expiry, Unix nanoseconds; 0 = never.
    #[prost(uint64, tag = "12")]
    pub expires_ns: u64,
    /// The sender's idempotency key.
    #[prost(string, tag = "13")]
    pub idempotency_key: String,
    /// Set once deleted: who deleted it. The content is gone then.
    #[prost(string, optional, tag = "14")]
    pub deleted_by: Option<String>,
    /// Encoded content of the newest edit; empty = never edited.
    #[prost(bytes = "vec", tag = "15")]
    pub edited: Vec<u8>,
    /// Node id of that edit.
    #[prost(uint64, tag = "16")]
    pub edited_at: u64,
    /// Content type, `authority/type`.
    #[prost(string, tag = "17")]
    pub content_type: String,
    /// Why sending failed, a code; empty otherwise.
    #[prost(string, tag = "18")]
    pub failure: String,
    /// The message this one refers to (reply, reaction, edit, deletion), 32 bytes.
    #[prost(bytes = "vec", tag = "19")]
    pub reference: Vec<u8>,
    /// Whether it came from an archive.
    #[prost(bool, tag = "20")]
    pub imported: bool,
}

/// Where a message row lies.
#[derive(Clone, PartialEq, Message)]
pub struct MessagePlace {
    /// Group, 16 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub group_id: Vec<u8>,
    /// Order key within the group.
    #[prost(bytes = "vec", tag = "2")]
    pub order: Vec<u8>,
}

/// A wish that becomes a message or commit.
#[derive(Clone, PartialEq, Message)]
pub struct IntentRow {
    /// Rising number within the group.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// What is wished.
    #[prost(oneof = "Wish", tags = "2, 3, 4, 5, 6, 7, 8")]
    pub wish: Option<Wish>,
    /// How far it is; see [`IntentState`].
    #[prost(enumeration = "IntentState", tag = "10")]
    pub state: i32,
    /// Exact bytes that were or will be sent.
    #[prost(bytes = "vec", tag = "11")]
    pub payload: Vec<u8>,
    /// SHA-256 of the payload.
    #[prost(bytes = "vec", tag = "12")]
    pub payload_hash: Vec<u8>,
    /// Epoch that the payload was made in.
    #[prost(uint64, tag = "13")]
    pub epoch: u64,
    /// Inner Welcome of a commit that adds leaves.
    #[prost(bytes = "vec", tag = "14")]
    pub welcome: Vec<u8>,
    /// Whom the Welcome is for.
    #[prost(message, repeated, tag = "15")]
    pub recipients: Vec<Recipient>,
    /// Node id of our commit once it was read back.
    #[prost(uint64, tag = "16")]
    pub commit_id: u64,
    /// Attempts that the node answered.
    #[prost(uint32, tag = "17")]
    pub attempts: u32,
    /// HMAC of the payload.
    #[prost(bytes = "vec", tag = "18")]
    pub sender_hmac: Vec<u8>,
    /// Whether push servers should look.
    #[prost(bool, tag = "19")]
    pub should_push: bool,
    /// Why it failed, a code.
    #[prost(string, tag = "20")]
    pub failure: String,
    /// Words for the failure.
    #[prost(string, tag = "21")]
    pub failure_message: String,
    /// Nobody waits for it: if it cannot be fulfilled it is forgotten.
    #[prost(bool, tag = "22")]
    pub unattended: bool,
    /// The policies that the caller of a permission change saw, by number.
    #[prost(int32, repeated, tag = "23")]
    pub seen: Vec<i32>,
    /// The group it is for, 16 bytes.
    #[prost(bytes = "vec", tag = "24")]
    pub group_id: Vec<u8>,
    /// When it failed, Unix nanoseconds.
    #[prost(uint64, tag = "25")]
    pub failed_ns: u64,
}

/// How far an intent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum IntentState {
    /// Nothing was made of it yet.
    Queued = 0,
    /// Its bytes are made and stored; they may or may not have reached the node.
    Published = 1,
    /// Our commit was read back and merged; Welcomes are still to be sent.
    Committed = 2,
    /// It failed; kept until the caller has heard.
    Failed = 3,
}

/// What is wished.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Wish {
    /// Send the stored message with this id.
    #[prost(bytes, tag = "2")]
    Message(Vec<u8>),
    /// A commit without proposals that renews our leaf.
    #[prost(message, tag = "3")]
    KeyUpdate(KeyUpdateWish),
    /// Change who is a member, or bring the tree in line with identity logs.
    #[prost(message, tag = "4")]
    Membership(MembershipWish),
    /// Change attributes of the mutable metadata.
    #[prost(message, tag = "5")]
    Metadata(MetadataWish),
    /// Change an admin list.
    #[prost(message, tag = "6")]
    Role(RoleWish),
    /// Change a permission.
    #[prost(message, tag = "7")]
    Permission(PermissionWish),
    /// Remove and add the same installations, to repair a fork.
    #[prost(message, tag = "8")]
    Readd(ReaddWish),
}

/// No fields.
#[derive(Clone, PartialEq, Message)]
pub struct KeyUpdateWish {}

/// Inboxes to add and remove; both empty = only follow identity logs.
#[derive(Clone, PartialEq, Message)]
pub struct MembershipWish {
    /// Inboxes to add.
    #[prost(string, repeated, tag = "1")]
    pub add: Vec<String>,
    /// Inboxes to remove.
    #[prost(string, repeated, tag = "2")]
    pub remove: Vec<String>,
}

/// Attributes to set, with the values the caller saw if it wants them compared.
#[derive(Clone, PartialEq, Message)]
pub struct MetadataWish {
    /// New values.
    #[prost(btree_map = "string, string", tag = "1")]
    pub set: std::collections::BTreeMap<String, String>,
    /// Values that must still stand.
    #[prost(btree_map = "string, string", tag = "2")]
    pub expected: std::collections::BTreeMap<String, String>,
}

/// Change of one inbox in one admin list.
#[derive(Clone, PartialEq, Message)]
pub struct RoleWish {
    /// Inbox.
    #[prost(string, tag = "1")]
    pub inbox_id: String,
    /// Super admin list instead of the admin list.
    #[prost(bool, tag = "2")]
    pub super_admin: bool,
    /// Remove instead of add.
    #[prost(bool, tag = "3")]
    pub remove: bool,
}

/// Change of one permission slot; numbers are the official SDK's.
#[derive(Clone, PartialEq, Message)]
pub struct PermissionWish {
    /// `PermissionUpdateType`.
    #[prost(int32, tag = "1")]
    pub slot: i32,
    /// `PermissionPolicy`.
    #[prost(int32, tag = "2")]
    pub policy: i32,
    /// Attribute names for UpdateMetadata.
    #[prost(string, repeated, tag = "3")]
    pub fields: Vec<String>,
}

/// Installations to remove and add again.
#[derive(Clone, PartialEq, Message)]
pub struct ReaddWish {
    /// 32 bytes each.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub installations: Vec<Vec<u8>>,
}

/// Whom a Welcome is for: what sealing needs.
#[derive(Clone, PartialEq, Message)]
pub struct Recipient {
    /// Installation, 32 bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub installation: Vec<u8>,
    /// Whether it is sealed to an X-Wing key; else to an X25519 key.
    #[prost(bool, tag = "2")]
    pub x_wing: bool,
    /// The key it is sealed to.
    #[prost(bytes = "vec", tag = "3")]
    pub public_key: Vec<u8>,
    /// Whether the installation follows pointers.
    #[prost(bool, tag = "4")]
    pub takes_pointers: bool,
}

/// A key package of ours with its private keys.
#[derive(Clone, PartialEq, Message)]
pub struct KeyPackageRow {
    /// As `mls::OwnKeyPackage` encodes itself.
    #[prost(bytes = "vec", tag = "1")]
    pub package: Vec<u8>,
    /// When it was made, Unix nanoseconds.
    #[prost(uint64, tag = "2")]
    pub created_ns: u64,
    /// When another took its place, Unix nanoseconds; 0 = it is current.
    #[prost(uint64, tag = "3")]
    pub superseded_ns: u64,
}

/// This installation.
#[derive(Clone, PartialEq, Message)]
pub struct IdentityRow {
    /// Inbox id.
    #[prost(string, tag = "1")]
    pub inbox_id: String,
    /// Ed25519 seed, 32 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub seed: Vec<u8>,
    /// Identifier that registered it, text form.
    #[prost(string, tag = "3")]
    pub identifier: String,
    /// Kind number on the wire.
    #[prost(int32, tag = "4")]
    pub identifier_kind: i32,
    /// Whether the registration is confirmed.
    #[prost(bool, tag = "5")]
    pub registered: bool,
    /// The exact identity update of a registration under way.
    #[prost(bytes = "vec", tag = "6")]
    pub pending_update: Vec<u8>,
    /// The exact key package of a registration under way.
    #[prost(bytes = "vec", tag = "7")]
    pub pending_key_package: Vec<u8>,
    /// Cursor of the welcome topic.
    #[prost(uint64, tag = "8")]
    pub welcome_cursor: u64,
    /// 42 random bytes for HMAC keys.
    #[prost(bytes = "vec", tag = "9")]
    pub hmac_user_key: Vec<u8>,
    /// When that key was made, Unix nanoseconds.
    #[prost(uint64, tag = "10")]
    pub hmac_cycled_ns: u64,
    /// When the key package must be rotated, Unix nanoseconds.
    #[prost(uint64, tag = "11")]
    pub rotate_at_ns: u64,
    /// An unfinished signature request: serialised, waiting for the wallet.
    #[prost(bytes = "vec", tag = "12")]
    pub pending_request: Vec<u8>,
}

/// An entry of an inbox's identity log.
#[derive(Clone, PartialEq, Message)]
pub struct IdentityLogRow {
    /// Exact bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub update: Vec<u8>,
    /// Node's time, Unix nanoseconds.
    #[prost(uint64, tag = "2")]
    pub server_ns: u64,
}

/// Consent to an inbox (consent to a conversation is in its row).
#[derive(Clone, PartialEq, Message)]
pub struct ConsentRow {
    /// Inbox id.
    #[prost(string, tag = "1")]
    pub entity: String,
    /// `ConsentState` number.
    #[prost(int32, tag = "2")]
    pub state: i32,
    /// When, Unix nanoseconds.
    #[prost(uint64, tag = "3")]
    pub at_ns: u64,
}

/// One entry of the feed: something happened that a stream may show.
#[derive(Clone, PartialEq, Message)]
pub struct FeedRow {
    /// See [`FeedKind`].
    #[prost(enumeration = "FeedKind", tag = "1")]
    pub kind: i32,
    /// Group, 16 bytes; empty where none.
    #[prost(bytes = "vec", tag = "2")]
    pub group_id: Vec<u8>,
    /// Message ids, or other references; see the kind.
    #[prost(bytes = "vec", repeated, tag = "3")]
    pub items: Vec<Vec<u8>>,
}

/// What a feed entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum FeedKind {
    /// New messages; items are their ids.
    Messages = 0,
    /// A new conversation.
    Conversation = 1,
    /// Messages deleted or expired; items are their ids.
    Deleted = 2,
    /// Messages withdrawn because their sender had been removed before; items are their ids.
    Withdrawn = 3,
    /// Consent changed; items are encoded [`ConsentRow`]s.
    Consent = 4,
    /// Preferences changed; items are encoded `PreferenceUpdate`s.
    Preferences = 5,
    /// A conversation's state changed (members, roles, metadata, health).
    Changed = 6,
    /// A message's delivery status or content changed; items are its ids.
    Updated = 7,
    /// Something suspicious or noteworthy; items are code texts.
    Notice = 8,
}

/// One accepted commit in the role log.
#[derive(Clone, PartialEq, Message)]
pub struct RoleRow {
    /// Epoch after it.
    #[prost(uint64, tag = "1")]
    pub epoch: u64,
    /// Committer's inbox.
    #[prost(string, tag = "2")]
    pub committer: String,
    /// Super admins after it.
    #[prost(string, repeated, tag = "3")]
    pub super_admins: Vec<String>,
    /// Admins after it.
    #[prost(string, repeated, tag = "4")]
    pub admins: Vec<String>,
    /// Member inboxes after it.
    #[prost(string, repeated, tag = "5")]
    pub members: Vec<String>,
    /// Leaves after it.
    #[prost(message, repeated, tag = "6")]
    pub leaves: Vec<LeafRow>,
    /// `message_disappear_from_ns` after it.
    #[prost(string, tag = "7")]
    pub disappear_from: String,
    /// `message_disappear_in_ns` after it.
    #[prost(string, tag = "8")]
    pub disappear_in: String,
    /// Whether anchored moderation is on.
    #[prost(bool, tag = "9")]
    pub moderated: bool,
    /// Authenticator of the epoch after it.
    #[prost(bytes = "vec", tag = "10")]
    pub authenticator: Vec<u8>,
    /// Committer's installation, 32 bytes; empty in a first record.
    #[prost(bytes = "vec", tag = "11")]
    pub committer_installation: Vec<u8>,
    /// The node's time of the commit, Unix nanoseconds.
    #[prost(uint64, tag = "12")]
    pub created_ns: u64,
}

impl From<&RoleRecord> for RoleRow {
    fn from(record: &RoleRecord) -> Self {
        let (committer, committer_installation) = match &record.committer {
            Some((inbox, installation)) => (inbox.clone(), installation.as_bytes().to_vec()),
            None => Default::default(),
        };
        Self {
            epoch: record.epoch,
            committer,
            committer_installation,
            super_admins: record.super_admins.clone(),
            admins: record.admins.clone(),
            members: record.members.clone(),
            leaves: (record.leaves.iter().flatten())
                .map(|leaf| LeafRow {
                    index: leaf.index,
                    inbox_id: leaf.inbox.clone(),
                    installation: leaf.installation.as_bytes().to_vec(),
                    trusted: leaf.trusted,
                })
                .collect(),
            disappear_from: record.disappearing.0.clone(),
            disappear_in: record.disappearing.1.clone(),
            moderated: record.anchored,
            authenticator: record.authenticator.clone(),
            created_ns: record.created_ns,
        }
    }
}

impl RoleRow {
    /// The record at a place in the log. A tree has leaves: no rows of them means that the table
    /// was dropped.
    #[must_use]
    pub fn into_record(self, sequence: u64) -> RoleRecord {
        let leaves: Vec<Leaf> = (self.leaves.into_iter())
            .filter_map(|leaf| {
                Some(Leaf {
                    index: leaf.index,
                    inbox: leaf.inbox_id,
                    installation: InstallationId::try_from(leaf.installation.as_slice()).ok()?,
                    trusted: leaf.trusted,
                })
            })
            .collect();
        let committer = InstallationId::try_from(self.committer_installation.as_slice()).ok();
        RoleRecord {
            sequence,
            epoch: self.epoch,
            committer: committer.map(|installation| (self.committer, installation)),
            super_admins: self.super_admins,
            admins: self.admins,
            members: self.members,
            leaves: (!leaves.is_empty()).then_some(leaves),
            anchored: self.moderated,
            disappearing: (self.disappear_from, self.disappear_in),
            authenticator: self.authenticator,
            created_ns: self.created_ns,
        }
    }
}

/// A leaf in the role log.
#[derive(Clone, PartialEq, Message)]
pub struct LeafRow {
    /// Index in the tree.
    #[prost(uint32, tag = "1")]
    pub index: u32,
    /// Inbox.
    #[prost(string, tag = "2")]
    pub inbox_id: String,
    /// Installation, 32 bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub installation: Vec<u8>,
    /// Whether the installation belongs to the inbox by its identity log.
    #[prost(bool, tag = "4")]
    pub trusted: bool,
}

/// Order key of a message that the node has numbered.
#[must_use]
pub fn order_of(sequence_id: u64) -> Vec<u8> {
    sequence_id.to_be_bytes().to_vec()
}

/// Order key of our message that the node has not numbered yet: behind all others.
#[must_use]
pub fn provisional_order(intent: u64) -> Vec<u8> {
    let mut order = vec![0xff; 8];
    order.extend_from_slice(&intent.to_be_bytes());
    order
}
