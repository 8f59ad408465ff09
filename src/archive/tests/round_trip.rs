//! Archives that we write: read back by ourselves, and framed so that others can read them too.

use super::*;
use crate::content::{ContentType, DeleteMessage, Text};

const EXPORTED_AT: i64 = 1_000_000;

fn group(id: u8) -> ArchivedConversation {
    ArchivedConversation {
        id: [id; 16],
        kind: ConversationKind::Group,
        created_at_ns: 5,
        creator: Some(inbox("a")),
        added_by: Some(inbox("a")),
        attributes: [("group_name".to_owned(), "Friends".to_owned())].into(),
        admins: vec![],
        super_admins: vec![inbox("c")],
        last_message_ns: None,
        disappearing: None,
    }
}

fn dm(id: u8) -> ArchivedConversation {
    ArchivedConversation {
        kind: ConversationKind::Dm([inbox("a"), inbox("b")]),
        super_admins: vec![],
        ..group(id)
    }
}

fn consent(id: u8, state: ConsentState, consented_at_ns: i64) -> ConsentRecord {
    ConsentRecord {
        entity: ConsentEntity::Conversation([id; 16]),
        state,
        consented_at_ns,
    }
}

fn message(id: u8, group: u8, sender: &str, content: Vec<u8>) -> ArchivedMessage {
    ArchivedMessage {
        id: MessageId([id; 32]),
        conversation_id: [group; 16],
        content,
        sent_at_ns: 100 + i64::from(id),
        sender: Some(inbox(sender)),
        sender_installation: vec![1; 32],
        sequence_id: Some(i64::from(id)),
    }
}

fn text_of(length: usize) -> Vec<u8> {
    Text("x".repeat(length)).encode().unwrap().to_bytes()
}

/// An archive of inbox aa…, of these conversations with consent, and messages.
fn write(
    conversations: &[(ArchivedConversation, Option<ConsentRecord>)],
    messages: &[ArchivedMessage],
) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = ArchiveWriter::new(
        &key(),
        [0xff; 12],
        inbox("a"),
        &ArchiveOptions::default(),
        EXPORTED_AT,
        &mut out,
    )
    .unwrap();
    for (conversation, record) in conversations {
        writer
            .announce(conversation, record.as_ref(), &mut out)
            .unwrap();
    }
    for (conversation, _) in conversations {
        writer.conversation(conversation, &mut out).unwrap();
    }
    for message in messages {
        writer.message(message, &mut out).unwrap();
    }
    for record in conversations
        .iter()
        .filter_map(|(_, record)| record.as_ref())
    {
        writer.consent(record, &mut out).unwrap();
    }
    writer.finish(&mut out).unwrap();
    out
}

fn import_own(file: &[u8]) -> Imported {
    import(file, &context(&inbox("a")), 777).unwrap()
}

#[test]
fn what_we_write_is_what_we_read() {
    let messages: Vec<_> = [10, 1_000, 2_000, 9_000, 100_000, 140_000]
        .into_iter()
        .zip(1..)
        .map(|(length, id)| message(id, 1, "b", text_of(length)))
        .collect();
    let file = write(
        &[
            (group(1), Some(consent(1, ConsentState::Allowed, 7))),
            (dm(2), None),
        ],
        &messages,
    );
    let imported = import_own(&file);
    assert_eq!(imported.conversations[&[1; 16]], group(1));
    assert_eq!(imported.conversations[&[2; 16]], dm(2));
    assert_eq!(imported.skipped_in_all(), 0);
    let read: Vec<_> = imported
        .messages
        .values()
        .map(|message| message.message.clone())
        .collect();
    assert_eq!(read, messages);
}

#[test]
fn the_true_consent_of_a_dm_comes_last_and_newest() {
    use ConsentState::{Allowed, Denied, Unknown};
    for (record, expected) in [
        (Some(consent(2, Denied, 50)), consent(2, Denied, 50)),
        (Some(consent(2, Allowed, 50)), consent(2, Allowed, 50)),
        (Some(consent(2, Unknown, 50)), consent(2, Unknown, 50)),
        (None, consent(2, Unknown, 2)),
    ] {
        let file = write(&[(dm(2), record)], &[]);
        let records: Vec<_> = elements(&file, key())
            .unwrap()
            .into_iter()
            .enumerate()
            .filter_map(|(position, element)| match element {
                Element::Consent(record) => Some((position, record)),
                _ => None,
            })
            .collect();
        let early = consent(2, Allowed, expected.consented_at_ns - 1);
        // Metadata, allowed, the conversation, the truth.
        assert_eq!(records, [(1, early), (3, expected.clone())]);
        let imported = import_own(&file);
        assert_eq!(imported.consent[&expected.entity], expected);
    }
}

#[test]
fn consent_from_after_the_export_counts_as_of_the_export() {
    let file = write(
        &[(
            group(1),
            Some(consent(1, ConsentState::Denied, EXPORTED_AT + 5)),
        )],
        &[],
    );
    let imported = import_own(&file);
    let record = imported.consent.values().next().unwrap();
    assert_eq!(*record, consent(1, ConsentState::Denied, EXPORTED_AT));
}

#[test]
fn an_archive_with_its_end_cut_off_and_closed_again_is_truncated() {
    // As somebody would who has the key, or a client that crashed and closed the frame.
    let file = write(&[(group(1), None)], &[message(1, 1, "b", text_of(5))]);
    let all = elements(&file, key()).unwrap();
    let Some(Element::End { element_count, .. }) = all.last() else {
        panic!("no end");
    };
    assert_eq!(*element_count, all.len() as u64 - 1);

    let mut out = Vec::new();
    let options = ArchiveOptions::default();
    let mut writer =
        ArchiveWriter::new(&key(), [0; 12], inbox("a"), &options, 9, &mut out).unwrap();
    writer.conversation(&group(1), &mut out).unwrap();
    writer.claim_elements(5);
    writer.finish(&mut out).unwrap();
    assert_eq!(
        import(&out, &context(&inbox("a")), 100),
        Err(ArchiveError::Truncated)
    );
}

#[test]
fn another_inbox_is_refused_even_without_a_dm() {
    let file = write(&[(group(1), None)], &[]);
    assert_eq!(
        import(&file, &context(&inbox("b")), 100),
        Err(ArchiveError::ForeignArchive)
    );
    let asked_for = ImportContext {
        allow_foreign: true,
        ..context(&inbox("b"))
    };
    assert_eq!(
        import(&file, &asked_for, 100).unwrap().conversations.len(),
        1
    );
}

#[test]
fn deletions_by_sender_and_super_admin_are_applied_wherever_they_stand() {
    let delete = |target: u8| {
        DeleteMessage {
            message_id: MessageId([target; 32]),
        }
        .encode()
        .unwrap()
        .to_bytes()
    };
    let file = write(
        &[(group(1), None), (group(2), None)],
        &[
            message(10, 1, "b", delete(1)), // by its sender, before the message
            message(1, 1, "b", text_of(1)),
            message(2, 1, "b", text_of(2)),
            message(11, 1, "c", delete(2)), // by a super admin
            message(3, 1, "b", text_of(3)),
            message(12, 1, "d", delete(3)), // by neither
            message(4, 1, "b", text_of(4)),
            message(13, 2, "b", delete(4)),  // in another conversation
            message(14, 1, "b", delete(10)), // of something that cannot be deleted
        ],
    );
    let imported = import_own(&file);
    let deleted_by = |id: u8| imported.messages[&MessageId([id; 32])].deleted_by.clone();
    assert_eq!(deleted_by(1), Some(DeletedBy::Sender));
    assert_eq!(deleted_by(2), Some(DeletedBy::Admin(inbox("c"))));
    for kept in [3, 4, 10] {
        assert_eq!(deleted_by(kept), None, "{kept}");
        assert!(
            !imported.messages[&MessageId([kept; 32])]
                .message
                .content
                .is_empty()
        );
    }
    assert!(
        imported.messages[&MessageId([1; 32])]
            .message
            .content
            .is_empty()
    );
}

#[test]
fn an_interrupted_import_goes_on_where_it_was() {
    let messages: Vec<_> = (1..=40)
        .map(|id| message(id, 1, "b", text_of(300)))
        .collect();
    let file = write(&[(group(1), None)], &messages);
    let plan = scan(&file, &context(&inbox("a")), 100).unwrap();
    for stop_after in [0, 1, 500, 5_000, file.len()] {
        let mut first = MessageImport::new(key(), &plan, None).unwrap();
        let mut got = Vec::new();
        for chunk in file[..stop_after].chunks(256) {
            got.extend(first.push(chunk).unwrap());
        }
        let point: ResumePoint =
            serde_json::from_str(&serde_json::to_string(&first.resume_point()).unwrap()).unwrap();
        drop(first);
        let mut second = MessageImport::new(key(), &plan, Some(point)).unwrap();
        assert_eq!(second.resume_point(), point);
        for chunk in file.chunks(256) {
            got.extend(second.push(chunk).unwrap());
        }
        assert_eq!(second.elements_read(), plan.element_count);
        second.finish().unwrap();
        let ids: Vec<_> = got.iter().map(|message| message.message.id).collect();
        let expected: Vec<_> = messages.iter().map(|message| message.id).collect();
        assert_eq!(ids, expected, "stopped after {stop_after}");
    }
}

#[test]
fn the_second_pass_refuses_another_file() {
    let file = write(&[(group(1), None)], &[]);
    let plan = scan(&file, &context(&inbox("a")), 100).unwrap();
    let mut other = MessageImport::new(key(), &plan, None).unwrap();
    assert_eq!(
        other.push(made::FILES[0].1),
        Err(ArchiveError::OtherArchive)
    );
    let point = ResumePoint {
        first_nonce: [1; 12],
        elements_done: 0,
    };
    assert!(matches!(
        MessageImport::new(key(), &plan, Some(point)),
        Err(ArchiveError::OtherArchive)
    ));
}

#[test]
fn two_exports_share_no_sealed_bytes() {
    let export = |nonce: u8| {
        let mut out = Vec::new();
        let options = ArchiveOptions::default();
        ArchiveWriter::new(&key(), [nonce; 12], inbox("a"), &options, 1, &mut out)
            .unwrap()
            .finish(&mut out)
            .unwrap();
        out
    };
    let (one, two) = (export(1), export(2));
    let windows: std::collections::BTreeSet<_> = one.windows(12).skip(20).collect();
    assert!(
        !two.windows(12)
            .skip(20)
            .any(|window| windows.contains(window))
    );
}

#[test]
fn an_element_that_no_reader_takes_is_refused_and_leaves_the_archive_whole() {
    let mut out = Vec::new();
    let options = ArchiveOptions::default();
    let mut writer =
        ArchiveWriter::new(&key(), [0; 12], inbox("a"), &options, 9, &mut out).unwrap();
    writer.conversation(&group(1), &mut out).unwrap();
    let huge = message(1, 1, "b", vec![0; 17 << 20]);
    assert!(matches!(
        writer.message(&huge, &mut out),
        Err(ArchiveError::ElementTooLarge { .. })
    ));
    writer
        .message(&message(2, 1, "b", text_of(1)), &mut out)
        .unwrap();
    writer.finish(&mut out).unwrap();
    assert_eq!(import_own(&out).messages.len(), 1);
}
