//! What people trust us for, each property by its name (design.md 5). Whoever attacks here has all
//! that the property allows: the node's store and traffic, or a full copy of a member's database
//! with its key. Each test shows first that the attack works where the property does not hold.

use std::collections::BTreeSet;
use std::time::Duration;

use prost::Message as _;
use sotto::client::GroupId;
use sotto::client::rows::{KeyPackageRow, KeyUpdateWish, Wish};
use sotto::client::testing::{Device, Tab, World};
use sotto::client::welcome::ROTATION_NS;
use sotto::content::{ContentType as _, PlaintextEnvelope, Text};
use sotto::mls::extensions::DESCRIPTION;
use sotto::mls::welcome::{self, Joining};
use sotto::mls::{Change, Group, Incoming, NewGroup, OwnKeyPackage, Rules, header};
use sotto::net::fake::Heard;
use sotto::store::{Query, Table};
use sotto_proto::mls_api::welcome_message::Version as WelcomeVersion;
use sotto_proto::paths;

use crate::support::*;

const SECRET: &str = "meet me at the old mill at nine";
const DAY: Duration = Duration::from_secs(24 * 3600);

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|part| part == needle)
}

/// The envelope of the newest message in a group's log.
fn newest(world: &World, id: GroupId) -> (Vec<u8>, u64) {
    let log = world.node.group_log(id.as_bytes());
    let last = log.into_iter().next_back().unwrap();
    (last.data, last.created_ns)
}

/// What a context makes of an envelope, with whatever its store holds. Nothing is saved.
fn process(world: &World, tab: &Tab, id: GroupId, data: &[u8]) -> Incoming {
    let data = data.to_vec();
    act(world, tab, async move |client| {
        let states = client.identities.snapshot();
        let now = sotto::client::env::Env::now_ns(&*client.env);
        let incoming = client
            .step(id, async |step| {
                let mls = step.mls()?;
                let savepoint = mls.view().savepoint();
                let incoming = mls.process(&data, now, &states, &Rules::default())?;
                mls.view().restore(&savepoint);
                Ok(incoming)
            })
            .await;
        client.groups.forget_all();
        incoming
    })
    .unwrap()
}

/// The text in an envelope, if a context can open it.
fn opened(world: &World, tab: &Tab, id: GroupId, data: &[u8]) -> Option<String> {
    match process(world, tab, id, data) {
        Incoming::Application(message) => {
            Some(String::from_utf8_lossy(&message.plaintext).into_owned())
        }
        _ => None,
    }
}

/// The thief opens what it carried off, and does nothing but look.
fn break_in(world: &World, device: &Device) -> Tab {
    world.open(&world.thief_of(device)).unwrap()
}

fn key_packages(world: &World, tab: &Tab) -> Vec<OwnKeyPackage> {
    let rows = act(world, tab, async move |client| {
        client.db.read(&[Query::table(Table::KeyPackages)]).await
    })
    .unwrap();
    (rows.into_iter().flatten())
        .map(|row| {
            let row = KeyPackageRow::decode(row.value.as_slice()).unwrap();
            OwnKeyPackage::decode(&row.package).unwrap()
        })
        .collect()
}

/// The inner Welcomes that an installation's key packages open, the node's store at hand.
fn open_welcomes(world: &World, of: &Tab, packages: &[OwnKeyPackage]) -> Vec<Vec<u8>> {
    let opened = |message: &sotto_proto::mls_api::WelcomeMessage| match &message.version {
        Some(WelcomeVersion::V1(v1)) => (packages.iter())
            .find_map(|package| welcome::open(v1, package).ok())
            .map(|opened| opened.inner),
        Some(WelcomeVersion::WelcomePointer(pointer)) => {
            let target = (packages.iter())
                .find_map(|package| welcome::open_pointer(pointer, package).ok())?;
            let shared = world.node.welcomes(&target.destination);
            let Some(WelcomeVersion::V1(v1)) = &shared.first()?.version else {
                return None;
            };
            let opened = welcome::open_pointee(v1, &target).ok()?;
            Some(opened.inner)
        }
        None => None,
    };
    let stored = world.node.welcomes(of.me.installation.as_bytes());
    stored.iter().filter_map(opened).collect()
}

#[test]
fn message_confidentiality_the_node_stores_and_hears_nothing_that_it_can_read() {
    let world = World::new(701);
    world.node.record();
    let device = world.device();
    let a = world.open(&world.device()).unwrap();
    let b = world.open(&device).unwrap();
    let stranger = world.open(&world.device()).unwrap();
    let id = group_with(&world, &a, &[&b], named("a group"));
    let unread = break_in(&world, &device);
    say(&world, &a, id, SECRET);
    let (data, _) = newest(&world, id);
    sync(&world, &b);
    assert!(texts(&world, &b, id).contains(&SECRET.to_owned()));
    // The search finds what is there: the same text where it is not encrypted.
    let text = opened(&world, &unread, id, &data).unwrap();
    assert!(contains(text.as_bytes(), SECRET.as_bytes()));
    for heard in world.node.heard() {
        let both = [heard.request, heard.answer].concat();
        assert!(!contains(&both, SECRET.as_bytes()), "{}", heard.path);
    }
    for envelope in world.node.group_log(id.as_bytes()) {
        assert!(!contains(&envelope.data, SECRET.as_bytes()));
    }
    // All that the node has, and keys of its own, open no invitation and hence no message; the
    // invited installation's keys do.
    let packages = key_packages(&world, &unread);
    assert!(!open_welcomes(&world, &b, &packages).is_empty());
    let strangers = key_packages(&world, &stranger);
    assert!(open_welcomes(&world, &b, &strangers).is_empty());
}

#[test]
fn forward_secrecy_a_copy_of_the_store_after_reading_opens_no_earlier_ciphertext() {
    let world = World::new(702);
    let device = world.device();
    let a = world.open(&world.device()).unwrap();
    let b = world.open(&device).unwrap();
    let id = group_with(&world, &a, &[&b], named("a group"));
    let before = break_in(&world, &device);
    say(&world, &a, id, SECRET);
    let (earlier, _) = newest(&world, id);
    sync(&world, &b);
    say(&world, &b, id, "I'll be there");
    let (own, _) = newest(&world, id);
    sync(&world, &b);
    let after = break_in(&world, &device);
    assert!(opened(&world, &before, id, &earlier).is_some());
    assert!(opened(&world, &after, id, &earlier).is_none());
    assert!(opened(&world, &after, id, &own).is_none());
    // The sender cannot either, nor anybody three epochs on.
    sync(&world, &a);
    assert!(opened(&world, &a, id, &earlier).is_none());
    for name in ["1", "2", "3", "4"] {
        rename(&world, &a, id, name).unwrap();
    }
    sync(&world, &b);
    let later = break_in(&world, &device);
    assert!(opened(&world, &later, id, &earlier).is_none());
    // It is the present that the copy opens.
    say(&world, &a, id, "changed my mind");
    let (present, _) = newest(&world, id);
    assert!(opened(&world, &later, id, &present).is_some());
}

#[test]
fn forward_secrecy_of_unread_messages_ends_with_the_third_later_epoch() {
    let world = World::new(703);
    let device = world.device();
    let a = world.open(&world.device()).unwrap();
    let b = world.open(&device).unwrap();
    let id = group_with(&world, &a, &[&b], named("a group"));
    // Encrypted, and never delivered.
    let text = Text::from(SECRET).encode().unwrap();
    let withheld = seal(&world, &a, id, &text, "1");
    for (epochs, readable) in [(3, true), (1, false)] {
        for name in 0..epochs {
            rename(&world, &a, id, &format!("{epochs} {name}")).unwrap();
        }
        sync(&world, &b);
        let thief = break_in(&world, &device);
        assert_eq!(opened(&world, &thief, id, &withheld).is_some(), readable);
    }
}

#[test]
fn forward_secrecy_of_an_invitation_begins_a_day_after_the_key_package_is_rotated() {
    let world = World::new(704);
    let device = world.device();
    let a = world.open(&world.device()).unwrap();
    let b = world.open(&device).unwrap();
    let id = group(&world, &a, &[&b]);
    sync(&world, &b);
    let joins = |device: &Device| {
        let thief = break_in(&world, device);
        let packages = key_packages(&world, &thief);
        (open_welcomes(&world, &b, &packages).iter())
            .filter_map(|inner| Joining::new(inner, &packages, &thief.me.key).ok())
            .any(|joining| joining.facts().group_id == id.0)
    };
    // A key package of last resort opens its Welcomes as long as it is kept: joined or not, the
    // copy holds the group of that time.
    assert!(joins(&device));
    let before = key_packages(&world, &b);
    world.pass(Duration::from_secs(6));
    let after = key_packages(&world, &b);
    assert_eq!((before.len(), after.len()), (1, 2), "rotated after joining");
    world.clock.advance(DAY - Duration::from_secs(60));
    sync(&world, &b);
    assert!(joins(&device));
    world.clock.advance(Duration::from_secs(120));
    sync(&world, &b);
    assert!(!joins(&device));
    let left = key_packages(&world, &b);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].public(), after[1].public());
    // Without an invitation it is replaced after 30 days, and gone a day later.
    world.clock.advance(Duration::from_nanos(ROTATION_NS));
    sync(&world, &b);
    assert_eq!(key_packages(&world, &b).len(), 2);
    world.clock.advance(DAY + Duration::from_secs(1));
    sync(&world, &b);
    let left = key_packages(&world, &b);
    assert_eq!(left.len(), 1);
    assert_ne!(left[0].public(), after[1].public());
}

#[test]
fn post_compromise_security_a_thief_reads_until_the_members_next_key_update() {
    let world = World::new(705);
    let device = world.device();
    let a = world.open(&world.device()).unwrap();
    let b = world.open(&device).unwrap();
    let id = group_with(&world, &a, &[&b], named("a group"));
    let thief = break_in(&world, &device);
    let follow = |thief: &Tab| {
        act(&world, thief, async move |client| client.receive(id).await).unwrap();
    };
    say(&world, &a, id, SECRET);
    // Others' commits do not lock it out.
    rename(&world, &a, id, "another name").unwrap();
    say(&world, &a, id, "still there?");
    follow(&thief);
    let stolen = texts(&world, &thief, id);
    assert!(stolen.contains(&SECRET.to_owned()) && stolen.contains(&"still there?".to_owned()));
    sync(&world, &b);
    act(&world, &b, async move |client| {
        client.fulfil(id, Wish::KeyUpdate(KeyUpdateWish {})).await
    })
    .unwrap();
    sync(&world, &a);
    say(&world, &a, id, "now among ourselves");
    say(&world, &b, id, "agreed");
    follow(&thief);
    assert_eq!(texts(&world, &thief, id), stolen);
    // A later commit of another does not let it in again.
    rename(&world, &a, id, "a third name").unwrap();
    say(&world, &a, id, "and for good");
    follow(&thief);
    assert_eq!(texts(&world, &thief, id), stolen);
    assert!(row(&world, &thief, id).maybe_forked);
    assert_converged(&world, &[&a, &b], id);
    assert!(texts(&world, &b, id).contains(&"and for good".to_owned()));
}

#[test]
fn post_compromise_security_the_key_is_updated_after_joining_and_every_thirty_days() {
    let world = World::new(706);
    let device = world.device();
    let a = world.open(&world.device()).unwrap();
    let b = world.open(&device).unwrap();
    let id = group(&world, &a, &[&b]);
    sync(&world, &b);
    let commits = || {
        let log = world.node.group_log(id.as_bytes());
        log.iter().filter(|envelope| envelope.is_commit).count()
    };
    let joined = commits();
    let thief = break_in(&world, &device);
    say(&world, &b, id, "hello");
    assert_eq!(commits(), joined + 1, "before the first message");
    say(&world, &b, id, "hello again");
    world.clock.advance(DAY * 29);
    say(&world, &b, id, "still the same key");
    assert_eq!(commits(), joined + 1);
    world.clock.advance(DAY + Duration::from_secs(3600));
    say(&world, &b, id, "a new key");
    assert_eq!(commits(), joined + 2);
    sync(&world, &a);
    act(&world, &thief, async move |client| client.receive(id).await).unwrap();
    assert!(texts(&world, &thief, id).is_empty());
    assert_eq!(texts(&world, &a, id).len(), 4);
}

#[test]
fn a_client_that_returns_after_four_months_catches_up() {
    let world = World::new(707);
    let device = world.device();
    let a = world.open(&world.device()).unwrap();
    let b = world.open(&device).unwrap();
    let id = group_with(&world, &a, &[&b], named("a group"));
    b.kill();
    for month in 0..4 {
        world.clock.advance(DAY * 30 + Duration::from_secs(3600));
        say(&world, &a, id, &format!("month {month}"));
    }
    let b = world.open(&device).unwrap();
    assert_converged(&world, &[&a, &b], id);
    // Each month began a new epoch; all of them are read in their turn.
    for month in 0..4 {
        assert!(texts(&world, &b, id).contains(&format!("month {month}")));
    }
    say(&world, &b, id, "back");
    assert_converged(&world, &[&a, &b], id);
    assert!(texts(&world, &a, id).contains(&"back".to_owned()));
}

#[test]
fn integrity_no_envelope_with_a_changed_bit_is_accepted() {
    let world = World::new(708);
    let [a, b] = people(&world);
    let id = group_with(&world, &a, &[&b], named("a group"));
    let text = Text::from(SECRET).encode().unwrap();
    let message = seal(&world, &a, id, &text, "1");
    let commit = forge(&world, &a, id, Change::default());
    for data in [message, commit] {
        let original = data.clone();
        let accepted = act(&world, &b, async move |client| {
            let states = client.identities.snapshot();
            let now = sotto::client::env::Env::now_ns(&*client.env);
            let accepted = client
                .step(id, async |step| {
                    let mls = step.mls()?;
                    let savepoint = mls.view().savepoint();
                    let mut accepted = Vec::new();
                    for bit in 0..data.len() * 8 {
                        let mut changed = data.clone();
                        changed[bit / 8] ^= 1 << (bit % 8);
                        match mls.process(&changed, now, &states, &Rules::default())? {
                            Incoming::Skip(_) => {}
                            other => accepted.push((bit, format!("{other:?}"))),
                        }
                    }
                    mls.view().restore(&savepoint);
                    Ok(accepted)
                })
                .await;
            client.groups.forget_all();
            accepted
        })
        .unwrap();
        assert_eq!(accepted, []);
        // Untouched it is fine, also after all those.
        let incoming = process(&world, &b, id, &original);
        assert!(
            matches!(incoming, Incoming::Application(_) | Incoming::Commit(_)),
            "{incoming:?}"
        );
    }
}

#[test]
fn authentication_only_a_members_own_words_are_shown_as_its_own() {
    let world = World::new(709);
    let [a, b, x] = people(&world);
    let id = group_with(&world, &a, &[&b, &x], named("a group"));
    let other = group_with(&world, &a, &[&b], named("another group"));
    let words = |text: &str| Text::from(text).encode().unwrap();
    let shown = |text: &str| texts(&world, &b, id).contains(&text.to_owned());
    let hear = |data: Vec<u8>| {
        world.node.inject(id.as_bytes(), data, false);
        sync(&world, &b);
    };
    // The control: what a member sealed counts, and is the member's.
    hear(seal(&world, &x, id, &words("x was here"), "1"));
    assert!(shown("x was here"));
    let row = (rows(&world, &b, id).into_iter())
        .find(|row| contains(&row.content, b"x was here"))
        .unwrap();
    assert_eq!(row.sender_inbox, x.inbox_id());
    assert_eq!(row.sender_installation, x.me.installation.as_bytes());
    // The same bytes once more, and bytes of another group, are nothing.
    let count = texts(&world, &b, id).len();
    hear(seal(&world, &a, other, &words("from elsewhere"), "2"));
    hear(newest(&world, id).0);
    assert_eq!(texts(&world, &b, id).len(), count);
    // Somebody who knows the group's id, and says to be its creator.
    let made_up = facts(&world, &x, id);
    let now = world.clock.now_ns() / 1_000_000_000;
    let forged = act(&world, &x, async move |client| {
        let new = NewGroup {
            group_id: id.0,
            metadata: made_up.metadata,
            mutable: made_up.mutable,
            permissions: made_up.permissions,
            lifetime: (now - 60, now + 86_400),
        };
        let mut group = Group::create(&new, &client.me.key).unwrap();
        let envelope = PlaintextEnvelope {
            content: Text::from("pay x").encode().unwrap().to_bytes(),
            idempotency_key: "3".to_owned(),
        };
        let mut data = group.encrypt(&envelope.to_bytes()).unwrap();
        // In the epoch in which the others are.
        let at = 4 + 1 + 16;
        data[at..at + 8].copy_from_slice(&made_up.epoch.to_be_bytes());
        data
    });
    assert_eq!(header(&forged).unwrap().epoch, facts(&world, &b, id).epoch);
    hear(forged);
    assert!(!shown("pay x"));
    // Of the wrong epoch, and of one who was removed.
    let late = seal(&world, &x, id, &words("x was never removed"), "4");
    remove(&world, &a, id, &x).unwrap();
    hear(late);
    assert!(!shown("x was never removed"));
    let mut future = seal(&world, &a, id, &words("from the future"), "5");
    future[4 + 1 + 16 + 7] ^= 1;
    hear(future);
    assert!(!shown("from the future"));
    assert_converged(&world, &[&a, &b], id);
}

#[test]
fn group_state_protection_no_stored_or_sent_byte_names_the_group_its_roles_or_its_members() {
    let world = World::new(710);
    world.node.record();
    let [a, b, c] = people(&world);
    let id = group_with(&world, &a, &[&b], named("the conspiracy"));
    let describe = [(DESCRIPTION.to_owned(), "to overthrow the mill".to_owned())].into();
    act(&world, &a, async move |client| {
        client
            .update_metadata(id, describe, Default::default())
            .await
    })
    .unwrap();
    role(&world, &a, id, &b, true, false).unwrap();
    add(&world, &a, id, &c).unwrap();
    assert_converged(&world, &[&a, &b, &c], id);
    remove(&world, &a, id, &c).unwrap();
    let mut needles = vec![
        b"the conspiracy".to_vec(),
        b"to overthrow the mill".to_vec(),
    ];
    for tab in [&a, &b, &c] {
        needles.push(tab.inbox_id().as_bytes().to_vec());
        needles.push(hex::decode(tab.inbox_id()).unwrap());
    }
    let installations = [&a, &b, &c].map(|tab| tab.me.installation.as_bytes().to_vec());
    // The search finds them where they are: in the group's state, which only members have.
    let context = facts(&world, &a, id);
    let state = [context.mutable.encode(), context.membership.encode()].concat();
    assert!(contains(&state, &needles[0]) && contains(&state, &needles[2]));
    let mut messages = 0;
    for envelope in world.node.group_log(id.as_bytes()) {
        messages += 1;
        for needle in needles.iter().chain(&installations) {
            assert!(!contains(&envelope.data, needle));
        }
        // A message or a commit, and not what is in it.
        let frame = header(&envelope.data).unwrap();
        assert_eq!(
            frame.kind == sotto::mls::ContentKind::Commit,
            envelope.is_commit
        );
    }
    assert!(messages > 6);
    // Welcomes name the installation that they are for, and nothing else.
    for tab in [&b, &c] {
        for message in world.node.welcomes(tab.me.installation.as_bytes()) {
            let bytes = message.encode_to_vec();
            for needle in &needles {
                assert!(!contains(&bytes, needle));
            }
            assert!(!contains(&bytes, id.as_bytes()));
        }
    }
    // What is sent to and fetched from groups and topics of Welcomes.
    let about_identity = [
        paths::GET_IDENTITY_UPDATES,
        paths::GET_INBOX_IDS,
        paths::PUBLISH_IDENTITY_UPDATE,
        paths::FETCH_KEY_PACKAGES,
        paths::UPLOAD_KEY_PACKAGE,
    ];
    let (public, private): (Vec<Heard>, Vec<Heard>) =
        (world.node.heard().into_iter()).partition(|heard| about_identity.contains(&heard.path));
    for heard in &private {
        let both = [heard.request.as_slice(), &heard.answer].concat();
        for needle in &needles {
            assert!(!contains(&both, needle), "{}", heard.path);
        }
    }
    // Who asks for whose identity is seen by the node; docs/security.md says so.
    let named = |heard: &Heard| contains(&heard.request, c.inbox_id().as_bytes());
    assert!(public.iter().any(named));
}

#[test]
fn anonymity_a_request_about_a_group_does_not_say_who_makes_it() {
    let world = World::new(711);
    world.node.record();
    let [a, b] = people(&world);
    let id = group_with(&world, &a, &[&b], named("a group"));
    say(&world, &b, id, "who said that?");
    sync(&world, &a);
    let group_paths = [
        paths::SEND_GROUP_MESSAGES,
        paths::QUERY_GROUP_MESSAGES,
        paths::GET_NEWEST_GROUP_MESSAGE,
    ];
    let mut requests = 0;
    for heard in world.node.heard() {
        if !group_paths.contains(&heard.path) {
            continue;
        }
        requests += 1;
        assert!(
            contains(&heard.request, id.as_bytes()) || heard.path == paths::SEND_GROUP_MESSAGES
        );
        for tab in [&a, &b] {
            let wallet = tab.me.identifier.text().into_owned();
            assert!(!contains(&heard.request, tab.inbox_id().as_bytes()));
            assert!(!contains(&heard.request, tab.me.installation.as_bytes()));
            assert!(!contains(&heard.request, wallet.as_bytes()));
        }
    }
    assert!(requests > 4);
}

/// The bytes of a Welcome that depend on whom and what it is for.
fn parts(message: &sotto_proto::mls_api::WelcomeMessage) -> Vec<u8> {
    match &message.version {
        Some(WelcomeVersion::V1(v1)) => [
            v1.hpke_public_key.as_slice(),
            &v1.data,
            &v1.welcome_metadata,
        ]
        .concat(),
        Some(WelcomeVersion::WelcomePointer(pointer)) => {
            [pointer.hpke_public_key.as_slice(), &pointer.welcome_pointer].concat()
        }
        None => Vec::new(),
    }
}

#[test]
fn anonymity_welcomes_of_one_invitation_share_no_bytes_that_a_node_could_link() {
    const WINDOW: usize = 8;
    for invited in [2, 5] {
        let world = World::new(712);
        world.node.record();
        let [a, b, c, d, e, f] = people(&world);
        let everybody = [&b, &c, &d, &e, &f];
        let id = group(&world, &a, &everybody[..invited]);
        let mut seen: BTreeSet<Vec<u8>> = BTreeSet::new();
        for tab in &everybody[..invited] {
            let stored = world.node.welcomes(tab.me.installation.as_bytes());
            assert_eq!(stored.len(), 1);
            let bytes = parts(&stored[0]);
            assert!(bytes.len() > 100);
            let windows: BTreeSet<Vec<u8>> = bytes.windows(WINDOW).map(<[u8]>::to_vec).collect();
            assert!(seen.is_disjoint(&windows), "{invited} invited");
            // The control: the same Welcome again would be found out.
            seen.extend(windows.clone());
            assert!(!seen.is_disjoint(&windows));
            assert!(!contains(&stored[0].encode_to_vec(), id.as_bytes()));
        }
        // What stays: they come at once, and where a shared copy is used, whoever follows the
        // pointer asks for it by its address, which is random and used for this invitation only.
        // docs/security.md says so.
        let before = world.node.heard().len();
        for tab in &everybody[..invited] {
            sync(&world, tab);
        }
        let mut followers = BTreeSet::new();
        let known: Vec<&[u8]> = (everybody.iter().chain([&&a]))
            .map(|tab| tab.me.installation.as_bytes().as_slice())
            .collect();
        for heard in world.node.heard().into_iter().skip(before) {
            if heard.path == paths::QUERY_WELCOME_MESSAGES
                && !known.iter().any(|id| contains(&heard.request, id))
            {
                followers.insert(heard.request);
            }
        }
        assert_eq!(followers.len(), usize::from(invited > 2));
    }
}
