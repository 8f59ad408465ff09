//! Every unary RPC, over both framings.

use std::collections::BTreeSet;

use sotto::identity::{InstallationKey, SignatureRequest};
use sotto_proto::{identity_api as id, mls_api as api, paths};

use crate::support::*;

const INVALID_ARGUMENT: i32 = 3;
const RESOURCE_EXHAUSTED: i32 = 8;

#[tokio::test]
async fn group_messages_come_back_as_they_were_sent() {
    let node = TestNode::start().await;
    for client in node.both().await {
        let group = unique_bytes();
        let sent = [
            message(group, "one"),
            message_of(group, 3, "two"),
            message_of(group, 2, "three"),
        ];
        let before = now_ns();
        client
            .call::<()>(paths::SEND_GROUP_MESSAGES, send(sent.to_vec()))
            .await
            .unwrap();

        let answer: api::QueryGroupMessagesResponse = client
            .call(paths::QUERY_GROUP_MESSAGES, query(group, paging(1, 100, 0)))
            .await
            .unwrap();
        assert_eq!(answer.paging_info, paging(1, 100, 0));
        let got: Vec<_> = answer.messages.iter().map(group_v1).collect();
        assert_eq!(got.len(), 3);
        for (got, sent) in got.iter().zip(&sent) {
            let Some(api::group_message_input::Version::V1(sent)) = &sent.version else {
                panic!()
            };
            assert_eq!(
                (&got.data, &got.sender_hmac, got.should_push),
                (&sent.data, &sent.sender_hmac, true)
            );
            assert_eq!(got.group_id, group);
            assert!(got.created_ns >= before);
        }
        assert_eq!(
            got.iter().map(|m| m.is_commit).collect::<Vec<_>>(),
            [false, true, true]
        );
        assert!(
            got.windows(2)
                .all(|w| w[0].id < w[1].id && w[0].created_ns < w[1].created_ns)
        );
        assert!(got[0].id >= 1);
    }
}

#[tokio::test]
async fn what_does_not_decode_to_its_end_is_refused_and_nothing_of_the_batch_is_stored() {
    let node = TestNode::start().await;
    for client in node.both().await {
        let group = unique_bytes();
        let Some(api::group_message_input::Version::V1(good)) = message(group, "good").version
        else {
            panic!()
        };
        let mut longer = good.data.clone();
        longer.push(0);
        let mut public = good.data.clone();
        public[3] = 1;
        let mut short_id = vec![0, 1, 0, 2, 15];
        short_id.extend(&good.data[6..]);
        for bad in [
            vec![],
            longer,
            public,
            short_id,
            good.data[..good.data.len() - 1].to_vec(),
            vec![0xff; 100],
        ] {
            let batch = vec![message(group, "good"), input(bad)];
            let failed = client
                .call::<()>(paths::SEND_GROUP_MESSAGES, send(batch))
                .await
                .unwrap_err();
            assert_eq!(failed.0, INVALID_ARGUMENT);
        }
        for bad in [vec![], vec![api::GroupMessageInput { version: None }]] {
            let failed = client
                .call::<()>(paths::SEND_GROUP_MESSAGES, send(bad))
                .await
                .unwrap_err();
            assert_eq!(failed.0, INVALID_ARGUMENT);
        }
        let answer: api::QueryGroupMessagesResponse = client
            .call(paths::QUERY_GROUP_MESSAGES, query(group, None))
            .await
            .unwrap();
        assert!(answer.messages.is_empty());
    }
}

#[tokio::test]
async fn pages_follow_the_table() {
    let node = TestNode::start().await;
    let client = node.native().await;
    let group = unique_bytes();
    for start in [0, 100, 200] {
        let batch = (start..start + 100)
            .map(|n| message(group, &n.to_string()))
            .collect();
        client
            .call::<()>(paths::SEND_GROUP_MESSAGES, send(batch))
            .await
            .unwrap();
    }
    let fetch = async |info: Option<api::PagingInfo>| {
        let answer: api::QueryGroupMessagesResponse = client
            .call(paths::QUERY_GROUP_MESSAGES, query(group, info))
            .await
            .unwrap();
        let ids: Vec<u64> = answer.messages.iter().map(|m| group_v1(m).id).collect();
        (ids, answer.paging_info.unwrap())
    };

    // All ids, by the cursors that the node returns, as the SDKs do it.
    let mut all = vec![];
    let mut cursor = 0;
    loop {
        let (ids, info) = fetch(paging(1, 100, cursor)).await;
        all.extend(&ids);
        cursor = info.id_cursor;
        assert_eq!(
            cursor,
            if ids.len() == 100 {
                *ids.last().unwrap()
            } else {
                0
            }
        );
        if ids.len() < 100 {
            assert!(ids.is_empty(), "three full pages, then an empty one");
            break;
        }
    }
    assert_eq!(all.len(), 300);
    assert!(all.windows(2).all(|w| w[0] < w[1]));
    let reversed: Vec<u64> = all.iter().rev().copied().collect();

    // (asked, ids, direction, limit, cursor)
    let (first, last) = (all[0], all[299]);
    let cases = [
        (None, &reversed[..100], 2, 100, reversed[99]),
        (paging(0, 10, 0), &reversed[..10], 2, 10, reversed[9]),
        (paging(2, 0, 0), &reversed[..100], 2, 100, reversed[99]),
        (
            paging(2, 5, all[50]),
            &reversed[250..255],
            2,
            5,
            reversed[254],
        ),
        (paging(2, 100, all[50]), &reversed[250..300], 2, 100, 0),
        (paging(2, 5, first), &[], 2, 5, 0),
        (paging(1, 0, 0), &all[..100], 1, 100, all[99]),
        (paging(1, 101, 0), &all[..100], 1, 100, all[99]),
        (paging(1, u32::MAX, 0), &all[..100], 1, 100, all[99]),
        (paging(1, 1, all[7]), &all[8..9], 1, 1, all[8]),
        (paging(1, 100, all[250]), &all[251..], 1, 100, 0),
        (paging(1, 100, last), &[], 1, 100, 0),
        (paging(1, 100, u64::MAX), &[], 1, 100, 0),
        (paging(2, 3, u64::MAX), &reversed[..3], 2, 3, reversed[2]),
        (paging(77, 3, 0), &reversed[..3], 2, 3, reversed[2]),
    ];
    for (asked, ids, direction, limit, id_cursor) in cases {
        let (got, info) = fetch(asked).await;
        assert_eq!(got, ids, "{asked:?}");
        assert_eq!(Some(info), paging(direction, limit, id_cursor), "{asked:?}");
    }

    // A group that nobody wrote to is an empty page; no group is an error.
    let unknown = query(unique_bytes(), paging(1, 100, 0));
    let answer: api::QueryGroupMessagesResponse = client
        .call(paths::QUERY_GROUP_MESSAGES, unknown)
        .await
        .unwrap();
    assert!(answer.messages.is_empty());
    let nobody = api::QueryGroupMessagesRequest::default();
    let failed = client
        .call::<api::QueryGroupMessagesResponse>(paths::QUERY_GROUP_MESSAGES, nobody)
        .await;
    assert_eq!(failed.unwrap_err().0, INVALID_ARGUMENT);
}

#[tokio::test]
async fn a_page_ends_early_rather_than_grow_beyond_what_clients_decode() {
    let node = TestNode::start().await;
    let client = node.native().await;
    let group = unique_bytes();
    for n in 0..6_u8 {
        let large = input(private_message(group, 1, &vec![n; 5_000_000]));
        client
            .call::<()>(paths::SEND_GROUP_MESSAGES, send(vec![large]))
            .await
            .unwrap();
    }
    let mut cursor = 0;
    let mut seen = vec![];
    loop {
        let answer: api::QueryGroupMessagesResponse = client
            .call(
                paths::QUERY_GROUP_MESSAGES,
                query(group, paging(1, 100, cursor)),
            )
            .await
            .unwrap();
        let bytes: usize = answer.messages.iter().map(|m| group_v1(m).data.len()).sum();
        assert!(bytes < 25 << 20);
        seen.extend(
            answer
                .messages
                .iter()
                .map(|m| *group_v1(m).data.last().unwrap()),
        );
        cursor = answer.paging_info.unwrap().id_cursor;
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn publishing_the_same_bytes_again_is_accepted_and_stored_once() {
    let node = TestNode::start().await;
    for client in node.both().await {
        let (group, key) = (unique_bytes(), unique_bytes());
        let person = Person::new();
        let key_package = person.key_package();
        let entry = commit_log_entry(group, b"entry");
        for _ in 0..3 {
            let batch = vec![message(group, "same"), message(group, "same")];
            client
                .call::<()>(paths::SEND_GROUP_MESSAGES, send(batch))
                .await
                .unwrap();
            let welcomes = api::SendWelcomeMessagesRequest {
                messages: vec![welcome(key, "same")],
            };
            client
                .call::<()>(paths::SEND_WELCOME_MESSAGES, welcomes)
                .await
                .unwrap();
            client
                .call::<()>(paths::UPLOAD_KEY_PACKAGE, key_package.clone())
                .await
                .unwrap();
            let entries = api::BatchPublishCommitLogRequest {
                requests: vec![entry.clone()],
            };
            client
                .call::<()>(paths::BATCH_PUBLISH_COMMIT_LOG, entries)
                .await
                .unwrap();
        }
        let registration = person.registration();
        for _ in 0..3 {
            let _: id::PublishIdentityUpdateResponse = client
                .call(
                    paths::PUBLISH_IDENTITY_UPDATE,
                    publish(registration.clone()),
                )
                .await
                .unwrap();
        }

        let messages: api::QueryGroupMessagesResponse = client
            .call(paths::QUERY_GROUP_MESSAGES, query(group, None))
            .await
            .unwrap();
        assert_eq!(messages.messages.len(), 1);
        let asked = api::QueryWelcomeMessagesRequest {
            installation_key: key.to_vec(),
            paging_info: None,
        };
        let welcomes: api::QueryWelcomeMessagesResponse = client
            .call(paths::QUERY_WELCOME_MESSAGES, asked)
            .await
            .unwrap();
        assert_eq!(welcomes.messages.len(), 1);
        let updates: id::GetIdentityUpdatesResponse = client
            .call(paths::GET_IDENTITY_UPDATES, updates_of(&person.inbox(), 0))
            .await
            .unwrap();
        assert_eq!(updates.responses[0].updates.len(), 1);
        let log: api::BatchQueryCommitLogResponse = client
            .call(
                paths::BATCH_QUERY_COMMIT_LOG,
                commit_log_query(&[group], paging(1, 100, 0)),
            )
            .await
            .unwrap();
        assert_eq!(log.responses[0].commit_log_entries.len(), 1);

        // The same bytes elsewhere are another message.
        let elsewhere: [u8; 16] = unique_bytes();
        client
            .call::<()>(
                paths::SEND_GROUP_MESSAGES,
                send(vec![message(elsewhere, "same")]),
            )
            .await
            .unwrap();
        let messages: api::QueryGroupMessagesResponse = client
            .call(paths::QUERY_GROUP_MESSAGES, query(elsewhere, None))
            .await
            .unwrap();
        assert_eq!(messages.messages.len(), 1);
    }
}

#[tokio::test]
async fn the_newest_message_of_each_group_in_the_order_of_the_request() {
    let node = TestNode::start().await;
    for client in node.both().await {
        let [a, b, empty]: [[u8; 16]; 3] = [unique_bytes(), unique_bytes(), unique_bytes()];
        let batch = vec![
            message(a, "1"),
            message_of(b, 3, "2"),
            message_of(a, 3, "3"),
            message(b, "4"),
        ];
        client
            .call::<()>(paths::SEND_GROUP_MESSAGES, send(batch))
            .await
            .unwrap();
        let ask = async |include_content| {
            let request = api::GetNewestGroupMessageRequest {
                group_ids: [b, empty, a, b].iter().map(|id| id.to_vec()).collect(),
                include_content,
            };
            let answer: api::GetNewestGroupMessageResponse = client
                .call(paths::GET_NEWEST_GROUP_MESSAGE, request)
                .await
                .unwrap();
            answer
                .responses
                .into_iter()
                .map(|r| r.group_message)
                .collect::<Vec<_>>()
        };
        let bare = ask(false).await;
        let full = ask(true).await;
        assert_eq!((bare.len(), full.len()), (4, 4));
        assert_eq!((bare[1].as_ref(), full[1].as_ref()), (None, None));
        let (bare_a, full_a) = (
            group_v1(bare[2].as_ref().unwrap()),
            group_v1(full[2].as_ref().unwrap()),
        );
        assert!(
            bare_a.is_commit
                && bare_a.data.is_empty()
                && bare_a.sender_hmac.is_empty()
                && !bare_a.should_push
        );
        assert_eq!(
            (bare_a.id, bare_a.created_ns, &bare_a.group_id),
            (full_a.id, full_a.created_ns, &a.to_vec())
        );
        assert!(full_a.data.ends_with(b"3"));
        assert_eq!(bare[0], bare[3]);
        assert!(!group_v1(bare[0].as_ref().unwrap()).is_commit);

        let none = api::GetNewestGroupMessageRequest::default();
        let failed = client
            .call::<api::GetNewestGroupMessageResponse>(paths::GET_NEWEST_GROUP_MESSAGE, none)
            .await;
        assert_eq!(failed.unwrap_err().0, INVALID_ARGUMENT);
    }
}

fn pointer(installation_key: [u8; 32], algorithm: i32, data: &[u8]) -> api::WelcomeMessageInput {
    use api::welcome_message_input::{Version, WelcomePointer};
    api::WelcomeMessageInput {
        version: Some(Version::WelcomePointer(WelcomePointer {
            installation_key: installation_key.to_vec(),
            welcome_pointer: data.to_vec(),
            hpke_public_key: vec![8; 1216],
            wrapper_algorithm: algorithm,
        })),
    }
}

#[tokio::test]
async fn welcomes_and_pointers_share_one_order() {
    let node = TestNode::start().await;
    for client in node.both().await {
        let key: [u8; 32] = unique_bytes();
        let batch = vec![
            welcome(key, "first"),
            pointer(key, 2, b"pointer"),
            welcome(key, "third"),
        ];
        let request = api::SendWelcomeMessagesRequest { messages: batch };
        client
            .call::<()>(paths::SEND_WELCOME_MESSAGES, request)
            .await
            .unwrap();
        let asked = api::QueryWelcomeMessagesRequest {
            installation_key: key.to_vec(),
            paging_info: paging(1, 100, 0),
        };
        let answer: api::QueryWelcomeMessagesResponse = client
            .call(paths::QUERY_WELCOME_MESSAGES, asked)
            .await
            .unwrap();
        let ids: Vec<u64> = answer.messages.iter().map(welcome_id).collect();
        assert!(ids.len() == 3 && ids.windows(2).all(|w| w[0] < w[1]));
        use api::welcome_message::Version;
        let Some(Version::V1(first)) = &answer.messages[0].version else {
            panic!()
        };
        // An unset algorithm means Curve25519.
        assert_eq!(
            (first.wrapper_algorithm, first.data.as_slice()),
            (1, &b"first"[..])
        );
        assert_eq!(
            (first.hpke_public_key.len(), first.welcome_metadata.len()),
            (32, 18)
        );
        let Some(Version::WelcomePointer(second)) = &answer.messages[1].version else {
            panic!()
        };
        assert_eq!(
            (second.wrapper_algorithm, second.welcome_pointer.as_slice()),
            (2, &b"pointer"[..])
        );
        assert_eq!(second.installation_key, key);
    }
}

#[tokio::test]
async fn malformed_welcomes_are_refused() {
    use api::welcome_message_input::{V1, Version};
    let node = TestNode::start().await;
    let good = V1 {
        installation_key: vec![1; 32],
        data: vec![2],
        hpke_public_key: vec![3],
        wrapper_algorithm: 2,
        welcome_metadata: vec![],
    };
    let v1 = |v1: V1| api::WelcomeMessageInput {
        version: Some(Version::V1(v1)),
    };
    let bad = [
        v1(V1 {
            installation_key: vec![1; 31],
            ..good.clone()
        }),
        v1(V1 {
            data: vec![],
            ..good.clone()
        }),
        v1(V1 {
            hpke_public_key: vec![],
            ..good.clone()
        }),
        v1(V1 {
            wrapper_algorithm: 9,
            ..good.clone()
        }),
        pointer([1; 32], 0, b"x"),
        pointer([1; 32], 1, b"x"),
        pointer([1; 32], 2, b""),
        api::WelcomeMessageInput { version: None },
    ];
    for client in node.both().await {
        for bad in &bad {
            let request = api::SendWelcomeMessagesRequest {
                messages: vec![bad.clone()],
            };
            let failed = client
                .call::<()>(paths::SEND_WELCOME_MESSAGES, request)
                .await
                .unwrap_err();
            assert_eq!(failed.0, INVALID_ARGUMENT, "{bad:?}");
        }
        // Sealed with a shared key there is no public key to name.
        let pointee = v1(V1 {
            hpke_public_key: vec![],
            wrapper_algorithm: 3,
            ..good.clone()
        });
        let request = api::SendWelcomeMessagesRequest {
            messages: vec![pointee],
        };
        client
            .call::<()>(paths::SEND_WELCOME_MESSAGES, request)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn key_packages_are_answered_by_position_and_the_newest_counts() {
    let node = TestNode::start().await;
    for client in node.both().await {
        let (alice, bob) = (Person::new(), Person::new());
        let (old, new) = (alice.key_package(), alice.key_package());
        for request in [old, new.clone(), bob.key_package()] {
            client
                .call::<()>(paths::UPLOAD_KEY_PACKAGE, request)
                .await
                .unwrap();
        }
        let registered: api::RegisterInstallationResponse = client
            .call(
                paths::REGISTER_INSTALLATION,
                api::RegisterInstallationRequest {
                    key_package: bob.key_package().key_package,
                    is_inbox_id_credential: true,
                },
            )
            .await
            .unwrap();
        let [a, b] = [&alice, &bob].map(|person| person.installation.id().as_bytes().to_vec());
        assert_eq!(registered.installation_key, b);
        let request = api::FetchKeyPackagesRequest {
            installation_keys: vec![a.clone(), vec![0; 32], b, a, vec![1, 2]],
        };
        let answer: api::FetchKeyPackagesResponse = client
            .call(paths::FETCH_KEY_PACKAGES, request)
            .await
            .unwrap();
        let got: Vec<_> = answer
            .key_packages
            .into_iter()
            .map(|k| k.key_package_tls_serialized)
            .collect();
        assert_eq!(got.len(), 5);
        assert_eq!(got[0], new.key_package.unwrap().key_package_tls_serialized);
        assert_eq!((&got[0], got[1].len(), got[4].len()), (&got[3], 0, 0));
        assert!(!got[2].is_empty());
    }
}

#[tokio::test]
async fn key_packages_that_others_would_refuse_are_refused() {
    let node = TestNode::start().await;
    let person = Person::new();
    let now = now_ns() / 1_000_000_000;
    let good = person
        .key_package()
        .key_package
        .unwrap()
        .key_package_tls_serialized;
    let mut longer = good.clone();
    longer.push(0);
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    let bad = [
        upload(vec![]),
        upload(vec![7; 300]),
        upload(good[..good.len() - 1].to_vec()),
        upload(longer),
        upload(forged),
        person.key_package_with((now - 7_200, now - 3_600)),
        person.key_package_with((now + 3_600, now + 7_200)),
        person.key_package_with((0, u64::MAX)),
        api::UploadKeyPackageRequest::default(),
    ];
    for client in node.both().await {
        for request in &bad {
            let failed = client
                .call::<()>(paths::UPLOAD_KEY_PACKAGE, request.clone())
                .await
                .unwrap_err();
            assert_eq!(failed.0, INVALID_ARGUMENT);
            assert!(failed.1.starts_with("invalid identity: "), "{}", failed.1);
        }
        let request = api::FetchKeyPackagesRequest {
            installation_keys: vec![person.installation.id().as_bytes().to_vec()],
        };
        let answer: api::FetchKeyPackagesResponse = client
            .call(paths::FETCH_KEY_PACKAGES, request)
            .await
            .unwrap();
        assert!(answer.key_packages[0].key_package_tls_serialized.is_empty());
    }
}

#[tokio::test]
async fn an_inbox_lives_through_registration_linking_and_revocation() {
    let node = TestNode::start().await;
    for client in node.both().await {
        let (alice, other) = (Person::new(), Person::new());
        let inbox = alice.inbox();
        let registration = alice.registration();
        let put = async |update: Vec<u8>| {
            client
                .call::<id::PublishIdentityUpdateResponse>(
                    paths::PUBLISH_IDENTITY_UPDATE,
                    publish(update),
                )
                .await
        };
        put(registration.clone()).await.unwrap();

        // Linking another wallet: signed by it and by the installation.
        let link = |at| {
            SignatureRequest::add_identifier(
                &sotto::identity::InboxId::parse(&inbox).unwrap(),
                alice.installation.id(),
                &other.wallet.identifier(),
                at,
            )
        };
        put(other.finish(link(now_ns()), &[&alice.installation]))
            .await
            .unwrap();
        let upper = other.wallet.address().to_uppercase().replace("0X", "0x");
        let look_up = async || {
            let wallets = [
                (alice.wallet.address(), 1),
                (upper.clone(), 0),
                ("nobody".into(), 1),
                (other.wallet.address(), 2),
            ];
            let wallets: Vec<_> = wallets.iter().map(|(a, k)| (a.as_str(), *k)).collect();
            let answer: id::GetInboxIdsResponse = client
                .call(paths::GET_INBOX_IDS, inboxes_of(&wallets))
                .await
                .unwrap();
            let echoed: Vec<_> = answer
                .responses
                .iter()
                .map(|r| (r.identifier.as_str(), r.identifier_kind))
                .collect();
            assert_eq!(echoed, wallets);
            answer
                .responses
                .into_iter()
                .map(|r| r.inbox_id)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            look_up().await,
            [Some(inbox.clone()), Some(inbox.clone()), None, None]
        );

        // The other wallet founds an inbox of its own: the latest association counts.
        put(other.registration()).await.unwrap();
        assert_eq!(
            look_up().await,
            [Some(inbox.clone()), Some(other.inbox()), None, None]
        );

        // Revoking it from the first inbox leaves the second; revoking there too leaves none.
        let revoke = |person: &Person| {
            SignatureRequest::revoke(
                &sotto::identity::InboxId::parse(&person.inbox()).unwrap(),
                &person.wallet.identifier(),
                [other.wallet.identifier().into()],
                now_ns(),
            )
        };
        put(alice.finish(revoke(&alice), &[])).await.unwrap();
        assert_eq!(
            look_up().await,
            [Some(inbox.clone()), Some(other.inbox()), None, None]
        );
        put(other.finish(revoke(&other), &[])).await.unwrap();
        assert_eq!(look_up().await, [Some(inbox.clone()), None, None, None]);

        // The log, whole and from a cursor, in request order, unknown inboxes included.
        let request = id::GetIdentityUpdatesRequest {
            requests: [
                (&inbox, 0),
                (&"00".repeat(32), 0),
                (&other.inbox(), 0),
                (&"not an inbox".into(), 0),
            ]
            .map(
                |(inbox, sequence_id)| id::get_identity_updates_request::Request {
                    inbox_id: inbox.clone(),
                    sequence_id,
                },
            )
            .to_vec(),
        };
        let answer: id::GetIdentityUpdatesResponse = client
            .call(paths::GET_IDENTITY_UPDATES, request.clone())
            .await
            .unwrap();
        let sizes: Vec<_> = answer.responses.iter().map(|r| r.updates.len()).collect();
        assert_eq!(sizes, [3, 0, 2, 0]);
        for (asked, got) in request.requests.iter().zip(&answer.responses) {
            assert_eq!(asked.inbox_id, got.inbox_id);
        }
        let log = &answer.responses[0].updates;
        assert_eq!(log[0].update.as_ref().unwrap(), &registration);
        assert!(log.windows(2).all(|w| w[0].sequence_id < w[1].sequence_id));
        assert!(
            log.iter()
                .all(|u| u.sequence_id > 0 && u.server_timestamp_ns > 0)
        );
        let rest: id::GetIdentityUpdatesResponse = client
            .call(
                paths::GET_IDENTITY_UPDATES,
                updates_of(&inbox, log[1].sequence_id),
            )
            .await
            .unwrap();
        assert_eq!(rest.responses[0].updates, log[2..]);
    }
}

#[tokio::test]
async fn updates_that_do_not_verify_are_refused() {
    let node = TestNode::start().await;
    for client in node.both().await {
        let (alice, mallory) = (Person::new(), Person::new());
        let registration = alice.registration();
        let mut forged = registration.clone();
        let flipped = forged.len() - 1;
        forged[flipped] ^= 1;
        let inbox = sotto::identity::InboxId::parse(&alice.inbox()).unwrap();
        let stranger = InstallationKey::from_seed(&unique_bytes());
        let intrusion = mallory.finish(
            SignatureRequest::add_installation(
                &inbox,
                &mallory.wallet.identifier(),
                stranger.id(),
                now_ns(),
            ),
            &[&stranger],
        );
        let put = async |request| {
            client
                .call::<id::PublishIdentityUpdateResponse>(paths::PUBLISH_IDENTITY_UPDATE, request)
                .await
        };
        for bad in [
            publish(forged),
            publish(intrusion.clone()),
            publish(vec![]),
            publish(vec![0xff; 50]),
            Default::default(),
        ] {
            assert_eq!(put(bad).await.unwrap_err().0, INVALID_ARGUMENT);
        }
        put(publish(registration)).await.unwrap();
        assert_eq!(
            put(publish(intrusion)).await.unwrap_err().0,
            INVALID_ARGUMENT
        );
        let updates: id::GetIdentityUpdatesResponse = client
            .call(paths::GET_IDENTITY_UPDATES, updates_of(&alice.inbox(), 0))
            .await
            .unwrap();
        assert_eq!(updates.responses[0].updates.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_first_updates_at_once_exactly_one_wins() {
    let node = TestNode::start().await;
    let client = node.native().await;
    let alice = Person::new();
    let rivals: Vec<Vec<u8>> = (0..50)
        .map(|_| {
            let installation = InstallationKey::from_seed(&unique_bytes());
            let request = SignatureRequest::create_inbox(
                &alice.wallet.identifier(),
                1,
                installation.id(),
                now_ns(),
            );
            alice.finish(request, &[&installation])
        })
        .collect();
    let tasks: Vec<_> = rivals
        .into_iter()
        .map(|update| {
            let client = client.clone();
            tokio::spawn(async move {
                client
                    .call::<id::PublishIdentityUpdateResponse>(
                        paths::PUBLISH_IDENTITY_UPDATE,
                        publish(update),
                    )
                    .await
            })
        })
        .collect();
    let mut won = 0;
    for task in tasks {
        match soon(task).await.unwrap() {
            Ok(_) => won += 1,
            Err(failed) => assert_eq!(failed.0, INVALID_ARGUMENT, "{}", failed.1),
        }
    }
    assert_eq!(won, 1);
    let updates: id::GetIdentityUpdatesResponse = client
        .call(paths::GET_IDENTITY_UPDATES, updates_of(&alice.inbox(), 0))
        .await
        .unwrap();
    assert_eq!(updates.responses[0].updates.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inbox_log_takes_256_updates_and_no_more() {
    let node = TestNode::start().await;
    let client = node.native().await;
    let alice = Person::new();
    let inbox = sotto::identity::InboxId::parse(&alice.inbox()).unwrap();
    let put = async |update: Vec<u8>| {
        client
            .call::<id::PublishIdentityUpdateResponse>(
                paths::PUBLISH_IDENTITY_UPDATE,
                publish(update),
            )
            .await
    };
    let registration = alice.registration();
    put(registration.clone()).await.unwrap();
    let revoke = |n: u64| {
        let nobody = InstallationKey::from_seed(&unique_bytes());
        let members = [nobody.id().into()];
        alice.finish(
            SignatureRequest::revoke(&inbox, &alice.wallet.identifier(), members, n),
            &[],
        )
    };
    for n in 1..256 {
        put(revoke(n)).await.unwrap();
    }
    assert_eq!(put(revoke(256)).await.unwrap_err().0, RESOURCE_EXHAUSTED);
    // A resend of what is there still succeeds.
    put(registration).await.unwrap();
    let updates: id::GetIdentityUpdatesResponse = client
        .call(paths::GET_IDENTITY_UPDATES, updates_of(&alice.inbox(), 0))
        .await
        .unwrap();
    assert_eq!(updates.responses[0].updates.len(), 256);
}

fn commit_log_entry(group: [u8; 16], entry: &[u8]) -> api::PublishCommitLogRequest {
    api::PublishCommitLogRequest {
        group_id: group.to_vec(),
        serialized_commit_log_entry: entry.to_vec(),
        signature: Some(api::CommitLogSignature {
            bytes: vec![1; 64],
            public_key: vec![2; 32],
        }),
    }
}

fn commit_log_query(
    groups: &[[u8; 16]],
    paging_info: Option<api::PagingInfo>,
) -> api::BatchQueryCommitLogRequest {
    let requests = groups
        .iter()
        .map(|group| api::QueryCommitLogRequest {
            group_id: group.to_vec(),
            paging_info,
        })
        .collect();
    api::BatchQueryCommitLogRequest { requests }
}

#[tokio::test]
async fn the_commit_log_is_bounded_ascending_and_by_position() {
    let node = TestNode::start().await;
    for client in node.both().await {
        let [a, b]: [[u8; 16]; 2] = [unique_bytes(), unique_bytes()];
        let put = async |requests| {
            client
                .call::<()>(
                    paths::BATCH_PUBLISH_COMMIT_LOG,
                    api::BatchPublishCommitLogRequest { requests },
                )
                .await
        };
        let entries: Vec<_> = (0..10_u8).map(|n| commit_log_entry(a, &[n])).collect();
        put(entries.clone()).await.unwrap();
        let eleven = [entries, vec![commit_log_entry(a, b"x")]].concat();
        assert_eq!(put(eleven).await.unwrap_err().0, INVALID_ARGUMENT);
        for bad in [
            api::PublishCommitLogRequest {
                signature: None,
                ..commit_log_entry(a, b"x")
            },
            api::PublishCommitLogRequest {
                group_id: vec![],
                ..commit_log_entry(a, b"x")
            },
            commit_log_entry(a, b""),
        ] {
            assert_eq!(put(vec![bad]).await.unwrap_err().0, INVALID_ARGUMENT);
        }

        let ask = async |request| {
            client
                .call::<api::BatchQueryCommitLogResponse>(paths::BATCH_QUERY_COMMIT_LOG, request)
                .await
        };
        let answer = ask(commit_log_query(&[b, a, a], paging(0, 4, 0)))
            .await
            .unwrap();
        assert_eq!(
            answer
                .responses
                .iter()
                .map(|r| r.group_id.clone())
                .collect::<Vec<_>>(),
            [b, a, a]
        );
        assert!(answer.responses[0].commit_log_entries.is_empty());
        let page = &answer.responses[1];
        assert_eq!(page.commit_log_entries.len(), 4);
        let last = page.commit_log_entries[3].sequence_id;
        assert_eq!(page.paging_info, paging(1, 4, last));
        assert_eq!(page.commit_log_entries[0].serialized_commit_log_entry, [0]);
        assert_eq!(
            page.commit_log_entries[0]
                .signature
                .as_ref()
                .unwrap()
                .bytes
                .len(),
            64
        );
        let rest = ask(commit_log_query(&[a], paging(1, 100, last)))
            .await
            .unwrap();
        assert_eq!(rest.responses[0].commit_log_entries.len(), 6);
        assert_eq!(rest.responses[0].paging_info, paging(1, 100, 0));
        assert_eq!(
            ask(commit_log_query(&[a], paging(2, 4, 0)))
                .await
                .unwrap_err()
                .0,
            INVALID_ARGUMENT
        );
        assert_eq!(
            ask(commit_log_query(&[a; 21], paging(1, 4, 0)))
                .await
                .unwrap_err()
                .0,
            INVALID_ARGUMENT
        );
    }
}

#[tokio::test]
async fn without_a_chain_contract_signatures_are_answered_one_by_one() {
    let node = TestNode::start().await;
    let entry =
        |account_id: &str, hash: usize| id::VerifySmartContractWalletSignatureRequestSignature {
            account_id: account_id.into(),
            block_number: None,
            signature: vec![1],
            hash: vec![0; hash],
        };
    let account = format!("eip155:1:0x{}", "ab".repeat(20));
    for client in node.both().await {
        let request = id::VerifySmartContractWalletSignaturesRequest {
            signatures: vec![
                entry(&account, 32),
                entry("nonsense", 32),
                entry(&account, 31),
            ],
        };
        let answer: id::VerifySmartContractWalletSignaturesResponse = client
            .call(paths::VERIFY_SMART_CONTRACT_WALLET_SIGNATURES, request)
            .await
            .unwrap();
        assert_eq!(answer.responses.len(), 3);
        for response in &answer.responses {
            assert!(!response.is_valid && response.block_number.is_none());
        }
        let errors: BTreeSet<_> = answer
            .responses
            .iter()
            .map(|r| r.error.clone().unwrap())
            .collect();
        assert_eq!(errors.len(), 3);
    }
}

#[tokio::test]
async fn what_has_no_pages_is_bounded_in_size() {
    let node = TestNode::start().await;
    for client in node.both().await {
        let oversized = upload(vec![0; 20_000]);
        assert_eq!(
            client
                .call::<()>(paths::UPLOAD_KEY_PACKAGE, oversized)
                .await
                .unwrap_err()
                .0,
            RESOURCE_EXHAUSTED
        );
        let oversized = publish(vec![0; 200_000]);
        let failed = client
            .call::<id::PublishIdentityUpdateResponse>(paths::PUBLISH_IDENTITY_UPDATE, oversized)
            .await;
        assert_eq!(failed.unwrap_err().0, RESOURCE_EXHAUSTED);
        let requests = vec![commit_log_entry(unique_bytes(), &[0; 5_000])];
        let failed = client
            .call::<()>(
                paths::BATCH_PUBLISH_COMMIT_LOG,
                api::BatchPublishCommitLogRequest { requests },
            )
            .await;
        assert_eq!(failed.unwrap_err().0, RESOURCE_EXHAUSTED);

        let group: [u8; 16] = unique_bytes();
        let large = input(private_message(group, 1, &vec![unique() as u8; 5_000_000]));
        client
            .call::<()>(paths::SEND_GROUP_MESSAGES, send(vec![large]))
            .await
            .unwrap();
        let newest = async |count| {
            let request = api::GetNewestGroupMessageRequest {
                group_ids: vec![group.to_vec(); count],
                include_content: true,
            };
            client
                .call::<api::GetNewestGroupMessageResponse>(
                    paths::GET_NEWEST_GROUP_MESSAGE,
                    request,
                )
                .await
        };
        assert_eq!(newest(4).await.unwrap().responses.len(), 4);
        assert_eq!(newest(5).await.unwrap_err().0, RESOURCE_EXHAUSTED);
    }
}

#[tokio::test]
async fn an_envelope_above_the_limit_is_refused() {
    let node = TestNode::with(|config| config.max_envelope = 20_000).await;
    for client in node.both().await {
        let group = unique_bytes();
        let large = input(private_message(group, 1, &[0; 20_000]));
        let failed = client
            .call::<()>(paths::SEND_GROUP_MESSAGES, send(vec![large]))
            .await
            .unwrap_err();
        assert_eq!(failed.0, RESOURCE_EXHAUSTED);
        let fits = input(private_message(group, 1, &[0; 18_000]));
        client
            .call::<()>(paths::SEND_GROUP_MESSAGES, send(vec![fits]))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_client_over_its_rate_is_told_and_others_are_served() {
    let node = TestNode::with(|config| {
        config.write_rate = 60;
        config.write_burst = 5;
    })
    .await;
    let web = node.web();
    let group = unique_bytes();
    let body = |n: usize| {
        frame(
            0,
            &prost::Message::encode_to_vec(&send(
                (0..n)
                    .map(|_| message(group, &unique().to_string()))
                    .collect(),
            )),
        )
    };
    assert!(
        web.post(paths::SEND_GROUP_MESSAGES, &body(5))
            .await
            .unary::<()>()
            .is_ok()
    );
    let refused = web.post(paths::SEND_GROUP_MESSAGES, &body(1)).await;
    assert_eq!(refused.unary::<()>().unwrap_err().0, RESOURCE_EXHAUSTED);
    assert!(
        refused
            .header("retry-after")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            >= 1
    );
    // Reads have a bucket of their own.
    assert!(
        web.call::<api::QueryGroupMessagesResponse>(
            paths::QUERY_GROUP_MESSAGES,
            query(group, None)
        )
        .await
        .is_ok()
    );
}
