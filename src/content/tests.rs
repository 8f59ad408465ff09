//! What holds for every content type: nothing that a peer sends makes us panic, and nothing that
//! we cannot read disappears.

#![allow(clippy::unwrap_used)]

use super::*;

/// One of each, all members set.
fn one_of_each() -> Vec<Content> {
    let text = Text::from("hello").encode().unwrap();
    let remote = RemoteAttachment {
        url: "https://example.org/x".to_owned(),
        content_digest: "ab".repeat(32),
        secret: vec![1; 32],
        salt: vec![2; 32],
        nonce: vec![3; 12],
        scheme: "https".to_owned(),
        content_length: Some(91),
        filename: Some("a.txt".to_owned()),
    };
    vec![
        Content::Text(Text::from("hello")),
        Content::Markdown(Markdown::from("# hello")),
        Content::Reaction(Reaction {
            reference: "ab".repeat(32),
            reference_inbox_id: "cd".repeat(32),
            action: ReactionAction::Added,
            content: "👍".to_owned(),
            schema: ReactionSchema::Unicode,
        }),
        Content::Reply(Reply {
            content: text.clone(),
            reference: "ab".repeat(32),
            reference_inbox_id: Some("cd".repeat(32)),
        }),
        Content::ReadReceipt(ReadReceipt {}),
        Content::Attachment(Attachment {
            filename: Some("a.txt".to_owned()),
            mime_type: "text/plain".to_owned(),
            content: vec![1, 2, 3],
        }),
        Content::RemoteAttachment(remote.clone()),
        Content::MultiRemoteAttachment(MultiRemoteAttachment {
            attachments: vec![remote.clone(), remote],
        }),
        Content::TransactionReference(TransactionReference {
            namespace: Some("eip155".to_owned()),
            network_id: "1".to_owned(),
            reference: "0xabc".to_owned(),
            metadata: Some(TransactionMetadata {
                transaction_type: "transfer".to_owned(),
                currency: "ETH".to_owned(),
                amount: 0.25,
                decimals: 18,
                from_address: "0x1".to_owned(),
                to_address: "0x2".to_owned(),
            }),
        }),
        Content::WalletSendCalls(WalletSendCalls {
            version: "1.0".to_owned(),
            chain_id: "0x1".to_owned(),
            from: "0x1".to_owned(),
            calls: vec![WalletCall {
                to: Some("0x2".to_owned()),
                metadata: Some([("description".to_owned(), "pay".to_owned())].into()),
                ..WalletCall::default()
            }],
            capabilities: Some([("a".to_owned(), "b".to_owned())].into()),
        }),
        Content::Actions(Actions {
            id: "choice".to_owned(),
            description: "Pay?".to_owned(),
            actions: vec![Action {
                id: "yes".to_owned(),
                label: "Yes".to_owned(),
                image_url: Some("https://example.org/y.png".to_owned()),
                style: Some(ActionStyle::Danger),
                expires_at_ns: Some(1_000_000_000),
            }],
            expires_at_ns: Some(2_000_000_000),
        }),
        Content::Intent(Intent {
            id: "choice".to_owned(),
            action_id: "yes".to_owned(),
            metadata: Some([("n".to_owned(), 1.into())].into_iter().collect()),
        }),
        Content::GroupUpdated(GroupUpdated::of_welcome("a", "b")),
        Content::LeaveRequest(LeaveRequest {
            authenticated_note: Some(vec![1]),
        }),
        Content::DeleteMessage(DeleteMessage {
            message_id: MessageId([1; 32]),
        }),
        Content::EditMessage(EditMessage {
            message_id: MessageId([1; 32]),
            edited_content: text,
        }),
    ]
}

/// Small, seeded and the same everywhere (xorshift64).
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap()).unwrap()
    }
}

#[test]
fn every_type_comes_back_through_its_bytes() {
    for content in one_of_each() {
        let bytes = content.encode().unwrap().to_sendable_bytes().unwrap();
        let encoded = EncodedContent::from_bytes(&bytes).unwrap();
        assert_eq!(Content::decode(&encoded), Ok(content));
    }
}

#[test]
fn there_is_a_sample_of_every_kind_that_has_a_codec() {
    let kinds: Vec<_> = one_of_each()
        .iter()
        .map(|content| content.encode().unwrap().kind().unwrap())
        .collect();
    for kind in ContentKind::ALL {
        let has_codec = !matches!(
            kind,
            ContentKind::GroupMembershipChange | ContentKind::DeviceSync
        );
        assert_eq!(kinds.contains(&kind), has_codec, "{kind:?}");
    }
}

#[test]
fn only_silent_types_are_sent_without_a_fallback_text() {
    for content in one_of_each() {
        let encoded = content.encode().unwrap();
        let without = matches!(
            content,
            Content::Text(_)
                | Content::Markdown(_)
                | Content::ReadReceipt(_)
                | Content::GroupUpdated(_)
                | Content::LeaveRequest(_)
                | Content::DeleteMessage(_)
        );
        assert_eq!(encoded.fallback.is_none(), without, "{content:?}");
        assert_ne!(encoded.fallback.as_deref(), Some(""));
    }
}

#[test]
fn compressed_content_of_every_type_is_read() {
    use std::io::Write;
    for content in one_of_each() {
        let mut encoded = content.encode().unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&encoded.content).unwrap();
        encoded.content = gzip.finish().unwrap();
        encoded.compression = Some(Compression::Gzip);
        assert_eq!(Content::decode(&encoded), Ok(content));
    }
}

#[test]
fn unknown_types_versions_and_compressions_are_kept_whole() {
    let mut unknown_type = Text::from("x").encode().unwrap().with_fallback("f");
    unknown_type.content_type.as_mut().unwrap().type_id = "hologram".to_owned();
    let mut unknown_version = Text::from("x").encode().unwrap();
    unknown_version.content_type.as_mut().unwrap().version_major = 9;
    let mut unknown_compression = Text::from("x").encode().unwrap();
    unknown_compression.compression = Some(Compression::Other(7));
    let device_sync = EncodedContent::new(ContentKind::DeviceSync, b"x".as_slice());
    for encoded in [
        unknown_type,
        unknown_version,
        unknown_compression,
        device_sync,
        EncodedContent::default(),
    ] {
        let content = Content::decode(&encoded).unwrap();
        assert_eq!(content, Content::Unknown(encoded.clone()));
        assert_eq!(content.encode(), Ok(encoded));
    }
}

#[test]
fn changed_bytes_never_panic_whatever_they_become() {
    let samples: Vec<Vec<u8>> = one_of_each()
        .iter()
        .map(|content| content.encode().unwrap().to_bytes())
        .collect();
    let mut random = Seeded(0x5077_0770);
    let (mut readable, mut broken) = (0, 0);
    for _ in 0..40_000 {
        let mut bytes = samples.get(random.below(samples.len())).unwrap().clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, u8::try_from(random.below(256)).unwrap()),
                2 => drop(bytes.get(at).is_some().then(|| bytes.remove(at))),
                _ => bytes
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|byte| *byte = u8::try_from(random.below(256)).unwrap()),
            }
        }
        let _ = Envelope::from_bytes(&bytes);
        match EncodedContent::from_bytes(&bytes).and_then(|encoded| Content::decode(&encoded)) {
            Ok(content) => {
                // What could be read can be shown, and sent or refused, without a panic too.
                let _ = (
                    content.encode(),
                    format!("{content:?}"),
                    content.reference(),
                );
                readable += 1;
            }
            Err(error) => {
                let _ = error.to_string();
                broken += 1;
            }
        }
    }
    assert!(readable > 1_000 && broken > 1_000, "{readable} {broken}");
}

#[test]
fn every_cut_of_every_type_is_read_or_refused() {
    for content in one_of_each() {
        let bytes = content.encode().unwrap().to_bytes();
        for end in 0..bytes.len() {
            let part: Vec<u8> = bytes.iter().copied().take(end).collect();
            let read = EncodedContent::from_bytes(&part).and_then(|part| Content::decode(&part));
            assert_ne!(read.as_ref(), Ok(&content), "cut at {end}");
        }
    }
}

#[test]
fn javascript_sees_a_type_name_and_the_content() {
    let names: Vec<String> = one_of_each()
        .iter()
        .map(|content| serde_json::to_value(content).unwrap())
        .map(|json| json.get("type").unwrap().as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        names,
        [
            "text",
            "markdown",
            "reaction",
            "reply",
            "readReceipt",
            "attachment",
            "remoteAttachment",
            "multiRemoteAttachment",
            "transactionReference",
            "walletSendCalls",
            "actions",
            "intent",
            "groupUpdated",
            "leaveRequest",
            "deleteMessage",
            "editMessage",
        ]
    );
    let unknown = Content::Unknown(EncodedContent::default());
    let json = serde_json::to_value(unknown).unwrap();
    assert_eq!(json.get("type").unwrap(), "custom");
}

#[test]
fn numbers_and_names_in_javascript_are_those_of_the_official_sdk() {
    let reaction = serde_json::json!({
        "reference": "r", "referenceInboxId": "i", "action": 2, "content": "c", "schema": 3,
    });
    let read: Reaction = serde_json::from_value(reaction.clone()).unwrap();
    assert_eq!(read.action, ReactionAction::Removed);
    assert_eq!(read.schema, ReactionSchema::Custom);
    assert_eq!(serde_json::to_value(read).unwrap(), reaction);

    let actions: Actions = serde_json::from_value(serde_json::json!({
        "id": "i", "description": "d", "actions": [{"id": "a", "label": "l", "imageUrl": "u", "style": 1}],
        "expiresAtNs": 5,
    }))
    .unwrap();
    assert_eq!(actions.expires_at_ns, Some(5));
    assert_eq!(
        actions.actions.first().unwrap().style,
        Some(ActionStyle::Secondary)
    );

    let leave: LeaveRequest = serde_json::from_value(serde_json::json!({})).unwrap();
    assert_eq!(leave.authenticated_note, None);
    assert_eq!(serde_json::to_string(&leave).unwrap(), "{}");
}
