//! `transactionReference`: a transaction on a chain, as JSON.

use serde::{Deserialize, Deserializer, Serialize};

use super::{ContentError, ContentKind, ContentType, EncodedContent};

/// A transaction on a chain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionReference {
    /// The kind of network, such as `eip155`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The network. Some clients write a number; it is read as the text of it.
    #[serde(deserialize_with = "text_or_number")]
    pub network_id: String,
    /// The transaction's hash.
    pub reference: String,
    /// What the sender says the transaction does. Nobody has checked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TransactionMetadata>,
}

/// What the sender of a transaction reference says the transaction does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionMetadata {
    /// Such as `transfer`.
    pub transaction_type: String,
    /// The symbol of the currency.
    pub currency: String,
    /// How much, in units of 10^-`decimals`.
    pub amount: f64,
    /// How many decimals `amount` has.
    pub decimals: u32,
    /// Who pays.
    pub from_address: String,
    /// Who is paid.
    pub to_address: String,
}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum TextOrNumber {
        Text(String),
        Number(serde_json::Number),
    }
    Ok(match TextOrNumber::deserialize(deserializer)? {
        TextOrNumber::Text(text) => text,
        TextOrNumber::Number(number) => number.to_string(),
    })
}

impl ContentType for TransactionReference {
    const KIND: ContentKind = ContentKind::TransactionReference;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        // JSON has no other numbers; they would be written as null, which nobody reads.
        if let Some(metadata) = &self.metadata
            && !metadata.amount.is_finite()
        {
            return Err(ContentError::Invalid {
                what: "amount",
                problem: "is not a number",
            });
        }
        let fallback = if self.reference.is_empty() {
            "Crypto transaction".to_owned()
        } else {
            format!(
                "[Crypto transaction] Use a blockchain explorer to learn more using the transaction hash: {}",
                self.reference
            )
        };
        let json = serde_json::to_vec(self).map_err(ContentError::json("transactionReference"))?;
        Ok(EncodedContent::new(Self::KIND, json).with_fallback(fallback))
    }

    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError> {
        serde_json::from_slice(&encoded.content).map_err(ContentError::json("transactionReference"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn reference() -> TransactionReference {
        TransactionReference {
            namespace: Some("eip155".to_owned()),
            network_id: "8453".to_owned(),
            reference: "0xabc".to_owned(),
            metadata: Some(TransactionMetadata {
                transaction_type: "transfer".to_owned(),
                currency: "USDC".to_owned(),
                amount: 1.5,
                decimals: 6,
                from_address: "0x1".to_owned(),
                to_address: "0x2".to_owned(),
            }),
        }
    }

    fn decode(json: &str) -> Result<TransactionReference, ContentError> {
        TransactionReference::decode(&EncodedContent::new(
            ContentKind::TransactionReference,
            json,
        ))
    }

    #[test]
    fn a_reference_comes_back_as_it_was() {
        let encoded = reference().encode().unwrap();
        assert_eq!(TransactionReference::decode(&encoded), Ok(reference()));
        assert_eq!(
            String::from_utf8(encoded.content).unwrap(),
            r#"{"namespace":"eip155","networkId":"8453","reference":"0xabc","metadata":{"transactionType":"transfer","currency":"USDC","amount":1.5,"decimals":6,"fromAddress":"0x1","toAddress":"0x2"}}"#
        );
        assert!(encoded.fallback.unwrap().ends_with("hash: 0xabc"));
    }

    #[test]
    fn without_a_hash_the_fallback_is_short() {
        let bare = TransactionReference {
            namespace: None,
            reference: String::new(),
            metadata: None,
            ..reference()
        };
        let encoded = bare.encode().unwrap();
        assert_eq!(encoded.fallback.as_deref(), Some("Crypto transaction"));
        assert_eq!(TransactionReference::decode(&encoded), Ok(bare));
    }

    #[test]
    fn a_network_may_be_a_number_and_members_may_be_new() {
        let read = decode(r#"{"reference":"0x","networkId":1,"new":{"a":1}}"#).unwrap();
        assert_eq!(read.network_id, "1");
        assert_eq!(read.metadata, None);
    }

    #[test]
    fn an_integer_amount_is_read() {
        let read = decode(
            r#"{"networkId":"1","reference":"0x","metadata":{"transactionType":"t","currency":"c","amount":3,"decimals":0,"fromAddress":"a","toAddress":"b"}}"#,
        )
        .unwrap();
        assert!((read.metadata.unwrap().amount - 3.0).abs() < f64::EPSILON);
    }

    #[test]
    fn json_of_another_shape_is_an_error_that_quotes_nothing() {
        for json in [
            "",
            "null",
            "[]",
            r#"{"reference":"secret"}"#,
            r#"{"networkId":[],"reference":"secret"}"#,
        ] {
            let error = decode(json).unwrap_err();
            assert!(matches!(error, ContentError::Json { .. }), "{json}");
            assert!(!error.to_string().contains("secret"));
        }
    }

    #[test]
    fn an_amount_that_is_no_number_is_not_sent() {
        let mut sent = reference();
        sent.metadata.as_mut().unwrap().amount = f64::NAN;
        assert!(sent.encode().is_err());
    }
}
