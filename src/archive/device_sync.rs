//! What installations of one inbox tell each other in their sync group: asking for history, sending
//! it, and what the user decided.
//!
//! Who may be believed is not decided here: only an installation of our own inbox that is not
//! revoked (spec/archive.md 3.7).

use std::fmt;

use prost::Message;
use sotto_proto::device_sync as proto;
use zeroize::Zeroizing;

use super::reader::VERSION;
use super::{ArchiveKey, ArchiveMetadata, ArchiveOptions, ConsentRecord};
use crate::content::{ContentError, ContentKind, EncodedContent};

/// The bytes of the key that push subscriptions are derived from.
const HMAC_KEY_BYTES: usize = 42;
/// A time further ahead of ours than this is not believed.
const MAX_AHEAD_NS: i64 = 24 * 3600 * 1_000_000_000;

/// A message in a sync group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceSyncMessage {
    /// An installation wants the history.
    Request(SyncRequest),
    /// An installation sent the history.
    Reply(SyncReply),
    /// The user decided something, or the push key was changed.
    Preferences {
        /// What is to be applied.
        updates: Vec<PreferenceUpdate>,
        /// How many updates were not usable. They spoil none of the others.
        unusable: usize,
    },
    /// Something old, something newer, or something that asks for nothing.
    Ignored,
}

/// An installation wants the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncRequest {
    /// What the replies will name. No secret.
    pub pin: String,
    /// Where the archive is to be put. Compare it with one's own choice of server.
    pub server_url: String,
    /// What the archive is to hold.
    pub options: ArchiveOptions,
}

/// An installation sent the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncReply {
    /// The pin of the request that this answers, or anything, if it was not asked for.
    pub pin: String,
    /// Where the archive is.
    pub url: String,
    /// What opens it.
    pub key: ArchiveKey,
    /// What it says of itself.
    pub metadata: Option<ArchiveMetadata>,
}

/// Something the user decided, or another push key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreferenceUpdate {
    /// A consent record.
    Consent(ConsentRecord),
    /// The key that push subscriptions are derived from.
    Hmac(HmacKeyUpdate),
}

/// The key that push subscriptions are derived from, and when it was made.
#[derive(Clone, PartialEq, Eq)]
pub struct HmacKeyUpdate {
    /// The key.
    pub key: Zeroizing<[u8; HMAC_KEY_BYTES]>,
    /// When, in nanoseconds since 1970. Taken if it is no older than the stored one.
    pub cycled_at_ns: i64,
}

impl fmt::Debug for HmacKeyUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacKeyUpdate")
            .field("key", &format_args!("[redacted]"))
            .field("cycled_at_ns", &self.cycled_at_ns)
            .finish()
    }
}

impl PreferenceUpdate {
    /// The update with a time that lies far ahead replaced by that of its receipt, so that a wrong
    /// clock does not win for ever.
    #[must_use]
    pub fn received_at(self, now_ns: i64) -> Self {
        let believe = |time: i64| {
            if time > now_ns.saturating_add(MAX_AHEAD_NS) {
                now_ns
            } else {
                time
            }
        };
        match self {
            Self::Consent(mut record) => {
                record.consented_at_ns = believe(record.consented_at_ns);
                Self::Consent(record)
            }
            Self::Hmac(mut update) => {
                update.cycled_at_ns = believe(update.cycled_at_ns);
                Self::Hmac(update)
            }
        }
    }

    fn from_wire(update: proto::PreferenceUpdate) -> Option<Self> {
        use proto::preference_update::Update;
        match update.update? {
            Update::Consent(save) => ConsentRecord::from_wire(&save).ok().map(Self::Consent),
            Update::Hmac(update) => {
                let key = Zeroizing::new(update.key);
                Some(Self::Hmac(HmacKeyUpdate {
                    key: Zeroizing::new(key.as_slice().try_into().ok()?),
                    cycled_at_ns: update.cycled_at_ns,
                }))
            }
        }
    }

    fn to_wire(&self) -> proto::PreferenceUpdate {
        use proto::preference_update::Update;
        proto::PreferenceUpdate {
            update: Some(match self {
                Self::Consent(record) => Update::Consent(record.to_wire()),
                Self::Hmac(update) => Update::Hmac(proto::HmacKeyUpdate {
                    key: update.key.to_vec(),
                    cycled_at_ns: update.cycled_at_ns,
                }),
            }),
        }
    }
}

impl DeviceSyncMessage {
    /// Reads the content of a message in a sync group.
    ///
    /// # Errors
    /// [`ContentError::WrongType`] and [`ContentError::Protobuf`]: skip the message.
    pub fn decode(encoded: &EncodedContent) -> Result<Self, ContentError> {
        use proto::device_sync_content::Content;
        if encoded.kind() != Some(ContentKind::DeviceSync) {
            return Err(ContentError::WrongType {
                expected: ContentKind::DeviceSync,
            });
        }
        let content = proto::DeviceSyncContent::decode(encoded.content.as_slice())
            .map_err(|_| ContentError::Protobuf {
                what: "DeviceSyncContent",
            })?
            .content;
        Ok(match content {
            Some(Content::Request(request)) => request.options.map_or(Self::Ignored, |options| {
                Self::Request(SyncRequest {
                    pin: request.pin,
                    server_url: request.server_url,
                    options: options.into(),
                })
            }),
            Some(Content::Reply(reply)) => Self::reply(reply).unwrap_or(Self::Ignored),
            Some(Content::PreferenceUpdates(updates)) => {
                let given = updates.updates.len();
                let updates: Vec<_> = updates
                    .updates
                    .into_iter()
                    .filter_map(PreferenceUpdate::from_wire)
                    .collect();
                let unusable = given - updates.len();
                Self::Preferences { updates, unusable }
            }
            Some(Content::Acknowledge(_)) | None => Self::Ignored,
        })
    }

    /// A reply in today's format, with a key.
    fn reply(reply: proto::DeviceSyncReply) -> Option<Self> {
        let proto::device_sync_key::Key::Aes256Gcm(key) = reply.encryption_key?.key?;
        let key = Zeroizing::new(key);
        if reply.kind != 0 || key.len() != 32 {
            return None;
        }
        Some(Self::Reply(SyncReply {
            pin: reply.request_id,
            url: reply.url,
            key: ArchiveKey::new(&key).ok()?,
            metadata: reply
                .metadata
                .map(|metadata| ArchiveMetadata::from_wire(VERSION, metadata)),
        }))
    }

    /// The content to send, without parameters, fallback or push. Nothing for
    /// [`DeviceSyncMessage::Ignored`].
    #[must_use]
    pub fn encode(&self) -> Option<EncodedContent> {
        use proto::device_sync_content::Content;
        let content = match self {
            Self::Request(request) => Content::Request(proto::DeviceSyncRequest {
                pin: request.pin.clone(),
                server_url: request.server_url.clone(),
                options: Some((&request.options).into()),
            }),
            Self::Reply(reply) => Content::Reply(proto::DeviceSyncReply {
                request_id: reply.pin.clone(),
                url: reply.url.clone(),
                encryption_key: Some(proto::DeviceSyncKey {
                    key: Some(proto::device_sync_key::Key::Aes256Gcm(
                        reply.key.as_bytes().to_vec(),
                    )),
                }),
                kind: 0,
                metadata: reply.metadata.as_ref().map(ArchiveMetadata::to_wire),
            }),
            Self::Preferences { updates, .. } => {
                Content::PreferenceUpdates(proto::PreferenceUpdates {
                    updates: updates.iter().map(PreferenceUpdate::to_wire).collect(),
                })
            }
            Self::Ignored => return None,
        };
        let content = proto::DeviceSyncContent {
            content: Some(content),
        };
        Some(EncodedContent::new(
            ContentKind::DeviceSync,
            content.encode_to_vec(),
        ))
    }
}

/// The pin of a request, from random bytes: five letters and digits.
#[must_use]
pub fn pin_of(random: [u8; 5]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    random
        .iter()
        .filter_map(|byte| DIGITS.get(usize::from(*byte) % DIGITS.len()))
        .map(|digit| char::from(*digit))
        .collect()
}
