//! `deleteMessage` and `editMessage`: the sender takes back or replaces an earlier message.
//!
//! Whether it may is decided where the log's order and the group's roles are known
//! (spec/permissions.md 9.4, 13); here it is only read.

use prost::Message;
use serde::{Deserialize, Serialize};
use sotto_proto::message_contents as proto;

use super::{
    ContentError, ContentKind, ContentType, EncodedContent, Markdown, MessageId, Reply, Text,
};

/// A request to delete a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeleteMessage {
    /// The message to delete.
    pub message_id: MessageId,
}

/// A request to replace the content of a message by other content of the same kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EditMessage {
    /// The message to edit: always the original, never an edit of it.
    pub message_id: MessageId,
    /// What it shall say: text, markdown or a reply.
    pub edited_content: EncodedContent,
}

impl ContentType for DeleteMessage {
    const KIND: ContentKind = ContentKind::DeleteMessage;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        let delete = proto::DeleteMessage {
            message_id: self.message_id.to_string(),
        };
        Ok(EncodedContent::new(Self::KIND, delete.encode_to_vec()))
    }

    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError> {
        let delete = proto::DeleteMessage::decode(encoded.content.as_slice())
            .map_err(ContentError::protobuf("DeleteMessage"))?;
        Ok(Self {
            message_id: delete.message_id.parse()?,
        })
    }
}

impl ContentType for EditMessage {
    const KIND: ContentKind = ContentKind::EditMessage;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        let text = plain_text(&self.edited_content)?;
        let edit = proto::EditMessage {
            message_id: self.message_id.to_string(),
            edited_content: Some(self.edited_content.clone().into()),
        };
        Ok(EncodedContent::new(Self::KIND, edit.encode_to_vec())
            .with_fallback(format!("Edited: {text}")))
    }

    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError> {
        let edit = proto::EditMessage::decode(encoded.content.as_slice())
            .map_err(ContentError::protobuf("EditMessage"))?;
        let edited_content = edit.edited_content.ok_or(ContentError::Invalid {
            what: "editedContent",
            problem: "is missing",
        })?;
        Ok(Self {
            message_id: edit.message_id.parse()?,
            edited_content: edited_content.into(),
        })
    }
}

/// What edited content says, for the fallback text.
fn plain_text(content: &EncodedContent) -> Result<String, ContentError> {
    let not_editable = ContentError::Invalid {
        what: "editedContent",
        problem: "is not text, markdown or a reply with one of them",
    };
    match content.kind() {
        Some(ContentKind::Text) => Text::decode(content).map(|text| text.0),
        Some(ContentKind::Markdown) => Markdown::decode(content).map(|markdown| markdown.0),
        Some(ContentKind::Reply) => {
            let said = Reply::decode(content)?.content;
            match said.kind() {
                Some(ContentKind::Text | ContentKind::Markdown) => plain_text(&said),
                _ => Err(not_editable),
            }
        }
        _ => Err(not_editable),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::content::ReadReceipt;

    const ID: MessageId = MessageId([0xab; 32]);

    #[test]
    fn a_deletion_names_its_message_in_lower_case_hex() {
        let sent = DeleteMessage { message_id: ID };
        let encoded = sent.encode().unwrap();
        assert_eq!(
            encoded.content,
            [b"\x0a\x40".as_slice(), "ab".repeat(32).as_bytes()].concat()
        );
        assert_eq!(encoded.fallback, None);
        assert_eq!(DeleteMessage::decode(&encoded), Ok(sent));
    }

    #[test]
    fn a_deletion_of_something_that_is_no_id_is_an_error() {
        for id in ["", "zz", "abab"] {
            let delete = proto::DeleteMessage {
                message_id: id.to_owned(),
            };
            let encoded = EncodedContent::new(ContentKind::DeleteMessage, delete.encode_to_vec());
            assert!(DeleteMessage::decode(&encoded).is_err());
        }
    }

    #[test]
    fn an_edit_comes_back_as_it_was_and_says_the_new_text() {
        let text = Text::from("new").encode().unwrap();
        let reply = Reply {
            content: Markdown::from("newer").encode().unwrap(),
            reference: "cd".repeat(32),
            reference_inbox_id: None,
        };
        for (edited_content, fallback) in [
            (text, "Edited: new"),
            (Markdown::from("*new*").encode().unwrap(), "Edited: *new*"),
            (reply.encode().unwrap(), "Edited: newer"),
        ] {
            let sent = EditMessage {
                message_id: ID,
                edited_content,
            };
            let encoded = sent.encode().unwrap();
            assert_eq!(encoded.fallback.as_deref(), Some(fallback));
            assert_eq!(EditMessage::decode(&encoded), Ok(sent));
        }
    }

    #[test]
    fn what_cannot_be_edited_is_not_sent_as_an_edit() {
        let receipt = ReadReceipt {}.encode().unwrap();
        let reply = Reply {
            content: receipt.clone(),
            reference: String::new(),
            reference_inbox_id: None,
        };
        for edited_content in [receipt, reply.encode().unwrap(), EncodedContent::default()] {
            let edit = EditMessage {
                message_id: ID,
                edited_content,
            };
            assert!(edit.encode().is_err());
        }
    }

    #[test]
    fn an_edit_without_content_is_an_error() {
        let edit = proto::EditMessage {
            message_id: ID.to_string(),
            edited_content: None,
        };
        let encoded = EncodedContent::new(ContentKind::EditMessage, edit.encode_to_vec());
        assert!(EditMessage::decode(&encoded).is_err());
    }
}
