//! What crosses the boundary as plain data.

use serde::{Deserialize, Serialize};

use super::convert::IdentifierView;
use crate::client::conversations::dm_id;
use crate::client::health::{Health, MissingInstallation};
use crate::client::permissions;
use crate::client::rows::{ConversationRow, MessageRow};
use crate::content::{Content, ContentTypeId, EncodedContent};
use crate::identity::AssociationState;
use crate::mls::policy::PolicySet;

/// A message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageView {
    id: String,
    conversation_id: String,
    sender_inbox_id: String,
    sender_installation_id: String,
    sent_at_ns: u64,
    inserted_at_ns: u64,
    kind: i32,
    delivery_status: i32,
    content_type: Option<ContentTypeId>,
    content: Option<Content>,
    content_error: Option<String>,
    encoded: Option<EncodedContent>,
    fallback: Option<String>,
    expires_at_ns: Option<u64>,
    deleted_by: Option<String>,
    is_edited: bool,
    failure: Option<String>,
    reference: Option<String>,
    /// Reactions to it, newest last.
    pub reactions: Vec<MessageView>,
    /// How many replies it has.
    pub num_replies: u64,
    /// What a reply says, where that can be read.
    reply_content: Option<Content>,
    /// The message it replies to.
    pub in_reply_to: Option<Box<MessageView>>,
}

impl MessageView {
    /// A stored message as apps see it.
    pub fn new(row: &MessageRow) -> Self {
        let bytes = if row.edited.is_empty() {
            &row.content
        } else {
            &row.edited
        };
        let deleted = row.deleted_by.is_some();
        let encoded = if deleted {
            None
        } else {
            EncodedContent::from_bytes(bytes).ok()
        };
        let decoded = encoded.as_ref().map(Content::decode);
        let (content, content_error) = match decoded {
            Some(Ok(content)) => (Some(content), None),
            Some(Err(error)) => (None, Some(error.to_string())),
            None if deleted => (None, None),
            None => (None, Some("the content cannot be read".to_owned())),
        };
        let reply_content = match &content {
            Some(Content::Reply(reply)) => Content::decode(&reply.content).ok(),
            _ => None,
        };
        Self {
            id: hex::encode(&row.id),
            conversation_id: hex::encode(&row.group_id),
            sender_inbox_id: row.sender_inbox.clone(),
            sender_installation_id: hex::encode(&row.sender_installation),
            sent_at_ns: row.sent_ns,
            inserted_at_ns: row.inserted_ns,
            kind: row.kind,
            delivery_status: row.status,
            content_type: encoded
                .as_ref()
                .and_then(|encoded| encoded.content_type.clone()),
            fallback: encoded
                .as_ref()
                .and_then(|encoded| encoded.fallback.clone()),
            content,
            content_error,
            encoded,
            expires_at_ns: (row.expires_ns != 0).then_some(row.expires_ns),
            deleted_by: row.deleted_by.clone(),
            is_edited: !row.edited.is_empty(),
            failure: (!row.failure.is_empty()).then(|| row.failure.clone()),
            reference: (!row.reference.is_empty()).then(|| hex::encode(&row.reference)),
            reactions: Vec::new(),
            num_replies: 0,
            reply_content,
            in_reply_to: None,
        }
    }
}

/// A conversation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ConversationView {
    id: String,
    /// `ConversationType` as the official SDK counts: 0 DM, 1 group, 2 sync.
    conversation_type: i32,
    name: String,
    description: String,
    image_url: String,
    app_data: String,
    created_at_ns: u64,
    last_activity_ns: u64,
    creator_inbox_id: String,
    added_by_inbox_id: String,
    is_active: bool,
    consent_state: i32,
    admins: Vec<String>,
    super_admins: Vec<String>,
    member_count: u32,
    permissions: PermissionsView,
    disappearing: Option<DisappearingView>,
    paused_for_version: Option<String>,
    quarantine: Vec<String>,
    epoch: u64,
    epoch_authenticator: String,
    cursor: u64,
    maybe_forked: bool,
    is_pending_removal: bool,
    leaving: Vec<String>,
    membership_state: i32,
    dm_members: Vec<String>,
    dm_id: Option<String>,
}

/// How a conversation is doing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HealthView {
    state: &'static str,
    epoch: u64,
    paused_for_version: Option<String>,
    quarantine: Vec<String>,
    missing: Vec<MissingView>,
    leaving: Vec<String>,
    single_super_admin: bool,
    ghost_super_admins: Vec<String>,
    ghost_admins: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MissingView {
    inbox_id: String,
    installation_id: String,
    listed: bool,
}

impl HealthView {
    /// As apps see it.
    pub fn new(health: Health) -> Self {
        let missing = |missing: MissingInstallation| MissingView {
            inbox_id: missing.inbox_id,
            installation_id: missing.installation.to_hex(),
            listed: missing.listed,
        };
        Self {
            state: health.state.as_str(),
            epoch: health.epoch,
            paused_for_version: health.paused_for,
            quarantine: health.quarantine,
            missing: health.missing.into_iter().map(missing).collect(),
            leaving: health.leaving,
            single_super_admin: health.single_super_admin,
            ghost_super_admins: health.ghost_super_admins,
            ghost_admins: health.ghost_admins,
        }
    }
}

/// Settings of disappearing messages.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DisappearingView {
    /// From when, Unix nanoseconds.
    pub from_ns: i64,
    /// How long messages live, nanoseconds.
    pub in_ns: i64,
}

/// Permissions: `GroupPermissionsOptions` number and the nine slots as `PermissionPolicy` numbers.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PermissionsView {
    policy_type: i32,
    policy_set: PolicySetView,
}

/// The nine slots, `PermissionPolicy` numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicySetView {
    /// Who adds members.
    pub add_member_policy: i32,
    /// Who removes members.
    pub remove_member_policy: i32,
    /// Who makes admins.
    pub add_admin_policy: i32,
    /// Who unmakes admins.
    pub remove_admin_policy: i32,
    /// Who renames.
    pub update_group_name_policy: i32,
    /// Who describes.
    pub update_group_description_policy: i32,
    /// Who sets the image.
    pub update_group_image_url_square_policy: i32,
    /// Who sets disappearing messages.
    pub update_message_disappearing_policy: i32,
    /// Who sets app data.
    pub update_app_data_policy: i32,
}

impl PermissionsView {
    fn new(bytes: &[u8]) -> Self {
        let Ok(policies) = PolicySet::decode(bytes) else {
            return Self::default();
        };
        let slots = permissions::nine(&policies);
        let [
            add_member_policy,
            remove_member_policy,
            add_admin_policy,
            remove_admin_policy,
            update_group_name_policy,
            update_group_description_policy,
            update_group_image_url_square_policy,
            update_message_disappearing_policy,
            update_app_data_policy,
        ] = slots;
        Self {
            policy_type: permissions::preset_number(&policies),
            policy_set: PolicySetView {
                add_member_policy,
                remove_member_policy,
                add_admin_policy,
                remove_admin_policy,
                update_group_name_policy,
                update_group_description_policy,
                update_group_image_url_square_policy,
                update_message_disappearing_policy,
                update_app_data_policy,
            },
        }
    }
}

impl ConversationView {
    /// A stored conversation as apps see it.
    pub fn new(row: &ConversationRow) -> Self {
        let attribute = |name: &str| row.attributes.get(name).cloned().unwrap_or_default();
        let number = |name: &str| {
            row.attributes
                .get(name)
                .and_then(|text| text.parse::<i64>().ok())
                .filter(|value| *value > 0)
        };
        let disappearing = match (
            number("message_disappear_from_ns"),
            number("message_disappear_in_ns"),
        ) {
            (Some(from_ns), Some(in_ns)) => Some(DisappearingView { from_ns, in_ns }),
            _ => None,
        };
        Self {
            id: hex::encode(&row.group_id),
            conversation_type: match row.kind {
                2 => 0,
                3 => 2,
                4 => 3,
                _ => 1,
            },
            name: attribute("group_name"),
            description: attribute("description"),
            image_url: attribute("group_image_url_square"),
            app_data: attribute("app_data"),
            created_at_ns: row.created_ns,
            last_activity_ns: row.last_message_ns,
            creator_inbox_id: row.creator.clone(),
            added_by_inbox_id: row.added_by.clone(),
            is_active: row.active,
            consent_state: row.consent,
            admins: row.admins.clone(),
            super_admins: row.super_admins.clone(),
            member_count: row.members.len() as u32,
            permissions: PermissionsView::new(&row.permissions),
            disappearing,
            paused_for_version: row.hold.as_ref().and_then(|hold| hold.paused_for.clone()),
            quarantine: row
                .hold
                .as_ref()
                .map(|hold| hold.quarantine.clone())
                .unwrap_or_default(),
            epoch: row.epoch,
            epoch_authenticator: hex::encode(&row.epoch_authenticator),
            cursor: row.cursor,
            maybe_forked: row.maybe_forked,
            is_pending_removal: row.membership_state == 4,
            leaving: row.leaving.clone(),
            membership_state: row.membership_state,
            dm_id: (!row.dm_members.is_empty()).then(|| dm_id(row)),
            dm_members: row.dm_members.clone(),
        }
    }
}

/// An inbox.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxStateView {
    inbox_id: String,
    recovery_identifier: IdentifierView,
    account_identifiers: Vec<IdentifierView>,
    installations: Vec<InstallationView>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct InstallationView {
    id: String,
    bytes: serde_bytes::ByteBuf,
    client_timestamp_ns: Option<u64>,
}

impl InboxStateView {
    /// A resolved state as apps see it.
    pub fn new(state: &AssociationState) -> Self {
        Self {
            inbox_id: state.inbox_id().to_string(),
            recovery_identifier: state.recovery_identifier().into(),
            account_identifiers: state
                .identifiers()
                .into_iter()
                .map(IdentifierView::from)
                .collect(),
            installations: state
                .members()
                .into_iter()
                .filter_map(|member| {
                    let id = member.identifier.installation()?;
                    Some(InstallationView {
                        id: id.to_hex(),
                        bytes: serde_bytes::ByteBuf::from(id.as_bytes().to_vec()),
                        client_timestamp_ns: member.client_timestamp_ns,
                    })
                })
                .collect(),
        }
    }
}
