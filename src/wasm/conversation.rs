//! What one conversation offers: exports of [`Engine`] that take a conversation id.

use std::collections::{BTreeMap, BTreeSet};

use js_sys::Promise;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;

use super::convert::{IdentifierView, from_js, required, to_js};
use super::engine::{BrowserClient, Engine, conversation};
use super::views::{HealthView, MessageView};
use crate::client::GroupId;
use crate::client::conversation::{MessageQuery, SendOptions};
use crate::client::rows::{MessageRow, PermissionWish, Wish};
use crate::content::{ContentKind, EncodedContent, MessageId};
use crate::error::{Code, Error, Result};
use crate::gather::Gather;

/// Kinds that lists leave out unless they are asked for: they show at the message they are about.
const ATTACHED: [ContentKind; 4] = [
    ContentKind::Reaction,
    ContentKind::ReadReceipt,
    ContentKind::DeleteMessage,
    ContentKind::EditMessage,
];

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SendOptionsView {
    optimistic: bool,
    idempotency_key: Option<String>,
    should_push: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct MessageQueryView {
    content_types: Option<Vec<i32>>,
    exclude_content_types: Vec<i32>,
    sent_before_ns: Option<u64>,
    sent_after_ns: Option<u64>,
    inserted_after_ns: Option<u64>,
    inserted_before_ns: Option<u64>,
    limit: Option<u64>,
    delivery_status: Option<i32>,
    direction: Option<i32>,
    kind: Option<i32>,
    exclude_sender_inbox_ids: Vec<String>,
    sort_by: Option<i32>,
}

/// `ContentType` numbers of the official SDK.
const CONTENT_TYPES: [Option<ContentKind>; 16] = [
    Some(ContentKind::Actions),
    Some(ContentKind::Attachment),
    None,
    Some(ContentKind::GroupMembershipChange),
    Some(ContentKind::GroupUpdated),
    Some(ContentKind::Intent),
    Some(ContentKind::LeaveRequest),
    Some(ContentKind::Markdown),
    Some(ContentKind::MultiRemoteAttachment),
    Some(ContentKind::Reaction),
    Some(ContentKind::ReadReceipt),
    Some(ContentKind::RemoteAttachment),
    Some(ContentKind::Reply),
    Some(ContentKind::Text),
    Some(ContentKind::TransactionReference),
    Some(ContentKind::WalletSendCalls),
];

fn type_name(kind: ContentKind) -> String {
    format!("{}/{}", kind.authority_id(), kind.type_id())
}

fn type_names(numbers: &[i32]) -> BTreeSet<String> {
    numbers
        .iter()
        .filter_map(|number| {
            CONTENT_TYPES
                .get(usize::try_from(*number).ok()?)
                .copied()
                .flatten()
        })
        .map(type_name)
        .gather()
}

impl MessageQueryView {
    fn parse(self) -> MessageQuery {
        let content_types = self.content_types.as_deref().map(type_names);
        let mut exclude_content_types = type_names(&self.exclude_content_types);
        let wanted = content_types.clone().unwrap_or_default();
        exclude_content_types.extend(
            ATTACHED
                .into_iter()
                .map(type_name)
                .filter(|name| !wanted.contains(name)),
        );
        MessageQuery {
            descending: self.direction == Some(1),
            limit: self
                .limit
                .map(|limit| u32::try_from(limit).unwrap_or(u32::MAX)),
            sent_after_ns: self.sent_after_ns,
            sent_before_ns: self.sent_before_ns,
            inserted_after_ns: self.inserted_after_ns,
            inserted_before_ns: self.inserted_before_ns,
            status: self.delivery_status,
            kind: self.kind,
            content_types,
            exclude_content_types,
            exclude_senders: self.exclude_sender_inbox_ids.into_iter().collect(),
            by_insertion: self.sort_by == Some(1),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberJs {
    inbox_id: String,
    account_identifiers: Vec<IdentifierView>,
    installation_ids: Vec<String>,
    permission_level: i32,
    consent_state: i32,
}

/// Messages with what belongs to them: reactions, number of replies, the message replied to.
async fn enrich(client: &BrowserClient, rows: &[MessageRow]) -> Result<Vec<MessageView>> {
    let mut views = Vec::with_capacity(rows.len());
    for row in rows {
        let mut view = MessageView::new(row);
        for related in client.db.related(&row.id).await? {
            match EncodedContent::from_bytes(&related.content)
                .ok()
                .and_then(|content| content.kind())
            {
                Some(ContentKind::Reaction) => view.reactions.push(MessageView::new(&related)),
                Some(ContentKind::Reply) => view.num_replies += 1,
                _ => {}
            }
        }
        let is_reply = row.content_type == type_name(ContentKind::Reply);
        if is_reply && let Some((_, target)) = client.db.message(&row.reference).await? {
            view.in_reply_to = Some(Box::new(MessageView::new(&target)));
        }
        views.push(view);
    }
    Ok(views)
}

#[wasm_bindgen]
impl Engine {
    /// Brings a conversation up to date; returns it.
    #[wasm_bindgen(js_name = syncConversation)]
    pub fn sync_conversation(&self, id: String) -> Promise {
        self.change(id, move |client, id| async move {
            client.sync_conversation(id).await
        })
    }

    /// Sends `{ type, content }` or encoded content; returns the message id.
    #[wasm_bindgen(unchecked_return_type = "Promise<string>")]
    pub fn send(&self, id: String, content: JsValue, options: JsValue) -> Promise {
        self.with(|client| async move {
            let id = GroupId::parse(&id)?;
            let options: SendOptionsView = from_js(options, "options")?;
            let options = SendOptions {
                optimistic: options.optimistic,
                idempotency_key: options.idempotency_key,
                should_push: options.should_push,
            };
            let encoded = super::helpers::content_in(content)?;
            Ok(client.send(id, &encoded, &options).await?.to_string())
        })
    }

    /// Sends what is queued.
    #[wasm_bindgen(js_name = publishMessages)]
    pub fn publish_messages(&self, id: String) -> Promise {
        self.with(|client| async move {
            client.publish_messages(GroupId::parse(&id)?).await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Stored messages.
    pub fn messages(&self, id: String, query: JsValue) -> Promise {
        self.with(|client| async move {
            let id = GroupId::parse(&id)?;
            let query = from_js::<MessageQueryView>(query, "options")?.parse();
            let rows = client.messages(id, &query).await?;
            to_js(&enrich(&client, &rows).await?)
        })
    }

    /// How many messages a query finds.
    #[wasm_bindgen(js_name = countMessages)]
    pub fn count_messages(&self, id: String, query: JsValue) -> Promise {
        self.with(|client| async move {
            let id = GroupId::parse(&id)?;
            let query = from_js::<MessageQueryView>(query, "options")?.parse();
            Ok(client.messages(id, &query).await?.len() as u64)
        })
    }

    /// The members.
    pub fn members(&self, id: String) -> Promise {
        self.with(|client| async move {
            let members = client.members(GroupId::parse(&id)?).await?;
            let views: Vec<MemberJs> = members
                .into_iter()
                .map(|member| MemberJs {
                    account_identifiers: member
                        .state
                        .iter()
                        .flat_map(|state| state.identifiers())
                        .map(IdentifierView::from)
                        .collect(),
                    installation_ids: member.installations.iter().map(hex::encode).collect(),
                    permission_level: member.level,
                    consent_state: member.consent,
                    inbox_id: member.inbox_id,
                })
                .collect();
            to_js(&views)
        })
    }

    /// Adds inboxes; returns the conversation.
    #[wasm_bindgen(js_name = addMembers)]
    pub fn add_members(&self, id: String, inboxes: Vec<String>) -> Promise {
        self.with(|client| async move {
            let id = GroupId::parse(&id)?;
            client.add_members(id, inboxes).await?;
            conversation(&client, id).await
        })
    }

    /// Removes inboxes; returns the conversation.
    #[wasm_bindgen(js_name = removeMembers)]
    pub fn remove_members(&self, id: String, inboxes: Vec<String>) -> Promise {
        self.change(id, move |client, id| async move {
            client.remove_members(id, inboxes).await
        })
    }

    /// Sets attributes; returns the conversation.
    #[wasm_bindgen(js_name = updateMetadata)]
    pub fn update_metadata(&self, id: String, set: JsValue, expected: JsValue) -> Promise {
        self.change(id, move |client, id| async move {
            let set: BTreeMap<String, String> = required(set, "attributes")?;
            let expected: BTreeMap<String, String> = from_js(expected, "expected")?;
            client.update_metadata(id, set, expected).await
        })
    }

    /// Changes a role; returns the conversation.
    #[wasm_bindgen(js_name = updateRole)]
    pub fn update_role(
        &self,
        id: String,
        inbox: String,
        super_admin: bool,
        remove: bool,
    ) -> Promise {
        self.change(id, move |client, id| async move {
            client.update_role(id, inbox, super_admin, remove).await
        })
    }

    /// Changes a permission; numbers are the official SDK's. Returns the conversation.
    #[wasm_bindgen(js_name = updatePermission)]
    pub fn update_permission(
        &self,
        id: String,
        slot: i32,
        policy: i32,
        fields: Vec<String>,
    ) -> Promise {
        self.change(id, move |client, id| async move {
            client
                .fulfil(
                    id,
                    Wish::Permission(PermissionWish {
                        slot,
                        policy,
                        fields,
                    }),
                )
                .await
        })
    }

    /// Asks to be removed.
    #[wasm_bindgen(js_name = requestRemoval)]
    pub fn request_removal(&self, id: String) -> Promise {
        self.change(id, move |client, id| async move {
            client.request_removal(id).await
        })
    }

    /// How the conversation is doing.
    pub fn health(&self, id: String) -> Promise {
        self.with(|client| async move {
            let health = client.health(GroupId::parse(&id)?).await?;
            to_js(&HealthView::new(health))
        })
    }

    /// Deletes messages for everybody, by a commit; returns the conversation.
    pub fn moderate(&self, id: String, messages: Vec<String>) -> Promise {
        self.change(id, move |client, id| async move {
            let messages = (messages.iter())
                .map(|text| Ok(text.parse()?))
                .collect::<Result<Vec<MessageId>>>()?;
            client.moderate(id, &messages).await
        })
    }

    /// Demotes a super admin, and removes it when that stands; returns the conversation.
    #[wasm_bindgen(js_name = demoteAndRemove)]
    pub fn demote_and_remove(&self, id: String, inbox: String) -> Promise {
        self.change(id, move |client, id| async move {
            client.remove_super_admin(id, inbox).await
        })
    }

    /// Founds a group anew without some of its members; returns the new one.
    pub fn refound(&self, id: String, excluding: Vec<String>) -> Promise {
        self.with(|client| async move {
            let id = client.refound(GroupId::parse(&id)?, excluding).await?;
            conversation(&client, id).await
        })
    }

    /// Renews our key in a conversation; returns the conversation.
    #[wasm_bindgen(js_name = updateKey)]
    pub fn update_key(&self, id: String) -> Promise {
        self.change(
            id,
            move |client, id| async move { client.update_key(id).await },
        )
    }

    /// Takes back a change that waits to be sent; returns the conversation.
    #[wasm_bindgen(js_name = cancelIntent)]
    pub fn cancel_intent(&self, id: String, number: f64) -> Promise {
        self.change(id, move |client, id| async move {
            client.cancel_intent(id, number as u64).await
        })
    }

    /// Takes note that the app has looked at a suspicious change.
    pub fn acknowledge(&self, id: String, code: String) -> Promise {
        self.change(id, move |client, id| async move {
            client.acknowledge(id, &code).await
        })
    }

    /// A failed message: sends it again.
    #[wasm_bindgen(js_name = retryMessage)]
    pub fn retry_message(&self, message: String) -> Promise {
        self.with(|client| async move {
            client.retry_message(&message_id(&message)?).await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// A failed or queued message: drops it.
    #[wasm_bindgen(js_name = dropMessage)]
    pub fn drop_message(&self, message: String) -> Promise {
        self.with(|client| async move {
            client.drop_message(&message_id(&message)?).await?;
            Ok(JsValue::UNDEFINED)
        })
    }
}

fn message_id(text: &str) -> Result<Vec<u8>> {
    hex::decode(text)
        .ok()
        .filter(|id| id.len() == 32)
        .ok_or_else(|| Error::new(Code::InvalidArgument, "a message id has 64 hex characters"))
}
