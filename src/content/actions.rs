//! `actions`: a choice of buttons, as JSON; `intent` is what comes back.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::{ContentError, ContentKind, ContentType, EncodedContent, timestamp};
use crate::gather::Gather;

/// The most actions that one message may offer.
const MAX_ACTIONS: usize = 10;

/// A choice of buttons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Actions {
    /// What the intent that answers will name.
    pub id: String,
    /// What the choice is about.
    pub description: String,
    /// One to ten of them, with different ids.
    pub actions: Vec<Action>,
    /// When the offer ends, in nanoseconds since 1970. Sent to the millisecond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ns: Option<i64>,
}

/// A button.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Action {
    /// What the intent that answers will name.
    pub id: String,
    /// The text on the button.
    pub label: String,
    /// A picture for the button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// How the button looks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub style: Option<ActionStyle>,
    /// When this button ends, in nanoseconds since 1970. Sent to the millisecond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ns: Option<i64>,
}

/// How a button looks. A number in JavaScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum ActionStyle {
    /// The suggested choice (0).
    Primary,
    /// Any other choice (1).
    Secondary,
    /// A choice that cannot be undone (2).
    Danger,
}

impl ActionStyle {
    const ALL: [Self; 3] = [Self::Primary, Self::Secondary, Self::Danger];

    const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Danger => "danger",
        }
    }
}

impl From<ActionStyle> for u8 {
    fn from(style: ActionStyle) -> Self {
        style as Self
    }
}

impl TryFrom<u8> for ActionStyle {
    type Error = ContentError;

    fn try_from(number: u8) -> Result<Self, ContentError> {
        Self::ALL
            .into_iter()
            .find(|style| *style as u8 == number)
            .ok_or(ContentError::Invalid {
                what: "style",
                problem: "is not one of the three",
            })
    }
}

/// The JSON: times are texts, and some clients write their names otherwise.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActionsJson {
    id: String,
    description: String,
    actions: Vec<ActionJson>,
    #[serde(alias = "expires_at", default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ActionJson {
    id: String,
    label: String,
    #[serde(alias = "image_url", default, skip_serializing_if = "Option::is_none")]
    image_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    style: Option<String>,
    #[serde(alias = "expires_at", default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

fn parse_time(text: Option<String>) -> Result<Option<i64>, ContentError> {
    text.map(|text| {
        timestamp::parse(&text).ok_or(ContentError::Invalid {
            what: "expiresAt",
            problem: "is not a time",
        })
    })
    .transpose()
}

impl From<&Actions> for ActionsJson {
    fn from(actions: &Actions) -> Self {
        Self {
            id: actions.id.clone(),
            description: actions.description.clone(),
            actions: actions
                .actions
                .iter()
                .map(|action| ActionJson {
                    id: action.id.clone(),
                    label: action.label.clone(),
                    image_url: action.image_url.clone(),
                    style: action.style.map(|style| style.name().to_owned()),
                    expires_at: action.expires_at_ns.map(timestamp::format),
                })
                .collect(),
            expires_at: actions.expires_at_ns.map(timestamp::format),
        }
    }
}

impl TryFrom<ActionsJson> for Actions {
    type Error = ContentError;

    /// A style that we do not know is a button without one: it still has to be there to press.
    fn try_from(json: ActionsJson) -> Result<Self, ContentError> {
        Ok(Self {
            id: json.id,
            description: json.description,
            actions: json
                .actions
                .into_iter()
                .map(|action| {
                    Ok(Action {
                        id: action.id,
                        label: action.label,
                        image_url: action.image_url,
                        style: action.style.and_then(|name| {
                            ActionStyle::ALL
                                .into_iter()
                                .find(|style| style.name() == name)
                        }),
                        expires_at_ns: parse_time(action.expires_at)?,
                    })
                })
                .collect::<Result<_, ContentError>>()?,
            expires_at_ns: parse_time(json.expires_at)?,
        })
    }
}

impl Actions {
    /// Between one and ten actions, each with an id of its own: an intent names it by that alone.
    fn check(&self) -> Result<(), ContentError> {
        let ids: BTreeSet<&str> = self
            .actions
            .iter()
            .map(|action| action.id.as_str())
            .gather();
        let problem = if self.actions.is_empty() {
            "has no action"
        } else if self.actions.len() > MAX_ACTIONS {
            "has more than 10 actions"
        } else if ids.len() < self.actions.len() {
            "has two actions with the same id"
        } else {
            return Ok(());
        };
        Err(ContentError::Invalid {
            what: "actions",
            problem,
        })
    }

    fn fallback(&self) -> String {
        let mut text = format!("{}\n\n", self.description);
        for (number, action) in (1..).zip(&self.actions) {
            // Writing to a string does not fail.
            let _ = writeln!(text, "[{number}] {}", action.label);
        }
        text.push_str("\nReply with the number to select");
        text
    }
}

impl ContentType for Actions {
    const KIND: ContentKind = ContentKind::Actions;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        self.check()?;
        let json =
            serde_json::to_vec(&ActionsJson::from(self)).map_err(ContentError::json("actions"))?;
        Ok(EncodedContent::new(Self::KIND, json).with_fallback(self.fallback()))
    }

    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError> {
        let actions: Self = serde_json::from_slice::<ActionsJson>(&encoded.content)
            .map_err(ContentError::json("actions"))?
            .try_into()?;
        actions.check()?;
        Ok(actions)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn action(id: &str) -> Action {
        Action {
            id: id.to_owned(),
            label: format!("Label {id}"),
            image_url: None,
            style: None,
            expires_at_ns: None,
        }
    }

    fn actions(actions: Vec<Action>) -> Actions {
        Actions {
            id: "choice".to_owned(),
            description: "Pay?".to_owned(),
            actions,
            expires_at_ns: Some(1_709_164_800_123_000_000),
        }
    }

    fn decode(json: &str) -> Result<Actions, ContentError> {
        Actions::decode(&EncodedContent::new(ContentKind::Actions, json))
    }

    #[test]
    fn actions_come_back_as_they_were_with_a_fallback_to_answer_by_number() {
        let mut yes = action("yes");
        yes.style = Some(ActionStyle::Primary);
        yes.image_url = Some("https://example.org/y.png".to_owned());
        yes.expires_at_ns = Some(1_000_000);
        let sent = actions(vec![yes, action("no")]);
        let encoded = sent.encode().unwrap();
        assert_eq!(
            String::from_utf8(encoded.content.clone()).unwrap(),
            r#"{"id":"choice","description":"Pay?","actions":[{"id":"yes","label":"Label yes","imageUrl":"https://example.org/y.png","style":"primary","expiresAt":"1970-01-01T00:00:00.001Z"},{"id":"no","label":"Label no"}],"expiresAt":"2024-02-29T00:00:00.123Z"}"#
        );
        assert_eq!(
            encoded.fallback.as_deref(),
            Some("Pay?\n\n[1] Label yes\n[2] Label no\n\nReply with the number to select")
        );
        assert_eq!(Actions::decode(&encoded), Ok(sent));
    }

    #[test]
    fn the_other_spelling_of_names_is_read() {
        let read = decode(
            r#"{"new":0,"expires_at":"1970-01-01T00:00:01Z","actions":[{"label":"l","id":"a","image_url":"u","expires_at":"1970-01-01T00:00:02Z","style":"danger"}],"description":"d","id":"i"}"#,
        )
        .unwrap();
        assert_eq!(read.expires_at_ns, Some(1_000_000_000));
        let action = read.actions.first().unwrap();
        assert_eq!(action.image_url.as_deref(), Some("u"));
        assert_eq!(action.expires_at_ns, Some(2_000_000_000));
        assert_eq!(action.style, Some(ActionStyle::Danger));
    }

    #[test]
    fn one_to_ten_actions_with_different_ids_are_sent_and_read() {
        let many =
            |count: usize| -> Vec<Action> { (0..count).map(|n| action(&n.to_string())).collect() };
        for (list, good) in [
            (many(1), true),
            (many(10), true),
            (many(0), false),
            (many(11), false),
            (vec![action("a"), action("a")], false),
        ] {
            let actions = actions(list);
            assert_eq!(actions.encode().is_ok(), good);
            let json = serde_json::to_string(&ActionsJson::from(&actions)).unwrap();
            assert_eq!(decode(&json).is_ok(), good);
        }
    }

    #[test]
    fn an_unknown_style_is_none_and_a_time_that_is_not_one_is_an_error() {
        let read = decode(
            r#"{"id":"i","description":"d","actions":[{"id":"a","label":"l","style":"neon"}]}"#,
        );
        assert_eq!(read.unwrap().actions.first().unwrap().style, None);
        assert!(
            decode(r#"{"id":"i","description":"d","actions":[{"id":"a","label":"l"}],"expiresAt":"soon"}"#)
                .is_err()
        );
        assert!(decode("{}").is_err());
    }

    #[test]
    fn styles_are_numbers_in_javascript() {
        assert_eq!(serde_json::to_string(&ActionStyle::Danger).unwrap(), "2");
        assert_eq!(
            serde_json::from_str::<ActionStyle>("1").unwrap(),
            ActionStyle::Secondary
        );
        assert!(serde_json::from_str::<ActionStyle>("3").is_err());
    }
}
