//! `leave_request`: the sender asks to be removed from the group.

use prost::Message;
use serde::{Deserialize, Serialize};
use sotto_proto::message_contents as proto;

use super::{ContentError, ContentKind, ContentType, EncodedContent};

/// The sender asks to be removed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeaveRequest {
    /// Bytes for the one who removes. Nobody sends any today.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_bytes")]
    pub authenticated_note: Option<Vec<u8>>,
}

impl ContentType for LeaveRequest {
    const KIND: ContentKind = ContentKind::LeaveRequest;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        let request = proto::LeaveRequest {
            authenticated_note: self.authenticated_note.clone(),
        };
        Ok(EncodedContent::new(Self::KIND, request.encode_to_vec()))
    }

    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError> {
        let request = proto::LeaveRequest::decode(encoded.content.as_slice())
            .map_err(ContentError::protobuf("LeaveRequest"))?;
        Ok(Self {
            authenticated_note: request.authenticated_note,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_request_is_empty_and_comes_back_so() {
        let encoded = LeaveRequest::default().encode().unwrap();
        assert!(encoded.content.is_empty() && encoded.fallback.is_none());
        assert_eq!(LeaveRequest::decode(&encoded), Ok(LeaveRequest::default()));
    }

    #[test]
    fn an_absent_note_is_not_an_empty_one() {
        for note in [Some(vec![]), Some(vec![1, 2])] {
            let sent = LeaveRequest {
                authenticated_note: note,
            };
            let encoded = sent.encode().unwrap();
            assert_eq!(LeaveRequest::decode(&encoded), Ok(sent));
        }
    }

    #[test]
    fn a_request_that_is_not_protobuf_is_an_error() {
        let encoded = EncodedContent::new(ContentKind::LeaveRequest, b"\x0a\x05x".as_slice());
        assert!(LeaveRequest::decode(&encoded).is_err());
    }
}
