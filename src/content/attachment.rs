//! `attachment`: a file inside the message.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{ContentError, ContentKind, ContentType, EncodedContent};

const FILENAME: &str = "filename";
const MIME_TYPE: &str = "mimeType";

/// A file inside the message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// The name that the sender gave it. Not to be used as a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// What the sender says it is, such as `image/png`.
    pub mime_type: String,
    /// The file.
    #[serde(with = "serde_bytes")]
    pub content: Vec<u8>,
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("filename", &self.filename)
            .field("mime_type", &self.mime_type)
            .field("content", &format_args!("{} bytes", self.content.len()))
            .finish()
    }
}

/// What a fallback text calls an attachment.
pub(super) fn display_name(filename: Option<&str>) -> &str {
    filename.unwrap_or("this content")
}

impl ContentType for Attachment {
    const KIND: ContentKind = ContentKind::Attachment;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        let mut encoded = EncodedContent::new(Self::KIND, self.content.clone())
            .with_parameter(MIME_TYPE, &self.mime_type)
            .with_fallback(format!(
                "Can't display {}. This app doesn't support attachments.",
                display_name(self.filename.as_deref())
            ));
        if let Some(filename) = &self.filename {
            encoded = encoded.with_parameter(FILENAME, filename);
        }
        Ok(encoded)
    }

    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError> {
        Ok(Self {
            filename: encoded.parameter(FILENAME).map(str::to_owned),
            mime_type: encoded.required(MIME_TYPE)?.to_owned(),
            content: encoded.content.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn attachments_come_back_as_they_were() {
        for filename in [Some("a.txt".to_owned()), Some(String::new()), None] {
            let sent = Attachment {
                filename,
                mime_type: "text/plain".to_owned(),
                content: vec![0, 1, 2, 255],
            };
            let encoded = sent.encode().unwrap();
            assert_eq!(Attachment::decode(&encoded), Ok(sent));
        }
    }

    #[test]
    fn the_fallback_names_the_file_if_it_has_a_name() {
        let mut sent = Attachment {
            filename: Some("a.txt".to_owned()),
            mime_type: "text/plain".to_owned(),
            content: vec![],
        };
        let fallback = |sent: &Attachment| sent.encode().unwrap().fallback.unwrap();
        assert_eq!(
            fallback(&sent),
            "Can't display a.txt. This app doesn't support attachments."
        );
        sent.filename = None;
        assert_eq!(
            fallback(&sent),
            "Can't display this content. This app doesn't support attachments."
        );
    }

    #[test]
    fn without_a_mime_type_it_is_an_error() {
        let encoded = EncodedContent::new(ContentKind::Attachment, b"x".as_slice());
        assert_eq!(
            Attachment::decode(&encoded),
            Err(ContentError::MissingParameter(MIME_TYPE))
        );
    }

    #[test]
    fn logs_do_not_show_the_file() {
        let attachment = Attachment {
            filename: None,
            mime_type: "text/plain".to_owned(),
            content: b"secret".to_vec(),
        };
        assert!(format!("{attachment:?}").contains("6 bytes"));
    }
}
