//! Our safety rules (step 16, permissions.md 10): what peers accept and an attacker could use.
//!
//! A finding never rejects a Commit in an ordinary group, since that would part us from peers; it
//! quarantines the group or is reported. In a strict group the quarantining ones reject. A rule is
//! only broken by what the Commit changes: what was wrong before is not found again.

use std::collections::{BTreeMap, BTreeSet};

use super::super::InstallationId;
use super::super::extensions::{ConversationKind, MutableMetadata};
use super::super::facts::Member;
use super::finding::Finding;
use super::identity::Resolver;
use super::installations::InstallationChange;
use super::{Before, Proposed, States, Stop, matches_pin, policies};
use crate::gather::Gather;

/// Most inboxes in a group.
pub const MAX_INBOXES: usize = 250;
/// Most installations of an inbox.
pub const MAX_INSTALLATIONS: usize = 10;

/// What the safety rules say, and which leaves are not to be believed afterwards.
pub(super) struct Safety {
    pub(super) findings: Vec<Finding>,
    pub(super) untrusted: BTreeSet<InstallationId>,
}

/// The leaves after the Commit: inbox, installation, whether it was there and trusted before.
struct Leaf<'a> {
    inbox: &'a String,
    installation: InstallationId,
    before: Option<bool>,
}

pub(super) fn check(
    states: &States,
    before: &Before,
    proposed: &Proposed,
    change: &InstallationChange,
    resolver: &mut Resolver,
) -> Result<Safety, Stop> {
    let leaves = leaves_after(states, proposed);
    let mut findings = Vec::new();
    findings.extend(foreign_installations(proposed, change));
    context(states, before, proposed, &mut findings);
    findings.extend(lists_and_leaves(states, &leaves, change, resolver));
    findings.extend(failures(states, &leaves, change, resolver));
    findings.extend(suspended(states, proposed, resolver));
    let unresolved = change.unresolved.iter().cloned();
    findings.extend(unresolved.map(|(inbox, seq)| Finding::UnresolvedSequence(inbox, seq)));
    findings.extend(left_out(states, &leaves, change, resolver));
    findings.extend(roles(states, &leaves));
    findings.extend(limits(states, &leaves));
    findings.extend(laundered(states, proposed));
    let untrusted = untrusted(states, &leaves, change, resolver);
    resolver.settle()?;
    Ok(Safety {
        findings,
        untrusted,
    })
}

fn leaves_after<'a>(states: &'a States, proposed: &'a Proposed) -> Vec<Leaf<'a>> {
    let removes = proposed
        .removes
        .iter()
        .filter_map(|remove| remove.member.as_ref());
    let removed: BTreeSet<u32> = removes.map(|member| member.leaf).gather();
    let stays = |member: &&Member| !removed.contains(&member.leaf);
    let staying = states.old.members.iter().filter(stays).map(|member| Leaf {
        inbox: &member.inbox_id,
        installation: member.installation_id,
        before: Some(member.trusted),
    });
    let added = proposed.adds.iter().map(|add| Leaf {
        inbox: &add.inbox,
        installation: add.installation,
        before: None,
    });
    staying.chain(added).collect()
}

/// SAFE-Q1
fn foreign_installations(proposed: &Proposed, change: &InstallationChange) -> Vec<Finding> {
    let foreign = proposed.adds.iter().filter(|add| {
        let expected = change.expected_adds.get(&add.installation);
        let readded = proposed
            .removes
            .iter()
            .filter_map(|remove| remove.member.as_ref());
        let same = |member: &Member| {
            member.installation_id == add.installation && member.inbox_id == add.inbox
        };
        match expected {
            Some(inboxes) => !inboxes.contains(&add.inbox),
            None => !readded.into_iter().any(same),
        }
    });
    foreign
        .map(|add| Finding::ForeignInstallation {
            inbox: add.inbox.clone(),
            installation: add.installation,
        })
        .collect()
}

/// SAFE-Q2, SAFE-Q3
fn context(states: &States, before: &Before, proposed: &Proposed, findings: &mut Vec<Finding>) {
    let (old, new) = (&before.context, &proposed.context);
    if old.immutable != new.immutable
        && !matches_pin(new.immutable.as_deref(), &states.old.metadata)
    {
        findings.push(Finding::ImmutableMetadata {
            removed: new.immutable.is_none(),
        });
    }
    if old.rest != new.rest || proposed.reinit {
        findings.push(Finding::GroupContext);
    }
}

/// SAFE-Q4
fn lists_and_leaves(
    states: &States,
    leaves: &[Leaf],
    change: &InstallationChange,
    resolver: &mut Resolver,
) -> Vec<Finding> {
    let members = &states.membership.members;
    let listed_before = |inbox| states.old.membership.members.contains_key(inbox);
    let mut findings = Vec::new();
    for leaf in leaves
        .iter()
        .filter(|leaf| !members.contains_key(leaf.inbox))
    {
        if change.removed_inboxes.contains(leaf.inbox) {
            let finding = Finding::RemovedInNameOnly(leaf.inbox.clone());
            if !findings.contains(&finding) {
                findings.push(finding);
            }
        } else if leaf.before.is_none() {
            findings.push(Finding::UnlistedLeaf(leaf.installation));
        }
    }
    let with_leaf: BTreeSet<&String> = leaves.iter().map(|leaf| leaf.inbox).gather();
    let had_leaf: BTreeSet<&String> = states
        .old
        .members
        .iter()
        .map(|member| &member.inbox_id)
        .gather();
    for (inbox, sequence) in members {
        let ghost_before = listed_before(inbox) && !had_leaf.contains(inbox);
        if with_leaf.contains(inbox) || ghost_before {
            continue;
        }
        let installations = resolver.known(inbox, *sequence);
        if installations.is_none_or(|ids| !ids.is_subset(&states.membership.failed)) {
            findings.push(Finding::GhostMember(inbox.clone()));
        }
    }
    findings
}

/// SAFE-Q5
fn failures(
    states: &States,
    leaves: &[Leaf],
    change: &InstallationChange,
    resolver: &mut Resolver,
) -> Vec<Finding> {
    let members = &states.membership.members;
    let newly = states
        .membership
        .failed
        .difference(&states.old.membership.failed);
    let unfounded = newly.filter(|id| {
        if leaves.iter().any(|leaf| leaf.installation == **id) {
            return true;
        }
        // Those that this Commit concerns first: their states are at hand.
        let raised = change
            .raised
            .iter()
            .filter_map(|inbox| members.get_key_value(inbox));
        let mut candidates = raised.chain(members);
        !candidates.any(|(inbox, sequence)| {
            let installations = resolver.known(inbox, *sequence);
            installations.is_some_and(|ids| ids.contains(id))
        })
    });
    unfounded.map(|id| Finding::UnfoundedFailure(*id)).collect()
}

/// SAFE-Q6
fn suspended(states: &States, proposed: &Proposed, resolver: &mut Resolver) -> Vec<Finding> {
    let mut findings = Vec::new();
    for member in proposed
        .removes
        .iter()
        .filter_map(|remove| remove.member.as_ref())
    {
        let Some(sequence) = states.membership.members.get(&member.inbox_id) else {
            continue;
        };
        let added = |add: &super::ProposedAdd| add.installation == member.installation_id;
        if proposed.adds.iter().any(added) {
            continue;
        }
        let installations = resolver.known(&member.inbox_id, *sequence);
        if installations.is_some_and(|ids| ids.contains(&member.installation_id)) {
            findings.push(Finding::Suspended {
                inbox: member.inbox_id.clone(),
                installation: member.installation_id,
                super_admin: states.old.mutable.is_super_admin(&member.inbox_id)
                    && member.inbox_id != states.committer.inbox_id,
            });
        }
    }
    findings
}

/// SAFE-Q8
fn left_out(
    states: &States,
    leaves: &[Leaf],
    change: &InstallationChange,
    resolver: &mut Resolver,
) -> Vec<Finding> {
    let present: BTreeSet<InstallationId> = leaves.iter().map(|leaf| leaf.installation).gather();
    let mut findings = Vec::new();
    for inbox in &change.raised {
        let sequence = states
            .membership
            .members
            .get(inbox)
            .copied()
            .unwrap_or_default();
        let installations = resolver.known(inbox, sequence).into_iter().flatten();
        let missing = installations
            .filter(|id| !present.contains(id) && !states.membership.failed.contains(id));
        findings.extend(missing.map(|installation| Finding::NeedsRepair {
            inbox: inbox.clone(),
            installation: *installation,
        }));
    }
    findings
}

/// SAFE-Q9
fn roles(states: &States, leaves: &[Leaf]) -> Option<Finding> {
    let metadata = &states.metadata;
    let members = &states.membership.members;
    let mut new = metadata
        .admins
        .added
        .iter()
        .chain(&metadata.super_admins.added);
    let stranger = new.any(|inbox| !members.contains_key(inbox));
    let before: Vec<&String> = states.old.members.iter().map(|m| &m.inbox_id).collect();
    let after: Vec<&String> = leaves.iter().map(|leaf| leaf.inbox).collect();
    let listed_before = |inbox: &str| states.old.membership.members.contains_key(inbox);
    let listed_after = |inbox: &str| members.contains_key(inbox);
    let lost = states.old.metadata.kind == ConversationKind::Group
        && has_super_admin(&states.old.mutable, &before, listed_before)
        && !has_super_admin(&metadata.new, &after, listed_after);
    (stranger || lost).then_some(Finding::OrphanedRoles)
}

/// Whether a super admin is a listed member with a leaf.
fn has_super_admin(
    metadata: &MutableMetadata,
    leaves: &[&String],
    listed: impl Fn(&str) -> bool,
) -> bool {
    let mut super_admins = metadata.super_admins.iter();
    super_admins.any(|inbox| listed(inbox) && leaves.contains(&inbox))
}

/// SAFE-Q10
fn limits(states: &States, leaves: &[Leaf]) -> Option<Finding> {
    let count = |inboxes: &mut dyn Iterator<Item = String>| {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for inbox in inboxes {
            *counts.entry(inbox).or_default() += 1;
        }
        counts
    };
    let before = count(
        &mut states
            .old
            .members
            .iter()
            .map(|member| member.inbox_id.clone()),
    );
    let after = count(&mut leaves.iter().map(|leaf| leaf.inbox.clone()));
    let grew = |(inbox, leaves): (&String, &usize)| {
        *leaves > MAX_INSTALLATIONS && before.get(inbox).is_none_or(|before| before < leaves)
    };
    let inboxes = states.membership.members.len();
    let over = inboxes > MAX_INBOXES && inboxes > states.old.membership.members.len();
    (over || after.iter().any(grew)).then_some(Finding::OverLimit)
}

/// SAFE-Q11
fn laundered(states: &States, proposed: &Proposed) -> Option<Finding> {
    let replacement = proposed.replacement.as_ref()?;
    let own = replacement.proposer == states.committer.inbox_id;
    let allowed = policies::context_changes(states, &replacement.proposer, &states.metadata);
    (replacement.by_reference && !own && !allowed).then_some(Finding::LaunderedProposal)
}

/// The leaves that do not belong to the inbox they name, at the sequence listed for it.
fn untrusted(
    states: &States,
    leaves: &[Leaf],
    change: &InstallationChange,
    resolver: &mut Resolver,
) -> BTreeSet<InstallationId> {
    let is_trusted = |leaf: &&Leaf| {
        let Some(sequence) = states.membership.members.get(leaf.inbox) else {
            return false;
        };
        match leaf.before {
            Some(before) if !change.raised.contains(leaf.inbox) => before,
            before => match resolver.known(leaf.inbox, *sequence) {
                Some(installations) => installations.contains(&leaf.installation),
                // Raised to a number that does not resolve: what was true stays true.
                None => before.unwrap_or_default(),
            },
        }
    };
    let mut is_trusted = is_trusted;
    let untrusted = leaves.iter().filter(|leaf| !is_trusted(leaf));
    untrusted.map(|leaf| leaf.installation).gather()
}
