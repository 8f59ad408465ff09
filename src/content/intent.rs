//! `intent`: the button that somebody pressed, of a message with `actions`.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Number, Value};

use super::{ContentError, ContentKind, ContentType, EncodedContent};

/// The most bytes of JSON that the metadata we send may have.
const MAX_METADATA_BYTES: usize = 10 * 1024;

/// The button that somebody pressed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Intent {
    /// The id of the actions.
    pub id: String,
    /// The id of the action chosen.
    pub action_id: String,
    /// Whatever the app wants to say beside it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "javascript_numbers"
    )]
    pub metadata: Option<Map<String, Value>>,
}

/// Integers as floating point, so that JavaScript sees numbers and never a `bigint`.
fn javascript_numbers<S: Serializer>(
    metadata: &Option<Map<String, Value>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    fn convert(value: &Value) -> Value {
        match value {
            Value::Number(number) => number
                .as_f64()
                .and_then(Number::from_f64)
                .map_or(Value::Null, Value::Number),
            Value::Array(values) => Value::Array(values.iter().map(convert).collect()),
            Value::Object(map) => Value::Object(convert_map(map)),
            other => other.clone(),
        }
    }
    fn convert_map(map: &Map<String, Value>) -> Map<String, Value> {
        map.iter()
            .map(|(name, value)| (name.clone(), convert(value)))
            .collect()
    }
    metadata.as_ref().map(convert_map).serialize(serializer)
}

/// The JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IntentJson {
    id: String,
    #[serde(alias = "action_id")]
    action_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Map<String, Value>>,
}

impl ContentType for Intent {
    const KIND: ContentKind = ContentKind::Intent;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        let json_error = ContentError::json("intent");
        if let Some(metadata) = &self.metadata {
            let bytes = serde_json::to_vec(metadata).map_err(&json_error)?;
            if bytes.len() > MAX_METADATA_BYTES {
                return Err(ContentError::PayloadTooLarge {
                    max: MAX_METADATA_BYTES,
                    got: bytes.len(),
                });
            }
        }
        let json = IntentJson {
            id: self.id.clone(),
            action_id: self.action_id.clone(),
            metadata: self.metadata.clone(),
        };
        let json = serde_json::to_vec(&json).map_err(json_error)?;
        Ok(EncodedContent::new(Self::KIND, json)
            .with_fallback(format!("User selected action: {}", self.action_id)))
    }

    /// The limit on metadata is the sender's: the message as a whole is bounded, so reading more
    /// harms nobody.
    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError> {
        let json: IntentJson =
            serde_json::from_slice(&encoded.content).map_err(ContentError::json("intent"))?;
        Ok(Self {
            id: json.id,
            action_id: json.action_id,
            metadata: json.metadata,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn intent(metadata: Option<Value>) -> Intent {
        Intent {
            id: "choice".to_owned(),
            action_id: "yes".to_owned(),
            metadata: metadata.map(|value| value.as_object().unwrap().clone()),
        }
    }

    fn decode(json: &str) -> Result<Intent, ContentError> {
        Intent::decode(&EncodedContent::new(ContentKind::Intent, json))
    }

    #[test]
    fn an_intent_comes_back_as_it_was() {
        for metadata in [
            None,
            Some(json!({})),
            Some(json!({"n": 1, "s": "x", "b": true, "z": null, "deep": {"list": [1.5]}})),
        ] {
            let sent = intent(metadata);
            let encoded = sent.encode().unwrap();
            assert_eq!(
                encoded.fallback.as_deref(),
                Some("User selected action: yes")
            );
            assert_eq!(Intent::decode(&encoded), Ok(sent));
        }
    }

    #[test]
    fn integers_stay_integers_on_the_wire_and_are_numbers_in_javascript() {
        let sent = intent(Some(json!({"n": 3})));
        let encoded = sent.encode().unwrap();
        assert_eq!(
            encoded.content,
            br#"{"id":"choice","actionId":"yes","metadata":{"n":3}}"#
        );
        let in_javascript = serde_json::to_value(&sent).unwrap();
        assert_eq!(
            in_javascript,
            json!({"id": "choice", "actionId": "yes", "metadata": {"n": 3.0}})
        );
    }

    #[test]
    fn the_other_spelling_is_read_and_new_members_are_ignored() {
        let read = decode(r#"{"action_id":"a","new":1,"id":"i","metadata":null}"#).unwrap();
        assert_eq!(read.action_id, "a");
        assert_eq!(read.metadata, None);
        assert!(decode(r#"{"id":"i"}"#).is_err());
        assert!(decode(r#"{"id":"i","actionId":"a","metadata":[]}"#).is_err());
    }

    #[test]
    fn metadata_above_ten_kibibytes_is_not_sent_but_is_read() {
        // The name, quotes, colon and braces take 8 bytes.
        let fits = intent(Some(json!({"a": "x".repeat(MAX_METADATA_BYTES - 8)})));
        assert!(fits.encode().is_ok());
        let larger = intent(Some(json!({"a": "x".repeat(MAX_METADATA_BYTES - 7)})));
        assert_eq!(
            larger.encode(),
            Err(ContentError::PayloadTooLarge {
                max: MAX_METADATA_BYTES,
                got: MAX_METADATA_BYTES + 1
            })
        );
        let json = format!(
            r#"{{"id":"i","actionId":"a","metadata":{{"a":"{}"}}}}"#,
            "x".repeat(MAX_METADATA_BYTES)
        );
        assert!(decode(&json).is_ok());
    }

    #[test]
    fn json_nested_without_end_is_an_error_and_not_a_crash() {
        let json = format!(
            r#"{{"id":"i","actionId":"a","metadata":{{"a":{}"#,
            "[".repeat(100_000)
        );
        assert!(decode(&json).is_err());
    }
}
