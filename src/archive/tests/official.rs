//! Archives that official clients made, against what they themselves listed.

use super::*;
use crate::content::{Content, ContentKind, EncodedContent};

/// One test a file, named after it.
macro_rules! official {
    ($($test:ident $file:literal;)*) => {
        $(#[test] fn $test() {
            check($file, include_bytes!(concat!("../../../tests/vectors/archive/", $file)));
        })*

        /// All files, for tests that damage them.
        pub(super) const FILES: &[(&str, &[u8])] = &[
            $(($file, include_bytes!(concat!("../../../tests/vectors/archive/", $file)))),*
        ];

        #[test]
        fn every_official_archive_has_a_test() {
            let archives = archives();
            let archives = archives["archives"].as_array().unwrap();
            for archive in archives {
                assert!(FILES.iter().any(|(name, _)| archive["file"] == *name));
            }
            assert_eq!(archives.len(), FILES.len());
        }
    };
}

official! {
    node_default "node-default.bin";
    node_messages_first_no_disappearing "node-messages-first-no-disappearing.bin";
    node_consent "node-consent.bin";
    node_window "node-window.bin";
    node_empty "node-empty.bin";
    node_large "node-large.bin";
    browser_default "browser-default.bin";
}

fn check(name: &str, file: &[u8]) {
    let archives = archives();
    let archive = archives["archives"]
        .as_array()
        .unwrap()
        .iter()
        .find(|archive| archive["file"] == name)
        .unwrap();
    check_elements(file, &archives, archive);
    check_import(file, &archives, archive);
}

/// Every element is there, in order, with what the archive's description says (AR-01).
fn check_elements(file: &[u8], archives: &Value, archive: &Value) {
    let elements = elements(file, key()).unwrap();
    assert_eq!(
        elements.len() as u64,
        archive["element_count"].as_u64().unwrap()
    );

    let mut order: Vec<&str> = elements
        .iter()
        .map(|element| match element {
            Element::Metadata(_) => "metadata",
            Element::Conversation(_) => "group",
            // The only unusable element that official clients wrote: one unpublished message.
            Element::Message(_) | Element::Unusable(Unusable::MessageStatus) => "group_message",
            Element::Consent(_) => "consent",
            other => panic!("{other:?}"),
        })
        .collect();
    order.dedup();
    assert_eq!(
        serde_json::to_value(order).unwrap(),
        archive["element_order"]
    );

    let optional = |value: &Value| value.as_str().map(|text| text.parse::<i64>().unwrap());
    let expected = &archive["metadata"];
    let expected = ArchiveMetadata {
        backup_version: 0,
        elements: expected["elements"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| match text(name) {
                "consent" => ArchiveElements::Consent,
                _ => ArchiveElements::Messages,
            })
            .collect(),
        exported_at_ns: int(&expected["exported_at_ns"]),
        start_ns: optional(&expected["start_ns"]),
        end_ns: optional(&expected["end_ns"]),
    };
    assert_eq!(elements[0], Element::Metadata(expected));

    let conversations: Vec<_> = elements
        .iter()
        .filter_map(|element| match element {
            Element::Conversation(conversation) => Some(conversation.as_ref()),
            _ => None,
        })
        .collect();
    let expected = archive["conversations"].as_array().unwrap();
    assert_eq!(conversations.len(), expected.len());
    for (conversation, expected) in conversations.iter().zip(expected) {
        check_conversation(conversation, archives, expected);
    }

    let consent: Vec<_> = elements
        .iter()
        .filter_map(|element| match element {
            Element::Consent(record) => Some(record.to_wire()),
            _ => None,
        })
        .collect();
    let expected = archive["consent"].as_array().unwrap();
    assert_eq!(consent.len(), expected.len());
    for (consent, expected) in consent.iter().zip(expected) {
        assert_eq!(consent.entity, text(&expected["entity"]));
        assert_eq!(consent.consented_at_ns, int(&expected["consented_at_ns"]));
        let (entity_type, state) = match (text(&expected["type"]), text(&expected["state"])) {
            ("conversation", "allowed") => (1, 2),
            ("conversation", "denied") => (1, 3),
            ("inbox", "allowed") => (2, 2),
            ("inbox", "denied") => (2, 3),
            other => panic!("{other:?}"),
        };
        assert_eq!((consent.entity_type, consent.state), (entity_type, state));
    }

    let messages: Vec<_> = elements
        .iter()
        .filter_map(|element| match element {
            Element::Message(message) => Some(message),
            _ => None,
        })
        .collect();
    if let Some(expected) = archive["messages"].as_array() {
        let expected: Vec<_> = expected
            .iter()
            .filter(|message| message["status"] == "published")
            .collect();
        assert_eq!(messages.len(), expected.len());
        for (message, expected) in messages.iter().zip(expected) {
            check_message(message, archives, expected);
        }
    } else {
        let ids = archive["message_ids"].as_array().unwrap();
        let unpublished = elements
            .iter()
            .filter(|element| matches!(element, Element::Unusable(_)));
        assert_eq!(messages.len() + unpublished.count(), ids.len());
        for message in messages {
            assert!(ids.contains(&Value::String(message.id.to_string())));
        }
    }
}

fn check_conversation(conversation: &ArchivedConversation, archives: &Value, expected: &Value) {
    let named = |value: &Value| named_inbox(archives, text(value));
    let all_named =
        |value: &Value| -> Vec<InboxId> { value.as_array().unwrap().iter().map(named).collect() };
    assert_eq!(hex::encode(conversation.id), text(&expected["id"]));
    assert_eq!(
        conversation.kind == ConversationKind::Group,
        expected["type"] == "group"
    );
    assert_eq!(
        conversation.kind.dm_id().as_deref(),
        expected["dm_id"].as_str()
    );
    assert_eq!(conversation.created_at_ns, int(&expected["created_at_ns"]));
    assert_eq!(conversation.creator, Some(named(&expected["creator"])));
    assert_eq!(conversation.added_by, Some(named(&expected["added_by"])));
    assert_eq!(conversation.admins, all_named(&expected["admins"]));
    assert_eq!(
        conversation.super_admins,
        all_named(&expected["super_admins"])
    );
    assert_eq!(
        conversation.last_message_ns,
        expected["last_message_ns"]
            .as_str()
            .map(|text| text.parse().unwrap())
    );
    assert_eq!(
        conversation.disappearing.map(|setting| setting.in_ns),
        expected["message_disappear_in_ns"]
            .as_str()
            .map(|text| text.parse().unwrap())
    );
    let attributes = expected["attributes"].as_object().unwrap();
    for (name, value) in attributes {
        let read = conversation.attributes.get(name).map(String::as_str);
        let expected = (!name.starts_with('_')).then(|| text(value));
        assert_eq!(read, expected, "{name}");
    }
}

fn check_message(message: &ArchivedMessage, archives: &Value, expected: &Value) {
    assert_eq!(message.id.to_string(), text(&expected["id"]));
    assert_eq!(
        hex::encode(message.conversation_id),
        text(&archives["conversations"][text(&expected["conversation"])])
    );
    let sender = text(&expected["sender"]);
    assert_eq!(message.sender, Some(named_inbox(archives, sender)));
    assert_eq!(
        hex::encode(&message.sender_installation),
        text(&archives["installations"][text(&expected["sender_installation"])])
    );
    assert_eq!(message.sent_at_ns, int(&expected["sent_at_ns"]));
    assert_eq!(message.sequence_id, Some(int(&expected["sequence_id"])));

    let encoded = EncodedContent::from_bytes(&message.content).unwrap();
    let content_type = encoded.content_type.clone().unwrap();
    assert_eq!(content_type.to_string(), text(&expected["type"]));
    let content = match &expected["text"] {
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Object(long) => {
            let times = usize::try_from(long["times"].as_u64().unwrap()).unwrap();
            text(&long["repeat"]).repeat(times).into_bytes()
        }
        _ => hex::decode(text(&expected["content_hex"])).unwrap(),
    };
    assert_eq!(encoded.content, content);

    // What official clients write is what we write.
    let wire = message.to_wire();
    assert_eq!(wire.content_type, text(&expected["content_type_field"]));
    assert_eq!(
        wire.reference_id.map(hex::encode).as_deref(),
        expected["reference_id"].as_str()
    );
    let decoded = Content::decode(&encoded).unwrap();
    assert_eq!(
        matches!(decoded, Content::Unknown(_)),
        encoded.kind().is_none()
    );
}

/// The importer restores what the exporter listed, except what it must not.
fn check_import(file: &[u8], archives: &Value, archive: &Value) {
    let owner = named_inbox(archives, text(&archive["owner"]));
    let imported = import(file, &context(&owner), 4096).unwrap();
    assert_eq!(
        imported.conversations.len(),
        archive["conversations"].as_array().unwrap().len()
    );
    assert_eq!(
        imported.consent.len(),
        archive["consent"].as_array().unwrap().len()
    );
    let listed = usize::try_from(archive["message_count"].as_u64().unwrap()).unwrap();
    let skipped = usize::try_from(imported.skipped_in_all()).unwrap();
    assert_eq!(imported.messages.len() + skipped, listed);
    let all_skipped_for = |reason| imported.skipped.keys().all(|skipped| *skipped == reason);
    if text(&archive["file"]) == "node-window.bin" {
        assert!(imported.messages.is_empty());
        assert!(all_skipped_for(Unusable::MessageWithoutConversation));
    } else {
        assert!(skipped <= 1 && all_skipped_for(Unusable::MessageStatus));
    }
}

fn default_archive() -> (Value, &'static [u8]) {
    (archives(), FILES[0].1)
}

#[test]
fn the_wrong_key_is_told_from_a_damaged_file() {
    let other = ArchiveKey::new(&[9; 32]).unwrap();
    let (_, file) = default_archive();
    assert_eq!(elements(file, other), Err(ArchiveError::WrongKey));
}

#[test]
fn a_denied_dm_stays_denied() {
    let (archives, file) = default_archive();
    let imported = import(file, &context(&named_inbox(&archives, "alice")), 999).unwrap();
    let id = hex::decode(text(&archives["conversations"]["dm_denied"])).unwrap();
    let entity = ConsentEntity::Conversation(id.try_into().unwrap());
    assert_eq!(imported.consent[&entity].state, ConsentState::Denied);
}

#[test]
fn a_deleted_message_stays_deleted() {
    let (archives, file) = default_archive();
    let imported = import(file, &context(&named_inbox(&archives, "alice")), 999).unwrap();
    let deleted: Vec<_> = imported
        .messages
        .values()
        .filter(|message| message.deleted_by.is_some())
        .collect();
    assert_eq!(deleted.len(), 1);
    assert_eq!(
        deleted[0].message.id.to_string(),
        "8474254722e800d1ae7d0a762e352d570b332c2bd861f8e5e636408a39a8a68e"
    );
    assert_eq!(deleted[0].deleted_by, Some(DeletedBy::Sender));
    assert!(deleted[0].message.content.is_empty());
}

#[test]
fn a_disappearing_message_disappears_on_time_or_has_already() {
    let (archives, file) = default_archive();
    let mut context = context(&named_inbox(&archives, "alice"));
    let imported = import(file, &context, 999).unwrap();
    let (id, message) = imported
        .messages
        .iter()
        .find(|(_, message)| message.expires_at_ns.is_some())
        .unwrap();
    let expires = message.expires_at_ns.unwrap();
    assert_eq!(expires, message.message.sent_at_ns + 3_600_000_000_000);
    context.now_ns = expires - 1;
    assert!(
        import(file, &context, 999)
            .unwrap()
            .messages
            .contains_key(id)
    );
    context.now_ns = expires;
    let later = import(file, &context, 999).unwrap();
    assert!(!later.messages.contains_key(id));
    assert_eq!(later.skipped[&Unusable::Expired], 1);
}

#[test]
fn another_inbox_cannot_import_it_by_accident() {
    let (archives, file) = default_archive();
    assert_eq!(
        import(file, &context(&named_inbox(&archives, "zoe")), 999),
        Err(ArchiveError::ForeignArchive)
    );
    let asked_for = ImportContext {
        allow_foreign: true,
        ..context(&named_inbox(&archives, "zoe"))
    };
    let imported = import(file, &asked_for, 999).unwrap();
    assert_eq!(imported.skipped[&Unusable::ForeignDm], 4);
    assert!(
        imported
            .conversations
            .values()
            .all(|conversation| conversation.kind == ConversationKind::Group)
    );
}

#[test]
fn only_the_beginning_is_read_for_the_metadata() {
    let (_, file) = default_archive();
    let mut reader = ArchiveReader::new(key());
    for chunk in file.chunks(100) {
        reader.push(chunk).unwrap();
        if let Some(element) = reader.next_element().unwrap() {
            assert!(matches!(element, Element::Metadata(_)));
            assert!(reader.bytes_read() <= file.len() as u64);
            return;
        }
    }
    panic!("no element");
}

/// What official clients put into messages is what we would have put there: type, parameters,
/// fallback and bytes. Only the order of the parameters is theirs.
#[test]
fn content_of_official_clients_is_what_we_would_have_sent() {
    let mut kinds = std::collections::BTreeSet::new();
    for (_, file) in FILES {
        for element in elements(file, key()).unwrap() {
            let Element::Message(message) = element else {
                continue;
            };
            let encoded = EncodedContent::from_bytes(&message.content).unwrap();
            let Some(kind) = encoded.kind() else { continue };
            let again = Content::decode(&encoded).unwrap().encode().unwrap();
            assert_eq!(again, encoded);
            kinds.insert(kind);
        }
    }
    assert!(
        kinds.len() >= 9 && kinds.contains(&ContentKind::Text),
        "{kinds:?}"
    );
}
