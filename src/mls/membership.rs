//! Planning who is to be added and removed (mls.md 7.2 and 7.3, permissions.md 10.3).
//!
//! Planning takes two steps, because key packages have to be fetched in between: [`Plan::new`]
//! says which installations come and go, [`Plan::into_change`] turns that and the key packages
//! into a Commit. A plan is worth nothing once another Commit has been merged.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::GroupFacts;
use super::key_package::{KeyPackageFault, VerifiedKeyPackage};
use super::policy::Roles;
use super::validate::{IdentityStates, Lookup, MAX_INBOXES};
use super::{Change, InstallationId, Membership, MutableMetadata};
use crate::gather::Gather;

/// Most installations that one Commit of ours adds; see [`split_invitation`].
pub const MAX_ADDS: usize = 200;

/// What is wanted of the membership. Nothing at all asks for a refresh of installations.
#[derive(Debug, Clone)]
pub struct Request {
    /// Inboxes to bring in. Members among them are left as they are.
    pub add: BTreeSet<String>,
    /// Inboxes to take out. Others are ignored.
    pub remove: BTreeSet<String>,
    /// Most inboxes that the group may have afterwards.
    pub max_inboxes: usize,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            add: BTreeSet::new(),
            remove: BTreeSet::new(),
            max_inboxes: MAX_INBOXES,
        }
    }
}

/// Who comes and goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The membership afterwards, before failures are known.
    membership: Membership,
    /// Installations to add: inbox and id.
    adds: Vec<(String, InstallationId)>,
    removes: Vec<u32>,
    /// Inboxes that come in.
    added_inboxes: Vec<String>,
    /// The admin list without those who go, where we may shorten it (ROLE-3).
    mutable: Option<MutableMetadata>,
    /// Whether anything is to be done.
    changes: bool,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// These identity states have to be loaded first.
    #[error("identity logs are missing")]
    NeedIdentity(Vec<(String, u64)>),
    /// An inbox to add has no identity log, or the number given for an inbox does not resolve.
    #[error("no such inbox, or no such identity update")]
    NoIdentity(String),
    /// More inboxes than a group may have.
    #[error("more inboxes than a group may have")]
    TooManyInboxes,
    /// The Commit would take our own leaf out: somebody else has to do it.
    #[error("our own installation would be removed")]
    RemovesSelf,
    /// Not one installation of those that were to come has a usable key package.
    #[error("no installation to add has a usable key package")]
    AllFailed(Vec<(InstallationId, KeyPackageFault)>),
}

/// A planned Commit.
#[derive(Debug)]
pub struct Planned {
    /// What to commit; nothing if there is nothing to do.
    pub change: Option<Change>,
    /// The installations that could not be added, and why.
    pub failures: Vec<(InstallationId, KeyPackageFault)>,
}

impl Plan {
    /// Plans `request` and every change of installations of members. `latest` gives the newest
    /// known identity sequence of each member and each inbox to add; a lower one than listed is
    /// ignored. `own` is our installation, which is never fetched nor added.
    ///
    /// # Errors
    ///
    /// If identity data is missing, an inbox has no identity, or a limit would be passed.
    pub fn new(
        facts: &GroupFacts,
        request: &Request,
        latest: &BTreeMap<String, u64>,
        states: &dyn IdentityStates,
        own: &InstallationId,
    ) -> Result<Self, PlanError> {
        let old = &facts.membership;
        let mut new = old.clone();
        for (inbox, sequence) in &mut new.members {
            *sequence = latest
                .get(inbox)
                .map_or(*sequence, |latest| *latest.max(sequence));
        }
        new.members
            .retain(|inbox, _| !request.remove.contains(inbox));
        let mut added_inboxes = Vec::new();
        for inbox in &request.add {
            if old.members.contains_key(inbox) || request.remove.contains(inbox) {
                continue;
            }
            let sequence = latest.get(inbox).copied().filter(|sequence| *sequence != 0);
            let sequence = sequence.ok_or_else(|| PlanError::NoIdentity(inbox.clone()))?;
            new.members.insert(inbox.clone(), sequence);
            added_inboxes.push(inbox.clone());
        }
        if !added_inboxes.is_empty() && new.members.len() > request.max_inboxes {
            return Err(PlanError::TooManyInboxes);
        }
        let difference = Difference::between(old, &new, states)?;
        let mut plan = Self {
            changes: *old != new,
            membership: new,
            adds: difference
                .added
                .into_iter()
                .filter(|(_, id)| id != own)
                .collect(),
            removes: Vec::new(),
            mutable: without_removed_admins(facts, request, own),
            added_inboxes,
        };
        plan.plan_removes(facts, &difference.removed, own)?;
        plan.repair(facts, states, own)?;
        Ok(plan)
    }

    /// Which leaves go. An id that is a leaf and goes is taken off the failed list, since it would
    /// otherwise be subtracted from what everybody expects; one without a leaf stays for ever.
    fn plan_removes(
        &mut self,
        facts: &GroupFacts,
        expected: &BTreeSet<InstallationId>,
        own: &InstallationId,
    ) -> Result<(), PlanError> {
        if expected.contains(own) {
            return Err(PlanError::RemovesSelf);
        }
        let leaves = facts.members.iter();
        for member in leaves.filter(|member| expected.contains(&member.installation_id)) {
            self.membership.failed.remove(&member.installation_id);
            self.removes.push(member.leaf);
        }
        // Whoever is expected to go and has no leaf must be on the list.
        for id in expected {
            if facts.installation(id).is_none() {
                self.membership.failed.insert(*id);
            }
        }
        Ok(())
    }

    /// SAFE-Q8: puts on the failed list what earlier Commits of others left out. It cannot be
    /// added any more, and nobody could join.
    fn repair(
        &mut self,
        facts: &GroupFacts,
        states: &dyn IdentityStates,
        own: &InstallationId,
    ) -> Result<(), PlanError> {
        let mut needed = Vec::new();
        let added: BTreeSet<InstallationId> = self.adds.iter().map(|(_, id)| *id).gather();
        let leaves: BTreeSet<InstallationId> = facts
            .members
            .iter()
            .map(|member| member.installation_id)
            .gather();
        let removed = |id: &InstallationId| {
            facts
                .installation(id)
                .is_some_and(|member| self.removes.contains(&member.leaf))
        };
        let mut missing = BTreeSet::new();
        for (inbox, sequence) in self.membership.members.iter().filter(|entry| *entry.1 != 0) {
            match states.installations(inbox, *sequence) {
                Lookup::Known(installations) => missing.extend(
                    installations
                        .iter()
                        .filter(|id| !added.contains(id) && !leaves.contains(id) && *id != own)
                        .filter(|id| !removed(id))
                        .copied(),
                ),
                Lookup::NotLoaded => needed.push((inbox.clone(), *sequence)),
                Lookup::Absent { .. } => {}
            }
        }
        if !needed.is_empty() {
            return Err(PlanError::NeedIdentity(needed));
        }
        self.membership.failed.extend(missing);
        Ok(())
    }

    /// The installations whose key packages are to be fetched, with the inbox of each.
    #[must_use]
    pub fn adds(&self) -> &[(String, InstallationId)] {
        &self.adds
    }

    /// The inboxes that come in.
    #[must_use]
    pub fn added_inboxes(&self) -> &[String] {
        &self.added_inboxes
    }

    /// The membership before failures are known.
    #[must_use]
    pub fn membership(&self) -> &Membership {
        &self.membership
    }

    /// The leaves that go.
    #[must_use]
    pub fn removes(&self) -> &[u32] {
        &self.removes
    }

    /// Makes the Commit, given for each installation of [`Self::adds`] its key package or why it
    /// has none; one that is not mentioned counts as having none.
    ///
    /// # Errors
    ///
    /// If inboxes were to come in and every installation failed.
    pub fn into_change(
        self,
        mut key_packages: BTreeMap<InstallationId, Result<VerifiedKeyPackage, KeyPackageFault>>,
    ) -> Result<Planned, PlanError> {
        let mut membership = self.membership;
        let mut add = Vec::new();
        let mut failures = Vec::new();
        for (_, id) in &self.adds {
            match key_packages
                .remove(id)
                .unwrap_or(Err(KeyPackageFault::Absent))
            {
                Ok(key_package) => add.push(key_package),
                Err(fault) => failures.push((*id, fault)),
            }
        }
        if add.is_empty() && !self.added_inboxes.is_empty() {
            return Err(PlanError::AllFailed(failures));
        }
        membership.failed.extend(failures.iter().map(|(id, _)| *id));
        let change = self.changes.then_some(Change {
            add,
            remove: self.removes,
            membership: Some(membership),
            mutable: self.mutable,
            permissions: None,
        });
        Ok(Planned { change, failures })
    }
}

/// The metadata without removed inboxes in the admin list, if we may take them out.
fn without_removed_admins(
    facts: &GroupFacts,
    request: &Request,
    own: &InstallationId,
) -> Option<MutableMetadata> {
    let roles = Roles::of(&facts.installation(own)?.inbox_id, &facts.mutable);
    let goes = |inbox: &String| {
        request.remove.contains(inbox) && facts.membership.members.contains_key(inbox)
    };
    if !facts.permissions.remove_admin.holds(roles) || !facts.mutable.admins.iter().any(goes) {
        return None;
    }
    let mut mutable = facts.mutable.clone();
    mutable.admins.retain(|inbox| !goes(inbox));
    Some(mutable)
}

/// Cuts an invitation into parts that add at most [`MAX_ADDS`] installations each, given how many
/// each inbox has. A part is complete for its inboxes; an inbox with more is a part of its own.
#[must_use]
pub fn split_invitation(installations: &BTreeMap<String, usize>) -> Vec<BTreeSet<String>> {
    let mut parts: Vec<BTreeSet<String>> = Vec::new();
    let mut room = 0;
    for (inbox, count) in installations {
        match parts.last_mut() {
            Some(part) if *count <= room => {
                part.insert(inbox.clone());
                room -= count;
            }
            _ => {
                parts.push([inbox.clone()].into_iter().gather());
                room = MAX_ADDS.saturating_sub(*count);
            }
        }
    }
    parts
}

/// How installations differ between two memberships (permissions.md 7.6).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// Installations that come, with their inbox.
    pub added: Vec<(String, InstallationId)>,
    /// Installations that go.
    pub removed: BTreeSet<InstallationId>,
}

impl Difference {
    /// What separates `old` from `new`.
    ///
    /// # Errors
    ///
    /// If identity data is missing or a sequence does not resolve.
    pub fn between(
        old: &Membership,
        new: &Membership,
        states: &dyn IdentityStates,
    ) -> Result<Self, PlanError> {
        let mut needed = Vec::new();
        let mut difference = Self::default();
        let empty = BTreeSet::new();
        let mut resolve =
            |inbox: &String, sequence: u64| match states.installations(inbox, sequence) {
                Lookup::Known(installations) => Ok(installations.clone()),
                Lookup::Absent { .. } => Err(PlanError::NoIdentity(inbox.clone())),
                Lookup::NotLoaded => {
                    needed.push((inbox.clone(), sequence));
                    Ok(BTreeSet::new())
                }
            };
        for (inbox, sequence) in &new.members {
            let previous = old.members.get(inbox).copied().unwrap_or(0);
            if previous == *sequence {
                continue;
            }
            let after = resolve(inbox, *sequence)?;
            let before = match previous {
                0 => empty.clone(),
                previous => resolve(inbox, previous)?,
            };
            let added = after.difference(&before).map(|id| (inbox.clone(), *id));
            difference.added.extend(added);
            difference
                .removed
                .extend(before.difference(&after).copied());
        }
        for (inbox, sequence) in &old.members {
            if !new.members.contains_key(inbox) && *sequence != 0 {
                difference.removed.extend(resolve(inbox, *sequence)?);
            }
        }
        if needed.is_empty() {
            Ok(difference)
        } else {
            Err(PlanError::NeedIdentity(needed))
        }
    }
}

#[cfg(test)]
mod tests;
