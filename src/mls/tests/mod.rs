//! Several members on one host: what a group does over its life.

mod epochs;
mod groups;
mod hostile;
mod large;
mod robustness;
mod vectors;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use super::key_package::{lifetime_at, validate_fetched};
use super::policy::{PolicySet, Preset};
use super::welcome::{self, Joining, Recipient};
use super::*;
use crate::identity::InboxId;

/// Seconds of Unix time: host tests use the real present, since the MLS library reads it.
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// Identity logs: for each inbox, the installations after each update.
#[derive(Default, Clone)]
pub(super) struct Logs {
    updates: BTreeMap<String, BTreeMap<u64, BTreeSet<InstallationId>>>,
    next: u64,
}

impl Logs {
    pub(super) fn set(&mut self, inbox: &str, installations: &[InstallationId]) -> u64 {
        self.next += 1;
        let states = self.updates.entry(inbox.to_owned()).or_default();
        states.insert(self.next, installations.iter().copied().collect());
        self.next
    }

    pub(super) fn set_at(&mut self, inbox: &str, sequence: u64, ids: &[InstallationId]) {
        let states = self.updates.entry(inbox.to_owned()).or_default();
        states.insert(sequence, ids.iter().copied().collect());
    }

    pub(super) fn latest(&self, inbox: &str) -> u64 {
        self.updates
            .get(inbox)
            .and_then(|states| states.keys().last())
            .copied()
            .unwrap_or(0)
    }
}

impl IdentityStates for Logs {
    fn installations(&self, inbox: &str, sequence: u64) -> Lookup<'_> {
        let Some(states) = self.updates.get(inbox) else {
            return Lookup::NotLoaded;
        };
        match states.range(..=sequence).last() {
            Some((number, state)) if *number == sequence => Lookup::Known(state),
            Some((number, _)) => Lookup::Absent { previous: *number },
            None => Lookup::Absent { previous: 0 },
        }
    }
}

/// An installation with its key package and its copy of one group.
pub(super) struct Client {
    pub(super) inbox: InboxId,
    pub(super) key: InstallationKey,
    pub(super) key_package: OwnKeyPackage,
    pub(super) group: Option<Group>,
}

impl Client {
    /// The same `seed` gives the same installation; `inbox` is repeated to 64 digits.
    pub(super) fn new(inbox: char, seed: u8) -> Self {
        let inbox = InboxId::parse(&inbox.to_string().repeat(64)).unwrap();
        let key = InstallationKey::from_seed(&[seed; 32]);
        let key_package =
            OwnKeyPackage::generate(inbox.as_str(), &key, lifetime_at(now())).unwrap();
        Self {
            inbox,
            key,
            key_package,
            group: None,
        }
    }

    pub(super) fn id(&self) -> InstallationId {
        self.key.id()
    }

    pub(super) fn name(&self) -> String {
        self.inbox.as_str().to_owned()
    }

    pub(super) fn group(&mut self) -> &mut Group {
        self.group.as_mut().unwrap()
    }

    pub(super) fn facts(&self) -> GroupFacts {
        self.group.as_ref().unwrap().facts().unwrap()
    }

    pub(super) fn verified(&self) -> VerifiedKeyPackage {
        let bytes = self.key_package.public();
        validate_fetched(bytes, &self.id(), self.inbox.as_str(), now()).unwrap()
    }

    pub(super) fn create(&mut self, policies: PolicySet) {
        let new = NewGroup {
            group_id: [7; 16],
            metadata: ImmutableMetadata {
                kind: ConversationKind::Group,
                creator: self.name(),
                dm_members: None,
            },
            mutable: MutableMetadata {
                attributes: [(extensions::GROUP_NAME.to_owned(), String::new())].into(),
                admins: Vec::new(),
                super_admins: vec![self.name()],
            },
            permissions: policies,
            lifetime: lifetime_at(now()),
        };
        self.group = Some(Group::create(&new, &self.key).unwrap());
    }

    /// Commits and merges, as if the Commit had come back first from the node.
    pub(super) fn commit(&mut self, change: Change, logs: &Logs) -> (OwnCommit, CommitReport) {
        let commit = self.group().stage_commit(change).unwrap();
        let report = self.merge_pending(logs);
        (commit, report)
    }

    pub(super) fn merge_pending(&mut self, logs: &Logs) -> CommitReport {
        match self.group().check_pending(logs, &Rules::default()).unwrap() {
            Verdict::Accepted(accepted) => self.group().merge_pending(*accepted).unwrap(),
            other => panic!("not accepted: {other:?}"),
        }
    }

    pub(super) fn join(&mut self, inner: &[u8], logs: &Logs) {
        let key_packages = std::slice::from_ref(&self.key_package);
        let joining = Joining::new(inner, key_packages, &self.key).unwrap();
        let verdict = joining.check(logs, self.inbox.as_str(), true, &Rules::default());
        assert_eq!(verdict, welcome::JoinVerdict::Join(vec![]));
        self.group = Some(joining.into_group(View::empty()).unwrap());
    }

    pub(super) fn process(&mut self, data: &[u8], logs: &Logs) -> Incoming {
        let rules = Rules::default();
        self.group()
            .process(data, now() * 1_000_000_000, logs, &rules)
            .unwrap()
    }

    pub(super) fn read(&mut self, data: &[u8], logs: &Logs) -> String {
        match self.process(data, logs) {
            Incoming::Application(message) => String::from_utf8(message.plaintext).unwrap(),
            other => panic!("no message: {other:?}"),
        }
    }

    /// Forgets what is in memory and loads the group from its rows.
    pub(super) fn reload(&mut self) {
        let group = self.group.take().unwrap();
        let mut rows: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let savepoint = group.view().savepoint();
        let fresh = View::empty();
        fresh.restore(&savepoint);
        for (key, value) in fresh.changes() {
            rows.insert(key, value.unwrap().to_vec());
        }
        let view = View::from_rows(rows.into_iter().collect()).unwrap();
        let id = group.group_id().unwrap();
        self.group = Group::load(view, &id, &self.key).unwrap();
        assert!(self.group.is_some());
    }
}

/// A membership with one entry for each client, at its latest sequence.
pub(super) fn membership(logs: &Logs, inboxes: &[&Client]) -> Membership {
    let members = inboxes
        .iter()
        .map(|client| (client.name(), logs.latest(client.inbox.as_str())));
    Membership {
        members: members.collect(),
        failed: BTreeSet::new(),
    }
}

/// A group of `n` clients with one installation each, inboxes 'a', 'b', …
pub(super) fn group_of(n: u8, preset: Preset) -> (Vec<Client>, Logs) {
    let mut logs = Logs::default();
    let letters = ['a', 'b', 'c', 'd', 'e', 'f'];
    let mut clients: Vec<Client> = (0..n)
        .map(|index| Client::new(letters[usize::from(index)], index + 1))
        .collect();
    for client in &clients {
        logs.set(client.inbox.as_str(), &[client.id()]);
    }
    clients[0].create(preset.policies());
    let (first, others) = clients.split_first_mut().unwrap();
    let mut all: Vec<&Client> = others.iter().map(|client: &Client| client).collect();
    all.push(first);
    let change = Change {
        add: others.iter().map(Client::verified).collect(),
        membership: Some(membership(&logs, &all)),
        ..Change::default()
    };
    let (commit, _) = first.commit(change, &logs);
    for other in others.iter_mut() {
        other.join(commit.welcome.as_ref().unwrap(), &logs);
    }
    (clients, logs)
}

/// All clients that are members agree, and each can read each other's next message.
pub(super) fn assert_converged(clients: &mut [Client], logs: &Logs) {
    let facts = clients[0].facts();
    for client in clients.iter() {
        assert_eq!(client.facts(), facts);
    }
    for sender in 0..clients.len() {
        let text = format!("from {sender}");
        let data = clients[sender].group().encrypt(text.as_bytes()).unwrap();
        for reader in (0..clients.len()).filter(|reader| *reader != sender) {
            assert_eq!(clients[reader].read(&data, logs), text);
        }
    }
}

/// The recipient of a client's Welcome.
pub(super) fn recipient(client: &Client) -> Recipient {
    client.verified().recipient().clone()
}
