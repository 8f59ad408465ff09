//! `walletSendCalls`: a request to sign and send transactions (EIP-5792), as JSON of strings.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ContentError, ContentKind, ContentType, EncodedContent};

/// A request to sign and send transactions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WalletSendCalls {
    /// The version of EIP-5792's request.
    pub version: String,
    /// The chain, as a hex string such as `0x2105`.
    pub chain_id: String,
    /// Whose wallet should send.
    pub from: String,
    /// What it should send.
    pub calls: Vec<WalletCall>,
    /// What the wallet should be able to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<BTreeMap<String, String>>,
}

/// One call of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WalletCall {
    /// The address called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The call data, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The value sent along, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The gas limit, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gas: Option<String>,
    /// `description`, `transactionType`, and whatever else the sender says the call does. Nobody
    /// has checked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}

impl ContentType for WalletSendCalls {
    const KIND: ContentKind = ContentKind::WalletSendCalls;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        let json = serde_json::to_string(self).map_err(ContentError::json("walletSendCalls"))?;
        let fallback = format!("[Transaction request generated]: {json}");
        Ok(EncodedContent::new(Self::KIND, json).with_fallback(fallback))
    }

    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError> {
        serde_json::from_slice(&encoded.content).map_err(ContentError::json("walletSendCalls"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_request_comes_back_as_it_was() {
        let sent = WalletSendCalls {
            version: "1.0".to_owned(),
            chain_id: "0x2105".to_owned(),
            from: "0x1".to_owned(),
            calls: vec![
                WalletCall {
                    to: Some("0x2".to_owned()),
                    data: Some("0x".to_owned()),
                    value: Some("0x5".to_owned()),
                    gas: Some("0x5208".to_owned()),
                    metadata: Some(map(&[
                        ("description", "pay"),
                        ("transactionType", "transfer"),
                        ("note", "lunch"),
                    ])),
                },
                WalletCall::default(),
            ],
            capabilities: Some(map(&[("paymaster", "https://example.org")])),
        };
        let encoded = sent.encode().unwrap();
        let json = String::from_utf8(encoded.content.clone()).unwrap();
        assert!(json.starts_with(r#"{"version":"1.0","chainId":"0x2105","from":"0x1","calls":[{"#));
        assert!(json.contains("},{}],"), "absent members stay away: {json}");
        assert_eq!(
            encoded.fallback,
            Some(format!("[Transaction request generated]: {json}"))
        );
        assert_eq!(WalletSendCalls::decode(&encoded), Ok(sent));
    }

    fn decode(json: &str) -> Result<WalletSendCalls, ContentError> {
        WalletSendCalls::decode(&EncodedContent::new(ContentKind::WalletSendCalls, json))
    }

    #[test]
    fn members_come_in_any_order_and_new_ones_are_ignored() {
        let read =
            decode(r#"{"calls":[{"x":1}],"from":"f","atomic":true,"chainId":"0x1","version":"2"}"#);
        assert_eq!(read.unwrap().calls, vec![WalletCall::default()]);
    }

    #[test]
    fn values_that_are_not_strings_are_errors() {
        assert!(decode(r#"{"calls":[],"from":"f","chainId":1,"version":"2"}"#).is_err());
        assert!(
            decode(r#"{"calls":[{"value":5}],"from":"f","chainId":"0x1","version":"2"}"#).is_err()
        );
        assert!(decode(r#"{"calls":{},"from":"f","chainId":"0x1","version":"2"}"#).is_err());
    }
}
