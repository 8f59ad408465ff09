//! What official clients made: joining their groups, reading their messages, merging their
//! commits.

use base64ct::Encoding as _;
use openmls::prelude::KeyPackageIn;
use openmls::prelude::tls_codec::Deserialize as _;
use prost::Message as _;
use serde_json::Value;
use sotto_proto::message_contents as contents;
use sotto_proto::mls_api::welcome_message;

use super::super::view::{decode_value, encode_value};
use super::super::welcome::{open, open_pointee, open_pointer};
use super::*;

fn vectors(name: &str) -> Value {
    let path = format!("{}/tests/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

/// Numbers of 64 bits are decimal text.
fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| text(value).parse().unwrap())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The joiner of a fixture, with its key package as a row of ours.
struct Joiner {
    key: InstallationKey,
    inbox: String,
    key_package: OwnKeyPackage,
}

impl Joiner {
    fn new(joiner: &Value) -> Self {
        let public = bytes(&joiner["key_package"]);
        let unverified = KeyPackageIn::tls_deserialize_exact(&public).unwrap();
        // The stored form of a bundle is its parts, one after the other.
        let bundle = [
            &*encode_value(&unverified).unwrap(),
            &*encode_value(&bytes(&joiner["init_private_key"])).unwrap(),
            &*encode_value(&bytes(&joiner["leaf_private_key"])).unwrap(),
        ]
        .concat();
        let seed = joiner.get("xwing_seed").map(array::<32>);
        let key_package =
            OwnKeyPackage::from_stored_bundle(&decode_value(&bundle).unwrap(), seed).unwrap();
        assert_eq!(key_package.public(), public);
        Self {
            key: InstallationKey::from_seed(&array(&joiner["signature_seed"])),
            inbox: text(&joiner["inbox_id"]).to_owned(),
            key_package,
        }
    }

    fn joining(&self, inner: &[u8]) -> Joining {
        Joining::new(inner, std::slice::from_ref(&self.key_package), &self.key).unwrap()
    }
}

fn extension_types(group: &Group) -> Vec<String> {
    let list = group.mls.extensions();
    list.iter()
        .map(|extension| format!("{:04x}", u16::from(extension.extension_type())))
        .collect()
}

#[test]
fn an_official_group_is_joined_read_and_followed() {
    let fixture = vectors("mls-group.json");
    let joiner = Joiner::new(&fixture["joiner"]);
    let creator = &fixture["creator"];
    let mut logs = Logs::default();
    let installation = |value: &Value| InstallationId::from_bytes(array(&value["installation_id"]));
    for party in [creator, &fixture["joiner"]] {
        let sequence = number(&party["sequence"]);
        logs.set_at(text(&party["inbox_id"]), sequence, &[installation(party)]);
    }

    // MLS-21: the outer seal, the inner Welcome, the checks.
    let welcome = &fixture["welcome"];
    let opened = open(
        &welcome_message::V1 {
            data: bytes(&welcome["data"]),
            hpke_public_key: bytes(&welcome["hpke_public_key"]),
            wrapper_algorithm: 1,
            welcome_metadata: bytes(&welcome["welcome_metadata"]),
            ..welcome_message::V1::default()
        },
        &joiner.key_package,
    )
    .unwrap();
    assert_eq!(opened.message_cursor, welcome["message_cursor"].as_u64());
    let joining = joiner.joining(&opened.inner);
    assert_eq!(joining.facts().group_id, array(&fixture["group_id"]));
    assert_eq!(joining.adder().leaf, 0);
    assert_eq!(joining.adder().inbox_id, text(&creator["inbox_id"]));
    assert_eq!(joining.adder().installation_id, installation(creator));
    let rules = Rules::default();
    let verdict = joining.check(&logs, &joiner.inbox, true, &rules);
    assert_eq!(verdict, welcome::JoinVerdict::Join(vec![]));
    let mut group = joining.into_group(View::empty()).unwrap();

    let assert_state = |group: &Group, expected: &Value| {
        let facts = group.facts().unwrap();
        let context = group.mls.public_group().group_context();
        assert_eq!(facts.epoch, number(&expected["epoch"]));
        assert_eq!(
            facts.epoch_authenticator,
            bytes(&expected["epoch_authenticator"])
        );
        assert_eq!(context.tree_hash(), bytes(&expected["tree_hash"]));
        let transcript = bytes(&expected["confirmed_transcript_hash"]);
        assert_eq!(context.confirmed_transcript_hash(), transcript);
        assert_eq!(
            facts.mutable.attribute(extensions::GROUP_NAME),
            text(&expected["group_name"])
        );
        let order: Vec<&str> = expected["extensions"]
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect();
        assert_eq!(extension_types(group), order);
    };
    assert_state(&group, &fixture["joined"]);
    let facts = group.facts().unwrap();
    let description = text(&fixture["joined"]["description"]);
    assert_eq!(
        facts.mutable.attribute(extensions::DESCRIPTION),
        description
    );
    assert_eq!(facts.permissions.preset(), Some(Preset::AllMembers));

    // A message.
    let message = &fixture["message"];
    let data = bytes(&message["data"]);
    let user_key = array(&message["user_key"]);
    let period = number(&message["period"]);
    let key = hmac::derive_key(&user_key, &facts.group_id, period).unwrap();
    assert_eq!(
        hmac::sender_hmac(&key, &data).unwrap(),
        array(&message["sender_hmac"])
    );
    let Incoming::Application(received) = group.process(&data, 0, &logs, &rules).unwrap() else {
        panic!("no message");
    };
    assert_eq!((received.leaf, received.epoch), (0, 1));
    assert_eq!(received.inbox_id, text(&creator["inbox_id"]));
    let envelope = contents::PlaintextEnvelope::decode(received.plaintext.as_slice()).unwrap();
    let Some(contents::plaintext_envelope::Content::V1(v1)) = envelope.content else {
        panic!("no V1");
    };
    assert_eq!(v1.idempotency_key, text(&message["idempotency_key"]));
    let content = contents::EncodedContent::decode(v1.content.as_slice()).unwrap();
    assert_eq!(content.content, text(&message["text"]).as_bytes());

    // A commit (MLS-52).
    let commit = &fixture["commit"];
    let incoming = group
        .process(&bytes(&commit["data"]), 0, &logs, &rules)
        .unwrap();
    let Incoming::Commit(report) = incoming else {
        panic!("{incoming:?}")
    };
    assert_state(&group, commit);
    let change = &report.change;
    assert_eq!(change.committer.inbox_id, text(&creator["inbox_id"]));
    let renamed = AttributeChange {
        key: extensions::GROUP_NAME.to_owned(),
        old: Some("hi".to_owned()),
        new: Some("renamed".to_owned()),
    };
    assert_eq!(change.attributes, [renamed]);
    assert_eq!(change.findings, []);
    assert!(change.added_inboxes.is_empty() && change.removed_inboxes.is_empty());
}

/// Joins by an opened Welcome of `xwing-welcomes.json` and reads the next message.
fn assert_joins(joiner: &Joiner, inner: &[u8], group: &Value, expected: &Value) {
    let joining = joiner.joining(inner);
    assert_eq!(joining.facts().group_id, array(&group["group_id"]));
    let mut joined = joining.into_group(View::empty()).unwrap();
    let facts = joined.facts().unwrap();
    assert_eq!(facts.epoch, number(&expected["epoch"]));
    assert_eq!(
        facts.epoch_authenticator,
        bytes(&expected["epoch_authenticator"])
    );
    let data = bytes(&group["next_message"]);
    let incoming = joined
        .process(&data, 0, &Logs::default(), &Rules::default())
        .unwrap();
    let Incoming::Application(message) = incoming else {
        panic!("{incoming:?}")
    };
    assert_eq!(message.plaintext, bytes(&group["next_message_plaintext"]));
}

fn message_cursor(expected: &Value) -> Option<u64> {
    let metadata = bytes(&expected["welcome_metadata"]);
    Some(
        contents::WelcomeMetadata::decode(metadata.as_slice())
            .unwrap()
            .message_cursor,
    )
}

#[test]
fn an_official_welcome_sealed_with_x_wing_opens_and_joins() {
    let file = vectors("xwing-welcomes.json");
    let direct = &file["direct"];
    let joiner = Joiner::new(&file["joiners"][number(&direct["joiner"]) as usize]);
    let message = welcome_message::V1 {
        data: bytes(&direct["data"]),
        hpke_public_key: bytes(&direct["hpke_public_key"]),
        wrapper_algorithm: 2,
        welcome_metadata: bytes(&direct["welcome_metadata"]),
        ..welcome_message::V1::default()
    };
    let opened = open(&message, &joiner.key_package).unwrap();
    let expected = &direct["opens_to"];
    assert_eq!(opened.message_cursor, message_cursor(expected));
    assert_joins(&joiner, &opened.inner, direct, expected);
}

#[test]
fn official_pointers_lead_to_the_shared_welcome_and_join() {
    let file = vectors("xwing-welcomes.json");
    let pointed = &file["pointed"];
    let shared = &pointed["pointee"];
    let pointee = welcome_message::V1 {
        installation_key: bytes(&shared["installation_key"]),
        data: bytes(&shared["data"]),
        wrapper_algorithm: 3,
        welcome_metadata: bytes(&shared["welcome_metadata"]),
        ..welcome_message::V1::default()
    };
    let pointers = pointed["pointers"].as_array().unwrap();
    assert_eq!(pointers.len(), 3);
    for sealed in pointers {
        let joiner = Joiner::new(&file["joiners"][number(&sealed["joiner"]) as usize]);
        let message = welcome_message::WelcomePointer {
            welcome_pointer: bytes(&sealed["welcome_pointer"]),
            hpke_public_key: bytes(&sealed["hpke_public_key"]),
            wrapper_algorithm: 2,
            ..welcome_message::WelcomePointer::default()
        };
        let pointer = open_pointer(&message, &joiner.key_package).unwrap();
        assert_eq!(pointer.destination.to_vec(), pointee.installation_key);
        let kept = welcome::Pointer::decode(&pointer.encode()).unwrap();
        let opened = open_pointee(&pointee, &kept).unwrap();
        let expected = &pointed["opens_to"];
        assert_eq!(opened.message_cursor, message_cursor(expected));
        assert_joins(&joiner, &opened.inner, pointed, expected);
    }
}

#[test]
fn official_key_packages_are_valid_within_their_lifetime() {
    use super::super::key_package::{KeyPackageFault, validate_upload};
    let file = vectors("wire/key-packages.json");
    let items = file["items"].as_array().unwrap();
    assert!(items.len() >= 12);
    for item in items {
        let leaf = &item["decoded"]["leaf"];
        let data = base64ct::Base64::decode_vec(text(&item["key_package_b64"])).unwrap();
        let id = InstallationId::from_bytes(array(&leaf["signature_key_hex"]));
        let inbox = text(&leaf["credential_identity_protobuf_inbox_id"]);
        let seconds = |name: &str| number(&leaf[name]);
        let lasts = (seconds("not_before"), seconds("not_after"));
        let present = now();
        // The signature checks come first, so an expired one has passed them.
        let valid = lasts.0 <= present && present < lasts.1;
        let expected = if valid {
            Ok(id)
        } else {
            Err(KeyPackageFault::Lifetime)
        };
        assert_eq!(validate_upload(&data, present), expected);
        let fetched = validate_fetched(&data, &id, inbox, present);
        assert_eq!(
            fetched.as_ref().map(VerifiedKeyPackage::installation_id),
            expected.as_ref().copied()
        );
        if let Ok(verified) = fetched {
            assert_eq!(
                verified.recipient().algorithm,
                welcome::WrapperAlgorithm::XWing
            );
            assert!(verified.recipient().takes_pointers);
        }
        let wrong_time = validate_upload(&data, lasts.1);
        assert_eq!(wrong_time, Err(KeyPackageFault::Lifetime));
    }
}

#[test]
fn headers_of_official_messages_are_read_without_keys() {
    let (mut clients, logs) = group_of(1, Preset::AllMembers);
    let file = vectors("wire/group-messages.json");
    let items = file["items"].as_array().unwrap();
    assert!(items.len() >= 40);
    for item in items {
        let data = base64ct::Base64::decode_vec(text(&item["message_b64"])).unwrap();
        let header = header(&data).unwrap();
        let decoded = &item["decoded"];
        assert_eq!(header.group_id.to_vec(), bytes(&decoded["group_id_hex"]));
        assert_eq!(header.epoch, number(&decoded["epoch"]));
        let kind = match header.kind {
            ContentKind::Application => "application",
            ContentKind::Proposal => "proposal",
            ContentKind::Commit => "commit",
        };
        assert_eq!(kind, text(&decoded["content_type"]));
        let incoming = clients[0].process(&data, &logs);
        assert!(
            matches!(incoming, Incoming::Skip(SkipReason::OtherGroup)),
            "{incoming:?}"
        );
    }
}
