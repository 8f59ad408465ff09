//! `reply`: content of any type that answers an earlier message.

use serde::{Deserialize, Serialize};

use super::{ContentError, ContentKind, ContentType, EncodedContent, Text};

const REFERENCE: &str = "reference";
const CONTENT_TYPE: &str = "contentType";
const REFERENCE_INBOX_ID: &str = "referenceInboxId";

/// An answer to an earlier message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reply {
    /// What is said. Not decoded here, so that a reply to a reply to a reply costs what one does.
    pub content: EncodedContent,
    /// The id of the message answered, in hex.
    pub reference: String,
    /// The inbox that sent that message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_inbox_id: Option<String>,
}

impl ContentType for Reply {
    const KIND: ContentKind = ContentKind::Reply;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        let Some(content_type) = &self.content.content_type else {
            return Err(ContentError::Invalid {
                what: "content of a reply",
                problem: "has no type",
            });
        };
        let fallback = match Text::decode(&self.content) {
            Ok(Text(text)) => format!("Replied with \"{text}\" to an earlier message"),
            Err(_) => "Replied to an earlier message".to_owned(),
        };
        let mut encoded = EncodedContent::new(Self::KIND, self.content.to_bytes())
            .with_parameter(REFERENCE, &self.reference)
            .with_parameter(CONTENT_TYPE, content_type.to_string())
            .with_fallback(fallback);
        if let Some(inbox) = &self.reference_inbox_id {
            encoded = encoded.with_parameter(REFERENCE_INBOX_ID, inbox);
        }
        Ok(encoded)
    }

    /// The `contentType` parameter repeats what the content says of itself, so it is not read.
    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError> {
        Ok(Self {
            reference: encoded.required(REFERENCE)?.to_owned(),
            reference_inbox_id: encoded.parameter(REFERENCE_INBOX_ID).map(str::to_owned),
            content: EncodedContent::from_bytes(&encoded.content)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::content::{Content, Markdown};

    fn reply(content: EncodedContent) -> Reply {
        Reply {
            content,
            reference: "ab".repeat(32),
            reference_inbox_id: Some("cd".repeat(32)),
        }
    }

    #[test]
    fn a_text_reply_comes_back_as_it_was() {
        let sent = reply(Text::from("yes").encode().unwrap());
        let encoded = sent.encode().unwrap();
        assert_eq!(encoded.parameter(CONTENT_TYPE), Some("xmtp.org/text:1.0"));
        assert_eq!(
            encoded.fallback.as_deref(),
            Some("Replied with \"yes\" to an earlier message")
        );
        assert_eq!(Reply::decode(&encoded), Ok(sent));
    }

    #[test]
    fn a_reply_of_another_type_does_not_quote_it() {
        let encoded = reply(Markdown::from("*yes*").encode().unwrap())
            .encode()
            .unwrap();
        assert_eq!(
            encoded.parameter(CONTENT_TYPE),
            Some("xmtp.org/markdown:1.0")
        );
        assert_eq!(
            encoded.fallback.as_deref(),
            Some("Replied to an earlier message")
        );
    }

    #[test]
    fn the_inbox_may_be_left_out_and_the_message_may_not() {
        let mut sent = reply(Text::from("yes").encode().unwrap());
        sent.reference_inbox_id = None;
        let mut encoded = sent.encode().unwrap();
        assert_eq!(encoded.parameter(REFERENCE_INBOX_ID), None);
        assert_eq!(Reply::decode(&encoded), Ok(sent));
        encoded.parameters.remove(REFERENCE);
        assert_eq!(
            Reply::decode(&encoded),
            Err(ContentError::MissingParameter(REFERENCE))
        );
    }

    #[test]
    fn a_tower_of_replies_is_read_one_floor_at_a_time() {
        let mut content = Text::from("ground").encode().unwrap();
        for _ in 0..500 {
            content = reply(content).encode().unwrap();
            content.fallback = None;
        }
        let Content::Reply(top) = Content::decode(&content).unwrap() else {
            panic!("not a reply");
        };
        assert_eq!(top.content.kind(), Some(ContentKind::Reply));
    }

    #[test]
    fn broken_content_inside_a_reply_is_an_error() {
        let mut encoded = reply(Text::from("yes").encode().unwrap()).encode().unwrap();
        encoded.content = vec![0xff];
        assert!(Reply::decode(&encoded).is_err());
    }
}
