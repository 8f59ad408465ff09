//! Joining by a Welcome: reading what it offers, checking it, and becoming a member.
//!
//! Nothing is written before [`Joining::into_group`]. Whether a group that is already here may be
//! replaced is decided by the engine beforehand (JOIN-3), from the ids that this module exposes.

use std::collections::BTreeSet;

use openmls::prelude::tls_codec::Deserialize as _;
use openmls::prelude::{MlsMessageBodyIn, MlsMessageIn, StagedWelcome};

use super::super::extensions::{
    self, ConversationKind, IMMUTABLE_METADATA, ImmutableMetadata, MEMBERSHIP, MUTABLE_METADATA,
    Membership, MutableMetadata, PERMISSIONS, PROTOCOL_FLOOR,
};
use super::super::facts::{self, GroupFacts, Member};
use super::super::group::{Group, Notes, join_config};
use super::super::key_package::OwnKeyPackage;
use super::super::policy::{PolicySet, Roles};
use super::super::provider::Provider;
use super::super::validate::{IdentityStates, Lookup, Rules, Version};
use super::super::view::View;
use super::super::{InstallationKey, MlsError};
use super::WelcomeError;
use crate::gather::Gather;

/// A Welcome that the MLS library accepted, before joining.
pub struct Joining {
    staged: StagedWelcome,
    pin: Vec<u8>,
    facts: GroupFacts,
    adder: Member,
    key: InstallationKey,
}

/// Whether to join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinVerdict {
    /// Join; what is to be kept in mind.
    Join(Vec<JoinRemark>),
    /// Never join by this Welcome.
    Refuse(JoinRefusal),
    /// These identity states have to be loaded first.
    NeedIdentity(Vec<(String, u64)>),
}

/// Why a Welcome is refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinRefusal {
    /// The tree is not what the identity logs and the membership say.
    Membership,
    /// A DM that is not one between us and the adder.
    Dm,
}

/// What is to be kept in mind about a joined group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinRemark {
    /// JOIN-1: a DM with other policies than a DM's: quarantine and hide it.
    SuspiciousDm,
    /// JOIN-2: the adder had no right to add us: quarantine it.
    UnauthorisedAdder,
    /// JOIN-2: the adder may have had no right, or only added this installation.
    AdderMayLackPermission,
    /// The group asks for this version, newer than ours: store it paused.
    Paused(String),
}

impl Joining {
    /// Reads the inner Welcome with the private keys of our key packages, current and superseded.
    ///
    /// # Errors
    ///
    /// If it is not a Welcome for us, or for a group that is not of our kind. That is permanent.
    pub fn new(
        inner: &[u8],
        key_packages: &[OwnKeyPackage],
        key: &InstallationKey,
    ) -> Result<Self, WelcomeError> {
        let message =
            MlsMessageIn::tls_deserialize_exact(inner).map_err(|_| WelcomeError::Malformed)?;
        let MlsMessageBodyIn::Welcome(welcome) = message.extract() else {
            return Err(WelcomeError::Malformed);
        };
        let provider = Provider::new(View::empty());
        for key_package in key_packages {
            key_package.lend_to(provider.view());
        }
        let builder = StagedWelcome::build_from_welcome(&provider, &join_config(), welcome)
            .map_err(refused)?;
        if !builder.processed_welcome().psks().is_empty() {
            return Err(WelcomeError::Psk);
        }
        let builder = builder.skip_lifetime_validation().replace_old_group();
        let staged = builder.build().map_err(refused)?;
        let unreadable = |_| WelcomeError::GroupContext;
        let (pin, facts) = read(&staged).map_err(unreadable)?;
        let own = staged.own_leaf_node().and_then(facts::identity);
        if own.is_none_or(|(_, installation)| installation != key.id()) {
            return Err(WelcomeError::UnknownKey);
        }
        let adder = facts.member(staged.welcome_sender_index().u32()).cloned();
        Ok(Self {
            pin,
            adder: adder.ok_or(WelcomeError::GroupContext)?,
            facts,
            staged,
            key: key.clone(),
        })
    }

    /// What the Welcome says about the group; the epoch authenticator is not known yet.
    #[must_use]
    pub fn facts(&self) -> &GroupFacts {
        &self.facts
    }

    /// Who added us: the signer of the GroupInfo.
    #[must_use]
    pub fn adder(&self) -> &Member {
        &self.adder
    }

    /// The checks of permissions.md 7.13 that need no other group of ours: 1, 2, 4, 5 and 7.
    /// `only_installation` says whether our identity log has held exactly one installation ever,
    /// up to the sequence listed for us.
    #[must_use]
    pub fn check(
        &self,
        states: &dyn IdentityStates,
        own_inbox: &str,
        only_installation: bool,
        rules: &Rules,
    ) -> JoinVerdict {
        match check_tree(&self.facts, states) {
            Ok(needed) if needed.is_empty() => {}
            Ok(needed) => return JoinVerdict::NeedIdentity(needed),
            Err(refusal) => return JoinVerdict::Refuse(refusal),
        }
        let mut remarks = Vec::new();
        if self.facts.metadata.kind == ConversationKind::Dm {
            match check_dm(&self.facts, &self.adder.inbox_id, own_inbox) {
                Ok(remark) => remarks.extend(remark),
                Err(refusal) => return JoinVerdict::Refuse(refusal),
            }
        }
        if let Some(floor) = self.facts.mutable.attributes.get(PROTOCOL_FLOOR) {
            let version = Version::parse(floor);
            if version.is_none_or(|version| version > rules.version) && !rules.despite_floor {
                remarks.push(JoinRemark::Paused(floor.clone()));
            }
        }
        if !self.adder_may_add(own_inbox) {
            remarks.push(if only_installation {
                JoinRemark::UnauthorisedAdder
            } else {
                JoinRemark::AdderMayLackPermission
            });
        }
        JoinVerdict::Join(remarks)
    }

    /// JOIN-2, by the roles and policies of the Welcome itself.
    fn adder_may_add(&self, own_inbox: &str) -> bool {
        let adder = &self.adder.inbox_id;
        let roles = Roles::of(adder, &self.facts.mutable);
        adder == own_inbox
            || roles.super_admin
            || self.facts.metadata.is_dm_member(own_inbox)
            || self.facts.permissions.add_member.holds(roles)
    }

    /// Becomes a member. `view` is the empty one, or the one of the group that is replaced: all of
    /// its rows are then deleted, those of former epochs included.
    ///
    /// # Errors
    ///
    /// If a path secret of the Welcome is wrong.
    pub fn into_group(self, view: View) -> Result<Group, MlsError> {
        view.clear();
        let provider = Provider::new(view);
        let mls = self.staged.into_group(&provider).map_err(MlsError::mls)?;
        let notes = Notes {
            pin: self.pin,
            untrusted: BTreeSet::new(),
        };
        Group::start(mls, provider, &self.key, notes)
    }
}

impl std::fmt::Debug for Joining {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Joining")
            .field("epoch", &self.facts.epoch)
            .finish_non_exhaustive()
    }
}

fn refused(error: impl std::fmt::Debug) -> WelcomeError {
    WelcomeError::Mls(super::super::error::reason(&error))
}

/// The pin and the facts; an error if the group is not one that we can read.
fn read(staged: &StagedWelcome) -> Result<(Vec<u8>, GroupFacts), MlsError> {
    let context = staged.group_context();
    let list = context.extensions();
    let unreadable = || MlsError::Extension(extensions::ExtensionError::List);
    // A group in the draft format, or one that asks for more than ours do.
    if list.unknown(extensions::APP_DATA_DICTIONARY).is_some() {
        return Err(unreadable());
    }
    let required = list.required_capabilities();
    if required.is_some_and(|required| !extensions::within_ours(required)) {
        return Err(unreadable());
    }
    let pin = extensions::data(list, IMMUTABLE_METADATA)?;
    let mut members = Vec::new();
    for member in staged.members() {
        let installation_id = facts::installation_id(&member.signature_key);
        members.push(Member {
            leaf: member.index.u32(),
            inbox_id: facts::inbox_id(&member.credential).ok_or_else(unreadable)?,
            installation_id: installation_id.ok_or_else(unreadable)?,
            trusted: true,
        });
    }
    let facts = GroupFacts {
        group_id: facts::group_id(context.group_id())?,
        epoch: context.epoch().as_u64(),
        epoch_authenticator: Vec::new(),
        metadata: ImmutableMetadata::decode(pin)?,
        mutable: MutableMetadata::decode(extensions::data(list, MUTABLE_METADATA)?)?,
        membership: Membership::decode(extensions::data(list, MEMBERSHIP)?)?,
        permissions: PolicySet::decode(extensions::data(list, PERMISSIONS)?)
            .map_err(extensions::ExtensionError::Policy)?,
        members,
    };
    Ok((pin.to_vec(), facts))
}

/// Checks 1 and 2: every member resolves, every leaf belongs to its inbox, and no installation is
/// left out. The identity states that are missing.
fn check_tree(
    facts: &GroupFacts,
    states: &dyn IdentityStates,
) -> Result<Vec<(String, u64)>, JoinRefusal> {
    let membership = &facts.membership;
    let mut needed = Vec::new();
    for (inbox, sequence) in &membership.members {
        let lookup = match sequence {
            0 => Lookup::Absent { previous: 0 },
            _ => states.installations(inbox, *sequence),
        };
        let installations = match lookup {
            Lookup::Known(installations) => installations,
            Lookup::NotLoaded => {
                needed.push((inbox.clone(), *sequence));
                continue;
            }
            Lookup::Absent { .. } => return Err(JoinRefusal::Membership),
        };
        let leaves: BTreeSet<_> = facts
            .members
            .iter()
            .filter(|member| member.inbox_id == *inbox)
            .map(|member| member.installation_id)
            .gather();
        let known = leaves.is_subset(installations);
        let mut rest = installations.difference(&leaves);
        if !known || !rest.all(|id| membership.failed.contains(id)) {
            return Err(JoinRefusal::Membership);
        }
    }
    let listed = |member: &Member| membership.members.contains_key(&member.inbox_id);
    if !facts.members.iter().all(listed) {
        return Err(JoinRefusal::Membership);
    }
    Ok(needed)
}

/// Check 4.
fn check_dm(facts: &GroupFacts, adder: &str, own: &str) -> Result<Option<JoinRemark>, JoinRefusal> {
    let metadata = &facts.metadata;
    if adder == own {
        return if metadata.is_dm_member(own) {
            Ok(None)
        } else {
            Err(JoinRefusal::Dm)
        };
    }
    let ours = metadata.is_dm_member(own) && metadata.is_dm_member(adder);
    let no_roles = facts.mutable.admins.is_empty() && facts.mutable.super_admins.is_empty();
    if !ours || !no_roles {
        return Err(JoinRefusal::Dm);
    }
    let usual = facts.permissions.has_dm_slots();
    Ok((!usual).then_some(JoinRemark::SuspiciousDm))
}
