//! What a wish comes to in the group as it is now: a commit, nothing, or a refusal. Planned anew
//! each time the group has moved on; permissions are checked before anything is published, each
//! time (permissions.md 6.5 ROLE-1, 7.11 OWN-1 and OWN-2, mls.md 7.3).

use std::collections::{BTreeMap, BTreeSet};

use super::env::Env;
use super::permissions;
use super::rows::{MembershipWish, MetadataWish, PermissionWish, ReaddWish, RoleWish, Wish};
use super::step::Step;
use super::{GroupId, Inner};
use crate::error::{Code, Error, Result};
use crate::gather::Gather;
use crate::identity::{InboxId, InstallationId};
use crate::mls::extensions::{APP_DATA, DESCRIPTION, GROUP_IMAGE_URL, GROUP_NAME};
use crate::mls::key_package::{self, KeyPackageFault};
use crate::mls::membership::{self, PlanError, Request};
use crate::mls::policy::Roles;
use crate::mls::{Change, ConversationKind, GroupFacts, VerifiedKeyPackage};

/// Rounds of fetching identity logs that one plan may take.
const NEEDS: usize = 4;
/// Key packages asked for in one request.
const PACKAGES_PER_CALL: usize = 100;

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
    /// Key packages of installations that may have to be added, or why one is of no use.
    packages: BTreeMap<InstallationId, Result<VerifiedKeyPackage, KeyPackageFault>>,
    /// Installations of each inbox to add.
    invited: BTreeMap<String, BTreeSet<InstallationId>>,
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
    Commit(Box<Change>),
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
    if !matches!(wish, Wish::Membership(_) | Wish::Readd(_)) {
        return Ok(Prepared::default());
    }
    let facts = client
        .step(id, async |step| Ok(step.mls()?.facts()?))
        .await?;
    match wish {
        Wish::Membership(wish) => fetch(client, &facts, wish).await,
        Wish::Readd(wish) => {
            let members = facts.members.iter();
            let wanted = members
                .filter(|member| {
                    let id = member.installation_id.as_bytes();
                    wish.installations.iter().any(|wanted| wanted == id)
                })
                .map(|member| (member.inbox_id.clone(), member.installation_id))
                .collect();
            let mut prepared = Prepared::default();
            fetch_packages(client, &mut prepared, wanted).await?;
            Ok(prepared)
        }
        _ => Ok(Prepared::default()),
    }
}

/// Fetches what the first commit of a new group needs. Fails where an invitee cannot be added.
pub async fn prepare_new<E: Env>(
    client: &Inner<E>,
    facts: &GroupFacts,
    wish: &MembershipWish,
) -> Result<Prepared> {
    let prepared = fetch(client, facts, wish).await?;
    prepared.check_addable(&wish.add)?;
    Ok(prepared)
}

async fn fetch<E: Env>(
    client: &Inner<E>,
    facts: &GroupFacts,
    wish: &MembershipWish,
) -> Result<Prepared> {
    let max = client.options.max_group_size;
    let request = request(wish, max)?;
    let everybody: BTreeSet<String> = (facts.membership.members.keys())
        .chain(&request.add)
        .cloned()
        .gather();
    let everybody: Vec<String> = everybody.into_iter().collect();
    client.identities.refresh(&everybody).await?;
    let mut prepared = Prepared::default();
    for inbox in &everybody {
        if let Some((latest, state)) = client.identities.latest(inbox) {
            prepared.latest.insert(inbox.clone(), latest);
            if request.add.contains(inbox) {
                prepared
                    .invited
                    .insert(inbox.clone(), state.installations());
            }
        }
    }
    let own = &client.me.installation;
    for _ in 0..NEEDS {
        let states = client.identities.snapshot();
        match membership::Plan::new(facts, &request, &prepared.latest, &states, own) {
            Ok(plan) => {
                fetch_packages(client, &mut prepared, plan.adds().to_vec()).await?;
                return Ok(prepared);
            }
            Err(PlanError::NeedIdentity(wanted)) => client.identities.resolve(&wanted).await?,
            // Planning says so again, to whoever wished.
            Err(PlanError::RemovesSelf) => return Ok(prepared),
            Err(error) => return Err(plan_error(error, max)),
        }
    }
    Err(Error::internal("a plan asks for identity logs without end"))
}

async fn fetch_packages<E: Env>(
    client: &Inner<E>,
    prepared: &mut Prepared,
    wanted: Vec<(String, InstallationId)>,
) -> Result<()> {
    let now = client.env.now_ns() / 1_000_000_000;
    for part in wanted.chunks(PACKAGES_PER_CALL) {
        let ids: Vec<Vec<u8>> = part.iter().map(|(_, id)| id.as_bytes().to_vec()).collect();
        let answers = client.api.fetch_key_packages(&ids).await?;
        for ((inbox, id), bytes) in part.iter().zip(answers) {
            let package = key_package::validate_fetched(&bytes, id, inbox, now);
            prepared.packages.insert(*id, package);
        }
    }
    Ok(())
}

impl Prepared {
    /// Refuses to add an inbox of which not one installation can be added.
    fn check_addable(&self, add: &[String]) -> Result<()> {
        for inbox in add {
            let Some(installations) = self.invited.get(inbox) else {
                continue;
            };
            let usable = |id| matches!(self.packages.get(id), Some(Ok(_)));
            if !installations.iter().any(usable) {
                return Err(Error::new(
                    Code::CannotBeAdded,
                    "none of the inbox's installations can be added",
                )
                .with("inboxId", inbox));
            }
        }
        Ok(())
    }

    /// An invitation as wishes that add a bounded number of installations each, `first` the one
    /// that takes along what else is to be removed or brought up to date.
    #[must_use]
    pub fn split(&self, wish: &MembershipWish) -> Vec<MembershipWish> {
        let invited = (wish.add.iter())
            .map(|inbox| {
                (
                    inbox.clone(),
                    self.invited.get(inbox).map_or(0, BTreeSet::len),
                )
            })
            .gather();
        let mut wishes: Vec<MembershipWish> = membership::split_invitation(&invited)
            .into_iter()
            .map(|part| MembershipWish {
                add: part.into_iter().collect(),
                remove: Vec::new(),
            })
            .collect();
        match wishes.first_mut() {
            Some(first) => first.remove = wish.remove.clone(),
            None => wishes.push(wish.clone()),
        }
        wishes
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

    /// What a caller sees of what its wish changes, where that must still stand when it is made.
    pub fn seen(&mut self, wish: &Wish) -> Result<Vec<i32>> {
        let Wish::Permission(wish) = wish else {
            return Ok(Vec::new());
        };
        let policies = self.mls()?.facts()?.permissions;
        let slots = permissions::slots(wish.slot, &wish.fields).unwrap_or_default();
        Ok((slots.iter())
            .map(|slot| permissions::number_of(&policies, slot))
            .collect())
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
        let request = request(wish, self.client.options.max_group_size)?;
        let members = &facts.membership.members;
        let add: Vec<String> = (request.add.iter())
            .filter(|inbox| !members.contains_key(*inbox))
            .cloned()
            .collect();
        let remove: Vec<String> = (request.remove.iter())
            .filter(|inbox| members.contains_key(*inbox))
            .cloned()
            .collect();
        self.check_membership(facts, roles, &add, &remove)?;
        let states = self.client.identities.snapshot();
        let own = &self.client.me.installation;
        let plan = match membership::Plan::new(facts, &request, &prepared.latest, &states, own) {
            Ok(plan) => plan,
            Err(PlanError::NeedIdentity(_)) => return Ok(Plan::Prepare),
            // Our own leaf is for others to remove.
            Err(PlanError::RemovesSelf) => return Ok(Plan::Nothing),
            Err(error) => return Err(plan_error(error, request.max_inboxes)),
        };
        let mut packages = BTreeMap::new();
        for (_, id) in plan.adds() {
            match prepared.packages.get(id) {
                Some(package) => packages.insert(*id, package.clone()),
                None => return Ok(Plan::Prepare),
            };
        }
        prepared.check_addable(&add)?;
        let planned = plan
            .into_change(packages)
            .map_err(|error| plan_error(error, request.max_inboxes))?;
        Ok(planned.change.map_or(Plan::Nothing, commit))
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
                .gather::<BTreeSet<_>>();
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
            check_size(count, self.client.options.max_group_size)?;
        }
        if remove.iter().any(|inbox| inbox == self.client.inbox_id()) {
            return Err(Error::new(
                Code::InvalidArgument,
                "leave the conversation instead of removing yourself",
            ));
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
        .gather();
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
            Some(Ok(package)) => change.add.push(package.clone()),
            Some(Err(_)) => {
                membership.failed.insert(id);
            }
            None => return Ok(Plan::Prepare),
        }
    }
    if change.remove.is_empty() {
        return Ok(Plan::Nothing);
    }
    change.membership = Some(membership);
    Ok(commit(change))
}

fn commit(change: Change) -> Plan {
    Plan::Commit(Box::new(change))
}

fn request(wish: &MembershipWish, max_inboxes: usize) -> Result<Request> {
    Ok(Request {
        add: parse_all(&wish.add)?,
        remove: parse_all(&wish.remove)?,
        max_inboxes,
    })
}

fn unknown_inbox(inbox: &str) -> Error {
    Error::new(Code::NotFound, "there is no such inbox on this network").with("inboxId", inbox)
}

/// Refuses more members than a group may have.
pub fn check_size(got: usize, max: usize) -> Result<()> {
    if got <= max {
        return Ok(());
    }
    Err(too_many_members(max).with("got", got))
}

fn too_many_members(max: usize) -> Error {
    Error::new(Code::TooLarge, "too many members for one group").with("max", max)
}

fn plan_error(error: PlanError, max: usize) -> Error {
    match error {
        PlanError::NoIdentity(inbox) => unknown_inbox(&inbox),
        PlanError::TooManyInboxes => too_many_members(max),
        PlanError::AllFailed(_) => Error::new(
            Code::CannotBeAdded,
            "none of the inboxes' installations can be added",
        ),
        PlanError::NeedIdentity(_) | PlanError::RemovesSelf => Error::internal(error),
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

fn parse_all(texts: &[String]) -> Result<BTreeSet<String>> {
    texts.iter().map(|text| parse(text)).try_gather()
}
