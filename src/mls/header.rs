//! The part of a group message that is not encrypted: enough for a node to sort it, and for a
//! client to see which epoch a message of its own was encrypted in.
//!
//! Nothing of it is authenticated.

use super::GroupId;
use super::extensions::split_vector;

/// The header of a PrivateMessage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The group.
    pub group_id: GroupId,
    /// The epoch.
    pub epoch: u64,
    /// What is inside.
    pub kind: ContentKind,
}

/// What kind of content a PrivateMessage says it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentKind {
    /// An application message.
    Application,
    /// A standalone proposal.
    Proposal,
    /// A Commit.
    Commit,
}

/// Version 1.0 and wire format "PrivateMessage" (RFC 9420, 6).
const PREFIX: &[u8] = &[0, 1, 0, 2];

/// Reads the header; nothing if `data` is not one PrivateMessage and only that, of a group with a
/// 16-byte id.
#[must_use]
pub fn header(data: &[u8]) -> Option<Header> {
    let (group_id, rest) = split_vector(data.strip_prefix(PREFIX)?)?;
    let (epoch, rest) = rest.split_first_chunk::<8>()?;
    let (kind, rest) = rest.split_first()?;
    let (_authenticated_data, rest) = split_vector(rest)?;
    let (_sender_data, rest) = split_vector(rest)?;
    let (_ciphertext, rest) = split_vector(rest)?;
    let kind = match kind {
        1 => ContentKind::Application,
        2 => ContentKind::Proposal,
        3 => ContentKind::Commit,
        _ => return None,
    };
    rest.is_empty().then_some(Header {
        group_id: group_id.try_into().ok()?,
        epoch: u64::from_be_bytes(*epoch),
        kind,
    })
}
