//! Whether whoever proposes a change may make it (step 14, permissions.md 7.8).
//!
//! All roles are those before the Commit. An empty change passes, whatever the policy.

use super::super::policy::Roles;
use super::metadata::MetadataChange;
use super::verdict::RejectCode;
use super::{Proposed, States};

pub(super) fn check(states: &States, proposed: &Proposed) -> Result<(), RejectCode> {
    let allowed = added_inboxes(states, proposed)
        && removed_inboxes(states, proposed)
        && context_changes(states, &states.committer.inbox_id, &states.metadata);
    if allowed {
        Ok(())
    } else {
        Err(RejectCode::Permission)
    }
}

/// E1
fn added_inboxes(states: &States, proposed: &Proposed) -> bool {
    let (old, new) = (&states.old.membership.members, &states.membership.members);
    let added: Vec<&String> = new
        .keys()
        .filter(|inbox| !old.contains_key(*inbox))
        .collect();
    if let ([inbox], Some(members)) = (added.as_slice(), &states.old.metadata.dm_members) {
        // The other member of a DM may always be brought in.
        if members.contains(inbox) && **inbox != states.committer.inbox_id {
            return true;
        }
    }
    added.into_iter().all(|inbox| {
        let adds = proposed.adds.iter().rev();
        let named = adds
            .clone()
            .find(|add| add.inbox == *inbox)
            .map(|add| &add.proposer);
        let roles = proposer_roles(states, proposed, named);
        states.old.permissions.add_member.holds(roles)
    })
}

/// E2
fn removed_inboxes(states: &States, proposed: &Proposed) -> bool {
    let (old, new) = (&states.old.membership.members, &states.membership.members);
    let mut removed = old.keys().filter(|inbox| !new.contains_key(*inbox));
    removed.all(|inbox| {
        let of_inbox = |member: &super::Member| member.inbox_id == *inbox;
        let mut removes = proposed.removes.iter().rev();
        let named = removes
            .find(|remove| remove.member.as_ref().is_some_and(of_inbox))
            .map(|remove| &remove.proposer);
        let roles = proposer_roles(states, proposed, named);
        !states.old.mutable.is_super_admin(inbox)
            && states.old.permissions.remove_member.holds(roles)
    })
}

/// The roles of whoever proposes that an inbox comes or goes.
fn proposer_roles(states: &States, proposed: &Proposed, named: Option<&String>) -> Roles {
    let replacement = proposed
        .replacement
        .as_ref()
        .map(|context| &context.proposer);
    let proposer = named.or(replacement).unwrap_or(&states.committer.inbox_id);
    Roles::of(proposer, &states.old.mutable)
}

/// E3 to E8, for `actor`.
pub(super) fn context_changes(states: &States, actor: &str, change: &MetadataChange) -> bool {
    let roles = Roles::of(actor, &states.old.mutable);
    let policies = &states.old.permissions;
    let attributes = change
        .attributes
        .iter()
        .all(|attribute| policies.allows_attribute(&attribute.key, roles));
    let admins_added = change.admins.added.is_empty() || policies.add_admin.holds(roles);
    let admins_removed = change.admins.removed.is_empty() || policies.remove_admin.holds(roles);
    let super_admins_added = change.super_admins.added.is_empty() || roles.super_admin;
    let super_admins_removed = change.super_admins.removed.is_empty()
        || (roles.super_admin && !change.new.super_admins.is_empty());
    let permissions = states.permissions == *policies || roles.super_admin;
    attributes
        && admins_added
        && admins_removed
        && super_admins_added
        && super_admins_removed
        && permissions
}
