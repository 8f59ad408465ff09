//! What the safety rules can say about a Commit (permissions.md 10.2).

use super::super::InstallationId;

/// What a safety rule says about a Commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// SAFE-Q1: an installation was added under an inbox whose it is not.
    ForeignInstallation {
        /// The inbox that its credential names.
        inbox: String,
        /// The installation.
        installation: InstallationId,
    },
    /// SAFE-Q2: immutable metadata was changed.
    ImmutableMetadata {
        /// Whether it is gone, which leaves the group broken for peers.
        removed: bool,
    },
    /// SAFE-Q3: other parts of the group context changed, or the group is to be replaced.
    GroupContext,
    /// SAFE-Q4a: a leaf's inbox is not listed as a member.
    UnlistedLeaf(InstallationId),
    /// SAFE-Q4b: an inbox was removed from the list, a leaf of it stays.
    RemovedInNameOnly(String),
    /// SAFE-Q4c: a listed member has no leaf.
    GhostMember(String),
    /// SAFE-Q5: an installation was listed as failed without reason.
    UnfoundedFailure(InstallationId),
    /// SAFE-Q6: an installation of a continuing member was taken out though it is not revoked.
    Suspended {
        /// Its inbox.
        inbox: String,
        /// The installation.
        installation: InstallationId,
        /// Whether the inbox is a super admin other than the committer.
        super_admin: bool,
    },
    /// SAFE-Q7: a sequence was raised to a number that does not exist.
    UnresolvedSequence(String, u64),
    /// SAFE-Q8: an installation is neither a leaf nor listed as failed, so nobody can join.
    NeedsRepair {
        /// Its inbox.
        inbox: String,
        /// The installation.
        installation: InstallationId,
    },
    /// SAFE-Q9: a new admin is no member, or no super admin is left that is one.
    OrphanedRoles,
    /// SAFE-Q10: more inboxes or installations than the limits.
    OverLimit,
    /// SAFE-Q11: somebody committed another's proposal that its author had no right to.
    LaunderedProposal,
}

impl Finding {
    /// The rule's name.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::ForeignInstallation { .. } => "SAFE-Q1",
            Self::ImmutableMetadata { .. } => "SAFE-Q2",
            Self::GroupContext => "SAFE-Q3",
            Self::UnlistedLeaf(_) | Self::RemovedInNameOnly(_) | Self::GhostMember(_) => "SAFE-Q4",
            Self::UnfoundedFailure(_) => "SAFE-Q5",
            Self::Suspended { .. } => "SAFE-Q6",
            Self::UnresolvedSequence(..) => "SAFE-Q7",
            Self::NeedsRepair { .. } => "SAFE-Q8",
            Self::OrphanedRoles => "SAFE-Q9",
            Self::OverLimit => "SAFE-Q10",
            Self::LaunderedProposal => "SAFE-Q11",
        }
    }

    /// Whether it quarantines the group; if not, it is only reported.
    #[must_use]
    pub fn quarantines(&self) -> bool {
        match self {
            Self::ForeignInstallation { .. }
            | Self::ImmutableMetadata { .. }
            | Self::GroupContext
            | Self::UnlistedLeaf(_)
            | Self::RemovedInNameOnly(_)
            | Self::UnfoundedFailure(_)
            | Self::UnresolvedSequence(..)
            | Self::LaunderedProposal => true,
            Self::Suspended { super_admin, .. } => *super_admin,
            Self::GhostMember(_)
            | Self::NeedsRepair { .. }
            | Self::OrphanedRoles
            | Self::OverLimit => false,
        }
    }
}
