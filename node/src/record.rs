//! What the log holds: one record for each accepted write.
//!
//! A record carries everything that `view::apply` needs. Applying it asks no clock, no chain and
//! no random source, so every node that reads the same log reaches the same view.

use sotto_proto::mls_api as api;

use crate::topic::{GroupId, InboxId, InstallationKey, Topic};

/// One accepted write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A message of a group.
    GroupMessage(GroupMessage),
    /// A welcome, or a pointer to one.
    Welcome(Welcome),
    /// The newest key package of an installation.
    KeyPackage(KeyPackage),
    /// One more entry of an inbox's identity log.
    IdentityUpdate(IdentityUpdate),
    /// An entry of a group's commit log.
    CommitLog(CommitLogEntry),
}

/// Something with its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    /// Its id, rising within every topic.
    pub id: u64,
    /// When it was stored, Unix nanoseconds, rising with the id.
    pub created_ns: u64,
    /// What it is.
    pub item: T,
}

/// A group message, its cleartext header read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMessage {
    /// The group, from the MLS header.
    pub group_id: GroupId,
    /// The MLSMessage as sent.
    pub data: Vec<u8>,
    /// For push servers; stored untouched.
    pub sender_hmac: Vec<u8>,
    /// For push servers; stored untouched.
    pub should_push: bool,
    /// Whether the content type is commit or proposal.
    pub is_commit: bool,
}

/// A welcome as it is stored. A pointer is one with `is_pointer` set; it has no metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The addressee; for a pointee a random topic.
    pub installation_key: InstallationKey,
    /// The sealed welcome or the sealed pointer.
    pub data: Vec<u8>,
    /// The key it is sealed to.
    pub hpke_public_key: Vec<u8>,
    /// How it is sealed; never 0.
    pub wrapper_algorithm: i32,
    /// The second seal of a welcome.
    pub welcome_metadata: Vec<u8>,
    /// Whether this is a pointer.
    pub is_pointer: bool,
}

/// A key package that passed `validate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPackage {
    /// The leaf's signature key.
    pub installation_key: InstallationKey,
    /// The bare TLS KeyPackage as sent.
    pub data: Vec<u8>,
}

/// An identity update that was verified against the log up to `based_on`.
///
/// `apply` takes it only if that is still the last entry of the inbox. So racing updates are
/// decided by the order of the log, and applying needs no signature check: the loser verifies
/// again against the longer log and tries anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityUpdate {
    /// The inbox.
    pub inbox_id: InboxId,
    /// The update's protobuf as sent.
    pub update: Vec<u8>,
    /// The last sequence id of the log that it was verified against; 0 for an empty log.
    pub based_on: u64,
    /// Identifiers that become members.
    pub joined: Vec<Identifier>,
    /// Identifiers that cease to be members.
    pub left: Vec<Identifier>,
}

/// A wallet or passkey as the reverse look-up knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identifier {
    /// Canonical text: a lower-case address, or the passkey's public key in hex.
    pub text: String,
    /// The wire's `IdentifierKind`: 1 Ethereum, 2 passkey.
    pub kind: i32,
}

/// A commit log entry; its signature is not checked by the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitLogEntry {
    /// The group.
    pub group_id: GroupId,
    /// The serialized entry as sent.
    pub entry: Vec<u8>,
    /// The signature over it.
    pub signature: Vec<u8>,
    /// The key that signed.
    pub public_key: Vec<u8>,
}

impl Record {
    /// The topic that subscribers of this record follow, if there is one.
    pub fn topic(&self) -> Option<Topic> {
        match self {
            Record::GroupMessage(message) => Some(Topic::Group(message.group_id)),
            Record::Welcome(welcome) => Some(Topic::Welcome(welcome.installation_key)),
            Record::KeyPackage(_) | Record::IdentityUpdate(_) | Record::CommitLog(_) => None,
        }
    }

    /// A rough size in bytes, for batching.
    pub fn size(&self) -> usize {
        64 + match self {
            Record::GroupMessage(message) => message.data.len() + message.sender_hmac.len(),
            Record::Welcome(welcome) => {
                welcome.data.len() + welcome.hpke_public_key.len() + welcome.welcome_metadata.len()
            }
            Record::KeyPackage(key_package) => key_package.data.len(),
            Record::IdentityUpdate(update) => update.update.len(),
            Record::CommitLog(entry) => entry.entry.len() + entry.signature.len(),
        }
    }
}

impl Stored<GroupMessage> {
    /// The message as queries and streams return it.
    pub fn into_wire(self) -> api::GroupMessage {
        let message = self.item;
        api::GroupMessage {
            version: Some(api::group_message::Version::V1(api::group_message::V1 {
                id: self.id,
                created_ns: self.created_ns,
                group_id: message.group_id.to_vec(),
                data: message.data,
                sender_hmac: message.sender_hmac,
                should_push: message.should_push,
                is_commit: message.is_commit,
            })),
        }
    }
}

impl Stored<Welcome> {
    /// The welcome as queries and streams return it.
    pub fn into_wire(self) -> api::WelcomeMessage {
        use api::welcome_message::{V1, Version, WelcomePointer};
        let Self {
            id,
            created_ns,
            item: welcome,
        } = self;
        let installation_key = welcome.installation_key.to_vec();
        let version = if welcome.is_pointer {
            Version::WelcomePointer(WelcomePointer {
                id,
                created_ns,
                installation_key,
                welcome_pointer: welcome.data,
                hpke_public_key: welcome.hpke_public_key,
                wrapper_algorithm: welcome.wrapper_algorithm,
            })
        } else {
            Version::V1(V1 {
                id,
                created_ns,
                installation_key,
                data: welcome.data,
                hpke_public_key: welcome.hpke_public_key,
                wrapper_algorithm: welcome.wrapper_algorithm,
                welcome_metadata: welcome.welcome_metadata,
            })
        };
        api::WelcomeMessage {
            version: Some(version),
        }
    }
}
