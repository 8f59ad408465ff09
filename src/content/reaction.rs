//! `reaction`: an emoji or other short content on an earlier message. Version 2 is a protobuf;
//! version 1 was JSON and is only read.

use std::collections::BTreeMap;

use prost::Message;
use serde::{Deserialize, Serialize};
use sotto_proto::message_contents as proto;

use super::{ContentError, ContentKind, ContentType, EncodedContent};

/// Whether a reaction is put there or taken back. A number in JavaScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "i32", into = "i32")]
pub enum ReactionAction {
    /// Neither (0), or something newer.
    #[default]
    Unknown,
    /// The sender reacts (1).
    Added,
    /// The sender takes an equal reaction back (2).
    Removed,
}

/// How to read the content of a reaction. A number in JavaScript.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(from = "i32", into = "i32")]
pub enum ReactionSchema {
    /// Not said (0), or something newer.
    #[default]
    Unknown,
    /// An emoji (1).
    Unicode,
    /// A short code such as `:smile:` (2).
    Shortcode,
    /// Something the apps agree on (3).
    Custom,
}

impl From<i32> for ReactionAction {
    fn from(number: i32) -> Self {
        match number {
            1 => Self::Added,
            2 => Self::Removed,
            _ => Self::Unknown,
        }
    }
}

impl From<ReactionAction> for i32 {
    fn from(action: ReactionAction) -> Self {
        action as Self
    }
}

impl From<i32> for ReactionSchema {
    fn from(number: i32) -> Self {
        match number {
            1 => Self::Unicode,
            2 => Self::Shortcode,
            3 => Self::Custom,
            _ => Self::Unknown,
        }
    }
}

impl From<ReactionSchema> for i32 {
    fn from(schema: ReactionSchema) -> Self {
        schema as Self
    }
}

/// A reaction to an earlier message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reaction {
    /// The id of the message reacted to, in hex.
    pub reference: String,
    /// The inbox that sent that message; empty if not said.
    #[serde(default)]
    pub reference_inbox_id: String,
    /// Put there or taken back.
    pub action: ReactionAction,
    /// The emoji, short code or whatever the schema says.
    pub content: String,
    /// How to read `content`.
    pub schema: ReactionSchema,
}

/// Version 1, as JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LegacyReaction {
    reference: String,
    #[serde(default)]
    reference_inbox_id: Option<String>,
    action: String,
    content: String,
    schema: String,
}

impl From<LegacyReaction> for Reaction {
    fn from(legacy: LegacyReaction) -> Self {
        Self {
            reference: legacy.reference,
            reference_inbox_id: legacy.reference_inbox_id.unwrap_or_default(),
            action: match legacy.action.as_str() {
                "added" => ReactionAction::Added,
                "removed" => ReactionAction::Removed,
                _ => ReactionAction::Unknown,
            },
            content: legacy.content,
            schema: match legacy.schema.as_str() {
                "unicode" => ReactionSchema::Unicode,
                "shortcode" => ReactionSchema::Shortcode,
                "custom" => ReactionSchema::Custom,
                _ => ReactionSchema::Unknown,
            },
        }
    }
}

impl ContentType for Reaction {
    const KIND: ContentKind = ContentKind::Reaction;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        let fallback = match self.action {
            ReactionAction::Added => {
                format!("Reacted with \"{}\" to an earlier message", self.content)
            }
            ReactionAction::Removed => {
                format!("Removed \"{}\" from an earlier message", self.content)
            }
            ReactionAction::Unknown => {
                return Err(ContentError::Invalid {
                    what: "action",
                    problem: "is neither added nor removed",
                });
            }
        };
        let reaction = proto::ReactionV2 {
            reference: self.reference.clone(),
            reference_inbox_id: self.reference_inbox_id.clone(),
            action: self.action.into(),
            content: self.content.clone(),
            schema: self.schema.into(),
        };
        Ok(EncodedContent::new(Self::KIND, reaction.encode_to_vec()).with_fallback(fallback))
    }

    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError> {
        let version = encoded.content_type.as_ref().map(|id| id.version_major);
        if version == Some(1) {
            return serde_json::from_slice::<LegacyReaction>(&encoded.content)
                .map(Self::from)
                .map_err(ContentError::json("reaction"));
        }
        let reaction = proto::ReactionV2::decode(encoded.content.as_slice())
            .map_err(ContentError::protobuf("ReactionV2"))?;
        Ok(Self {
            reference: reaction.reference,
            reference_inbox_id: reaction.reference_inbox_id,
            action: reaction.action.into(),
            content: reaction.content,
            schema: reaction.schema.into(),
        })
    }
}

/// Equal reactions of several people to one message, as a list shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReactionCount {
    /// The emoji, short code or whatever the schema says.
    pub content: String,
    /// How to read `content`.
    pub schema: ReactionSchema,
    /// Who reacts so, in the order in which they did.
    pub sender_inbox_ids: Vec<String>,
}

/// The reactions that stand on one message, each kind once, in the order in which they appeared.
///
/// Takes the reactions that refer to that message with their senders, in the order of the log. For
/// each sender, content and schema the latest action decides; an action that we do not know
/// changes nothing.
#[must_use]
pub fn count_reactions<'a>(
    reactions: impl IntoIterator<Item = (&'a str, &'a Reaction)>,
) -> Vec<ReactionCount> {
    let mut counts: Vec<ReactionCount> = Vec::new();
    let mut places = BTreeMap::new();
    for (sender, reaction) in reactions {
        let place = *places
            .entry((reaction.schema, reaction.content.as_str()))
            .or_insert_with(|| {
                counts.push(ReactionCount {
                    content: reaction.content.clone(),
                    schema: reaction.schema,
                    sender_inbox_ids: Vec::new(),
                });
                counts.len() - 1
            });
        let Some(count) = counts.get_mut(place) else {
            continue;
        };
        let senders = &mut count.sender_inbox_ids;
        match reaction.action {
            ReactionAction::Added if !senders.iter().any(|other| other == sender) => {
                senders.push(sender.to_owned());
            }
            ReactionAction::Removed => senders.retain(|other| other != sender),
            ReactionAction::Added | ReactionAction::Unknown => {}
        }
    }
    counts.retain(|count| !count.sender_inbox_ids.is_empty());
    counts
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn reaction(action: ReactionAction, content: &str) -> Reaction {
        Reaction {
            reference: "ab".repeat(32),
            reference_inbox_id: "cd".repeat(32),
            action,
            content: content.to_owned(),
            schema: ReactionSchema::Unicode,
        }
    }

    #[test]
    fn reactions_come_back_as_they_were_with_their_fallback() {
        let added = reaction(ReactionAction::Added, "👍");
        let encoded = added.encode().unwrap();
        assert_eq!(
            encoded.fallback.as_deref(),
            Some("Reacted with \"👍\" to an earlier message")
        );
        assert_eq!(encoded.content_type.as_ref().unwrap().version_major, 2);
        assert_eq!(Reaction::decode(&encoded), Ok(added));

        let removed = reaction(ReactionAction::Removed, "👍");
        let encoded = removed.encode().unwrap();
        assert_eq!(
            encoded.fallback.as_deref(),
            Some("Removed \"👍\" from an earlier message")
        );
        assert_eq!(Reaction::decode(&encoded), Ok(removed));
    }

    #[test]
    fn the_fields_of_the_protobuf_have_the_numbers_of_the_wire() {
        let encoded = Reaction {
            reference: "r".to_owned(),
            reference_inbox_id: "i".to_owned(),
            action: ReactionAction::Added,
            content: "c".to_owned(),
            schema: ReactionSchema::Custom,
        }
        .encode()
        .unwrap();
        assert_eq!(
            encoded.content,
            b"\x0a\x01r\x12\x01i\x18\x01\x22\x01c\x28\x03"
        );
    }

    fn legacy(json: &str) -> EncodedContent {
        let mut encoded = EncodedContent::new(ContentKind::Reaction, json);
        encoded.content_type.as_mut().unwrap().version_major = 1;
        encoded
    }

    #[test]
    fn version_1_is_read_from_json_whatever_else_it_holds() {
        let encoded = legacy(
            r#"{"schema":"shortcode","new":[1],"content":":wave:","action":"removed","reference":"ff"}"#,
        );
        let read = Reaction::decode(&encoded).unwrap();
        assert_eq!(read.action, ReactionAction::Removed);
        assert_eq!(read.schema, ReactionSchema::Shortcode);
        assert_eq!(read.content, ":wave:");
        assert_eq!(read.reference, "ff");
        assert_eq!(read.reference_inbox_id, "");
        assert!(Reaction::decode(&legacy("{}")).is_err());
        assert!(Reaction::decode(&legacy("👍")).is_err());
    }

    #[test]
    fn an_unknown_action_is_read_but_never_sent() {
        let mut encoded = reaction(ReactionAction::Added, "x").encode().unwrap();
        encoded.content = b"\x18\x09\x28\x09".to_vec();
        let read = Reaction::decode(&encoded).unwrap();
        assert_eq!(read.action, ReactionAction::Unknown);
        assert_eq!(read.schema, ReactionSchema::Unknown);
        assert!(read.encode().is_err());
    }

    #[test]
    fn the_latest_action_of_each_sender_decides() {
        use ReactionAction::{Added, Removed, Unknown};
        let log = [
            ("a", reaction(Added, "👍")),
            ("b", reaction(Added, "❤️")),
            ("b", reaction(Added, "👍")),
            ("a", reaction(Added, "👍")),
            ("b", reaction(Removed, "❤️")),
            ("c", reaction(Removed, "👍")),
            ("a", reaction(Unknown, "👍")),
            ("d", reaction(Added, "👍")),
            ("a", reaction(Removed, "👍")),
            ("a", reaction(Added, "👍")),
        ];
        let counts = count_reactions(log.iter().map(|(sender, reaction)| (*sender, reaction)));
        assert_eq!(
            counts,
            vec![ReactionCount {
                content: "👍".to_owned(),
                schema: ReactionSchema::Unicode,
                sender_inbox_ids: vec!["b".to_owned(), "d".to_owned(), "a".to_owned()],
            }]
        );
    }

    #[test]
    fn equal_content_of_two_schemas_is_two_reactions() {
        let unicode = reaction(ReactionAction::Added, "x");
        let custom = Reaction {
            schema: ReactionSchema::Custom,
            ..unicode.clone()
        };
        let counts = count_reactions([("a", &unicode), ("a", &custom)]);
        assert_eq!(counts.len(), 2);
    }
}
