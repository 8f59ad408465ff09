//! Commits of our own: building one, and merging it once it is met in the log.
//!
//! A Commit stays pending, in the stored group, until the log decides. There are never two of ours
//! for one epoch.

use openmls::prelude::{Extensions, GroupContext, LeafNodeIndex, OpenMlsCrypto as _};
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::types::HashType;

use super::extensions::{
    self, MEMBERSHIP, MUTABLE_METADATA, Membership, MutableMetadata, PERMISSIONS,
};
use super::group::Group;
use super::key_package::VerifiedKeyPackage;
use super::policy::PolicySet;
use super::provider::MlsSigner;
use super::validate::{IdentityStates, Rules, Verdict, validate};
use super::{Accepted, CommitReport, MlsError};

/// What a Commit is to change. All of it goes inline; nothing at all is a key update.
#[derive(Debug, Default)]
pub struct Change {
    /// Key packages to add.
    pub add: Vec<VerifiedKeyPackage>,
    /// Leaves to remove.
    pub remove: Vec<u32>,
    /// New attributes and admin lists.
    pub mutable: Option<MutableMetadata>,
    /// New membership.
    pub membership: Option<Membership>,
    /// New policies.
    pub permissions: Option<PolicySet>,
}

/// A Commit of ours that is pending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnCommit {
    /// The MLSMessage to publish.
    pub bytes: Vec<u8>,
    /// SHA-256 of `bytes`, by which we recognise it in the log.
    pub sha256: [u8; 32],
    /// The epoch it was built in.
    pub epoch: u64,
    /// The inner Welcome (an MLSMessage), the same for every installation added.
    pub welcome: Option<Vec<u8>>,
}

impl Group {
    /// Builds a Commit and leaves it pending. Store the view before publishing it.
    ///
    /// # Errors
    ///
    /// If one is pending already, we are no member, our own leaf would go, or the MLS library
    /// refuses. The group is then as it was.
    pub fn stage_commit(&mut self, change: Change) -> Result<OwnCommit, MlsError> {
        if !self.is_active() {
            return Err(MlsError::Inactive);
        }
        if self.pending_commit() {
            return Err(MlsError::CommitPending);
        }
        if change.remove.contains(&self.own_leaf()) {
            return Err(MlsError::RemovesSelf);
        }
        let savepoint = self.view().savepoint();
        let built = self.build_commit(change);
        if built.is_err() {
            self.roll_back(&savepoint)?;
        }
        built
    }

    fn build_commit(&mut self, change: Change) -> Result<OwnCommit, MlsError> {
        let epoch = self.epoch();
        let (context, replaced) = self.changed_context(&change)?;
        let key_packages = change.add.into_iter().map(VerifiedKeyPackage::into_inner);
        let removed = change.remove.into_iter().map(LeafNodeIndex::new);
        let mut builder = self
            .mls
            .commit_builder()
            .consume_proposal_store(false)
            .force_self_update(true)
            .propose_adds(key_packages)
            .propose_removals(removed);
        if replaced {
            builder = builder
                .propose_group_context_extensions(context)
                .map_err(MlsError::mls)?;
        }
        let (crypto, rand) = (self.provider.crypto(), self.provider.rand());
        let bundle = builder
            .load_psks(self.provider.storage())
            .map_err(MlsError::mls)?
            .create_group_info(false)
            .build(rand, crypto, &MlsSigner(&self.key), |_| true)
            .map_err(MlsError::mls)?
            .stage_commit(&self.provider)
            .map_err(MlsError::mls)?;
        let bytes = bundle.commit().to_bytes().map_err(MlsError::mls)?;
        let welcome = bundle.to_welcome_msg().map(|welcome| welcome.to_bytes());
        let hash = crypto
            .hash(HashType::Sha2_256, &bytes)
            .map_err(MlsError::mls)?;
        Ok(OwnCommit {
            sha256: hash.try_into().map_err(MlsError::mls)?,
            bytes,
            epoch,
            welcome: welcome.transpose().map_err(MlsError::mls)?,
        })
    }

    /// Judges a change before it is built, by the rules for everybody's Commits (ROLE-1). What it
    /// leaves out of the expected additions does not count against it, so key packages need not
    /// have been fetched.
    ///
    /// # Errors
    ///
    /// If the MLS library refuses the extensions.
    pub fn check_change(
        &self,
        change: &Change,
        states: &dyn IdentityStates,
        rules: &Rules,
    ) -> Result<Verdict, MlsError> {
        let (context, replaced) = self.changed_context(change)?;
        let proposed = self.proposed_by_us(change, &context, replaced);
        Ok(validate(self, &proposed, states, rules))
    }

    /// The extensions after `change`, and whether any is replaced.
    fn changed_context(
        &self,
        change: &Change,
    ) -> Result<(Extensions<GroupContext>, bool), MlsError> {
        let contents = [
            (
                MUTABLE_METADATA,
                change.mutable.as_ref().map(MutableMetadata::encode),
            ),
            (
                MEMBERSHIP,
                change.membership.as_ref().map(Membership::encode),
            ),
            (
                PERMISSIONS,
                change.permissions.as_ref().map(PolicySet::encode),
            ),
        ];
        let mut context = self.mls.extensions().clone();
        let mut replaced = false;
        for (number, content) in contents {
            if let Some(content) = content {
                extensions::replace(&mut context, number, content)?;
                replaced = true;
            }
        }
        Ok((context, replaced))
    }

    /// Whether a Commit of ours is pending.
    #[must_use]
    pub fn pending_commit(&self) -> bool {
        self.mls.pending_commit().is_some()
    }

    /// Judges our pending Commit by the rules for everybody's, before it is merged.
    ///
    /// # Errors
    ///
    /// If none is pending.
    pub fn check_pending(
        &self,
        states: &dyn IdentityStates,
        rules: &Rules,
    ) -> Result<Verdict, MlsError> {
        let staged = self.mls.pending_commit().ok_or(MlsError::NoPendingCommit)?;
        let proposed = self.proposed(staged, self.mls.own_leaf_index());
        Ok(validate(self, &proposed, states, rules))
    }

    /// Merges our pending Commit, which was met in the log and accepted by [`Self::check_pending`].
    ///
    /// # Errors
    ///
    /// If none is pending.
    pub fn merge_pending(&mut self, accepted: Accepted) -> Result<CommitReport, MlsError> {
        if !self.pending_commit() {
            return Err(MlsError::NoPendingCommit);
        }
        self.mls
            .merge_pending_commit(&self.provider)
            .map_err(MlsError::mls)?;
        self.finish_merge(accepted)
    }

    /// Gives up our pending Commit. Its ratchet generation stays used.
    ///
    /// # Errors
    ///
    /// If the group state cannot be encoded.
    pub fn clear_pending(&mut self) -> Result<(), MlsError> {
        Ok(self.mls.clear_pending_commit(self.provider.storage())?)
    }
}
