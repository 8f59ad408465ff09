//! What an archive says of itself, and what can be asked for.

use serde::{Deserialize, Serialize};
use sotto_proto::device_sync as proto;

/// A kind of element that an archive can hold. A number in JavaScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum ArchiveElements {
    /// Conversations and their messages (0).
    Messages,
    /// Consent records (1).
    Consent,
}

impl From<ArchiveElements> for u8 {
    fn from(elements: ArchiveElements) -> Self {
        elements as Self
    }
}

impl TryFrom<u8> for ArchiveElements {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            0 => Ok(Self::Messages),
            1 => Ok(Self::Consent),
            _ => Err("not a kind of archive elements"),
        }
    }
}

/// The numbers on the wire; those that we do not know, or that are no longer used, are left out.
fn from_wire(elements: Vec<i32>) -> Vec<ArchiveElements> {
    elements
        .into_iter()
        .filter_map(
            |number| match proto::BackupElementSelection::try_from(number) {
                Ok(proto::BackupElementSelection::Messages) => Some(ArchiveElements::Messages),
                Ok(proto::BackupElementSelection::Consent) => Some(ArchiveElements::Consent),
                _ => None,
            },
        )
        .collect()
}

fn to_wire(elements: &[ArchiveElements]) -> Vec<i32> {
    elements
        .iter()
        .map(|elements| match elements {
            ArchiveElements::Messages => proto::BackupElementSelection::Messages,
            ArchiveElements::Consent => proto::BackupElementSelection::Consent,
        })
        .map(i32::from)
        .collect()
}

/// What goes into an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveOptions {
    /// The kinds of elements.
    pub elements: Vec<ArchiveElements>,
    /// Only messages sent after this time, in nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ns: Option<i64>,
    /// Only messages sent at this time or before, in nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ns: Option<i64>,
    /// Leave out messages that will disappear.
    #[serde(default)]
    pub exclude_disappearing_messages: bool,
}

impl Default for ArchiveOptions {
    /// Everything.
    fn default() -> Self {
        Self {
            elements: vec![ArchiveElements::Consent, ArchiveElements::Messages],
            start_ns: None,
            end_ns: None,
            exclude_disappearing_messages: false,
        }
    }
}

impl ArchiveOptions {
    /// Whether the archive holds elements of this kind.
    #[must_use]
    pub fn includes(&self, elements: ArchiveElements) -> bool {
        self.elements.contains(&elements)
    }

    /// Whether the archive holds a message that was sent at `sent_at_ns` and expires at
    /// `expires_at_ns`. What has expired at `now_ns` is never in one.
    #[must_use]
    pub fn includes_message(
        &self,
        sent_at_ns: i64,
        expires_at_ns: Option<i64>,
        now_ns: i64,
    ) -> bool {
        let in_time = self.start_ns.is_none_or(|start| sent_at_ns > start)
            && self.end_ns.is_none_or(|end| sent_at_ns <= end);
        let lasting = expires_at_ns
            .is_none_or(|expires| expires > now_ns && !self.exclude_disappearing_messages);
        self.includes(ArchiveElements::Messages) && in_time && lasting
    }
}

impl From<proto::ArchiveOptions> for ArchiveOptions {
    fn from(options: proto::ArchiveOptions) -> Self {
        Self {
            elements: from_wire(options.elements),
            start_ns: options.start_ns,
            end_ns: options.end_ns,
            exclude_disappearing_messages: options.exclude_disappearing_messages,
        }
    }
}

impl From<&ArchiveOptions> for proto::ArchiveOptions {
    fn from(options: &ArchiveOptions) -> Self {
        Self {
            elements: to_wire(&options.elements),
            start_ns: options.start_ns,
            end_ns: options.end_ns,
            exclude_disappearing_messages: options.exclude_disappearing_messages,
        }
    }
}

/// What an archive says of itself, in its header and first element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ArchiveMetadata {
    /// The version of the format.
    pub backup_version: u16,
    /// What it says it holds.
    pub elements: Vec<ArchiveElements>,
    /// When it was made, in nanoseconds since 1970.
    pub exported_at_ns: i64,
    /// Only messages sent after this time, in nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ns: Option<i64>,
    /// Only messages sent at this time or before, in nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ns: Option<i64>,
}

impl ArchiveMetadata {
    /// What an archive made now with these options says.
    #[must_use]
    pub fn of(options: &ArchiveOptions, exported_at_ns: i64) -> Self {
        Self {
            backup_version: 0,
            elements: options.elements.clone(),
            exported_at_ns,
            start_ns: options.start_ns,
            end_ns: options.end_ns,
        }
    }

    pub(super) fn from_wire(version: u16, metadata: proto::BackupMetadataSave) -> Self {
        Self {
            backup_version: version,
            elements: from_wire(metadata.elements),
            exported_at_ns: metadata.exported_at_ns,
            start_ns: metadata.start_ns,
            end_ns: metadata.end_ns,
        }
    }

    pub(super) fn to_wire(&self) -> proto::BackupMetadataSave {
        proto::BackupMetadataSave {
            elements: to_wire(&self.elements),
            exported_at_ns: self.exported_at_ns,
            start_ns: self.start_ns,
            end_ns: self.end_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_excludes_its_start_and_includes_its_end() {
        let options = ArchiveOptions {
            start_ns: Some(10),
            end_ns: Some(20),
            ..ArchiveOptions::default()
        };
        for (sent, inside) in [(10, false), (11, true), (20, true), (21, false)] {
            assert_eq!(options.includes_message(sent, None, 0), inside, "{sent}");
        }
    }

    #[test]
    fn expired_messages_are_never_in_and_disappearing_ones_if_wanted() {
        let mut options = ArchiveOptions::default();
        assert!(options.includes_message(1, Some(100), 99));
        assert!(!options.includes_message(1, Some(100), 100));
        options.exclude_disappearing_messages = true;
        assert!(!options.includes_message(1, Some(100), 99));
        assert!(options.includes_message(1, None, 99));
    }

    #[test]
    fn no_message_is_in_an_archive_of_consent() {
        let options = ArchiveOptions {
            elements: vec![ArchiveElements::Consent],
            ..ArchiveOptions::default()
        };
        assert!(!options.includes_message(1, None, 0));
    }

    #[test]
    fn unknown_and_old_kinds_of_elements_are_left_out() {
        assert_eq!(
            from_wire(vec![2, 3, 0, 9, 1]),
            [ArchiveElements::Consent, ArchiveElements::Messages]
        );
    }
}
