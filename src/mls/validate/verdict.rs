//! The answers to whether a Commit is accepted.

use std::collections::BTreeSet;

use super::super::InstallationId;
use super::super::facts::Member;
use super::finding::Finding;
use super::floor::{COMPAT_VERSION, Version};
use super::installations::InstallationChange;
use super::metadata::{AttributeChange, ListChange};
use super::safety::Safety;
use super::{Proposed, States};

/// The local side of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The version that we claim to be.
    pub version: Version,
    /// The app chose to go on although the group asks for a newer version (CV-PAUSE).
    pub despite_floor: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            version: COMPAT_VERSION,
            despite_floor: false,
        }
    }
}

/// Whether a Commit is accepted.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It is; what it does.
    Accepted(Box<Accepted>),
    /// It is not and never will be.
    Rejected(Rejection),
    /// These identity states have to be loaded first.
    NeedIdentity(Vec<(String, u64)>),
    /// The group asks for a newer version than ours: stop before this message.
    Paused(Pause),
}

/// Why a Commit was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// The rule.
    pub code: RejectCode,
    /// Who sent it.
    pub committer: Option<Member>,
    /// The identity state that does not exist, for [`RejectCode::IdentityMissing`]. It may become
    /// readable a moment later (CV-IDWAIT).
    pub missing: Option<(String, u64)>,
}

/// Why a group is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// The version that the group asks for.
    pub floor: String,
    /// Who raised it, if this Commit does.
    pub raised_by: Option<String>,
    /// Whether that was a super admin.
    pub by_super_admin: bool,
}

/// The rule by which a Commit was rejected (permissions.md, Appendix B).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // named after the codes of the specification
pub enum RejectCode {
    PreState,
    MissingMetadata,
    Undecodable,
    TooLong,
    PermissionsUndecodable,
    NotAMember,
    Psk,
    SubjectNotMember,
    MissingMembership,
    SequenceDecreased,
    IdentityMissing,
    UnexpectedAdd,
    UnexpectedRemove,
    IdentityMismatch,
    LeafIdentityChanged,
    Permission,
    BadVersion,
    /// A safety rule, in a strict group.
    Strict(&'static str),
}

/// What an accepted Commit does.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub(in super::super) change: CommitChange,
    pub(in super::super) untrusted: BTreeSet<InstallationId>,
}

/// What a Commit changes.
#[derive(Debug, Clone)]
pub struct CommitChange {
    /// Who sent it.
    pub committer: Member,
    /// Inboxes that come in.
    pub added_inboxes: Vec<String>,
    /// Inboxes that go.
    pub removed_inboxes: Vec<String>,
    /// Installations that come in: the inbox their credential names, and their id.
    pub added_installations: Vec<(String, InstallationId)>,
    /// Leaves that go.
    pub removed_installations: Vec<Member>,
    /// Installations removed and added again, or removed as failed, by a super admin.
    pub readded_installations: BTreeSet<InstallationId>,
    /// Attributes that change.
    pub attributes: Vec<AttributeChange>,
    /// Changes of the admin list.
    pub admins: ListChange,
    /// Changes of the super admin list.
    pub super_admins: ListChange,
    /// Whether the policies change.
    pub permissions_changed: bool,
    /// What the safety rules say.
    pub findings: Vec<Finding>,
}

impl Accepted {
    /// What the Commit changes.
    #[must_use]
    pub fn change(&self) -> &CommitChange {
        &self.change
    }
}

pub(super) fn accepted(
    states: States,
    proposed: &Proposed,
    installations: InstallationChange,
    safety: Safety,
) -> Accepted {
    let adds = proposed.adds.iter();
    let removes = proposed.removes.iter();
    Accepted {
        change: CommitChange {
            committer: states.committer.clone(),
            added_inboxes: installations.added_inboxes,
            removed_inboxes: installations.removed_inboxes,
            added_installations: adds
                .map(|add| (add.inbox.clone(), add.installation))
                .collect(),
            removed_installations: removes.filter_map(|remove| remove.member.clone()).collect(),
            readded_installations: installations.readded,
            attributes: states.metadata.attributes,
            admins: states.metadata.admins,
            super_admins: states.metadata.super_admins,
            permissions_changed: states.permissions != states.old.permissions,
            findings: safety.findings,
        },
        untrusted: safety.untrusted,
    }
}
