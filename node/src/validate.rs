//! What the node checks of what it stores: form, and the key package's own signatures.
//!
//! It never judges epochs, roles or who may write: it cannot know them, and a node that drops
//! what it believes to be a late commit could be made to block a group.

use std::time::{SystemTime, UNIX_EPOCH};

use sotto::mls::key_package::validate_upload;
use sotto_proto::mls_api::{self as api, WelcomePointerWrapperAlgorithm, WelcomeWrapperAlgorithm};

use crate::{
    record::{CommitLogEntry, GroupMessage, KeyPackage, Welcome},
    status::Status,
    topic,
};

/// Bytes of a key package. Official ones have 1.7 kB.
pub const MAX_KEY_PACKAGE: usize = 16 << 10;
/// Bytes of an identity update. One that revokes hundreds of installations fits.
pub const MAX_IDENTITY_UPDATE: usize = 128 << 10;
/// Different signatures of an identity update: each costs the node a verification.
pub const MAX_SIGNATURES: usize = 64;
/// Bytes of a commit log entry. Official ones have 92.
pub const MAX_COMMIT_LOG_ENTRY: usize = 4 << 10;

/// Checks one message of a `SendGroupMessages`.
///
/// # Errors
/// `InvalidArgument` unless it is one whole PrivateMessage.
pub fn group_message(input: api::GroupMessageInput) -> Result<GroupMessage, Status> {
    use api::group_message_input::Version;
    let Some(Version::V1(input)) = input.version else {
        return Err(Status::invalid("the message has no known version"));
    };
    let header = private_message(&input.data)
        .ok_or_else(|| Status::invalid("the message is not an MLS PrivateMessage"))?;
    Ok(GroupMessage {
        group_id: topic::group_id(header.group_id)?,
        is_commit: header.content_type != CONTENT_APPLICATION,
        data: input.data,
        sender_hmac: input.sender_hmac,
        should_push: input.should_push,
    })
}

/// Checks one welcome of a `SendWelcomeMessages`.
///
/// # Errors
/// `InvalidArgument` for missing fields or an unknown algorithm.
pub fn welcome(input: api::WelcomeMessageInput) -> Result<Welcome, Status> {
    use api::welcome_message_input::Version;
    match input.version {
        Some(Version::V1(input)) => {
            let algorithm = WelcomeWrapperAlgorithm::try_from(input.wrapper_algorithm)
                .map_err(|_| Status::invalid("unknown wrapper algorithm"))?;
            let algorithm = match algorithm {
                WelcomeWrapperAlgorithm::Unspecified => WelcomeWrapperAlgorithm::Curve25519,
                known => known,
            };
            let keyless = algorithm == WelcomeWrapperAlgorithm::SymmetricKey;
            if input.data.is_empty() || (input.hpke_public_key.is_empty() && !keyless) {
                return Err(Status::invalid("the welcome lacks data or a key"));
            }
            Ok(Welcome {
                installation_key: topic::installation_key(&input.installation_key)?,
                data: input.data,
                hpke_public_key: input.hpke_public_key,
                wrapper_algorithm: algorithm.into(),
                welcome_metadata: input.welcome_metadata,
                is_pointer: false,
            })
        }
        Some(Version::WelcomePointer(input)) => {
            let xwing = WelcomePointerWrapperAlgorithm::XwingMlkem768Draft6;
            if input.wrapper_algorithm != i32::from(xwing) {
                return Err(Status::invalid("unknown wrapper algorithm of a pointer"));
            }
            if input.welcome_pointer.is_empty() || input.hpke_public_key.is_empty() {
                return Err(Status::invalid("the welcome pointer lacks data or a key"));
            }
            Ok(Welcome {
                installation_key: topic::installation_key(&input.installation_key)?,
                data: input.welcome_pointer,
                hpke_public_key: input.hpke_public_key,
                wrapper_algorithm: input.wrapper_algorithm,
                welcome_metadata: vec![],
                is_pointer: true,
            })
        }
        None => Err(Status::invalid("the welcome has no known version")),
    }
}

/// Checks an uploaded key package against the present time. Whether its installation belongs to
/// the inbox that it names cannot be known: clients upload it before the identity update.
///
/// # Errors
/// `InvalidArgument` for anything that another client would refuse.
pub fn key_package(upload: Option<api::KeyPackageUpload>) -> Result<KeyPackage, Status> {
    let data = upload.unwrap_or_default().key_package_tls_serialized;
    if data.len() > MAX_KEY_PACKAGE {
        return Err(Status::exhausted("the key package is too large"));
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let installation = validate_upload(&data, now.as_secs())
        .map_err(|fault| Status::invalid(format!("invalid identity: {fault}")))?;
    Ok(KeyPackage {
        installation_key: *installation.as_bytes(),
        data,
    })
}

/// Checks an entry of a `BatchPublishCommitLog`.
///
/// # Errors
/// `InvalidArgument` for missing fields.
pub fn commit_log_entry(input: api::PublishCommitLogRequest) -> Result<CommitLogEntry, Status> {
    let signature = input
        .signature
        .filter(|signature| !signature.bytes.is_empty() && !signature.public_key.is_empty())
        .ok_or_else(|| Status::invalid("the commit log entry has no signature"))?;
    if input.serialized_commit_log_entry.is_empty() {
        return Err(Status::invalid("the commit log entry is empty"));
    }
    let bytes = input.serialized_commit_log_entry.len()
        + signature.bytes.len()
        + signature.public_key.len();
    if bytes > MAX_COMMIT_LOG_ENTRY {
        return Err(Status::exhausted("the commit log entry is too large"));
    }
    Ok(CommitLogEntry {
        group_id: topic::group_id(&input.group_id)?,
        entry: input.serialized_commit_log_entry,
        signature: signature.bytes,
        public_key: signature.public_key,
    })
}

const MLS_10: u16 = 1;
const WIRE_FORMAT_PRIVATE_MESSAGE: u16 = 2;
const CONTENT_APPLICATION: u8 = 1;
const CONTENT_COMMIT: u8 = 3;

struct PrivateMessageHeader<'a> {
    group_id: &'a [u8],
    content_type: u8,
}

/// RFC 9420, 6 and 6.3.1: an MLSMessage that is a PrivateMessage, read to its end. One that does
/// not decode would break every later query of its group, so nothing is left unread.
fn private_message(bytes: &[u8]) -> Option<PrivateMessageHeader<'_>> {
    let mut reader = Reader(bytes);
    let version = u16::from_be_bytes(reader.array()?);
    let wire_format = u16::from_be_bytes(reader.array()?);
    if version != MLS_10 || wire_format != WIRE_FORMAT_PRIVATE_MESSAGE {
        return None;
    }
    let group_id = reader.vector()?;
    let _epoch: [u8; 8] = reader.array()?;
    let [content_type] = reader.array()?;
    let _authenticated_data = reader.vector()?;
    let _encrypted_sender_data = reader.vector()?;
    let _ciphertext = reader.vector()?;
    let known = (CONTENT_APPLICATION..=CONTENT_COMMIT).contains(&content_type);
    (known && reader.0.is_empty()).then_some(PrivateMessageHeader {
        group_id,
        content_type,
    })
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(len)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// RFC 9420, 2.1.2: the two top bits give the size of the length, which must be the least.
    fn vector(&mut self) -> Option<&'a [u8]> {
        let [first] = self.array()?;
        let more = match first >> 6 {
            0 => 0,
            1 => 1,
            2 => 3,
            _ => return None,
        };
        let mut len = usize::from(first & 0x3f);
        for byte in self.take(more)? {
            len = len << 8 | usize::from(*byte);
        }
        let least = match more {
            0 => 0,
            1 => 1 << 6,
            _ => 1 << 14,
        };
        if len < least {
            return None;
        }
        self.take(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private(content_type: u8) -> Vec<u8> {
        let mut out = vec![0, 1, 0, 2, 16];
        out.extend([7; 16]);
        out.extend([0; 8]);
        out.push(content_type);
        out.extend([0, 2, 1, 2, 0x40, 70]);
        out.extend([9; 70]);
        out
    }

    #[test]
    fn commits_and_proposals_are_told_from_application_messages() {
        for (content_type, is_commit) in [(1, false), (2, true), (3, true)] {
            let input = api::group_message_input::V1 {
                data: private(content_type),
                ..Default::default()
            };
            let message = group_message(api::GroupMessageInput {
                version: Some(api::group_message_input::Version::V1(input)),
            })
            .unwrap();
            assert_eq!((message.group_id, message.is_commit), ([7; 16], is_commit));
        }
    }

    #[test]
    fn a_message_is_read_to_its_end_and_no_further() {
        let whole = private(1);
        assert!(private_message(&whole).is_some());
        for end in 0..whole.len() {
            assert!(private_message(&whole[..end]).is_none(), "cut at {end}");
        }
        let mut longer = whole;
        longer.push(0);
        assert!(private_message(&longer).is_none());
    }

    #[test]
    fn other_versions_formats_and_content_types_are_refused() {
        for (at, value) in [(1, 2), (3, 1), (3, 3), (29, 0), (29, 4)] {
            let mut bytes = private(1);
            bytes[at] = value;
            assert!(private_message(&bytes).is_none(), "byte {at} = {value}");
        }
    }

    #[test]
    fn a_length_that_is_longer_than_needed_is_refused() {
        assert!(Reader(&[0x40, 1, 9]).vector().is_none());
        assert!(Reader(&[0x80, 0, 0, 1, 9]).vector().is_none());
        assert!(Reader(&[0xc0, 9]).vector().is_none());
        assert_eq!(Reader(&[1, 9]).vector(), Some(&[9][..]));
    }
}
