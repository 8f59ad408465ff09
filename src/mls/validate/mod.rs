//! Whether a Commit is accepted: permissions.md 7.3 to 7.9, in its order, and our safety rules.
//!
//! [`evaluate`] is a pure function of the state before, what the Commit proposes, and the identity
//! states that it cites. Everybody in a group has to come to the same answer, so nothing else may
//! enter into it: no clock, no setting, no state of ours. The one local input is which protocol
//! version we claim to be, and that can only pause us.

mod finding;
mod floor;
mod identity;
mod installations;
mod metadata;
mod policies;
mod safety;
mod staged;
mod verdict;

use super::InstallationId;
use super::extensions::{ExtensionError, ImmutableMetadata, Membership};
use super::facts::{GroupFacts, Member};
use super::policy::PolicySet;

pub use finding::Finding;
pub use floor::{COMPAT_VERSION, Version};
pub use identity::{IdentityStates, Lookup};
pub use metadata::{AttributeChange, ListChange};
pub(super) use metadata::{changed_attributes, changed_list};
pub use safety::{MAX_INBOXES, MAX_INSTALLATIONS};
pub(super) use staged::proposer_inbox;
pub use verdict::{Accepted, CommitChange, Pause, RejectCode, Rejection, Rules, Verdict};

use identity::Resolver;
#[cfg(test)]
pub(super) use staged::context_bytes;
pub(super) use staged::validate;

/// The state before a Commit.
#[derive(Debug, Clone)]
pub struct Before {
    /// Its facts; an error if an extension is missing or does not decode.
    pub facts: Result<GroupFacts, ExtensionError>,
    /// The extensions as bytes.
    pub context: ContextBytes,
}

/// The extensions of a GroupContext, as bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContextBytes {
    /// 0xf000, inner prefix included.
    pub immutable: Option<Vec<u8>>,
    /// 0xff00.
    pub mutable: Option<Vec<u8>>,
    /// 0xff01.
    pub membership: Option<Vec<u8>>,
    /// 0xff02.
    pub permissions: Option<Vec<u8>>,
    /// required_capabilities and every extension that is not ours: type and content.
    pub rest: std::collections::BTreeMap<u16, Vec<u8>>,
}

/// What a Commit proposes.
#[derive(Debug, Clone)]
pub struct Proposed {
    /// The member at the sender leaf, before the Commit.
    pub committer: Option<Member>,
    /// Whether every proposal comes from a member.
    pub proposers_are_members: bool,
    /// Installations to add.
    pub adds: Vec<ProposedAdd>,
    /// Leaves to remove.
    pub removes: Vec<ProposedRemove>,
    /// New leaves of Update proposals of other members: inbox and installation.
    pub updates: Vec<(String, InstallationId)>,
    /// The proposal that replaces the extensions.
    pub replacement: Option<ProposedContext>,
    /// Whether credentials of all added and updated leaves are readable.
    pub credentials_readable: bool,
    /// Whether there is a PreSharedKey proposal.
    pub psk: bool,
    /// Whether there is a ReInit proposal.
    pub reinit: bool,
    /// Whether there is a proposal of a type that our groups do not use.
    pub unsupported: bool,
    /// Whether the leaf in the path keeps credential and signature key (SAFE-H1).
    pub path_keeps_identity: bool,
    /// The extensions afterwards.
    pub context: ContextBytes,
}

/// An Add proposal.
#[derive(Debug, Clone)]
pub struct ProposedAdd {
    /// The inbox that the credential names.
    pub inbox: String,
    /// The signature key.
    pub installation: InstallationId,
    /// Who proposes it.
    pub proposer: String,
}

/// A Remove proposal.
#[derive(Debug, Clone)]
pub struct ProposedRemove {
    /// The leaf; none if there is no such leaf.
    pub member: Option<Member>,
    /// Who proposes it.
    pub proposer: String,
}

/// A GroupContextExtensions proposal.
#[derive(Debug, Clone)]
pub struct ProposedContext {
    /// Who proposes it.
    pub proposer: String,
    /// Whether it came as a message of its own.
    pub by_reference: bool,
}

/// Judges a Commit.
#[must_use]
pub fn evaluate(
    before: &Before,
    proposed: &Proposed,
    states: &dyn IdentityStates,
    rules: &Rules,
) -> Verdict {
    let mut resolver = Resolver::new(states);
    match check(before, proposed, &mut resolver, rules) {
        Ok(accepted) => Verdict::Accepted(Box::new(accepted)),
        Err(Stop::Reject(code)) => Verdict::Rejected(Rejection {
            code,
            committer: proposed.committer.clone(),
            missing: resolver.absent,
        }),
        Err(Stop::Identity) => Verdict::NeedIdentity(resolver.not_loaded),
        Err(Stop::Pause(pause)) => Verdict::Paused(pause),
    }
}

/// Why the checks ended early.
enum Stop {
    Reject(RejectCode),
    Identity,
    Pause(verdict::Pause),
}

impl From<RejectCode> for Stop {
    fn from(code: RejectCode) -> Self {
        Self::Reject(code)
    }
}

/// Old and new state, decoded.
struct States<'a> {
    old: &'a GroupFacts,
    /// Attributes and lists that change.
    metadata: metadata::MetadataChange,
    permissions: PolicySet,
    membership: Membership,
    committer: &'a Member,
}

/// Steps 1 to 16 of permissions.md 7.3.
fn check(
    before: &Before,
    proposed: &Proposed,
    resolver: &mut Resolver,
    rules: &Rules,
) -> Result<Accepted, Stop> {
    // 1
    let old = before.facts.as_ref().map_err(|_| RejectCode::PreState)?;
    // 2, 3
    let metadata = metadata::compare(&before.context, &proposed.context, &old.mutable)?;
    // 4
    let permissions = proposed.context.permissions.as_deref();
    let permissions = PolicySet::decode(permissions.unwrap_or_default())
        .map_err(|_| RejectCode::PermissionsUndecodable)?;
    // 5
    let committer = proposed.committer.as_ref().ok_or(RejectCode::NotAMember)?;
    if !proposed.proposers_are_members {
        return Err(RejectCode::NotAMember.into());
    }
    // 6, 7
    if proposed.psk {
        return Err(RejectCode::Psk.into());
    }
    if proposed.unsupported {
        return Err(RejectCode::Permission.into());
    }
    // 8
    if proposed
        .removes
        .iter()
        .any(|remove| remove.member.is_none())
    {
        return Err(RejectCode::SubjectNotMember.into());
    }
    if !proposed.credentials_readable {
        return Err(RejectCode::Undecodable.into());
    }
    // 9
    let membership = proposed.context.membership.as_deref();
    let membership = Membership::decode(membership.ok_or(RejectCode::MissingMembership)?)
        .map_err(|_| RejectCode::Undecodable)?;
    let states = States {
        old,
        metadata,
        permissions,
        membership,
        committer,
    };
    // 10 to 12
    let installations = installations::compare(&states, proposed, resolver)?;
    // 13
    installations::check_identities(&states, proposed, resolver)?;
    if !proposed.path_keeps_identity {
        return Err(RejectCode::LeafIdentityChanged.into());
    }
    // 14
    policies::check(&states, proposed)?;
    // 15
    floor::check(&states, rules)?;
    // 16
    let safety = safety::check(&states, before, proposed, &installations, resolver)?;
    let first = safety.findings.iter().find(|finding| finding.quarantines());
    if let Some(finding) = first.filter(|_| old.mutable.is_strict()) {
        return Err(RejectCode::Strict(finding.code()).into());
    }
    Ok(verdict::accepted(states, proposed, installations, safety))
}

/// Whether immutable metadata on the wire is what was pinned.
fn matches_pin(data: Option<&[u8]>, pin: &ImmutableMetadata) -> bool {
    data.is_some_and(|data| ImmutableMetadata::decode(data).as_ref() == Ok(pin))
}

#[cfg(test)]
mod tests;
