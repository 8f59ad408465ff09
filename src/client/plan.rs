//! What a wish comes to in the group as it is now: a commit, nothing, or a refusal. Planned anew
//! each time the group has moved on; permissions are checked before anything is published, each
//! time (permissions.md 6.5 ROLE-1, 7.11 OWN-1 and OWN-2, mls.md 7.3).

use std::collections::{BTreeMap, BTreeSet};

use super::env::Env;
use super::permissions;
use super::rows::{
    MembershipWish, MetadataWish, PermissionWish, ReaddWish, Recipient, RoleWish, Wish,
};
use super::step::Step;
use super::welcome::recipient_row;
use super::{GroupId, Inner};
use crate::error::{Code, Error, Result};
use crate::identity::{InboxId, InstallationId};
use crate::mls::extensions::{APP_DATA, DESCRIPTION, GROUP_IMAGE_URL, GROUP_NAME};
use crate::mls::policy::Roles;
use crate::mls::{
    Change, ConversationKind, GroupFacts, Membership, MutableMetadata, VerifiedKeyPackage,
    key_package,
};

/// Longest values of attributes, in bytes of UTF-8 (permissions.md 3.2).
const LENGTHS: [(&str, usize); 4] = [
    (GROUP_NAME, 100),
    (DESCRIPTION, 1000),
    (GROUP_IMAGE_URL, 2048),
    (APP_DATA, 8192),
];

/// What was fetched for a wish.
#[derive(Default)]
pub struct Prepared {
    /// The newest sequence id of each member and invitee.
    latest: BTreeMap<String, u64>,
    /// Key packages of installations that may have to be added; `None` where there is no usable one.
    packages: BTreeMap<InstallationId, Option<VerifiedKeyPackage>>,
    /// Installations of each inbox at its newest sequence id, and at the one in the group.
    installations: BTreeMap<(String, u64), BTreeSet<InstallationId>>,
}

/// What a wish comes to.
pub enum Plan {
    /// Data from the node is needed first.
    Prepare,
    /// It is fulfilled already.
    Nothing,
    /// It may not be, or makes no sense any more.
    Refused(Error),
    /// This commit fulfils it.
    Commit {
        /// What to commit.
        change: Box<Change>,
        /// Whom the Welcome is for.
        recipients: Vec<Recipient>,
    },
}

/// Refuses attributes that are too long.
pub fn check_lengths(attributes: &BTreeMap<String, String>) -> Result<()> {
    for (name, max) in LENGTHS {
        if let Some(value) = attributes.get(name)
            && value.len() > max
        {
            return Err(Error::new(Code::TooLarge, format!("{name} is too long"))
                .with("max", max)
                .with("got", value.len()));
        }
    }
    Ok(())
}

/// Fetches what a wish about an existing group needs.
pub async fn prepare<E: Env>(client: &Inner<E>, id: GroupId, wish: &Wish) -> Result<Prepared> {
    let row = client.peek(id).await?;
    let members: BTreeMap<String, u64> = row
        .members
        .iter()
        .map(|member| (member.inbox_id.clone(), member.sequence_id))
        .collect();
    match wish {
        Wish::Membership(wish) => {
            let add = parse_all(&wish.add)?;
            fetch(client, &members, &add).await
        }
        Wish::Readd(wish) => {
            let mut prepared = fetch(client, &members, &[]).await?;
            let wanted: Vec<(InstallationId, String)> = row
                .members
                .iter()
                .flat_map(|member| {
                    member
                        .installations
                        .iter()
                        .map(move |id| (id, &member.inbox_id))
                })
                .filter(|(id, _)| wish.installations.contains(id))
                .filter_map(|(id, inbox)| {
                    Some((InstallationId::try_from(id.as_slice()).ok()?, inbox.clone()))
                })
                .collect();
            fetch_packages(client, &mut prepared, wanted).await?;
            Ok(prepared)
        }
        _ => Ok(Prepared::default()),
    }
}

/// Fetches what the first commit of a new group needs. Fails where an invitee cannot be added.
pub async fn prepare_new<E: Env>(
    client: &Inner<E>,
    creator: &str,
    invitees: &[String],
) -> Result<Prepared> {
    let members = BTreeMap::from([(creator.to_owned(), 0)]);
    let prepared = fetch(client, &members, invitees).await?;
    prepared.check_addable(invitees)?;
    Ok(prepared)
}

async fn fetch<E: Env>(
    client: &Inner<E>,
    members: &BTreeMap<String, u64>,
    add: &[String],
) -> Result<Prepared> {
    let everybody: Vec<String> = members
        .keys()
        .chain(add)
        .cloned()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    client.identities.refresh(&everybody).await?;
    let mut prepared = Prepared::default();
    let mut wanted = Vec::new();
    for inbox in &everybody {
        let Some((latest, state)) = client.identities.latest(inbox) else {
            if add.contains(inbox) {
                return Err(
                    Error::new(Code::NotFound, "there is no such inbox on this network")
                        .with("inboxId", inbox),
                );
            }
            continue;
        };
        let now = state.installations();
        let listed = members.get(inbox).copied().unwrap_or(0);
        let before = if listed == 0 {
            BTreeSet::new()
        } else {
            client
                .identities
                .at(inbox, listed)
                .map(|state| state.installations())
                .unwrap_or_default()
        };
        wanted.extend(
            now.difference(&before)
                .filter(|id| **id != client.me.installation)
                .map(|id| (*id, inbox.clone())),
        );
        prepared.latest.insert(inbox.clone(), latest);
        prepared.installations.insert((inbox.clone(), latest), now);
        if listed != 0 {
            prepared
                .installations
                .insert((inbox.clone(), listed), before);
        }
    }
    fetch_packages(client, &mut prepared, wanted).await?;
    Ok(prepared)
}

async fn fetch_packages<E: Env>(
    client: &Inner<E>,
    prepared: &mut Prepared,
    wanted: Vec<(InstallationId, String)>,
) -> Result<()> {
    let ids: Vec<Vec<u8>> = wanted
        .iter()
        .map(|(id, _)| id.as_bytes().to_vec())
        .collect();
    let now = client.env.now_ns() / 1_000_000_000;
    let answers = client.api.fetch_key_packages(&ids).await?;
    for ((id, inbox), bytes) in wanted.into_iter().zip(answers) {
        prepared.packages.insert(
            id,
            key_package::validate_fetched(&bytes, &id, &inbox, now).ok(),
        );
    }
    Ok(())
}

impl Prepared {
    /// Refuses to add an inbox of which not one installation can be added.
    fn check_addable(&self, add: &[String]) -> Result<()> {
        for inbox in add {
            let Some(latest) = self.latest.get(inbox) else {
                continue;
            };
            let installations = self.installations.get(&(inbox.clone(), *latest));
            let usable = installations
                .into_iter()
                .flatten()
                .any(|id| matches!(self.packages.get(id), Some(Some(_))));
            if !usable {
                return Err(Error::new(
                    Code::CannotBeAdded,
                    "none of the inbox's installations can be added",
                )
                .with("inboxId", inbox));
            }
        }
        Ok(())
    }

    /// The state of an inbox at a sequence id, `None` where it was not fetched.
    fn at(&self, inbox: &str, sequence_id: u64) -> Option<BTreeSet<InstallationId>> {
        if sequence_id == 0 {
            return Some(BTreeSet::new());
        }
        self.installations
            .get(&(inbox.to_owned(), sequence_id))
            .cloned()
    }
}

impl<E: Env> Step<'_, E> {
    /// Refuses a wish that the group's rules forbid, before it is queued.
    pub fn check_wish(&mut self, wish: &Wish, prepared: &Prepared) -> Result<()> {
        match self.plan(wish, Some(prepared))? {
            Plan::Refused(error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether following the identity logs would change nothing.
    pub fn needs_nothing(&mut self, wish: &Wish, prepared: &Prepared) -> Result<bool> {
        Ok(matches!(self.plan(wish, Some(prepared))?, Plan::Nothing))
    }

    /// What a wish comes to now.
    pub fn plan(&mut self, wish: &Wish, prepared: Option<&Prepared>) -> Result<Plan> {
        let facts = self.mls()?.facts()?;
        let roles = Roles::of(self.client.inbox_id(), &facts.mutable);
        let plan = match wish {
            Wish::Message(_) => return Err(Error::internal("a message is not planned")),
            Wish::KeyUpdate(_) => Ok(commit(Change::default())),
            Wish::Metadata(wish) => plan_metadata(&facts, roles, wish),
            Wish::Role(wish) => plan_role(&facts, roles, wish),
            Wish::Permission(wish) => plan_permission(&facts, roles, wish),
            Wish::Membership(wish) => match prepared {
                None => return Ok(Plan::Prepare),
                Some(prepared) => self.plan_membership(&facts, roles, wish, prepared),
            },
            Wish::Readd(wish) => match prepared {
                None => return Ok(Plan::Prepare),
                Some(prepared) => plan_readd(&facts, roles, wish, prepared),
            },
        };
        Ok(plan.unwrap_or_else(Plan::Refused))
    }

    /// Membership by mls.md 7.3, with the hygiene of permissions.md 10.3.
    fn plan_membership(
        &self,
        facts: &GroupFacts,
        roles: Roles,
        wish: &MembershipWish,
        prepared: &Prepared,
    ) -> Result<Plan> {
        let old = &facts.membership;
        let me = self.client.inbox_id();
        let add: Vec<String> = parse_all(&wish.add)?
            .into_iter()
            .filter(|inbox| !old.members.contains_key(inbox))
            .collect();
        let remove: Vec<String> = parse_all(&wish.remove)?
            .into_iter()
            .filter(|inbox| old.members.contains_key(inbox))
            .collect();
        self.check_membership(facts, roles, &add, &remove)?;
        prepared.check_addable(&add)?;

        let mut new = Membership {
            members: old.members.clone(),
            failed: old.failed.clone(),
        };
        let mut expected_add: BTreeMap<InstallationId, String> = BTreeMap::new();
        let mut expected_remove: BTreeSet<InstallationId> = BTreeSet::new();
        for inbox in old.members.keys().chain(&add) {
            if remove.contains(inbox) {
                continue;
            }
            let listed = old.members.get(inbox).copied().unwrap_or(0);
            let Some(latest) = prepared
                .latest
                .get(inbox)
                .copied()
                .filter(|latest| *latest > listed)
            else {
                continue;
            };
            let (Some(before), Some(now)) =
                (prepared.at(inbox, listed), prepared.at(inbox, latest))
            else {
                return Ok(Plan::Prepare);
            };
            expected_add.extend(now.difference(&before).map(|id| (*id, inbox.clone())));
            expected_remove.extend(before.difference(&now).copied());
            new.members.insert(inbox.clone(), latest);
        }
        for inbox in &remove {
            let listed = old.members.get(inbox).copied().unwrap_or(0);
            let Some(before) = prepared.at(inbox, listed) else {
                return Ok(Plan::Prepare);
            };
            expected_remove.extend(before);
            new.members.remove(inbox);
        }
        if new == *old {
            return Ok(Plan::Nothing);
        }

        let mut change = Change::default();
        let mut recipients = Vec::new();
        for id in expected_add.keys() {
            if *id == self.client.me.installation || facts.installation(id).is_some() {
                continue;
            }
            match prepared.packages.get(id) {
                Some(Some(package)) => {
                    recipients.push(recipient_row(package.recipient()));
                    change.add.push(package.clone());
                }
                // Listed, so that joiners and later removals know that it has no leaf.
                Some(None) => {
                    new.failed.insert(*id);
                }
                None => return Ok(Plan::Prepare),
            }
        }
        for member in &facts.members {
            if expected_remove.contains(&member.installation_id) {
                // A listed id that has a leaf after all must go from the list with its leaf.
                new.failed.remove(&member.installation_id);
                change.remove.push(member.leaf);
                if member.installation_id == self.client.me.installation {
                    // Our own leaf is for others to remove.
                    return Ok(Plan::Nothing);
                }
            }
        }
        if remove.iter().any(|inbox| inbox == me) {
            return Err(Error::new(
                Code::InvalidArgument,
                "leave the conversation instead of removing yourself",
            ));
        }
        // ROLE-3: who may, cleans the admin list along with the membership.
        if let Some(mutable) = without_roles(&facts.mutable, &remove)
            && facts.permissions.remove_admin.holds(roles)
        {
            change.mutable = Some(mutable);
        }
        change.membership = Some(new);
        Ok(Plan::Commit {
            change: Box::new(change),
            recipients,
        })
    }

    fn check_membership(
        &self,
        facts: &GroupFacts,
        roles: Roles,
        add: &[String],
        remove: &[String],
    ) -> Result<()> {
        if facts.metadata.kind == ConversationKind::Dm {
            let members = facts
                .metadata
                .dm_members
                .iter()
                .flatten()
                .collect::<BTreeSet<_>>();
            if !remove.is_empty() || add.iter().any(|inbox| !members.contains(inbox)) {
                return Err(denied("a DM has its two members for good"));
            }
            return Ok(());
        }
        if !add.is_empty() {
            if !facts.permissions.add_member.holds(roles) {
                return Err(denied("you may not add members"));
            }
            let count = facts.membership.members.len() + add.len();
            if count > super::conversations::MAX_MEMBERS {
                return Err(Error::new(Code::TooLarge, "too many members for one group")
                    .with("max", super::conversations::MAX_MEMBERS)
                    .with("got", count));
            }
        }
        if !remove.is_empty() && !facts.permissions.remove_member.holds(roles) {
            return Err(denied("you may not remove members"));
        }
        if remove
            .iter()
            .any(|inbox| facts.mutable.is_super_admin(inbox))
        {
            return Err(denied(
                "a super admin must be demoted before it can be removed",
            ));
        }
        Ok(())
    }
}

fn plan_metadata(facts: &GroupFacts, roles: Roles, wish: &MetadataWish) -> Result<Plan> {
    check_lengths(&wish.set)?;
    let current = &facts.mutable.attributes;
    for (name, expected) in &wish.expected {
        if facts.mutable.attribute(name) != expected {
            return Err(
                Error::new(Code::Superseded, "somebody else changed it first").with("field", name),
            );
        }
    }
    let changed: BTreeMap<&String, &String> = wish
        .set
        .iter()
        .filter(|(name, value)| current.get(*name) != Some(*value))
        .collect();
    if changed.is_empty() {
        return Ok(Plan::Nothing);
    }
    for name in changed.keys() {
        if !facts.permissions.allows_attribute(name, roles) {
            return Err(denied("you may not change this").with("field", name));
        }
    }
    let mut mutable = facts.mutable.clone();
    mutable.attributes.extend(
        changed
            .into_iter()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    Ok(commit(Change {
        mutable: Some(mutable),
        ..Change::default()
    }))
}

fn plan_role(facts: &GroupFacts, roles: Roles, wish: &RoleWish) -> Result<Plan> {
    let inbox = parse(&wish.inbox_id)?;
    if facts.metadata.kind == ConversationKind::Dm {
        return Err(denied("a DM has no roles"));
    }
    let mut mutable = facts.mutable.clone();
    let list = if wish.super_admin {
        &mut mutable.super_admins
    } else {
        &mut mutable.admins
    };
    if list.contains(&inbox) != wish.remove {
        return Ok(Plan::Nothing);
    }
    if wish.remove {
        list.retain(|other| *other != inbox);
    } else {
        if !facts.membership.members.contains_key(&inbox) {
            return Err(
                Error::new(Code::NotAMember, "only members have roles").with("inboxId", &inbox)
            );
        }
        list.push(inbox);
    }
    let allowed = match (wish.super_admin, wish.remove) {
        (true, _) => roles.super_admin,
        (false, false) => facts.permissions.add_admin.holds(roles),
        (false, true) => facts.permissions.remove_admin.holds(roles),
    };
    if !allowed {
        return Err(denied("you may not change roles"));
    }
    // ROLE-2: somebody who is here must be left to lead.
    let leads = mutable
        .super_admins
        .iter()
        .any(|inbox| facts.members.iter().any(|member| member.inbox_id == *inbox));
    if wish.super_admin && wish.remove && !leads {
        return Err(denied("the last super admin cannot be demoted"));
    }
    Ok(commit(Change {
        mutable: Some(mutable),
        ..Change::default()
    }))
}

fn plan_permission(facts: &GroupFacts, roles: Roles, wish: &PermissionWish) -> Result<Plan> {
    if facts.metadata.kind == ConversationKind::Dm {
        return Err(denied("a DM's permissions are fixed"));
    }
    if !roles.super_admin {
        return Err(denied("only super admins change permissions"));
    }
    let invalid =
        |error: &dyn std::fmt::Display| Error::new(Code::InvalidArgument, error.to_string());
    let option = permissions::option(wish.policy).ok_or_else(|| invalid(&"no such policy"))?;
    let mut policies = facts.permissions.clone();
    for slot in
        permissions::slots(wish.slot, &wish.fields).ok_or_else(|| invalid(&"no such permission"))?
    {
        policies = policies
            .with(&slot, option)
            .map_err(|error| invalid(&error))?;
    }
    if policies == facts.permissions {
        return Ok(Plan::Nothing);
    }
    Ok(commit(Change {
        permissions: Some(policies),
        ..Change::default()
    }))
}

/// Takes leaves out and in again, so that members who lost the thread get a fresh Welcome.
fn plan_readd(
    facts: &GroupFacts,
    roles: Roles,
    wish: &ReaddWish,
    prepared: &Prepared,
) -> Result<Plan> {
    if !roles.super_admin {
        return Err(denied("only super admins repair a group"));
    }
    let mut change = Change::default();
    let mut recipients = Vec::new();
    let mut membership = facts.membership.clone();
    for id in wish
        .installations
        .iter()
        .filter_map(|id| InstallationId::try_from(id.as_slice()).ok())
    {
        let Some(member) = facts.installation(&id) else {
            continue;
        };
        change.remove.push(member.leaf);
        match prepared.packages.get(&id) {
            Some(Some(package)) => {
                recipients.push(recipient_row(package.recipient()));
                change.add.push(package.clone());
            }
            Some(None) => {
                membership.failed.insert(id);
            }
            None => return Ok(Plan::Prepare),
        }
    }
    if change.remove.is_empty() {
        return Ok(Plan::Nothing);
    }
    change.membership = Some(membership);
    Ok(Plan::Commit {
        change: Box::new(change),
        recipients,
    })
}

/// The metadata without the removed inboxes' entries in the admin list, if any has one.
fn without_roles(mutable: &MutableMetadata, removed: &[String]) -> Option<MutableMetadata> {
    let mut cleaned = mutable.clone();
    cleaned.admins.retain(|inbox| !removed.contains(inbox));
    (cleaned.admins.len() != mutable.admins.len()).then_some(cleaned)
}

fn commit(change: Change) -> Plan {
    Plan::Commit {
        change: Box::new(change),
        recipients: Vec::new(),
    }
}

fn denied(message: &str) -> Error {
    Error::new(Code::PermissionDenied, message)
}

fn parse(text: &str) -> Result<String> {
    InboxId::parse(text).map(|_| text.to_owned()).map_err(|_| {
        Error::new(
            Code::InvalidArgument,
            "an inbox id has 64 lower-case hex characters",
        )
    })
}

fn parse_all(texts: &[String]) -> Result<Vec<String>> {
    texts.iter().map(|text| parse(text)).collect()
}
