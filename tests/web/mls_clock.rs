//! Lifetimes in a Commit are judged by the time that the node stamped on it, not by the clock.

use std::collections::{BTreeMap, BTreeSet};

use sotto::identity::{InboxId, InstallationId, InstallationKey};
use sotto::mls::key_package::{KeyPackageFault, lifetime_at, validate_fetched};
use sotto::mls::policy::Preset;
use sotto::mls::welcome::Joining;
use sotto::mls::{
    Change, ConversationKind, Group, IdentityStates, ImmutableMetadata, Incoming, Lookup,
    Membership, MutableMetadata, NewGroup, OwnKeyPackage, Rules, Verdict, View,
};
use wasm_bindgen_test::wasm_bindgen_test;

/// Long ago: everything made then has expired since.
const THEN: u64 = 1_600_000_000;
const YEAR: u64 = 365 * 24 * 60 * 60;

struct Logs(BTreeMap<String, BTreeSet<InstallationId>>);

impl IdentityStates for Logs {
    fn installations(&self, inbox: &str, _: u64) -> Lookup<'_> {
        self.0.get(inbox).map_or(Lookup::NotLoaded, Lookup::Known)
    }
}

struct Client {
    inbox: InboxId,
    key: InstallationKey,
    key_package: OwnKeyPackage,
}

impl Client {
    /// A client whose key package was made at `made` (Unix seconds).
    fn new(inbox: char, made: u64) -> Self {
        let inbox = InboxId::parse(&inbox.to_string().repeat(64)).unwrap();
        let key = InstallationKey::from_seed(&[inbox.as_str().as_bytes()[0]; 32]);
        let key_package = OwnKeyPackage::generate(inbox.as_str(), &key, lifetime_at(made));
        Self {
            key_package: key_package.unwrap(),
            inbox,
            key,
        }
    }

    /// What adding this client takes, at the time its key package was made.
    fn change(&self, made: u64, group: &Group) -> Change {
        let _pin = web_time::pin(&[made]);
        let public = self.key_package.public();
        let id = self.key.id();
        let verified = validate_fetched(public, &id, self.inbox.as_str(), made).unwrap();
        let mut membership = group.facts().unwrap().membership;
        membership.members.insert(self.inbox.as_str().to_owned(), 1);
        Change {
            add: vec![verified],
            membership: Some(membership),
            ..Change::default()
        }
    }
}

fn merge(group: &mut Group, logs: &Logs) {
    let verdict = group.check_pending(logs, &Rules::default()).unwrap();
    let Verdict::Accepted(accepted) = verdict else {
        panic!("{verdict:?}")
    };
    group.merge_pending(*accepted).unwrap();
}

#[wasm_bindgen_test]
fn a_commit_that_adds_what_has_expired_since_is_merged() {
    let (creator, reader) = (Client::new('a', THEN), Client::new('b', THEN));
    let newcomers = [Client::new('c', THEN), Client::new('d', THEN + YEAR)];
    let all = [&creator, &reader, &newcomers[0], &newcomers[1]];
    let ids = all
        .iter()
        .map(|c| (c.inbox.as_str().to_owned(), [c.key.id()].into()));
    let logs = Logs(ids.collect());
    let name = creator.inbox.as_str().to_owned();
    let new = NewGroup {
        group_id: [7; 16],
        metadata: ImmutableMetadata {
            kind: ConversationKind::Group,
            creator: name.clone(),
            dm_members: None,
        },
        mutable: MutableMetadata {
            super_admins: vec![name.clone()],
            ..MutableMetadata::default()
        },
        permissions: Preset::AllMembers.policies(),
        lifetime: lifetime_at(THEN),
    };
    let mut group = Group::create(&new, &creator.key).unwrap();
    let mut change = reader.change(THEN, &group);
    let membership: &mut Membership = change.membership.as_mut().unwrap();
    membership.members.insert(name, 1);
    let commit = {
        let _pin = web_time::pin(&[THEN]);
        group.stage_commit(change).unwrap()
    };
    merge(&mut group, &logs);
    let packages = std::slice::from_ref(&reader.key_package);
    let joining = Joining::new(&commit.welcome.unwrap(), packages, &reader.key).unwrap();
    let mut joined = joining.into_group(View::empty()).unwrap();

    for (newcomer, made) in newcomers.iter().zip([THEN, THEN + YEAR]) {
        let public = newcomer.key_package.public();
        let id = newcomer.key.id();
        let fetched = validate_fetched(public, &id, newcomer.inbox.as_str(), made);
        assert_eq!(
            fetched.map(drop),
            Err(KeyPackageFault::Lifetime),
            "the true clock counts"
        );
        let change = newcomer.change(made, &group);
        let commit = {
            let _pin = web_time::pin(&[made]);
            group.stage_commit(change).unwrap()
        };
        merge(&mut group, &logs);
        // Stamped in time once, and once long before the key package was valid.
        let stamped = THEN * 1_000_000_000;
        let incoming = joined
            .process(&commit.bytes, stamped, &logs, &Rules::default())
            .unwrap();
        assert!(matches!(incoming, Incoming::Commit(_)), "{incoming:?}");
        assert_eq!(joined.facts().unwrap(), group.facts().unwrap());
    }
}
