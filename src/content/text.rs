//! `text` and `markdown`: UTF-8, and a parameter that says so.

use serde::{Deserialize, Serialize};

use super::{ContentError, ContentKind, ContentType, EncodedContent};

const ENCODING: &str = "encoding";
const UTF_8: &str = "UTF-8";

/// Plain text. A string in JavaScript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Text(pub String);

/// Text in Markdown. A string in JavaScript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Markdown(pub String);

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<&str> for Markdown {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl ContentType for Text {
    const KIND: ContentKind = ContentKind::Text;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        Ok(encode_utf8(Self::KIND, &self.0))
    }

    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError> {
        parse_utf8(encoded).map(Self)
    }
}

impl ContentType for Markdown {
    const KIND: ContentKind = ContentKind::Markdown;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        Ok(encode_utf8(Self::KIND, &self.0))
    }

    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError> {
        parse_utf8(encoded).map(Self)
    }
}

fn encode_utf8(kind: ContentKind, text: &str) -> EncodedContent {
    EncodedContent::new(kind, text).with_parameter(ENCODING, UTF_8)
}

/// Text without the parameter is UTF-8 too; text that says it is something else is not ours.
fn parse_utf8(encoded: &EncodedContent) -> Result<String, ContentError> {
    if let Some(encoding) = encoded.parameter(ENCODING)
        && !encoding.eq_ignore_ascii_case(UTF_8)
    {
        return Err(ContentError::Invalid {
            what: ENCODING,
            problem: "is not UTF-8",
        });
    }
    String::from_utf8(encoded.content.clone()).map_err(|_| ContentError::Utf8 { what: "text" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn text_and_markdown_come_back_as_they_were() {
        for text in ["", "hello", "👍🏽 \u{0} \r\n"] {
            let encoded = Text::from(text).encode().unwrap();
            assert_eq!(encoded.fallback, None);
            assert_eq!(Text::decode(&encoded), Ok(Text::from(text)));
            let encoded = Markdown::from(text).encode().unwrap();
            assert_eq!(Markdown::decode(&encoded), Ok(Markdown::from(text)));
            assert!(Text::decode(&encoded).is_err(), "markdown is not text");
        }
    }

    #[test]
    fn the_encoding_may_be_left_out_but_not_be_another() {
        let mut encoded = Text::from("x").encode().unwrap();
        encoded.parameters.clear();
        assert_eq!(Text::decode(&encoded), Ok(Text::from("x")));
        let encoded = encoded.with_parameter(ENCODING, "UTF-16");
        assert!(Text::decode(&encoded).is_err());
    }

    #[test]
    fn text_that_is_not_utf_8_is_an_error() {
        let mut encoded = Text::from("x").encode().unwrap();
        encoded.content = vec![0xff];
        assert_eq!(
            Text::decode(&encoded),
            Err(ContentError::Utf8 { what: "text" })
        );
    }
}
