//! The tables of permissions.md 16.1 that judge Commits, by number.

mod installations;
mod policies;
mod safety;

use std::collections::{BTreeMap, BTreeSet};

use super::super::extensions::{ConversationKind, MutableMetadata};
use super::super::policy::Preset;
use super::super::tests::Logs;
use super::*;

/// A group, the identity logs around it, and the extensions as they lie in the context.
pub(super) struct Case {
    pub(super) facts: GroupFacts,
    pub(super) logs: Logs,
    pub(super) context: ContextBytes,
    pub(super) rules: Rules,
}

/// A Commit in the making: the state that it leads to, and its proposals.
pub(super) struct Edit {
    pub(super) mutable: MutableMetadata,
    pub(super) membership: Membership,
    pub(super) permissions: PolicySet,
    pub(super) adds: Vec<(String, InstallationId)>,
    pub(super) removes: Vec<InstallationId>,
    /// Replaces the extensions as bytes in the end.
    pub(super) rewrite: Option<fn(&mut ContextBytes)>,
    pub(super) tamper: Option<fn(&mut Proposed)>,
}

/// The installation of an inbox in the fixtures; `n` tells several apart.
pub(super) fn id(inbox: &str, n: u8) -> InstallationId {
    let mut bytes = [n; 32];
    for (byte, letter) in bytes.iter_mut().zip(inbox.bytes()) {
        *byte = letter;
    }
    InstallationId::from_bytes(bytes)
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl Case {
    /// A group with these members, each with installation 1 at sequence 3.
    pub(super) fn new(members: &[&str], permissions: PolicySet) -> Self {
        let mut logs = Logs::default();
        let outsiders = ["N"];
        for inbox in members.iter().chain(&outsiders) {
            logs.set_at(inbox, 3, &[id(inbox, 1)]);
        }
        let leaves = members.iter().enumerate().map(|(index, inbox)| Member {
            leaf: index as u32,
            inbox_id: (*inbox).to_owned(),
            installation_id: id(inbox, 1),
            trusted: true,
        });
        let facts = GroupFacts {
            group_id: [1; 16],
            epoch: 5,
            epoch_authenticator: Vec::new(),
            metadata: ImmutableMetadata {
                kind: ConversationKind::Group,
                creator: members[0].to_owned(),
                dm_members: None,
            },
            mutable: MutableMetadata {
                attributes: [("description".to_owned(), "old".to_owned())].into(),
                admins: Vec::new(),
                super_admins: Vec::new(),
            },
            membership: Membership {
                members: members
                    .iter()
                    .map(|inbox| ((*inbox).to_owned(), 3))
                    .collect(),
                failed: BTreeSet::new(),
            },
            permissions,
            members: leaves.collect(),
        };
        let context = bytes(
            &facts.metadata,
            &facts.mutable,
            &facts.membership,
            &facts.permissions,
        );
        Self {
            facts,
            logs,
            context,
            rules: Rules::default(),
        }
    }

    fn with_roles(mut self, super_admins: &[&str], admins: &[&str]) -> Self {
        self.facts.mutable.super_admins = strings(super_admins);
        self.facts.mutable.admins = strings(admins);
        self.refresh();
        self
    }

    pub(super) fn refresh(&mut self) {
        let facts = &self.facts;
        self.context = bytes(
            &facts.metadata,
            &facts.mutable,
            &facts.membership,
            &facts.permissions,
        );
    }

    pub(super) fn all() -> Self {
        Self::new(
            &["C", "S", "D", "D2", "M", "M2"],
            Preset::AllMembers.policies(),
        )
        .with_roles(&["C", "S"], &["D", "D2"])
    }

    pub(super) fn adm() -> Self {
        Self::new(
            &["C", "S", "D", "D2", "M", "M2"],
            Preset::AdminOnly.policies(),
        )
        .with_roles(&["C", "S"], &["D", "D2"])
    }

    pub(super) fn one() -> Self {
        Self::all().with_roles(&["C"], &["D", "D2"])
    }

    /// A DM of P and Q; `members` are those who are in it.
    pub(super) fn dm(members: &[&str]) -> Self {
        let mut case = Self::new(members, PolicySet::dm());
        case.facts.metadata.kind = ConversationKind::Dm;
        case.facts.metadata.dm_members = Some(["P".to_owned(), "Q".to_owned()]);
        case.logs.set_at("Q", 3, &[id("Q", 1)]);
        case.refresh();
        case
    }

    /// Every slot open except those of the admin list, made without our additions.
    pub(super) fn sdk() -> Self {
        let mut case = Self::all();
        let mut permissions = Preset::AllMembers.policies();
        permissions.remove_member = crate::mls::policy::Policy::Allow;
        permissions.metadata = [
            "group_name",
            "description",
            "group_image_url_square",
            "message_disappear_in_ns",
            "app_data",
        ]
        .into_iter()
        .map(|key| (key.to_owned(), crate::mls::policy::Policy::Allow))
        .collect();
        case.facts.permissions = permissions;
        case.refresh();
        case
    }

    /// Judges what `edit` makes of the present state.
    pub(super) fn judge(&self, by: &str, edit: impl FnOnce(&mut Edit)) -> Verdict {
        let (before, proposed) = self.propose(by, edit);
        evaluate(&before, &proposed, &self.logs, &self.rules)
    }

    fn propose(&self, by: &str, edit: impl FnOnce(&mut Edit)) -> (Before, Proposed) {
        let mut next = Edit {
            mutable: self.facts.mutable.clone(),
            membership: self.facts.membership.clone(),
            permissions: self.facts.permissions.clone(),
            adds: Vec::new(),
            removes: Vec::new(),
            rewrite: None,
            tamper: None,
        };
        edit(&mut next);
        let mut context = self.context.clone();
        let fresh = bytes(
            &self.facts.metadata,
            &next.mutable,
            &next.membership,
            &next.permissions,
        );
        if next.mutable != self.facts.mutable {
            context.mutable = fresh.mutable;
        }
        if next.membership != self.facts.membership {
            context.membership = fresh.membership;
        }
        if next.permissions != self.facts.permissions {
            context.permissions = fresh.permissions;
        }
        if let Some(rewrite) = next.rewrite {
            rewrite(&mut context);
        }
        let committer = self
            .facts
            .members
            .iter()
            .find(|member| member.inbox_id == by);
        let adds = next
            .adds
            .into_iter()
            .map(|(inbox, installation)| ProposedAdd {
                inbox,
                installation,
                proposer: by.to_owned(),
            });
        let removes = next.removes.into_iter().map(|id| ProposedRemove {
            member: self.facts.installation(&id).cloned(),
            proposer: by.to_owned(),
        });
        let mut proposed = Proposed {
            committer: committer.cloned(),
            proposers_are_members: true,
            adds: adds.collect(),
            removes: removes.collect(),
            updates: Vec::new(),
            replacement: (context != self.context).then(|| ProposedContext {
                proposer: by.to_owned(),
                by_reference: false,
            }),
            credentials_readable: true,
            psk: false,
            reinit: false,
            unsupported: false,
            path_keeps_identity: true,
            context,
        };
        if let Some(tamper) = next.tamper {
            tamper(&mut proposed);
        }
        let before = Before {
            facts: Ok(self.facts.clone()),
            context: self.context.clone(),
        };
        (before, proposed)
    }

    /// Judges and, if accepted, becomes the state afterwards.
    pub(super) fn commit(
        &mut self,
        by: &str,
        edit: impl FnOnce(&mut Edit),
    ) -> Result<CommitChange, RejectCode> {
        let (before, proposed) = self.propose(by, edit);
        let accepted = match evaluate(&before, &proposed, &self.logs, &self.rules) {
            Verdict::Accepted(accepted) => accepted,
            Verdict::Rejected(rejection) => return Err(rejection.code),
            other => panic!("neither accepted nor rejected: {other:?}"),
        };
        let read = |bytes: &Option<Vec<u8>>| bytes.clone().unwrap();
        let facts = &mut self.facts;
        facts.mutable = MutableMetadata::decode(&read(&proposed.context.mutable)).unwrap();
        facts.membership = Membership::decode(&read(&proposed.context.membership)).unwrap();
        facts.permissions = PolicySet::decode(&read(&proposed.context.permissions)).unwrap();
        facts.members.retain(|member| {
            !accepted
                .change
                .removed_installations
                .iter()
                .any(|gone| gone.leaf == member.leaf)
        });
        for (inbox_id, installation_id) in &accepted.change.added_installations {
            let leaf = facts
                .members
                .iter()
                .map(|member| member.leaf + 1)
                .max()
                .unwrap_or(0);
            facts.members.push(Member {
                leaf,
                inbox_id: inbox_id.clone(),
                installation_id: *installation_id,
                trusted: true,
            });
        }
        for member in &mut facts.members {
            member.trusted = !accepted.untrusted.contains(&member.installation_id);
        }
        self.context = proposed.context;
        Ok(accepted.change)
    }
}

fn bytes(
    immutable: &ImmutableMetadata,
    mutable: &MutableMetadata,
    membership: &Membership,
    permissions: &PolicySet,
) -> ContextBytes {
    ContextBytes {
        immutable: Some(immutable.encode()),
        mutable: Some(mutable.encode()),
        membership: Some(membership.encode()),
        permissions: Some(permissions.encode()),
        rest: BTreeMap::from([(3, vec![0])]),
    }
}

impl Edit {
    pub(super) fn set(&mut self, key: &str, value: &str) {
        self.mutable
            .attributes
            .insert(key.to_owned(), value.to_owned());
    }

    pub(super) fn member(&mut self, inbox: &str, sequence: u64) {
        self.membership.members.insert(inbox.to_owned(), sequence);
    }

    /// Brings an inbox in with its installation.
    pub(super) fn add_inbox(&mut self, inbox: &str) {
        self.member(inbox, 3);
        self.add(inbox, id(inbox, 1));
    }

    pub(super) fn add(&mut self, inbox: &str, installation: InstallationId) {
        self.adds.push((inbox.to_owned(), installation));
    }

    /// Takes an inbox out with its installation.
    pub(super) fn remove_inbox(&mut self, inbox: &str) {
        self.membership.members.remove(inbox);
        self.removes.push(id(inbox, 1));
    }

    pub(super) fn admin(&mut self, inbox: &str) {
        self.mutable.admins.push(inbox.to_owned());
    }

    pub(super) fn no_admin(&mut self, inbox: &str) {
        self.mutable.admins.retain(|admin| admin != inbox);
    }

    pub(super) fn super_admin(&mut self, inbox: &str) {
        self.mutable.super_admins.push(inbox.to_owned());
    }

    pub(super) fn no_super_admin(&mut self, inbox: &str) {
        self.mutable.super_admins.retain(|admin| admin != inbox);
    }
}

pub(super) const PERMISSION: RejectCode = RejectCode::Permission;

/// Whether a Commit is accepted, as a table says it: ✓ or a code.
#[track_caller]
pub(super) fn expect(
    row: &str,
    mut case: Case,
    by: &str,
    expected: Result<(), RejectCode>,
    edit: impl FnOnce(&mut Edit),
) {
    let result = case.commit(by, edit).map(drop);
    assert_eq!(result, expected, "{row}");
}
