//! Archives made by hand: shapes that no client writes, each with what the importer must give.

use super::*;

/// Imports one file and compares it with its entry in `made.json`.
fn check(name: &str, file: &[u8]) {
    let made: Value =
        serde_json::from_str(include_str!("../../../tests/vectors/archive/made.json")).unwrap();
    let entry = made["archives"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["file"] == name)
        .unwrap();
    let expected = &entry["sotto"];
    let own_inbox = match entry.get("owner") {
        Some(_) => named_inbox(&archives(), "alice"),
        None => inbox("e"),
    };
    for chunk in [1, 13, 1 << 20] {
        let result = import(file, &context(&own_inbox), chunk);
        let imported = match (result, text(&expected["result"])) {
            (Ok(imported), "ok") => imported,
            (Err(error), name) => {
                let got = match error {
                    ArchiveError::UnsupportedVersion(_) => "UnsupportedVersion",
                    ArchiveError::Truncated => "Truncated",
                    ArchiveError::Corrupt(_) => "Corrupt",
                    ArchiveError::WrongKey => "WrongKey",
                    ArchiveError::ForeignArchive => "ForeignArchive",
                    other => panic!("{other}"),
                };
                assert_eq!(got, name);
                // Nothing to write: counted from the empty store.
                Imported::default()
            }
            (Ok(_), name) => panic!("imported, expected {name}"),
        };
        let count = |name: &str| expected[name].as_u64().unwrap();
        assert_eq!(imported.conversations.len() as u64, count("conversations"));
        assert_eq!(imported.messages.len() as u64, count("messages"));
        assert_eq!(
            imported.skipped_in_all(),
            count("skipped"),
            "{:?}",
            imported.skipped
        );
        if name == "made-denied-dm.bin" {
            let denied = hex::decode(text(&archives()["conversations"]["dm_denied"])).unwrap();
            let entity = ConsentEntity::Conversation(denied.try_into().unwrap());
            assert_eq!(imported.consent[&entity].state, ConsentState::Denied);
        }
    }
}

/// One test a file, named after it.
macro_rules! made {
    ($($test:ident $file:literal;)*) => {
        $(#[test] fn $test() {
            check($file, include_bytes!(concat!("../../../tests/vectors/archive/", $file)));
        })*

        /// All files, for tests that damage them.
        pub(super) const FILES: &[(&str, &[u8])] = &[
            $(($file, include_bytes!(concat!("../../../tests/vectors/archive/", $file)))),*
        ];

        #[test]
        fn every_file_made_by_hand_has_a_test() {
            let made: Value = serde_json::from_str(
                include_str!("../../../tests/vectors/archive/made.json"),
            ).unwrap();
            let files: Vec<&str> = made["archives"].as_array().unwrap().iter()
                .map(|entry| text(&entry["file"]))
                .collect();
            for file in &files {
                assert!(FILES.iter().any(|(name, _)| name == file), "{file}");
            }
            assert_eq!(files.len(), FILES.len());
        }
    };
}

made! {
    raw_blocks "made-raw-blocks.bin";
    checksum "made-checksum.bin";
    literal_blocks "made-literal-blocks.bin";
    same_nonce "made-same-nonce.bin";
    version_7 "made-version-7.bin";
    trailing_bytes "made-trailing-bytes.bin";
    two_frames "made-two-frames.bin";
    frame_unfinished "made-frame-unfinished.bin";
    cut_in_element "made-cut-in-element.bin";
    cut_between_elements "made-cut-between-elements.bin";
    zero_length "made-zero-length.bin";
    bad_tag "made-bad-tag.bin";
    swapped "made-swapped.bin";
    no_metadata "made-no-metadata.bin";
    metadata_twice "made-metadata-twice.bin";
    not_protobuf "made-not-protobuf.bin";
    unknown_elements "made-unknown-elements.bin";
    messages_before_group "made-messages-before-group.bin";
    message_without_group "made-message-without-group.bin";
    group_minimal "made-group-minimal.bin";
    group_type_0 "made-group-type-0.bin";
    group_type_sync "made-group-type-sync.bin";
    group_id_short "made-group-id-short.bin";
    dm_without_id "made-dm-without-id.bin";
    dm_bad_id "made-dm-bad-id.bin";
    dm_of_others "made-dm-of-others.bin";
    message_kind_0 "made-message-kind-0.bin";
    message_kind_2 "made-message-kind-2.bin";
    message_status_0 "made-message-status-0.bin";
    message_status_unpublished "made-message-status-unpublished.bin";
    message_id_short "made-message-id-short.bin";
    message_old_type "made-message-old-type.bin";
    message_bad_content "made-message-bad-content.bin";
    message_twice "made-message-twice.bin";
    consent_address "made-consent-address.bin";
    consent_type_0 "made-consent-type-0.bin";
    consent_odd_entity "made-consent-odd-entity.bin";
    denied_dm "made-denied-dm.bin";
}

#[test]
fn a_foreign_archive_is_imported_without_its_dms_if_that_is_asked_for() {
    let (_, file) = FILES
        .iter()
        .find(|(name, _)| *name == "made-dm-of-others.bin")
        .unwrap();
    let context = ImportContext {
        allow_foreign: true,
        ..context(&inbox("e"))
    };
    let imported = import(file, &context, 100).unwrap();
    assert!(imported.conversations.is_empty() && imported.messages.is_empty());
    assert_eq!(imported.skipped[&Unusable::ForeignDm], 1);
    assert_eq!(imported.skipped[&Unusable::MessageWithoutConversation], 1);
}

#[test]
fn messages_of_a_conversation_in_the_store_need_no_conversation_in_the_archive() {
    let (_, file) = FILES
        .iter()
        .find(|(name, _)| *name == "made-message-without-group.bin")
        .unwrap();
    let id: ConversationId = std::array::from_fn(|index| u8::try_from(index).unwrap());
    let mut context = context(&inbox("e"));
    context.known_conversations.insert(id, None);
    let imported = import(file, &context, 100).unwrap();
    assert_eq!(imported.messages.len(), 1);
    assert_eq!(imported.skipped_in_all(), 0);

    // It disappears as the store's setting says.
    let setting = Disappearing::new(1, 1).unwrap();
    context.known_conversations.insert(id, Some(setting));
    context.now_ns = i64::MAX;
    let imported = import(file, &context, 100).unwrap();
    assert_eq!(imported.messages.len(), 0);
    assert_eq!(imported.skipped[&Unusable::Expired], 1);
}
