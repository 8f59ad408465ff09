//! Server-streaming subscriptions: history, then live, without gap or duplicate.

use std::time::Duration;

use sotto_proto::{mls_api as api, paths};
use tonic::codec::Streaming;

use crate::support::*;

const ABORTED: i32 = 10;
const UNAVAILABLE: i32 = 14;

fn groups(filters: &[([u8; 16], u64)]) -> api::SubscribeGroupMessagesRequest {
    let filters = filters
        .iter()
        .map(
            |(group_id, id_cursor)| api::subscribe_group_messages_request::Filter {
                group_id: group_id.to_vec(),
                id_cursor: *id_cursor,
            },
        )
        .collect();
    api::SubscribeGroupMessagesRequest { filters }
}

fn installations(filters: &[([u8; 32], u64)]) -> api::SubscribeWelcomeMessagesRequest {
    let filters = filters
        .iter()
        .map(
            |(key, id_cursor)| api::subscribe_welcome_messages_request::Filter {
                installation_key: key.to_vec(),
                id_cursor: *id_cursor,
            },
        )
        .collect();
    api::SubscribeWelcomeMessagesRequest { filters }
}

async fn next(stream: &mut Streaming<api::GroupMessage>) -> api::group_message::V1 {
    let message = soon(stream.message()).await.unwrap().expect("a message");
    group_v1(&message).clone()
}

fn text(message: &api::group_message::V1) -> String {
    let data = &message.data;
    String::from_utf8(data[33..].to_vec()).unwrap()
}

#[tokio::test]
async fn history_above_the_cursor_then_live_ascending() {
    let node = TestNode::start().await;
    let client = node.native().await;
    let [a, b, other]: [[u8; 16]; 3] = [unique_bytes(), unique_bytes(), unique_bytes()];
    let put = async |group, text: &str| {
        client
            .call::<()>(paths::SEND_GROUP_MESSAGES, send(vec![message(group, text)]))
            .await
            .unwrap();
    };
    for (group, text) in [(a, "a1"), (b, "b1"), (other, "x"), (a, "a2"), (b, "b2")] {
        put(group, text).await;
    }
    let answer: api::QueryGroupMessagesResponse = client
        .call(paths::QUERY_GROUP_MESSAGES, query(a, paging(1, 1, 0)))
        .await
        .unwrap();
    let a1 = group_v1(&answer.messages[0]).id;

    // A topic twice counts once, from the lower cursor.
    let filters = groups(&[(a, a1), (b, u64::MAX), (b, 0)]);
    let mut stream = client
        .stream::<api::GroupMessage>(paths::SUBSCRIBE_GROUP_MESSAGES, filters)
        .await
        .unwrap();
    let mut seen = vec![];
    for _ in 0..3 {
        seen.push(next(&mut stream).await);
    }
    assert_eq!(
        seen.iter().map(text).collect::<Vec<_>>(),
        ["b1", "a2", "b2"]
    );
    for (group, text) in [(b, "b3"), (other, "y"), (a, "a3")] {
        put(group, text).await;
    }
    for _ in 0..2 {
        seen.push(next(&mut stream).await);
    }
    assert_eq!(seen[3..].iter().map(text).collect::<Vec<_>>(), ["b3", "a3"]);
    assert!(seen.windows(2).all(|w| w[0].id < w[1].id));
}

#[tokio::test]
async fn a_stream_of_an_empty_group_opens_at_once_and_stays_silent() {
    let node = TestNode::start().await;
    let client = node.native().await;
    let opening = client.stream::<api::GroupMessage>(
        paths::SUBSCRIBE_GROUP_MESSAGES,
        groups(&[(unique_bytes(), 0)]),
    );
    let mut stream = soon(opening).await.unwrap();
    let silence = tokio::time::timeout(Duration::from_millis(300), stream.message()).await;
    assert!(silence.is_err());
}

#[tokio::test]
async fn welcomes_and_pointers_are_streamed() {
    let node = TestNode::start().await;
    let client = node.native().await;
    let key: [u8; 32] = unique_bytes();
    let put = async |text: &str| {
        let messages = vec![welcome(key, text)];
        client
            .call::<()>(
                paths::SEND_WELCOME_MESSAGES,
                api::SendWelcomeMessagesRequest { messages },
            )
            .await
            .unwrap();
    };
    put("one").await;
    put("two").await;
    let mut stream = client
        .stream::<api::WelcomeMessage>(
            paths::SUBSCRIBE_WELCOME_MESSAGES,
            installations(&[(key, 0)]),
        )
        .await
        .unwrap();
    put("three").await;
    let mut ids = vec![];
    for _ in 0..3 {
        ids.push(welcome_id(&soon(stream.message()).await.unwrap().unwrap()));
    }
    assert!(ids.windows(2).all(|w| w[0] < w[1]));
}

#[tokio::test]
async fn subscriptions_without_a_usable_filter_are_refused() {
    let node = TestNode::with(|config| config.max_topics = 3).await;
    let client = node.native().await;
    let refused = async |request: api::SubscribeGroupMessagesRequest| {
        client
            .stream::<api::GroupMessage>(paths::SUBSCRIBE_GROUP_MESSAGES, request)
            .await
            .unwrap_err()
            .0
    };
    let empty = api::subscribe_group_messages_request::Filter::default();
    assert_eq!(refused(groups(&[])).await, 3);
    assert_eq!(
        refused(api::SubscribeGroupMessagesRequest {
            filters: vec![empty]
        })
        .await,
        3
    );
    assert_eq!(refused(groups(&[(unique_bytes(), 0); 4])).await, 3);
    let request = api::SubscribeWelcomeMessagesRequest {
        filters: vec![api::subscribe_welcome_messages_request::Filter::default()],
    };
    let failed = client
        .stream::<api::WelcomeMessage>(paths::SUBSCRIBE_WELCOME_MESSAGES, request)
        .await;
    assert_eq!(failed.unwrap_err().0, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn subscribing_while_others_publish_leaves_no_gap_and_no_duplicate() {
    const WRITERS: usize = 4;
    const EACH: usize = 150;
    let node = TestNode::start().await;
    let group_ids: Vec<[u8; 16]> = (0..3).map(|_| unique_bytes()).collect();
    let mut writers = vec![];
    for writer in 0..WRITERS {
        let client = node.native().await;
        let group_ids = group_ids.clone();
        writers.push(tokio::spawn(async move {
            for n in 0..EACH {
                let group = group_ids[(writer + n) % group_ids.len()];
                let request = send(vec![message(group, &format!("{writer}/{n}"))]);
                client
                    .call::<()>(paths::SEND_GROUP_MESSAGES, request)
                    .await
                    .unwrap();
            }
        }));
    }
    let mut readers = vec![];
    for reader in 0..8 {
        let client = node.native().await;
        let filters: Vec<_> = group_ids.iter().map(|group| (*group, 0)).collect();
        readers.push(tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(reader * 15)).await;
            let mut stream = client
                .stream::<api::GroupMessage>(paths::SUBSCRIBE_GROUP_MESSAGES, groups(&filters))
                .await
                .unwrap();
            let mut ids = vec![];
            while ids.len() < WRITERS * EACH {
                ids.push(next(&mut stream).await.id);
            }
            ids
        }));
    }
    for writer in writers {
        soon(writer).await.unwrap();
    }
    let mut views = vec![];
    for reader in readers {
        views.push(soon(reader).await.unwrap());
    }
    assert!(
        views[0].windows(2).all(|w| w[0] < w[1]),
        "ascending over all topics"
    );
    assert!(views.iter().all(|view| *view == views[0]));
}

/// A client that opens a stream and never reads: the socket fills, then the queue.
async fn stall(node: &TestNode, path: &str, request: Vec<u8>) -> tokio::net::TcpStream {
    node.web().open(path, &frame(0, &request)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_does_not_read_is_cut_off_and_others_are_not() {
    use prost::Message;
    use tokio::io::AsyncReadExt;
    let node = TestNode::with(|config| config.queue = 8).await;
    let client = node.native().await;
    let group: [u8; 16] = unique_bytes();
    let mut slow = stall(
        &node,
        paths::SUBSCRIBE_GROUP_MESSAGES,
        groups(&[(group, 0)]).encode_to_vec(),
    )
    .await;
    let mut fast = client
        .stream::<api::GroupMessage>(paths::SUBSCRIBE_GROUP_MESSAGES, groups(&[(group, 0)]))
        .await
        .unwrap();
    for n in 0..40_u8 {
        let large = input(private_message(group, 1, &vec![n; 400_000]));
        client
            .call::<()>(paths::SEND_GROUP_MESSAGES, send(vec![large]))
            .await
            .unwrap();
        assert_eq!(next(&mut fast).await.data.last(), Some(&n));
    }
    let mut bytes = vec![];
    soon(slow.read_to_end(&mut bytes)).await.unwrap();
    let tail = String::from_utf8_lossy(&bytes[bytes.len() - 200..]).into_owned();
    assert!(tail.contains(&format!("grpc-status:{ABORTED}")), "{tail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_welcome_stream_that_does_not_read_misses_nothing_and_is_never_ended() {
    use prost::Message;
    use tokio::io::AsyncReadExt;
    let node = TestNode::with(|config| config.queue = 8).await;
    let client = node.native().await;
    let key: [u8; 32] = unique_bytes();
    let mut slow = stall(
        &node,
        paths::SUBSCRIBE_WELCOME_MESSAGES,
        installations(&[(key, 0)]).encode_to_vec(),
    )
    .await;
    let mut sent = vec![];
    for n in 0..40_u8 {
        let Some(api::welcome_message_input::Version::V1(mut v1)) = welcome(key, "").version else {
            panic!()
        };
        v1.data = vec![n; 400_000];
        sent.push(n);
        let version = Some(api::welcome_message_input::Version::V1(v1));
        let messages = vec![api::WelcomeMessageInput { version }];
        client
            .call::<()>(
                paths::SEND_WELCOME_MESSAGES,
                api::SendWelcomeMessagesRequest { messages },
            )
            .await
            .unwrap();
    }
    let reading = async {
        let mut bytes = vec![];
        let mut buffer = vec![0; 1 << 20];
        loop {
            let read = slow.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the stream must stay open");
            bytes.extend_from_slice(&buffer[..read]);
            // Chunk sizes are not known in advance: count what is there.
            let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
            if bytes.len() - end > 40 * 400_100 {
                return unchunk(&bytes[end..]);
            }
        }
    };
    let body = soon(reading).await;
    let got: Vec<u8> = frames(&body)
        .iter()
        .map(|(flag, payload)| {
            assert_eq!(*flag, 0);
            let message = api::WelcomeMessage::decode(payload.as_slice()).unwrap();
            let Some(api::welcome_message::Version::V1(v1)) = message.version else {
                panic!()
            };
            v1.data[0]
        })
        .collect();
    assert_eq!(got, sent);
}

#[tokio::test]
async fn both_streams_of_a_client_end_when_the_node_drains() {
    let node = TestNode::start().await;
    let client = node.native().await;
    let mut messages = client
        .stream::<api::GroupMessage>(
            paths::SUBSCRIBE_GROUP_MESSAGES,
            groups(&[(unique_bytes(), 0)]),
        )
        .await
        .unwrap();
    let mut welcomes = client
        .stream::<api::WelcomeMessage>(
            paths::SUBSCRIBE_WELCOME_MESSAGES,
            installations(&[(unique_bytes(), 0)]),
        )
        .await
        .unwrap();
    let shutdown = tokio::spawn(node.server.shutdown());
    assert_eq!(
        soon(messages.message())
            .await
            .map_err(failure)
            .unwrap_err()
            .0,
        UNAVAILABLE
    );
    assert_eq!(
        soon(welcomes.message())
            .await
            .map_err(failure)
            .unwrap_err()
            .0,
        UNAVAILABLE
    );
    soon(shutdown).await.unwrap();
}
