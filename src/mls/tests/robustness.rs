//! Bytes from anywhere: nothing panics, and nothing that was changed is accepted.

use prost::Message as _;
use sotto_proto::mls_api::{WelcomeMessageInput, welcome_message, welcome_message_input};

use super::super::extensions::{ImmutableMetadata, Membership, MutableMetadata};
use super::super::key_package::validate_upload;
use super::super::policy::PolicySet;
use super::super::welcome::{
    OpenedWelcome, Pointer, open, open_pointee, open_pointer, seal_for_all,
};
use super::*;

/// A sequence of numbers, the same for a seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below.max(1)
    }

    /// `bytes` with something wrong.
    fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        let place = self.roll(bytes.len());
        match self.roll(5) {
            0 | 1 => damaged[place] ^= 1 << self.roll(8),
            2 => damaged.truncate(place),
            3 => damaged.insert(place, self.roll(256) as u8),
            _ => {
                for byte in damaged.iter_mut().skip(place).take(4) {
                    *byte = 0xff;
                }
            }
        }
        if damaged == bytes {
            damaged.push(0);
        }
        damaged
    }
}

fn received(input: &welcome_message_input::V1) -> welcome_message::V1 {
    welcome_message::V1 {
        data: input.data.clone(),
        hpke_public_key: input.hpke_public_key.clone(),
        wrapper_algorithm: input.wrapper_algorithm,
        welcome_metadata: input.welcome_metadata.clone(),
        ..welcome_message::V1::default()
    }
}

#[test]
fn no_changed_message_is_accepted() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let text = clients[0].group().encrypt(b"hello").unwrap();
    let commit = clients[0].group().stage_commit(Change::default()).unwrap();
    let savepoint = clients[1].group().view().savepoint();
    let mut dice = Dice(0x5eed);
    for original in [&text, &commit.bytes] {
        for _ in 0..400 {
            let incoming = clients[1].process(&dice.damage(original), &logs);
            assert!(matches!(incoming, Incoming::Skip(_)), "{incoming:?}");
        }
        // Each single bit of the smaller one.
        if original.len() < 400 {
            for bit in 0..original.len() * 8 {
                let mut flipped = original.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let incoming = clients[1].process(&flipped, &logs);
                assert!(
                    matches!(incoming, Incoming::Skip(_)),
                    "bit {bit}: {incoming:?}"
                );
            }
        }
    }
    clients[1].group().view().restore(&savepoint);
    clients[1].reload();
    assert_eq!(clients[1].read(&text, &logs), "hello");
    assert!(matches!(
        clients[1].process(&commit.bytes, &logs),
        Incoming::Commit(_)
    ));
}

#[test]
fn damaged_messages_write_nothing() {
    let (mut clients, logs) = group_of(2, Preset::AllMembers);
    let text = clients[0].group().encrypt(b"hello").unwrap();
    clients[1].group().view().mark_saved();
    let mut dice = Dice(1);
    for _ in 0..100 {
        clients[1].process(&dice.damage(&text), &logs);
        assert_eq!(clients[1].group().view().changes(), []);
    }
}

#[test]
fn no_changed_welcome_opens_or_joins() {
    let (mut clients, mut logs) = group_of(1, Preset::AllMembers);
    let newcomers: Vec<Client> = (0..4).map(|n| Client::new('e', 30 + n)).collect();
    let ids: Vec<InstallationId> = newcomers.iter().map(Client::id).collect();
    let sequence = logs.set(newcomers[0].inbox.as_str(), &ids);
    let mut membership = clients[0].facts().membership;
    membership.members.insert(newcomers[0].name(), sequence);
    let change = Change {
        add: newcomers.iter().map(Client::verified).collect(),
        membership: Some(membership),
        ..Change::default()
    };
    let (commit, _) = clients[0].commit(change, &logs);
    let inner = commit.welcome.unwrap();
    let mut recipients: Vec<Recipient> = newcomers.iter().map(recipient).collect();
    recipients[0].takes_pointers = false;
    let sealed = seal_for_all(&inner, 7, &recipients).unwrap();
    let newcomer = &newcomers[0];
    let opened = OpenedWelcome {
        inner: inner.clone(),
        message_cursor: Some(7),
    };
    let mut dice = Dice(0xbad);
    for message in &sealed {
        let encoded = message.encode_to_vec();
        for _ in 0..150 {
            let Ok(damaged) = WelcomeMessageInput::decode(dice.damage(&encoded).as_slice()) else {
                continue;
            };
            match (damaged.version, &message.version) {
                (
                    Some(welcome_message_input::Version::V1(damaged)),
                    Some(welcome_message_input::Version::V1(original)),
                ) => {
                    // The metadata may be lost; the Welcome is then the same, without a cursor.
                    let result = open(&received(&damaged), &newcomer.key_package);
                    if let Ok(result) = result {
                        assert_eq!(result.inner, opened.inner);
                        let same = damaged.welcome_metadata == original.welcome_metadata;
                        assert_eq!(result.message_cursor, same.then_some(7));
                    }
                }
                (Some(welcome_message_input::Version::WelcomePointer(damaged)), _) => {
                    let message = welcome_message::WelcomePointer {
                        welcome_pointer: damaged.welcome_pointer,
                        hpke_public_key: damaged.hpke_public_key,
                        wrapper_algorithm: damaged.wrapper_algorithm,
                        ..welcome_message::WelcomePointer::default()
                    };
                    for newcomer in &newcomers {
                        drop(open_pointer(&message, &newcomer.key_package));
                    }
                }
                _ => {}
            }
        }
    }
    let packages = std::slice::from_ref(&newcomer.key_package);
    for _ in 0..300 {
        let damaged = Joining::new(&dice.damage(&inner), packages, &newcomer.key);
        if let Ok(joining) = damaged {
            // The part for another newcomer may be damaged: ours is then what it was.
            assert_eq!(joining.facts().epoch, 2);
        }
    }
}

#[test]
fn no_changed_key_package_is_valid() {
    let client = Client::new('a', 1);
    let public = client.key_package.public();
    let mut dice = Dice(3);
    for _ in 0..500 {
        assert!(validate_upload(&dice.damage(public), now()).is_err());
    }
}

#[test]
fn readers_of_our_own_and_of_shared_state_take_anything() {
    let (mut clients, _) = group_of(2, Preset::AllMembers);
    let facts = clients[0].facts();
    let text = clients[0].group().encrypt(b"x").unwrap();
    let row = clients[0].key_package.encode().unwrap();
    let pointer = [7; 32 + 32 + 12 + 12];
    let rows: Vec<(Vec<u8>, Vec<u8>)> = {
        let fresh = View::empty();
        fresh.restore(&clients[0].group().view().savepoint());
        let changes = fresh.changes().into_iter();
        changes
            .map(|(key, value)| (key, value.unwrap().to_vec()))
            .collect()
    };
    let mut dice = Dice(11);
    for _ in 0..500 {
        let _ = header(&dice.damage(&text));
        drop(ImmutableMetadata::decode(
            &dice.damage(&facts.metadata.encode()),
        ));
        drop(MutableMetadata::decode(
            &dice.damage(&facts.mutable.encode()),
        ));
        drop(Membership::decode(&dice.damage(&facts.membership.encode())));
        drop(PolicySet::decode(&dice.damage(&facts.permissions.encode())));
        drop(OwnKeyPackage::decode(&dice.damage(&row)));
        drop(Pointer::decode(&dice.damage(&pointer)));
        let mut rows = rows.clone();
        let place = dice.roll(rows.len());
        rows[place].1 = dice.damage(&rows[place].1);
        drop(View::from_rows(rows));
    }
}

#[test]
fn deeply_nested_policies_are_an_error() {
    let mut policy = vec![0x08, 0x01];
    for _ in 0..2_000 {
        let mut list = vec![0x0a];
        prost::encoding::encode_varint(policy.len() as u64, &mut list);
        list.extend(&policy);
        let mut outer = vec![0x12];
        prost::encoding::encode_varint(list.len() as u64, &mut outer);
        outer.extend(&list);
        policy = outer;
    }
    let wrap = |field: u8, content: &[u8]| {
        let mut bytes = vec![field];
        prost::encoding::encode_varint(content.len() as u64, &mut bytes);
        [bytes.as_slice(), content].concat()
    };
    let set = wrap(0x0a, &wrap(0x0a, &policy));
    assert!(PolicySet::decode(&set).is_err());
}

#[test]
fn a_shared_welcome_opens_only_with_its_pointer() {
    let clients: Vec<Client> = (0..3).map(|n| Client::new('e', 50 + n)).collect();
    let recipients: Vec<Recipient> = clients.iter().map(recipient).collect();
    let sealed = seal_for_all(b"inner", 7, &recipients).unwrap();
    let other = seal_for_all(b"other", 8, &recipients).unwrap();
    let pointee = |messages: &[WelcomeMessageInput]| match &messages[0].version {
        Some(welcome_message_input::Version::V1(v1)) => received(v1),
        other => panic!("{other:?}"),
    };
    let pointer = |messages: &[WelcomeMessageInput], client: &Client| match &messages[1].version {
        Some(welcome_message_input::Version::WelcomePointer(pointer)) => {
            let message = welcome_message::WelcomePointer {
                welcome_pointer: pointer.welcome_pointer.clone(),
                hpke_public_key: pointer.hpke_public_key.clone(),
                wrapper_algorithm: pointer.wrapper_algorithm,
                ..welcome_message::WelcomePointer::default()
            };
            open_pointer(&message, &client.key_package).unwrap()
        }
        other => panic!("{other:?}"),
    };
    let right = open_pointee(&pointee(&sealed), &pointer(&sealed, &clients[0])).unwrap();
    assert_eq!(
        (right.inner.as_slice(), right.message_cursor),
        (b"inner".as_slice(), Some(7))
    );
    assert!(open_pointee(&pointee(&other), &pointer(&sealed, &clients[0])).is_err());
}
