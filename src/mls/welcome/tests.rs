use openmls::prelude::tls_codec::Serialize as _;
use prost::Message as _;
use sotto_proto::mls_api::{WelcomeMessageInput, welcome_message, welcome_message_input};

use super::*;
use crate::mls::extensions::{ConversationKind, MutableMetadata, PROTOCOL_FLOOR};
use crate::mls::key_package::{OwnKeyPackage, lifetime_at};
use crate::mls::policy::{Policy, PolicySet, Preset};
use crate::mls::tests::{Client, Logs, group_of, membership, now, recipient};
use crate::mls::view::View;
use crate::mls::*;

fn v1(input: &WelcomeMessageInput) -> welcome_message::V1 {
    let Some(welcome_message_input::Version::V1(input)) = input.version.clone() else {
        panic!("no V1: {input:?}");
    };
    welcome_message::V1 {
        installation_key: input.installation_key,
        data: input.data,
        hpke_public_key: input.hpke_public_key,
        wrapper_algorithm: input.wrapper_algorithm,
        welcome_metadata: input.welcome_metadata,
        ..welcome_message::V1::default()
    }
}

fn hex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap()
}

const INFO: &str = "134d4c5320312e30204d4c535f57454c434f4d4500";

#[test]
fn mls_20_vector_a5_opens_with_both_seals() {
    assert_eq!(kem::INFO, hex(INFO));
    let private: [u8; 32] = std::array::from_fn(|index| index as u8);
    let data = hex(
        "20358072d6365880d1aeea329adf9121383851ed21a28e3b75e965d0d2cd1662541dd27407a18c88f1a4199b1022afad9b162c04ac2c8ece0eb90d0a120d3d",
    );
    let metadata = hex("9b3be70e3f375632471a2bd8aa7d45366c92");
    let (encapped, ciphertext) = (&data[1..33], &data[34..]);
    let open = |ciphertexts: &[&[u8]]| {
        kem::open(
            WrapperAlgorithm::Curve25519,
            &private,
            encapped,
            ciphertexts,
        )
        .unwrap()
    };
    let opened = open(&[ciphertext, &metadata]);
    assert_eq!(opened, [Some(b"inner-welcome".to_vec()), Some(hex("0807"))]);
    // Metadata that does not open spoils nothing.
    assert_eq!(
        open(&[ciphertext, b"garbage"]),
        [Some(b"inner-welcome".to_vec()), None]
    );
}

#[test]
fn a_welcome_opens_for_its_recipient_under_either_algorithm() {
    let (client, other) = (Client::new('a', 1), Client::new('b', 2));
    let xwing = recipient(&client);
    let classical = Recipient {
        algorithm: WrapperAlgorithm::Curve25519,
        public_key: client.key_package.welcome_keys()[0].to_vec(),
        ..xwing.clone()
    };
    for recipient in [xwing, classical] {
        let message = v1(&seal(b"inner", 42, &recipient).unwrap());
        assert_eq!(message.installation_key, client.id().as_bytes());
        let opened = open(&message, &client.key_package).unwrap();
        assert_eq!(
            (opened.inner.as_slice(), opened.message_cursor),
            (b"inner".as_slice(), Some(42))
        );
        assert_eq!(
            open(&message, &other.key_package),
            Err(WelcomeError::UnknownKey)
        );
    }
}

#[test]
fn mls_23_and_24_a_welcome_without_readable_metadata_opens_without_a_cursor() {
    let client = Client::new('a', 1);
    let mut message = v1(&seal(b"inner", 42, &recipient(&client)).unwrap());
    for metadata in [vec![], vec![1, 2, 3]] {
        message.welcome_metadata = metadata;
        let opened = open(&message, &client.key_package).unwrap();
        assert_eq!(
            (opened.inner.as_slice(), opened.message_cursor),
            (b"inner".as_slice(), None)
        );
    }
}

#[test]
fn a_welcome_that_says_another_algorithm_than_its_key_is_malformed() {
    let client = Client::new('a', 1);
    let mut message = v1(&seal(b"inner", 42, &recipient(&client)).unwrap());
    for algorithm in [0, 1, 3, 9] {
        message.wrapper_algorithm = algorithm;
        assert_eq!(
            open(&message, &client.key_package),
            Err(WelcomeError::Malformed)
        );
    }
}

#[test]
fn mls_25_three_that_can_follow_pointers_share_one_copy() {
    let clients: Vec<Client> = (0..4).map(|n| Client::new('a', 1 + n)).collect();
    let mut recipients: Vec<Recipient> = clients.iter().map(recipient).collect();
    recipients[3].takes_pointers = false;
    let messages = seal_for_all(b"inner", 9, &recipients).unwrap();
    let kinds: Vec<i32> = messages
        .iter()
        .map(|message| match &message.version {
            Some(welcome_message_input::Version::V1(v1)) => v1.wrapper_algorithm,
            Some(welcome_message_input::Version::WelcomePointer(_)) => -1,
            None => -2,
        })
        .collect();
    assert_eq!(kinds, [3, -1, -1, -1, 2]);
    let pointee = v1(&messages[0]);
    assert!(pointee.hpke_public_key.is_empty());
    for (client, message) in clients.iter().zip(&messages[1..4]) {
        let Some(welcome_message_input::Version::WelcomePointer(input)) = &message.version else {
            panic!("{message:?}");
        };
        assert_eq!(input.installation_key, client.id().as_bytes());
        let pointer = open_pointer(
            &welcome_message::WelcomePointer {
                welcome_pointer: input.welcome_pointer.clone(),
                hpke_public_key: input.hpke_public_key.clone(),
                wrapper_algorithm: input.wrapper_algorithm,
                ..welcome_message::WelcomePointer::default()
            },
            &client.key_package,
        )
        .unwrap();
        assert_eq!(pointer.destination.to_vec(), pointee.installation_key);
        let opened = open_pointee(&pointee, &pointer).unwrap();
        assert_eq!(
            (opened.inner.as_slice(), opened.message_cursor),
            (b"inner".as_slice(), Some(9))
        );
    }
    assert!(open(&v1(&messages[4]), &clients[3].key_package).is_ok());
    // Two are too few.
    let few = seal_for_all(b"inner", 9, &recipients[1..]).unwrap();
    assert_eq!(few.len(), 3);
    assert!(few.iter().all(|message| v1(message).wrapper_algorithm == 2));
}

#[test]
fn welcomes_of_one_invitation_share_no_bytes_of_the_inner_welcome() {
    let clients: Vec<Client> = (0..2).map(|n| Client::new('a', 1 + n)).collect();
    let inner = vec![7; 500];
    let recipients: Vec<Recipient> = clients.iter().map(recipient).collect();
    let sealed: Vec<Vec<u8>> = seal_for_all(&inner, 9, &recipients)
        .unwrap()
        .iter()
        .map(|message| v1(message).data)
        .collect();
    let windows = |bytes: &[u8]| -> std::collections::BTreeSet<Vec<u8>> {
        bytes.windows(16).map(<[u8]>::to_vec).collect()
    };
    assert!(windows(&sealed[0]).is_disjoint(&windows(&sealed[1])));
    assert!(!windows(&sealed[0]).contains(&inner[..16]));
}

/// A group that creator 'a' makes of some kind, and the inner Welcome for 'b'.
fn invitation(new: impl FnOnce(&mut NewGroup), logs: &mut Logs) -> (Client, Client, Vec<u8>) {
    let (mut creator, joiner) = (Client::new('a', 1), Client::new('b', 2));
    for client in [&creator, &joiner] {
        logs.set(client.inbox.as_str(), &[client.id()]);
    }
    let mut group = NewGroup {
        group_id: [7; 16],
        metadata: ImmutableMetadata {
            kind: ConversationKind::Group,
            creator: creator.name(),
            dm_members: None,
        },
        mutable: MutableMetadata {
            super_admins: vec![creator.name()],
            ..MutableMetadata::default()
        },
        permissions: Preset::AllMembers.policies(),
        lifetime: lifetime_at(now()),
    };
    new(&mut group);
    creator.group = Some(Group::create(&group, &creator.key).unwrap());
    let change = Change {
        add: vec![joiner.verified()],
        membership: Some(membership(logs, &[&creator, &joiner])),
        ..Change::default()
    };
    let welcome = creator
        .group()
        .stage_commit(change)
        .unwrap()
        .welcome
        .unwrap();
    (creator, joiner, welcome)
}

fn dm(group: &mut NewGroup) {
    group.metadata.kind = ConversationKind::Dm;
    group.metadata.dm_members = Some(["a".repeat(64), "b".repeat(64)]);
    group.mutable.super_admins.clear();
    group.permissions = PolicySet::dm();
}

fn check(new: impl FnOnce(&mut NewGroup)) -> JoinVerdict {
    let mut logs = Logs::default();
    let (_, joiner, inner) = invitation(new, &mut logs);
    check_with(&joiner, &inner, &logs, true)
}

fn check_with(joiner: &Client, inner: &[u8], logs: &Logs, only: bool) -> JoinVerdict {
    let packages = std::slice::from_ref(&joiner.key_package);
    let joining = Joining::new(inner, packages, &joiner.key).unwrap();
    joining.check(logs, joiner.inbox.as_str(), only, &Rules::default())
}

#[test]
fn a_group_and_a_dm_are_joined() {
    assert_eq!(check(|_| {}), JoinVerdict::Join(vec![]));
    assert_eq!(check(dm), JoinVerdict::Join(vec![]));
}

#[test]
fn mls_71_a_dm_between_others_or_with_roles_is_refused() {
    let refused = JoinVerdict::Refuse(JoinRefusal::Dm);
    let others = check(|group| {
        dm(group);
        group.metadata.dm_members = Some(["a".repeat(64), "c".repeat(64)]);
    });
    assert_eq!(others, refused);
    let nobody = check(|group| {
        dm(group);
        group.metadata.dm_members = None;
    });
    assert_eq!(nobody, refused);
    let roles = check(|group| {
        dm(group);
        group.mutable.admins = vec!["a".repeat(64)];
    });
    assert_eq!(roles, refused);
}

#[test]
fn join_1_a_dm_with_other_policies_is_suspicious() {
    let verdict = check(|group| {
        dm(group);
        group.permissions.add_member = Policy::Allow;
    });
    assert_eq!(verdict, JoinVerdict::Join(vec![JoinRemark::SuspiciousDm]));
    let texts = check(|group| {
        dm(group);
        group.permissions.metadata.clear();
    });
    assert_eq!(
        texts,
        JoinVerdict::Join(vec![]),
        "only the five other slots count"
    );
}

#[test]
fn join_2_an_adder_without_the_right_is_noticed() {
    let plain = |group: &mut NewGroup| {
        group.mutable.super_admins = vec!["c".repeat(64)];
        group.permissions = Preset::AdminOnly.policies();
    };
    assert_eq!(
        check(plain),
        JoinVerdict::Join(vec![JoinRemark::UnauthorisedAdder])
    );
    let mut logs = Logs::default();
    let (_, joiner, inner) = invitation(plain, &mut logs);
    let verdict = check_with(&joiner, &inner, &logs, false);
    assert_eq!(
        verdict,
        JoinVerdict::Join(vec![JoinRemark::AdderMayLackPermission])
    );
    let admin = check(|group| {
        group.mutable.super_admins = vec!["c".repeat(64)];
        group.mutable.admins = vec!["a".repeat(64)];
        group.permissions = Preset::AdminOnly.policies();
    });
    assert_eq!(admin, JoinVerdict::Join(vec![]));
}

#[test]
fn a_welcome_with_a_floor_above_ours_is_joined_paused() {
    let floor = |value: &str| {
        let attribute = (PROTOCOL_FLOOR.to_owned(), value.to_owned());
        check(move |group| group.mutable.attributes.extend([attribute]))
    };
    let paused = JoinRemark::Paused("99.0.0".to_owned());
    assert_eq!(floor("99.0.0"), JoinVerdict::Join(vec![paused]));
    assert_eq!(floor("1.11.0"), JoinVerdict::Join(vec![]));
}

#[test]
fn mls_28_the_tree_has_to_be_what_the_identity_logs_say() {
    let mut logs = Logs::default();
    let (creator, joiner, inner) = invitation(|_| {}, &mut logs);
    let refused = JoinVerdict::Refuse(JoinRefusal::Membership);
    let with = |installations: &[InstallationId]| {
        let mut logs = logs.clone();
        logs.set_at(creator.inbox.as_str(), 1, installations);
        check_with(&joiner, &inner, &logs, true)
    };
    assert_eq!(with(&[creator.id()]), JoinVerdict::Join(vec![]));
    let stranger = InstallationId::from_bytes([9; 32]);
    assert_eq!(with(&[stranger]), refused, "a leaf that is not in the log");
    assert_eq!(
        with(&[creator.id(), stranger]),
        refused,
        "one of the log that is no leaf"
    );
    let mut later = Logs::default();
    later.set_at(joiner.inbox.as_str(), 2, &[joiner.id()]);
    later.set_at(creator.inbox.as_str(), 5, &[creator.id()]);
    assert_eq!(
        check_with(&joiner, &inner, &later, true),
        refused,
        "no such sequence"
    );
    let mut unknown = Logs::default();
    unknown.set_at(joiner.inbox.as_str(), 2, &[joiner.id()]);
    let needed = vec![(creator.name(), 1)];
    let verdict = check_with(&joiner, &inner, &unknown, true);
    assert_eq!(verdict, JoinVerdict::NeedIdentity(needed));
}

#[test]
fn an_installation_listed_as_failed_may_be_missing_from_the_tree() {
    let mut logs = Logs::default();
    let (mut creator, joiner) = (Client::new('a', 1), Client::new('b', 2));
    let lost = InstallationId::from_bytes([9; 32]);
    logs.set(creator.inbox.as_str(), &[creator.id()]);
    logs.set(joiner.inbox.as_str(), &[joiner.id(), lost]);
    creator.create(Preset::AllMembers.policies());
    let mut members = membership(&logs, &[&creator, &joiner]);
    members.failed.insert(lost);
    let change = Change {
        add: vec![joiner.verified()],
        membership: Some(members),
        ..Change::default()
    };
    let welcome = creator
        .group()
        .stage_commit(change)
        .unwrap()
        .welcome
        .unwrap();
    assert_eq!(
        check_with(&joiner, &welcome, &logs, true),
        JoinVerdict::Join(vec![])
    );
}

#[test]
fn mls_29_what_is_no_welcome_for_us_is_an_error() {
    let mut logs = Logs::default();
    let (mut creator, joiner, inner) = invitation(|_| {}, &mut logs);
    let packages = std::slice::from_ref(&joiner.key_package);
    let new = |inner: &[u8]| Joining::new(inner, packages, &joiner.key).map(drop);
    assert_eq!(new(&[]), Err(WelcomeError::Malformed));
    assert_eq!(
        new(&creator.group().encrypt(b"x").unwrap()),
        Err(WelcomeError::Malformed)
    );
    let longer = [inner.as_slice(), &[0]].concat();
    assert_eq!(new(&longer), Err(WelcomeError::Malformed));
    let without = Joining::new(&inner, &[], &joiner.key);
    assert!(matches!(without, Err(WelcomeError::Mls(_))));
    let other = Client::new('c', 3);
    let wrong = Joining::new(&inner, std::slice::from_ref(&other.key_package), &other.key);
    assert!(matches!(wrong, Err(WelcomeError::Mls(_))));
    // The right one among several.
    let several = [
        other.key_package.clone(),
        OwnKeyPackage::decode(&joiner.key_package.encode().unwrap()).unwrap(),
    ];
    assert!(Joining::new(&inner, &several, &joiner.key).is_ok());
}

#[test]
fn nothing_is_written_before_joining() {
    let (mut clients, mut logs) = group_of(1, Preset::AllMembers);
    let joiner = Client::new('b', 2);
    logs.set(joiner.inbox.as_str(), &[joiner.id()]);
    let all = [&clients[0], &joiner];
    let change = Change {
        add: vec![joiner.verified()],
        membership: Some(membership(&logs, &all)),
        ..Change::default()
    };
    let welcome = clients[0]
        .group()
        .stage_commit(change)
        .unwrap()
        .welcome
        .unwrap();
    let packages = std::slice::from_ref(&joiner.key_package);
    let joining = Joining::new(&welcome, packages, &joiner.key).unwrap();
    assert_eq!(joining.facts().group_id, [7; 16]);
    assert_eq!(joining.facts().epoch, 2);
    let view = View::empty();
    let group = joining.into_group(view.clone()).unwrap();
    assert!(!view.changes().is_empty());
    let text = format!("{:?}", group.facts().unwrap().epoch_authenticator);
    assert!(text.len() > 32);
    let key_package = fetch_hash(&joiner);
    let rows = view.changes();
    assert!(
        !rows.iter().any(|(key, _)| key.ends_with(&key_package)),
        "no key package row"
    );
}

/// What a row of the key package would end with.
fn fetch_hash(client: &Client) -> Vec<u8> {
    let inner = client.verified().into_inner();
    let reference = inner.hash_ref(&super::super::crypto::Crypto).unwrap();
    reference.tls_serialize_detached().unwrap()[1..].to_vec()
}

#[test]
fn a_pointer_is_kept_without_loss() {
    let sealed = sotto_proto::message_contents::WelcomePointer::default().encode_to_vec();
    assert!(sealed.is_empty());
    assert!(Pointer::decode(&[1; 88]).is_some());
    for length in [0, 87, 89] {
        assert!(Pointer::decode(&vec![1; length]).is_none());
    }
    let pointer = Pointer::decode(&[5; 88]).unwrap();
    assert_eq!(*pointer.encode(), [5; 88]);
    assert_eq!(format!("{pointer:?}"), "Pointer([redacted])");
}
