//! Whether the leaves that a Commit adds and removes are those that the identity logs call for
//! (steps 10 to 13).

use std::collections::{BTreeMap, BTreeSet};

use super::super::InstallationId;
use super::identity::{Lookup, Resolver};
use super::verdict::RejectCode;
use super::{Proposed, States, Stop};
use crate::gather::Gather;

/// How inboxes and installations change.
#[derive(Debug, Clone, Default)]
pub(super) struct InstallationChange {
    pub(super) added_inboxes: Vec<String>,
    pub(super) removed_inboxes: Vec<String>,
    /// Inboxes that are new or whose sequence rises.
    pub(super) raised: Vec<String>,
    /// Which inbox's log an expected addition comes from.
    pub(super) expected_adds: BTreeMap<InstallationId, BTreeSet<String>>,
    /// Raised to a number that does not resolve (SAFE-Q7).
    pub(super) unresolved: Vec<(String, u64)>,
    /// Removed and added again, or removed as failed, by a super admin.
    pub(super) readded: BTreeSet<InstallationId>,
}

/// Steps 10 to 12.
pub(super) fn compare(
    states: &States,
    proposed: &Proposed,
    resolver: &mut Resolver,
) -> Result<InstallationChange, Stop> {
    let (old, new) = (&states.old.membership.members, &states.membership.members);
    let decreased = |(inbox, sequence)| new.get(inbox).is_some_and(|new| new < sequence);
    if old.iter().any(decreased) {
        return Err(RejectCode::SequenceDecreased.into());
    }
    let mut change = InstallationChange::default();
    let mut expected_removes = BTreeSet::new();
    for (inbox, sequence) in new {
        let previous = old.get(inbox).copied();
        if previous == Some(*sequence) {
            continue;
        }
        change.raised.push(inbox.clone());
        if previous.is_none() {
            change.added_inboxes.push(inbox.clone());
        }
        match previous {
            None | Some(0) => {
                if let Some(after) = resolver.exact(inbox, *sequence)? {
                    expect(&mut change, inbox, after.iter());
                }
            }
            Some(previous) => {
                let nothing_newer = |last| last <= previous;
                match resolver.ask(inbox, *sequence) {
                    Some(Lookup::Absent { previous: last }) if nothing_newer(last) => {
                        change.unresolved.push((inbox.clone(), *sequence));
                        continue;
                    }
                    _ => {}
                }
                let after = resolver.exact(inbox, *sequence)?;
                let before = resolver.exact(inbox, previous)?;
                if let (Some(before), Some(after)) = (before, after) {
                    expect(&mut change, inbox, after.difference(before));
                    expected_removes.extend(before.difference(after).copied());
                }
            }
        }
    }
    for (inbox, sequence) in old {
        if !new.contains_key(inbox) {
            change.removed_inboxes.push(inbox.clone());
            if let Some(before) = resolver.exact(inbox, *sequence)? {
                expected_removes.extend(before.iter().copied());
            }
        }
    }
    resolver.settle()?;
    compare_leaves(states, proposed, &mut change, &expected_removes)?;
    Ok(change)
}

fn expect<'a>(
    change: &mut InstallationChange,
    inbox: &str,
    installations: impl Iterator<Item = &'a InstallationId>,
) {
    for id in installations {
        let inboxes = change.expected_adds.entry(*id).or_default();
        inboxes.insert(inbox.to_owned());
    }
}

/// Step 12 (permissions.md 7.7).
fn compare_leaves(
    states: &States,
    proposed: &Proposed,
    change: &mut InstallationChange,
    expected_removes: &BTreeSet<InstallationId>,
) -> Result<(), RejectCode> {
    let mut added: BTreeSet<InstallationId> =
        proposed.adds.iter().map(|add| add.installation).gather();
    let members = proposed
        .removes
        .iter()
        .filter_map(|remove| remove.member.as_ref());
    let mut removed: BTreeSet<InstallationId> =
        members.map(|member| member.installation_id).gather();
    let mut failed = states.membership.failed.clone();
    if states
        .old
        .mutable
        .is_super_admin(&states.committer.inbox_id)
    {
        let again: BTreeSet<_> = added.intersection(&removed).copied().gather();
        added.retain(|id| !again.contains(id));
        removed.retain(|id| !again.contains(id));
        let given_up: BTreeSet<_> = failed.intersection(&removed).copied().gather();
        failed.retain(|id| !given_up.contains(id));
        removed.retain(|id| !given_up.contains(id));
        change.readded = again.union(&given_up).copied().gather();
    }
    let expected = |id: &InstallationId| {
        change.expected_adds.contains_key(id) || states.old.installation(id).is_some()
    };
    if !added.iter().all(expected) {
        return Err(RejectCode::UnexpectedAdd);
    }
    if !removed.iter().eq(expected_removes.difference(&failed)) {
        return Err(RejectCode::UnexpectedRemove);
    }
    Ok(())
}

/// Step 13: the committer and every updated leaf belong to their inbox in the new membership.
pub(super) fn check_identities(
    states: &States,
    proposed: &Proposed,
    resolver: &mut Resolver,
) -> Result<(), Stop> {
    let committer = (
        states.committer.inbox_id.clone(),
        states.committer.installation_id,
    );
    for (inbox, installation) in std::iter::once(&committer).chain(&proposed.updates) {
        let sequence = states.membership.members.get(inbox);
        let sequence = *sequence.ok_or(RejectCode::SubjectNotMember)?;
        let installations = resolver.exact(inbox, sequence)?;
        if installations.is_some_and(|ids| !ids.contains(installation)) {
            return Err(RejectCode::IdentityMismatch.into());
        }
    }
    resolver.settle()
}
