//! What can be subscribed to: a group's messages, or an installation's welcomes.

use crate::status::Status;

/// Length of a group id in bytes.
pub const GROUP_ID_LEN: usize = 16;
/// Length of an installation key in bytes.
pub const INSTALLATION_KEY_LEN: usize = 32;

/// A group id.
pub type GroupId = [u8; GROUP_ID_LEN];
/// An installation's public signature key.
pub type InstallationKey = [u8; INSTALLATION_KEY_LEN];
/// The 32 bytes of an inbox id, whose wire form is 64 lower-case hex characters.
pub type InboxId = [u8; 32];

/// The two message kinds that streams carry. Each has its own order on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Group messages.
    Group,
    /// Welcomes and welcome pointers.
    Welcome,
}

/// One append-only sequence of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// The messages of a group.
    Group(GroupId),
    /// The welcomes of an installation.
    Welcome(InstallationKey),
}

impl Topic {
    /// The message kind of this topic.
    pub fn kind(&self) -> Kind {
        match self {
            Topic::Group(_) => Kind::Group,
            Topic::Welcome(_) => Kind::Welcome,
        }
    }

    /// The group id or installation key.
    pub fn id(&self) -> &[u8] {
        match self {
            Topic::Group(id) => id,
            Topic::Welcome(key) => key,
        }
    }

    /// XIP-83's form: a kind byte and the identifier.
    pub fn to_bytes(self) -> Vec<u8> {
        let kind = match self {
            Topic::Group(_) => 0,
            Topic::Welcome(_) => 1,
        };
        let mut out = vec![kind];
        out.extend_from_slice(self.id());
        out
    }

    /// Reads XIP-83's form.
    ///
    /// # Errors
    /// `InvalidArgument` for a kind that is not served or an identifier of the wrong length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Status> {
        match bytes.split_first() {
            Some((0, id)) => group_id(id).map(Topic::Group),
            Some((1, key)) => installation_key(key).map(Topic::Welcome),
            _ => Err(Status::invalid("unknown topic kind")),
        }
    }
}

/// Checks a group id.
///
/// # Errors
/// `InvalidArgument` unless it has 16 bytes.
pub fn group_id(bytes: &[u8]) -> Result<GroupId, Status> {
    bytes
        .try_into()
        .map_err(|_| Status::invalid("a group id has 16 bytes"))
}

/// Checks an installation key.
///
/// # Errors
/// `InvalidArgument` unless it has 32 bytes.
pub fn installation_key(bytes: &[u8]) -> Result<InstallationKey, Status> {
    bytes
        .try_into()
        .map_err(|_| Status::invalid("an installation key has 32 bytes"))
}

/// Checks an inbox id.
///
/// # Errors
/// `InvalidArgument` unless it is 64 lower-case hex characters.
pub fn inbox_id(text: &str) -> Result<InboxId, Status> {
    let refused = || Status::invalid("an inbox id has 64 lower-case hex characters");
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(refused());
    }
    let mut out = [0; 32];
    hex::decode_to_slice(text, &mut out).map_err(|_| refused())?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_survive_a_round_trip() {
        for topic in [Topic::Group([7; 16]), Topic::Welcome([9; 32])] {
            assert_eq!(Topic::from_bytes(&topic.to_bytes()), Ok(topic));
        }
    }

    #[test]
    fn unknown_kinds_and_odd_lengths_are_refused() {
        for bytes in [
            &[][..],
            &[0],
            &[0; 16],
            &[0; 18],
            &[1; 32],
            &[2; 33],
            &[3; 17],
        ] {
            assert!(Topic::from_bytes(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn inbox_ids_are_lower_case_hex_of_32_bytes() {
        assert_eq!(inbox_id(&"0f".repeat(32)), Ok([0x0f; 32]));
        for text in ["", &"0F".repeat(32), &"0f".repeat(31), &"0g".repeat(32)] {
            assert!(inbox_id(text).is_err(), "{text}");
        }
    }
}
