//! `group_updated`: what a commit changed, in words an app can show.
//!
//! Every client makes this for itself from the commit that it accepted. It is never sent; what
//! arrives under this name as a message is not a transcript entry and must not be shown as one.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use serde::{Deserialize, Serialize};
use sotto_proto::message_contents as proto;

use super::{ContentError, ContentKind, ContentType, EncodedContent};
use crate::gather::Gather;

/// An inbox that something happened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inbox {
    /// The inbox id.
    pub inbox_id: String,
}

/// A group attribute that got another value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetadataFieldChange {
    /// The attribute, such as `group_name`.
    pub field_name: String,
    /// The value before; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_value: Option<String>,
    /// The value after; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_value: Option<String>,
}

/// What a commit changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GroupUpdated {
    /// Who committed.
    pub initiated_by_inbox_id: String,
    /// Who came.
    pub added_inboxes: Vec<Inbox>,
    /// Who was removed without having asked for it.
    pub removed_inboxes: Vec<Inbox>,
    /// Who had asked to leave, and now has.
    pub left_inboxes: Vec<Inbox>,
    /// Attributes that got another value.
    pub metadata_field_changes: Vec<MetadataFieldChange>,
    /// Who became an admin.
    pub added_admin_inboxes: Vec<Inbox>,
    /// Who is an admin no longer.
    pub removed_admin_inboxes: Vec<Inbox>,
    /// Who became a super admin.
    pub added_super_admin_inboxes: Vec<Inbox>,
    /// Who is a super admin no longer.
    pub removed_super_admin_inboxes: Vec<Inbox>,
}

/// The roles and attributes of a group at one epoch.
#[derive(Debug, Clone, Copy)]
pub struct RoleLists<'a> {
    /// The group's attributes.
    pub attributes: &'a BTreeMap<String, String>,
    /// Inbox ids of its admins.
    pub admins: &'a [String],
    /// Inbox ids of its super admins.
    pub super_admins: &'a [String],
}

/// What an accepted commit did, as far as the transcript cares.
#[derive(Debug, Clone, Copy)]
pub struct CommitChanges<'a> {
    /// The inbox of the committer.
    pub committer: &'a str,
    /// Inboxes that became members.
    pub added: &'a [String],
    /// Inboxes that stopped being members.
    pub removed: &'a [String],
    /// Inboxes whose request to leave stood when the commit was made.
    pub pending_leave: &'a BTreeSet<String>,
    /// Roles and attributes before the commit.
    pub before: RoleLists<'a>,
    /// Roles and attributes after the commit.
    pub after: RoleLists<'a>,
}

impl GroupUpdated {
    /// The entry for a commit, or nothing if it changed only keys, installations or policies.
    ///
    /// Attributes that begin with `_` are the software's own and some are secrets, so they are
    /// not part of what people read.
    #[must_use]
    pub fn of_commit(changes: &CommitChanges<'_>) -> Option<Self> {
        let (before, after) = (changes.before, changes.after);
        let (left, removed): (Vec<_>, Vec<_>) = changes
            .removed
            .iter()
            .partition(|inbox| changes.pending_leave.contains(*inbox));
        let updated = Self {
            initiated_by_inbox_id: changes.committer.to_owned(),
            added_inboxes: inboxes(changes.added),
            removed_inboxes: inboxes(removed),
            left_inboxes: inboxes(left),
            metadata_field_changes: field_changes(before.attributes, after.attributes),
            added_admin_inboxes: missing_from(before.admins, after.admins),
            removed_admin_inboxes: missing_from(after.admins, before.admins),
            added_super_admin_inboxes: missing_from(before.super_admins, after.super_admins),
            removed_super_admin_inboxes: missing_from(after.super_admins, before.super_admins),
        };
        let nothing = Self {
            initiated_by_inbox_id: changes.committer.to_owned(),
            ..Self::default()
        };
        (updated != nothing).then_some(updated)
    }

    /// The entry that a client writes when it joins by a Welcome.
    #[must_use]
    pub fn of_welcome(added_by: &str, own_inbox: &str) -> Self {
        Self {
            initiated_by_inbox_id: added_by.to_owned(),
            added_inboxes: inboxes([own_inbox]),
            ..Self::default()
        }
    }
}

/// The inboxes of `of` that are not in `list`.
fn missing_from(list: &[String], of: &[String]) -> Vec<Inbox> {
    inboxes(of.iter().filter(|inbox| !list.contains(inbox)))
}

fn inboxes<T: AsRef<str>>(ids: impl IntoIterator<Item = T>) -> Vec<Inbox> {
    ids.into_iter()
        .map(|id| Inbox {
            inbox_id: id.as_ref().to_owned(),
        })
        .collect()
}

fn field_changes(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> Vec<MetadataFieldChange> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).gather();
    names
        .into_iter()
        .filter(|name| !name.starts_with('_'))
        .filter_map(|name| {
            let (old, new) = (before.get(name), after.get(name));
            (old != new).then(|| MetadataFieldChange {
                field_name: name.clone(),
                old_value: old.cloned(),
                new_value: new.cloned(),
            })
        })
        .collect()
}

impl ContentType for GroupUpdated {
    const KIND: ContentKind = ContentKind::GroupUpdated;

    fn encode(&self) -> Result<EncodedContent, ContentError> {
        let bytes = proto::GroupUpdated::from(self.clone()).encode_to_vec();
        Ok(EncodedContent::new(Self::KIND, bytes))
    }

    fn parse(encoded: &EncodedContent) -> Result<Self, ContentError> {
        proto::GroupUpdated::decode(encoded.content.as_slice())
            .map(Self::from)
            .map_err(ContentError::protobuf("GroupUpdated"))
    }
}

fn to_proto(inboxes: Vec<Inbox>) -> Vec<proto::group_updated::Inbox> {
    inboxes
        .into_iter()
        .map(|Inbox { inbox_id }| proto::group_updated::Inbox { inbox_id })
        .collect()
}

fn from_proto(inboxes: Vec<proto::group_updated::Inbox>) -> Vec<Inbox> {
    inboxes
        .into_iter()
        .map(|proto::group_updated::Inbox { inbox_id }| Inbox { inbox_id })
        .collect()
}

impl From<GroupUpdated> for proto::GroupUpdated {
    fn from(updated: GroupUpdated) -> Self {
        Self {
            initiated_by_inbox_id: updated.initiated_by_inbox_id,
            added_inboxes: to_proto(updated.added_inboxes),
            removed_inboxes: to_proto(updated.removed_inboxes),
            left_inboxes: to_proto(updated.left_inboxes),
            metadata_field_changes: updated
                .metadata_field_changes
                .into_iter()
                .map(|change| proto::group_updated::MetadataFieldChange {
                    field_name: change.field_name,
                    old_value: change.old_value,
                    new_value: change.new_value,
                })
                .collect(),
            added_admin_inboxes: to_proto(updated.added_admin_inboxes),
            removed_admin_inboxes: to_proto(updated.removed_admin_inboxes),
            added_super_admin_inboxes: to_proto(updated.added_super_admin_inboxes),
            removed_super_admin_inboxes: to_proto(updated.removed_super_admin_inboxes),
        }
    }
}

impl From<proto::GroupUpdated> for GroupUpdated {
    fn from(updated: proto::GroupUpdated) -> Self {
        Self {
            initiated_by_inbox_id: updated.initiated_by_inbox_id,
            added_inboxes: from_proto(updated.added_inboxes),
            removed_inboxes: from_proto(updated.removed_inboxes),
            left_inboxes: from_proto(updated.left_inboxes),
            metadata_field_changes: updated
                .metadata_field_changes
                .into_iter()
                .map(|change| MetadataFieldChange {
                    field_name: change.field_name,
                    old_value: change.old_value,
                    new_value: change.new_value,
                })
                .collect(),
            added_admin_inboxes: from_proto(updated.added_admin_inboxes),
            removed_admin_inboxes: from_proto(updated.removed_admin_inboxes),
            added_super_admin_inboxes: from_proto(updated.added_super_admin_inboxes),
            removed_super_admin_inboxes: from_proto(updated.removed_super_admin_inboxes),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn list(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_first_value_has_no_old_value_as_in_the_vector() {
        let initiator = "294a9065a39500d5687dea89f3b8672c973b475fb5dc6ad11fcc36877f901ac2";
        let none = list(&[]);
        let updated = GroupUpdated::of_commit(&CommitChanges {
            committer: initiator,
            added: &none,
            removed: &none,
            pending_leave: &BTreeSet::new(),
            before: RoleLists {
                attributes: &attributes(&[("group_name", "x")]),
                admins: &none,
                super_admins: &none,
            },
            after: RoleLists {
                attributes: &attributes(&[("group_name", "x"), ("message_disappear_from_ns", "1")]),
                admins: &none,
                super_admins: &none,
            },
        })
        .unwrap();
        let encoded = updated.encode().unwrap();
        // spec/mls.md A.10.
        let expected = format!(
            "0a40{}221e0a196d6573736167655f6469736170706561725f66726f6d5f6e731a0131",
            hex::encode(initiator)
        );
        assert_eq!(hex::encode(&encoded.content), expected);
        assert_eq!(encoded.fallback, None);
        assert!(encoded.parameters.is_empty());
        assert_eq!(GroupUpdated::decode(&encoded), Ok(updated));
    }

    #[test]
    fn who_had_asked_to_leave_has_left_and_others_were_removed() {
        let (none, map) = (list(&[]), attributes(&[]));
        let same = RoleLists {
            attributes: &map,
            admins: &none,
            super_admins: &none,
        };
        let updated = GroupUpdated::of_commit(&CommitChanges {
            committer: "a",
            added: &list(&["d"]),
            removed: &list(&["b", "c"]),
            pending_leave: &BTreeSet::from(["c".to_owned(), "e".to_owned()]),
            before: same,
            after: same,
        })
        .unwrap();
        assert_eq!(updated.added_inboxes, inboxes(["d"]));
        assert_eq!(updated.removed_inboxes, inboxes(["b"]));
        assert_eq!(updated.left_inboxes, inboxes(["c"]));
    }

    #[test]
    fn roles_that_came_and_went_are_listed_each_in_its_place() {
        let (none, map) = (list(&[]), attributes(&[]));
        let updated = GroupUpdated::of_commit(&CommitChanges {
            committer: "a",
            added: &none,
            removed: &none,
            pending_leave: &BTreeSet::new(),
            before: RoleLists {
                attributes: &map,
                admins: &list(&["b"]),
                super_admins: &list(&["a", "c"]),
            },
            after: RoleLists {
                attributes: &map,
                admins: &list(&["d"]),
                super_admins: &list(&["e", "a"]),
            },
        })
        .unwrap();
        assert_eq!(updated.added_admin_inboxes, inboxes(["d"]));
        assert_eq!(updated.removed_admin_inboxes, inboxes(["b"]));
        assert_eq!(updated.added_super_admin_inboxes, inboxes(["e"]));
        assert_eq!(updated.removed_super_admin_inboxes, inboxes(["c"]));
    }

    #[test]
    fn a_commit_that_changes_none_of_this_makes_no_entry() {
        let none = list(&[]);
        let (before, after) = (
            attributes(&[("_secret", "1"), ("group_name", "x")]),
            attributes(&[("_secret", "2"), ("group_name", "x")]),
        );
        let updated = GroupUpdated::of_commit(&CommitChanges {
            committer: "a",
            added: &none,
            removed: &none,
            pending_leave: &BTreeSet::from(["a".to_owned()]),
            before: RoleLists {
                attributes: &before,
                admins: &none,
                super_admins: &list(&["a", "b"]),
            },
            after: RoleLists {
                attributes: &after,
                admins: &none,
                super_admins: &list(&["b", "a"]),
            },
        });
        assert_eq!(updated, None);
    }

    #[test]
    fn a_removed_attribute_has_no_new_value() {
        let changes = field_changes(&attributes(&[("app_data", "x")]), &attributes(&[]));
        assert_eq!(
            changes,
            vec![MetadataFieldChange {
                field_name: "app_data".to_owned(),
                old_value: Some("x".to_owned()),
                new_value: None,
            }]
        );
    }

    #[test]
    fn every_list_survives_the_round_trip_in_its_own_place() {
        let updated = GroupUpdated {
            initiated_by_inbox_id: "0".to_owned(),
            added_inboxes: inboxes(["1"]),
            removed_inboxes: inboxes(["2"]),
            left_inboxes: inboxes(["3"]),
            metadata_field_changes: vec![MetadataFieldChange {
                field_name: "4".to_owned(),
                old_value: Some(String::new()),
                new_value: None,
            }],
            added_admin_inboxes: inboxes(["5"]),
            removed_admin_inboxes: inboxes(["6"]),
            added_super_admin_inboxes: inboxes(["7"]),
            removed_super_admin_inboxes: inboxes(["8"]),
        };
        let encoded = updated.encode().unwrap();
        assert_eq!(GroupUpdated::decode(&encoded), Ok(updated));
    }
}
