//! `remoteStaticAttachment` and `multiRemoteStaticAttachment`: files that are stored elsewhere,
//! encrypted, and what a reader needs to fetch and open them.
//!
//! Fetching is the app's; `attachment_crypto` seals and opens.

use std::fmt;

use prost::Message;
use serde::{Deserialize, Serialize};
use sotto_proto::message_contents as proto;

use super::attachment::display_name;
use super::{ContentError, ContentKind, ContentType, EncodedContent};

const CONTENT_DIGEST: &str = "contentDigest";
const SECRET: &str = "secret";
const SALT: &str = "salt";
const NONCE: &str = "nonce";
const SCHEME: &str = "scheme";
const CONTENT_LENGTH: &str = "contentLength";
const FILENAME: &str = "filename";

/// The one scheme there is.
const HTTPS: &str = "https";
/// How some clients write it.
const HTTPS_WITH_SLASHES: &str = "https://";

/// A file stored elsewhere, encrypted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteAttachment {
    /// Where the encrypted payload is.
    pub url: String,
    /// SHA-256 of the encrypted payload, in hex.
    pub content_digest: String,
    /// What the key is derived from, 32 bytes.
    #[serde(with = "serde_bytes")]
    pub secret: Vec<u8>,
    /// The salt of that derivation, 32 bytes.
    #[serde(with = "serde_bytes")]
    pub salt: Vec<u8>,
    /// The nonce of the encryption, 12 bytes.
    #[serde(with = "serde_bytes")]
    pub nonce: Vec<u8>,
    /// How the URL is reached: `https`.
    pub scheme: String,
    /// The length of the encrypted payload in bytes, as its sender says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_length: Option<u32>,
    /// The name that the sender gave the file. Not to be used as a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

impl fmt::Debug for RemoteAttachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteAttachment")
            .field("url", &self.url)
            .field("content_digest", &self.content_digest)
            .field("secret", &format_args!("[redacted]"))
            .field("content_length", &self.content_length)
            .field("filename", &self.filename)
            .finish_non_exhaustive()
    }
}

/// Several files stored elsewhere, encrypted, each under its own secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiRemoteAttachment {
    /// The files.
    pub attachments: Vec<RemoteAttachment>,
}

/// The scheme to write.
///
/// A reader fetches the URL without asking, so nothing but https is sent.
fn sendable_scheme(scheme: &str) -> Result<&'static str, ContentError> {
    match scheme {
        HTTPS | HTTPS_WITH_SLASHES => Ok(HTTPS),
        _ => Err(ContentError::Invalid {
            what: SCHEME,
            problem: "is not https",
        }),
    }
}

fn read_scheme(scheme: &str) -> String {
    match scheme {
        HTTPS_WITH_SLASHES => HTTPS.to_owned(),
        other => other.to_owned(),
    }
}

impl ContentType for RemoteAttachment {
    const KIND: ContentKind = ContentKind::RemoteAttachment;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        let mut encoded = EncodedContent::new(Self::KIND, self.url.as_str())
            .with_parameter(CONTENT_DIGEST, &self.content_digest)
            .with_parameter(SECRET, hex::encode(&self.secret))
            .with_parameter(SALT, hex::encode(&self.salt))
            .with_parameter(NONCE, hex::encode(&self.nonce))
            .with_parameter(SCHEME, sendable_scheme(&self.scheme)?)
            .with_fallback(format!(
                "Can't display {}. This app doesn't support remote attachments.",
                display_name(self.filename.as_deref())
            ));
        if let Some(length) = self.content_length {
            encoded = encoded.with_parameter(CONTENT_LENGTH, length.to_string());
        }
        if let Some(filename) = &self.filename {
            encoded = encoded.with_parameter(FILENAME, filename);
        }
        Ok(encoded)
    }

    /// The length is the sender's figure and nothing depends on it: one that is not a number is
    /// as good as none.
    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError> {
        let bytes = |name| {
            hex::decode(encoded.required(name)?).map_err(|_| ContentError::Invalid {
                what: name,
                problem: "is not hex",
            })
        };
        Ok(Self {
            url: String::from_utf8(encoded.content.clone())
                .map_err(|_| ContentError::Utf8 { what: "url" })?,
            content_digest: encoded.required(CONTENT_DIGEST)?.to_owned(),
            secret: bytes(SECRET)?,
            salt: bytes(SALT)?,
            nonce: bytes(NONCE)?,
            scheme: read_scheme(encoded.required(SCHEME)?),
            content_length: encoded
                .parameter(CONTENT_LENGTH)
                .and_then(|length| length.parse().ok()),
            filename: encoded.parameter(FILENAME).map(str::to_owned),
        })
    }
}

impl ContentType for MultiRemoteAttachment {
    const KIND: ContentKind = ContentKind::MultiRemoteAttachment;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        let attachments = self
            .attachments
            .iter()
            .map(|attachment| {
                Ok(proto::RemoteAttachmentInfo {
                    content_digest: attachment.content_digest.clone(),
                    secret: attachment.secret.clone(),
                    nonce: attachment.nonce.clone(),
                    salt: attachment.salt.clone(),
                    scheme: sendable_scheme(&attachment.scheme)?.to_owned(),
                    url: attachment.url.clone(),
                    content_length: attachment.content_length,
                    filename: attachment.filename.clone(),
                })
            })
            .collect::<Result<_, ContentError>>()?;
        let multi = proto::MultiRemoteAttachment { attachments };
        Ok(
            EncodedContent::new(Self::KIND, multi.encode_to_vec()).with_fallback(
                "Can't display this content. This app doesn't support multiple remote attachments.",
            ),
        )
    }

    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError> {
        let multi = proto::MultiRemoteAttachment::decode(encoded.content.as_slice())
            .map_err(ContentError::protobuf("MultiRemoteAttachment"))?;
        let attachments = multi
            .attachments
            .into_iter()
            .map(|info| RemoteAttachment {
                url: info.url,
                content_digest: info.content_digest,
                secret: info.secret,
                salt: info.salt,
                nonce: info.nonce,
                scheme: read_scheme(&info.scheme),
                content_length: info.content_length,
                filename: info.filename,
            })
            .collect();
        Ok(Self { attachments })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn remote() -> RemoteAttachment {
        RemoteAttachment {
            url: "https://example.org/x".to_owned(),
            content_digest: "ab".repeat(32),
            secret: vec![1; 32],
            salt: vec![2; 32],
            nonce: vec![3; 12],
            scheme: "https".to_owned(),
            content_length: Some(91),
            filename: Some("a.txt".to_owned()),
        }
    }

    #[test]
    fn a_remote_attachment_comes_back_as_it_was() {
        let encoded = remote().encode().unwrap();
        assert_eq!(
            encoded.fallback.as_deref(),
            Some("Can't display a.txt. This app doesn't support remote attachments.")
        );
        assert_eq!(encoded.parameter(NONCE), Some("030303030303030303030303"));
        assert_eq!(encoded.parameter(CONTENT_LENGTH), Some("91"));
        assert_eq!(RemoteAttachment::decode(&encoded), Ok(remote()));

        let bare = RemoteAttachment {
            content_length: None,
            filename: None,
            ..remote()
        };
        let encoded = bare.encode().unwrap();
        assert_eq!(encoded.parameters.len(), 5);
        assert_eq!(RemoteAttachment::decode(&encoded), Ok(bare));
    }

    #[test]
    fn several_come_back_in_order_with_their_own_secrets() {
        let sent = MultiRemoteAttachment {
            attachments: vec![
                remote(),
                RemoteAttachment {
                    secret: vec![9; 32],
                    content_length: None,
                    filename: None,
                    ..remote()
                },
            ],
        };
        let encoded = sent.encode().unwrap();
        assert!(encoded.fallback.as_deref().unwrap().contains("multiple"));
        assert_eq!(MultiRemoteAttachment::decode(&encoded), Ok(sent));
    }

    #[test]
    fn the_fields_of_an_info_have_the_numbers_of_the_wire() {
        let encoded = MultiRemoteAttachment {
            attachments: vec![RemoteAttachment {
                url: "u".to_owned(),
                content_digest: "d".to_owned(),
                secret: vec![1],
                salt: vec![2],
                nonce: vec![3],
                scheme: "https://".to_owned(),
                content_length: Some(0),
                filename: Some("f".to_owned()),
            }],
        }
        .encode()
        .unwrap();
        assert_eq!(
            encoded.content,
            b"\x0a\x1b\x0a\x01d\x12\x01\x01\x1a\x01\x03\x22\x01\x02\x2a\x05https\x32\x01u\x38\x00\x42\x01f"
        );
    }

    #[test]
    fn the_scheme_with_slashes_is_read_and_never_written() {
        let mut encoded = remote().encode().unwrap();
        encoded = encoded.with_parameter(SCHEME, "https://");
        assert_eq!(RemoteAttachment::decode(&encoded), Ok(remote()));
        let slashes = RemoteAttachment {
            scheme: "https://".to_owned(),
            ..remote()
        };
        let encoded = slashes.encode().unwrap();
        assert_eq!(encoded.parameter(SCHEME), Some("https"));
    }

    #[test]
    fn another_scheme_is_shown_to_the_app_but_not_sent() {
        let encoded = remote().encode().unwrap().with_parameter(SCHEME, "http");
        let read = RemoteAttachment::decode(&encoded).unwrap();
        assert_eq!(read.scheme, "http");
        assert!(read.encode().is_err());
        assert!(
            MultiRemoteAttachment {
                attachments: vec![read]
            }
            .encode()
            .is_err()
        );
    }

    #[test]
    fn every_needed_parameter_is_needed_and_has_to_be_hex() {
        for name in [CONTENT_DIGEST, SECRET, SALT, NONCE, SCHEME] {
            let mut encoded = remote().encode().unwrap();
            encoded.parameters.remove(name);
            assert_eq!(
                RemoteAttachment::decode(&encoded),
                Err(ContentError::MissingParameter(name))
            );
        }
        for name in [SECRET, SALT, NONCE] {
            let encoded = remote().encode().unwrap().with_parameter(name, "xyz");
            assert!(RemoteAttachment::decode(&encoded).is_err());
        }
    }

    #[test]
    fn a_length_that_is_not_a_number_is_as_good_as_none() {
        for length in ["", "-1", "lots", "99999999999"] {
            let encoded = remote()
                .encode()
                .unwrap()
                .with_parameter(CONTENT_LENGTH, length);
            let read = RemoteAttachment::decode(&encoded).unwrap();
            assert_eq!(read.content_length, None);
        }
    }

    #[test]
    fn logs_do_not_show_the_secret() {
        let shown = format!("{:?}", remote());
        assert!(shown.contains("[redacted]") && !shown.contains("[1, 1"));
    }
}
