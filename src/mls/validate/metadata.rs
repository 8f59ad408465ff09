//! What a Commit changes in the mutable metadata (steps 2 and 3).

use std::collections::BTreeSet;

use super::super::extensions::{
    APP_DATA, DESCRIPTION, GROUP_IMAGE_URL, GROUP_NAME, MutableMetadata,
};
use super::ContextBytes;
use super::verdict::RejectCode;
use crate::gather::Gather;

/// An attribute that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeChange {
    /// Its key.
    pub key: String,
    /// The value before; none if it did not exist.
    pub old: Option<String>,
    /// The value after; none if it is gone.
    pub new: Option<String>,
}

/// How one of the admin lists changes, as sets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListChange {
    /// Inboxes that come in.
    pub added: Vec<String>,
    /// Inboxes that go.
    pub removed: Vec<String>,
}

/// The mutable metadata afterwards and what changed.
#[derive(Debug, Clone)]
pub(super) struct MetadataChange {
    pub(super) new: MutableMetadata,
    pub(super) attributes: Vec<AttributeChange>,
    pub(super) admins: ListChange,
    pub(super) super_admins: ListChange,
}

/// The longest value of an attribute in bytes, if it has a limit.
#[must_use]
pub(crate) fn limit(key: &str) -> Option<usize> {
    match key {
        GROUP_NAME => Some(100),
        DESCRIPTION => Some(1_000),
        GROUP_IMAGE_URL => Some(2_048),
        APP_DATA => Some(8_192),
        _ => None,
    }
}

pub(super) fn compare(
    before: &ContextBytes,
    after: &ContextBytes,
    old: &MutableMetadata,
) -> Result<MetadataChange, RejectCode> {
    let data = after
        .mutable
        .as_deref()
        .ok_or(RejectCode::MissingMetadata)?;
    let new = match before.mutable.as_deref() {
        Some(same) if same == data => old.clone(),
        _ => MutableMetadata::decode(data).map_err(|_| RejectCode::Undecodable)?,
    };
    let attributes = changed_attributes(old, &new);
    for change in &attributes {
        let length = change.new.as_ref().map_or(0, String::len);
        if limit(&change.key).is_some_and(|limit| length > limit) {
            return Err(RejectCode::TooLong);
        }
    }
    Ok(MetadataChange {
        attributes,
        admins: changed_list(&old.admins, &new.admins),
        super_admins: changed_list(&old.super_admins, &new.super_admins),
        new,
    })
}

pub(in super::super) fn changed_attributes(
    old: &MutableMetadata,
    new: &MutableMetadata,
) -> Vec<AttributeChange> {
    let keys: BTreeSet<&String> = old.attributes.keys().chain(new.attributes.keys()).gather();
    let changes = keys.into_iter().map(|key| AttributeChange {
        key: key.clone(),
        old: old.attributes.get(key).cloned(),
        new: new.attributes.get(key).cloned(),
    });
    changes.filter(|change| change.old != change.new).collect()
}

pub(in super::super) fn changed_list(old: &[String], new: &[String]) -> ListChange {
    let old: BTreeSet<&String> = old.iter().gather();
    let new: BTreeSet<&String> = new.iter().gather();
    ListChange {
        added: new.difference(&old).map(|inbox| (*inbox).clone()).collect(),
        removed: old.difference(&new).map(|inbox| (*inbox).clone()).collect(),
    }
}
