//! What official installations said to each other, and the archives that they sent.

use prost::Message;

use super::*;
use crate::archive::device_sync::pin_of;
use crate::content::{ContentError, ContentKind, EncodedContent};

fn messages() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!(
        "../../../tests/vectors/archive/device-sync.json"
    ))
    .unwrap();
    file["messages"].as_array().unwrap().clone()
}

fn encoded(message: &Value) -> EncodedContent {
    let bytes = hex::decode(text(&message["encoded_content_hex"])).unwrap();
    EncodedContent::from_bytes(&bytes).unwrap()
}

fn of_kind(kind: &str) -> Vec<Value> {
    messages()
        .into_iter()
        .filter(|message| text(&message["name"]).starts_with(kind))
        .collect()
}

#[test]
fn every_recorded_message_is_read_and_written_byte_for_byte() {
    assert!(messages().len() >= 8);
    for message in messages() {
        let encoded = encoded(&message);
        let decoded = DeviceSyncMessage::decode(&encoded).unwrap();
        assert_ne!(decoded, DeviceSyncMessage::Ignored);
        let again = decoded.encode().unwrap();
        assert_eq!(
            hex::encode(again.to_bytes()),
            text(&message["encoded_content_hex"]),
            "{}",
            message["name"]
        );
    }
}

#[test]
fn requests_say_what_they_were_recorded_to_say() {
    let requests = of_kind("request");
    assert_eq!(requests.len(), 2);
    for message in requests {
        let DeviceSyncMessage::Request(request) =
            DeviceSyncMessage::decode(&encoded(&message)).unwrap()
        else {
            panic!("not a request");
        };
        let expected = &message["decoded"]["request"];
        assert_eq!(request.pin, text(&expected["pin"]));
        assert_eq!(request.server_url, text(&expected["server_url"]));
        let options = &expected["options"];
        assert_eq!(request.options.start_ns, options["start_ns"].as_i64());
        assert_eq!(
            request.options.exclude_disappearing_messages,
            options.get("exclude_disappearing").is_some()
        );
        let wants_consent = options["elements"].as_array().unwrap().contains(&2.into());
        assert_eq!(
            request.options.includes(ArchiveElements::Consent),
            wants_consent
        );
        let server = HistoryServer::new("http://127.0.0.1:33999").unwrap();
        assert!(server.is(&request.server_url));
    }
}

fn check_upload(number: usize, file: &[u8]) {
    let message = &of_kind("reply")[number];
    let DeviceSyncMessage::Reply(reply) = DeviceSyncMessage::decode(&encoded(message)).unwrap()
    else {
        panic!("not a reply");
    };
    let expected = &message["decoded"]["reply"];
    assert_eq!(reply.pin, text(&expected["request_id"]));
    assert_eq!(reply.url, text(&expected["url"]));
    let server = HistoryServer::new("http://127.0.0.1:33999").unwrap();
    assert!(server.has_file(&reply.url));

    let elements = elements(file, reply.key).unwrap();
    let names: Vec<_> = elements
        .iter()
        .map(|element| match element {
            Element::Metadata(_) => "metadata",
            Element::Conversation(_) => "group",
            Element::Message(_) => "group_message",
            Element::Consent(_) => "consent",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        serde_json::to_value(names).unwrap(),
        message["archive_elements"]
    );
    let Element::Metadata(in_archive) = &elements[0] else {
        panic!("no metadata");
    };
    assert_eq!(reply.metadata.as_ref(), Some(in_archive));
}

#[test]
fn sync_upload_1() {
    check_upload(
        0,
        include_bytes!("../../../tests/vectors/archive/sync-upload-1.bin"),
    );
}

#[test]
fn sync_upload_2() {
    check_upload(
        1,
        include_bytes!("../../../tests/vectors/archive/sync-upload-2.bin"),
    );
}

#[test]
fn preference_updates_say_what_they_were_recorded_to_say() {
    let (mut consents, mut keys) = (0, 0);
    for message in of_kind("preference update") {
        let DeviceSyncMessage::Preferences { updates, unusable } =
            DeviceSyncMessage::decode(&encoded(&message)).unwrap()
        else {
            panic!("not preferences");
        };
        assert_eq!(unusable, 0);
        let expected = message["decoded"]["preference_updates"]["updates"]
            .as_array()
            .unwrap();
        assert_eq!(updates.len(), expected.len());
        for (update, expected) in updates.iter().zip(expected) {
            match update {
                PreferenceUpdate::Consent(record) => {
                    let (save, expected) = (record.to_wire(), &expected["consent"]);
                    assert_eq!(save.entity, text(&expected["entity"]));
                    assert_eq!(i64::from(save.state), expected["state"].as_i64().unwrap());
                    assert_eq!(save.consented_at_ns, int(&expected["consented_at_ns"]));
                    consents += 1;
                }
                PreferenceUpdate::Hmac(update) => {
                    let expected = &expected["hmac"];
                    assert_eq!(hex::encode(update.key.as_slice()), text(&expected["key"]));
                    assert_eq!(update.cycled_at_ns, int(&expected["cycled_at_ns"]));
                    assert!(!format!("{update:?}").contains("20, 79"));
                    keys += 1;
                }
            }
        }
    }
    assert!(consents >= 3 && keys >= 1, "{consents} {keys}");
}

fn content(content: sotto_proto::device_sync::device_sync_content::Content) -> EncodedContent {
    let content = sotto_proto::device_sync::DeviceSyncContent {
        content: Some(content),
    };
    EncodedContent::new(ContentKind::DeviceSync, content.encode_to_vec())
}

#[test]
fn old_new_and_empty_messages_are_ignored() {
    use sotto_proto::device_sync::device_sync_content::Content;
    use sotto_proto::device_sync::{
        DeviceSyncAcknowledge, DeviceSyncKey, DeviceSyncReply, DeviceSyncRequest, device_sync_key,
    };
    let key = |bytes: usize| DeviceSyncKey {
        key: Some(device_sync_key::Key::Aes256Gcm(vec![1; bytes])),
    };
    for ignored in [
        content(Content::Acknowledge(DeviceSyncAcknowledge::default())),
        content(Content::Request(DeviceSyncRequest::default())),
        content(Content::Reply(DeviceSyncReply::default())),
        content(Content::Reply(DeviceSyncReply {
            kind: 1,
            encryption_key: Some(key(32)),
            ..DeviceSyncReply::default()
        })),
        content(Content::Reply(DeviceSyncReply {
            encryption_key: Some(key(31)),
            ..DeviceSyncReply::default()
        })),
        EncodedContent::new(ContentKind::DeviceSync, []),
        EncodedContent::new(ContentKind::DeviceSync, b"\x4a\x01x".as_slice()),
    ] {
        let read = DeviceSyncMessage::decode(&ignored).unwrap();
        assert_eq!(read, DeviceSyncMessage::Ignored);
        assert_eq!(read.encode(), None);
    }
    let broken = EncodedContent::new(ContentKind::DeviceSync, b"\xff".as_slice());
    assert!(DeviceSyncMessage::decode(&broken).is_err());
    let text = EncodedContent::new(ContentKind::Text, []);
    assert_eq!(
        DeviceSyncMessage::decode(&text),
        Err(ContentError::WrongType {
            expected: ContentKind::DeviceSync
        })
    );
}

#[test]
fn one_bad_update_spoils_none_of_the_others() {
    use sotto_proto::device_sync as proto;
    use sotto_proto::device_sync::preference_update::Update;
    let hmac = |length: usize| proto::PreferenceUpdate {
        update: Some(Update::Hmac(proto::HmacKeyUpdate {
            key: vec![1; length],
            cycled_at_ns: 5,
        })),
    };
    let updates = proto::PreferenceUpdates {
        updates: vec![
            hmac(41),
            proto::PreferenceUpdate { update: None },
            proto::PreferenceUpdate {
                update: Some(Update::Consent(proto::ConsentSave::default())),
            },
            hmac(42),
            hmac(43),
        ],
    };
    let encoded = content(proto::device_sync_content::Content::PreferenceUpdates(
        updates,
    ));
    let DeviceSyncMessage::Preferences { updates, unusable } =
        DeviceSyncMessage::decode(&encoded).unwrap()
    else {
        panic!("not preferences");
    };
    assert_eq!((updates.len(), unusable), (1, 4));
}

#[test]
fn a_time_far_ahead_is_that_of_receipt() {
    const HOUR: i64 = 3_600_000_000_000;
    let at = |consented_at_ns| {
        PreferenceUpdate::Consent(ConsentRecord {
            entity: ConsentEntity::Conversation([1; 16]),
            state: ConsentState::Allowed,
            consented_at_ns,
        })
    };
    let now = 1_000 * HOUR;
    assert_eq!(at(now + 24 * HOUR).received_at(now), at(now + 24 * HOUR));
    assert_eq!(at(now + 24 * HOUR + 1).received_at(now), at(now));
    assert_eq!(at(1).received_at(now), at(1));
}

#[test]
fn pins_are_five_letters_and_digits() {
    assert_eq!(pin_of([0, 25, 26, 61, 62]), "AZa9A");
}
