//! Deleting others' messages by a commit, so that it is ordered with the commits that give and
//! take the right to it, and every member's commit rules check it (permissions.md 13.5).

use std::collections::BTreeMap;

use super::env::Env;
use super::message::{
    KIND_APPLICATION, KIND_MEMBERSHIP, PUBLISHED, Position, UNPUBLISHED, content_type,
};
use super::rows::{FeedKind, IntentRow, MessageRow, Wish, order_of};
use super::step::Step;
use super::{Client, GroupId, Inner};
use crate::content::{ContentKind, ContentType as _, DeleteMessage, EncodedContent, MessageId};
use crate::error::{Code, Error, Result};
use crate::mls::Member;
use crate::mls::extensions::MODERATION;

/// Most messages that one commit deletes.
const BATCH: usize = 50;
/// Longest value of the attribute, in bytes.
const LONGEST: usize = 4096;
/// How the attribute's value begins.
const VERSION: &str = "v1;";

impl<E: Env> Client<E> {
    /// Deletes messages, of whomever they are, for everybody. Only super admins may. From the
    /// first call on, also one with no ids, the group's members ignore requests to delete another's
    /// message that do not come by a commit.
    ///
    /// # Errors
    ///
    /// `ERR_NOT_FOUND` for a message that is not here, `ERR_INVALID_ARGUMENT` for one of a kind
    /// that cannot be deleted, `ERR_PERMISSION_DENIED`, `ERR_SUPERSEDED`.
    pub async fn moderate(&self, id: GroupId, messages: &[MessageId]) -> Result<()> {
        let mut wanted = Vec::new();
        for message in messages {
            let row = self.db.message(&message.0).await?.map(|(_, row)| row);
            let Some(row) = row.filter(|row| row.group_id == id.as_bytes()) else {
                return Err(
                    Error::new(Code::NotFound, "no such message").with("messageId", message)
                );
            };
            if row.deleted_by.is_some() || wanted.contains(message) {
                continue;
            }
            if !deletable(&row) {
                let error = Error::new(Code::InvalidArgument, "such a message cannot be deleted");
                return Err(error.with("messageId", message));
            }
            wanted.push(*message);
        }
        if wanted.is_empty() && !messages.is_empty() {
            return Ok(());
        }
        let nothing = [[].as_slice()];
        let batches: Vec<&[MessageId]> = match wanted.is_empty() {
            true => nothing.to_vec(),
            false => wanted.chunks(BATCH).collect(),
        };
        for batch in batches {
            let set = [(MODERATION.to_owned(), encode(batch))].into();
            self.update_metadata(id, set, BTreeMap::new()).await?;
        }
        // Members whose client knows no anchored moderation are asked by ordinary requests; they
        // are queued with the commit.
        self.publish_messages(id).await
    }
}

impl<E: Env> Inner<E> {
    /// Refuses a request that nobody would heed: for another's message, where moderation is
    /// anchored. A request for a message that is not here may be anything.
    pub(super) async fn check_deletion(&self, id: GroupId, content: &EncodedContent) -> Result<()> {
        let request = match content.kind() {
            Some(ContentKind::DeleteMessage) => DeleteMessage::decode(content)?,
            _ => return Ok(()),
        };
        let target = self.db.message(&request.message_id.0).await?;
        let others = target.is_some_and(|(_, row)| row.sender_inbox != self.inbox_id());
        if others && self.peek(id).await?.attributes.contains_key(MODERATION) {
            let message = "in this conversation others' messages are deleted by moderation only";
            return Err(Error::new(Code::PermissionDenied, message));
        }
        Ok(())
    }
}

impl<E: Env> Step<'_, E> {
    /// What a merged commit deletes. `before` is the attribute as it was.
    pub(super) async fn moderated(
        &mut self,
        before: Option<&String>,
        by: &Member,
        at: Position,
    ) -> Result<()> {
        let value = self.group.row.attributes.get(MODERATION);
        let Some(value) = value.filter(|value| before != Some(value)).cloned() else {
            return Ok(());
        };
        let Some(ids) = decode(&value) else {
            self.report(FeedKind::Notice, vec![b"moderationUnreadable".to_vec()]);
            return Ok(());
        };
        let ours = by.installation_id == self.client.me.installation;
        for (number, id) in ids.iter().enumerate() {
            match self.message(&id.0).await? {
                Some((order, mut target)) => {
                    if deletable(&target) && target.deleted_by.is_none() {
                        self.bury(&mut target, &by.inbox_id);
                        self.put_message(&target, order);
                        self.report(FeedKind::Deleted, vec![target.id]);
                    }
                }
                // Whoever reads in order does not know a message that comes later (DEL-2).
                None => self.remember(id, &by.inbox_id, at, number)?,
            }
            if ours && self.group.row.active {
                self.request_too(id, at.sequence_id)?;
            }
        }
        Ok(())
    }

    /// Keeps the deletion of a message that is not here yet. It is no message that anybody sent.
    fn remember(&mut self, id: &MessageId, by: &str, at: Position, number: usize) -> Result<()> {
        let row = MessageRow {
            sequence_id: at.sequence_id,
            sent_ns: at.sent_ns,
            sender_inbox: by.to_owned(),
            kind: KIND_MEMBERSHIP,
            status: PUBLISHED,
            ..self.request(id, &format!("moderation {}", at.sequence_id))?
        };
        let mut order = order_of(at.sequence_id);
        order.extend((number as u64).to_be_bytes());
        self.put_message(&row, order);
        Ok(())
    }

    /// Queues the ordinary request for a message that our commit has deleted.
    fn request_too(&mut self, id: &MessageId, commit: u64) -> Result<()> {
        let row = MessageRow {
            sender_inbox: self.client.inbox_id().to_owned(),
            sender_installation: self.client.me.installation.as_bytes().to_vec(),
            sent_ns: self.client.env.now_ns(),
            kind: KIND_APPLICATION,
            status: UNPUBLISHED,
            ..self.request(id, &format!("moderated by {commit}"))?
        };
        let number = self.push_intent(IntentRow {
            wish: Some(Wish::Message(row.id.clone())),
            ..IntentRow::default()
        });
        self.put_provisional(&row, number);
        Ok(())
    }

    fn request(&self, id: &MessageId, key: &str) -> Result<MessageRow> {
        let content = DeleteMessage { message_id: *id }.encode()?.to_bytes();
        Ok(MessageRow {
            id: MessageId::of(self.id.as_bytes(), key, &content).0.to_vec(),
            group_id: self.id.as_bytes().to_vec(),
            inserted_ns: self.client.env.now_ns(),
            content_type: content_type(&content),
            content,
            epoch: self.group.row.epoch,
            idempotency_key: key.to_owned(),
            reference: id.0.to_vec(),
            ..MessageRow::default()
        })
    }
}

/// Whether a message is of a kind that can be deleted.
fn deletable(row: &MessageRow) -> bool {
    let kind = EncodedContent::from_bytes(&row.content).ok();
    row.kind == KIND_APPLICATION
        && (kind.and_then(|content| content.kind())).is_some_and(ContentKind::deletable)
}

fn encode(ids: &[MessageId]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    format!("{VERSION}{}", ids.join(","))
}

fn decode(value: &str) -> Option<Vec<MessageId>> {
    let list = value.strip_prefix(VERSION)?;
    if value.len() > LONGEST {
        return None;
    }
    if list.is_empty() {
        return Some(Vec::new());
    }
    let ids: Vec<MessageId> = list
        .split(',')
        .map(|text| {
            let id = text.parse::<MessageId>().ok()?;
            (id.to_string() == text).then_some(id)
        })
        .collect::<Option<_>>()?;
    (ids.len() <= BATCH).then_some(ids)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_ids_is_read_as_it_was_written() {
        for count in [0, 1, BATCH] {
            let ids: Vec<MessageId> = (0..count).map(|n| MessageId([n as u8; 32])).collect();
            let value = encode(&ids);
            assert!(value.len() <= LONGEST);
            assert_eq!(decode(&value), Some(ids));
        }
    }

    #[test]
    fn a_value_of_another_form_deletes_nothing() {
        let id = MessageId([0xab; 32]).to_string();
        let many = vec![id.clone(); BATCH + 1].join(",");
        for value in [
            String::new(),
            id.clone(),
            format!("v2;{id}"),
            format!("v1;{id},"),
            format!("v1;{}", id.to_uppercase()),
            format!("v1;{}", &id[1..]),
            format!("v1;{many}"),
            "x".to_owned(),
        ] {
            assert_eq!(decode(&value), None, "{value}");
        }
    }
}
