//! XIP-83's rules, each over HTTP/2 and over the WebSocket.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use prost::Message;
use sotto_proto::{
    mls_api::{
        self as api, Ping, Pong, SubscribeRequest, SubscribeResponse,
        subscribe_request::{
            self,
            v1::{Mutate, Request, mutate::Subscription},
        },
        subscribe_response::{
            self,
            v1::{Messages, Response},
        },
    },
    paths,
};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message as Frame, client::IntoClientRequest, protocol::CloseFrame},
};
use tonic::codec::Streaming;

use crate::support::*;

const INVALID_ARGUMENT: i32 = 3;
const RESOURCE_EXHAUSTED: i32 = 8;
const UNAVAILABLE: i32 = 14;

/// One side of a stream, whatever carries it.
enum Stream {
    H2 {
        requests: Option<mpsc::UnboundedSender<SubscribeRequest>>,
        responses: Box<Streaming<SubscribeResponse>>,
    },
    Socket(Box<WebSocketStream<TcpStream>>),
}

async fn socket(address: &str) -> WebSocketStream<TcpStream> {
    let url = format!(
        "ws://{address}{}?x-libxmtp-version=1.11.0&x-app-version=test",
        paths::SUBSCRIBE
    );
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert(
        "sec-websocket-protocol",
        "sotto.subscribe.v1".parse().unwrap(),
    );
    request
        .headers_mut()
        .insert("origin", "http://a.example".parse().unwrap());
    let stream = TcpStream::connect(address).await.unwrap();
    let (socket, response) = client_async(request, stream).await.unwrap();
    assert_eq!(
        response.headers()["sec-websocket-protocol"],
        "sotto.subscribe.v1"
    );
    socket
}

impl Stream {
    async fn h2(node: &TestNode) -> Self {
        let (requests, receiver) = mpsc::unbounded_channel();
        let responses = node
            .native()
            .await
            .bidi(paths::SUBSCRIBE, UnboundedReceiverStream::new(receiver))
            .await
            .unwrap();
        Self::H2 {
            requests: Some(requests),
            responses: Box::new(responses),
        }
    }

    async fn socket(node: &TestNode) -> Self {
        Self::Socket(Box::new(socket(&node.address()).await))
    }

    async fn send(&mut self, request: Request) {
        let version = subscribe_request::V1 {
            request: Some(request),
        };
        let request = SubscribeRequest {
            version: Some(subscribe_request::Version::V1(version)),
        };
        match self {
            Self::H2 { requests, .. } => requests.as_ref().unwrap().send(request).unwrap(),
            Self::Socket(socket) => socket
                .send(Frame::Binary(request.encode_to_vec().into()))
                .await
                .unwrap(),
        }
    }

    async fn send_bytes(&mut self, bytes: Vec<u8>) {
        match self {
            // Decoding is what makes a request broken here: an empty one has no version.
            Self::H2 { requests, .. } => requests
                .as_ref()
                .unwrap()
                .send(SubscribeRequest { version: None })
                .unwrap(),
            Self::Socket(socket) => socket.send(Frame::Binary(bytes.into())).await.unwrap(),
        }
    }

    async fn half_close(&mut self) {
        match self {
            Self::H2 { requests, .. } => *requests = None,
            Self::Socket(socket) => socket.send(Frame::Binary(Bytes::new())).await.unwrap(),
        }
    }

    async fn mutate(
        &mut self,
        id: u64,
        adds: &[(Vec<u8>, u64)],
        removes: &[Vec<u8>],
        history_only: bool,
    ) {
        let adds = adds
            .iter()
            .map(|(topic, id_cursor)| Subscription {
                topic: topic.clone(),
                id_cursor: *id_cursor,
            })
            .collect();
        let mutate = Mutate {
            adds,
            removes: removes.to_vec(),
            history_only,
            mutate_id: id,
        };
        self.send(Request::Mutate(mutate)).await;
    }

    /// The next frame, or the status that ends the stream.
    async fn next(&mut self) -> Result<Response, i32> {
        let response = match self {
            Self::H2 { responses, .. } => match soon(responses.message()).await {
                Ok(Some(response)) => response,
                Ok(None) => return Err(0),
                Err(status) => return Err(failure(status).0),
            },
            Self::Socket(socket) => loop {
                match soon(socket.next()).await {
                    Some(Ok(Frame::Binary(bytes))) => {
                        assert!(
                            bytes.len() < (1 << 20) + 100 || bytes.len() > 5_000,
                            "a split frame"
                        );
                        break SubscribeResponse::decode(bytes).unwrap();
                    }
                    Some(Ok(Frame::Close(Some(CloseFrame { code, .. })))) => {
                        return Err(i32::from(u16::from(code)) - 4000);
                    }
                    Some(Ok(Frame::Ping(_) | Frame::Pong(_))) => {}
                    other => panic!("{other:?}"),
                }
            },
        };
        let Some(subscribe_response::Version::V1(v1)) = response.version else {
            panic!("a version")
        };
        Ok(v1.response.expect("a frame"))
    }

    async fn started(&mut self) -> u32 {
        match self.next().await {
            Ok(Response::Started(started)) => started.keepalive_interval_ms,
            other => panic!("{other:?}"),
        }
    }

    async fn messages(&mut self) -> Messages {
        match self.next().await {
            Ok(Response::Messages(messages)) => messages,
            other => panic!("{other:?}"),
        }
    }

    /// Everything up to a CatchupComplete: text by text with the wave, and the topics.
    async fn wave(&mut self, id: u64) -> (Vec<String>, Vec<Vec<u8>>) {
        let (mut texts, mut live) = (vec![], vec![]);
        loop {
            match self.next().await {
                Ok(Response::Messages(messages)) => {
                    assert_eq!(messages.mutate_id, id);
                    assert!(live.is_empty(), "messages after TopicsLive");
                    texts.extend(all_texts(&messages));
                }
                Ok(Response::TopicsLive(topics)) => live.extend(topics.topics),
                Ok(Response::CatchupComplete(done)) => {
                    assert_eq!(done.mutate_id, id);
                    live.sort();
                    return (texts, live);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    async fn live(&mut self) -> String {
        let messages = self.messages().await;
        assert_eq!(messages.mutate_id, 0);
        let texts = all_texts(&messages);
        assert_eq!(texts.len(), 1);
        texts.concat()
    }
}

fn all_texts(messages: &Messages) -> Vec<String> {
    let groups = messages.group_messages.iter().map(|message| {
        let data = &group_v1(message).data;
        String::from_utf8_lossy(&data[33..]).into_owned()
    });
    let welcomes = messages
        .welcome_messages
        .iter()
        .map(|message| match &message.version {
            Some(api::welcome_message::Version::V1(v1)) => {
                String::from_utf8_lossy(&v1.data).into_owned()
            }
            _ => panic!("a pointer"),
        });
    groups.chain(welcomes).collect()
}

fn group_topic(group: [u8; 16]) -> Vec<u8> {
    [&[0], &group[..]].concat()
}

fn welcome_topic(key: [u8; 32]) -> Vec<u8> {
    [&[1], &key[..]].concat()
}

/// Publishes, one by one.
struct Publisher(Native);

impl Publisher {
    async fn put(&self, group: [u8; 16], text: &str) {
        self.0
            .call::<()>(paths::SEND_GROUP_MESSAGES, send(vec![message(group, text)]))
            .await
            .unwrap();
    }

    async fn welcome(&self, key: [u8; 32], text: &str) {
        let messages = vec![welcome(key, text)];
        self.0
            .call::<()>(
                paths::SEND_WELCOME_MESSAGES,
                api::SendWelcomeMessagesRequest { messages },
            )
            .await
            .unwrap();
    }

    async fn ids(&self, group: [u8; 16]) -> Vec<u64> {
        let answer: api::QueryGroupMessagesResponse = self
            .0
            .call(paths::QUERY_GROUP_MESSAGES, query(group, paging(1, 100, 0)))
            .await
            .unwrap();
        answer.messages.iter().map(|m| group_v1(m).id).collect()
    }
}

/// Runs a test on a fresh node, once for each transport.
macro_rules! on_both {
    ($node:ident, $stream:ident, $publisher:ident, $config:expr, $body:block) => {
        let $node = TestNode::with($config).await;
        let $publisher = Publisher($node.native().await);
        for transport in ["HTTP/2", "WebSocket"] {
            let mut $stream = match transport {
                "HTTP/2" => Stream::h2(&$node).await,
                _ => Stream::socket(&$node).await,
            };
            $body
        }
    };
}

#[tokio::test]
async fn rule_1_started_comes_at_once() {
    on_both!(node, stream, _p, |c| c.keepalive_ms = 12_345, {
        assert_eq!(stream.started().await, 12_345);
    });
}

#[tokio::test]
async fn rules_3_and_4_a_wave_then_its_markers_then_live() {
    on_both!(node, stream, publisher, |_| {}, {
        let (a, b, key) = (unique_bytes(), unique_bytes(), unique_bytes());
        publisher.put(a, "a1").await;
        publisher.put(b, "b1").await;
        publisher.welcome(key, "w1").await;
        publisher.put(a, "a2").await;
        stream.started().await;
        let adds = [
            (group_topic(a), 0),
            (group_topic(b), 0),
            (welcome_topic(key), 0),
        ];
        stream.mutate(7, &adds, &[], false).await;
        let (mut texts, live) = stream.wave(7).await;
        // One ascending pass for each kind; the kinds in any order.
        texts.retain(|text| !text.starts_with('w'));
        assert_eq!(texts, ["a1", "b1", "a2"]);
        let mut all: Vec<_> = adds.iter().map(|(topic, _)| topic.clone()).collect();
        all.sort();
        assert_eq!(live, all);
        publisher.put(b, "b2").await;
        publisher.welcome(key, "w2").await;
        publisher.put(a, "a3").await;
        assert_eq!(
            [
                stream.live().await,
                stream.live().await,
                stream.live().await
            ],
            ["b2", "w2", "a3"]
        );
    });
}

#[tokio::test]
async fn rule_2_removes_come_first_and_a_topic_twice_counts_from_the_lower_cursor() {
    on_both!(node, stream, publisher, |_| {}, {
        let a = unique_bytes();
        publisher.put(a, "1").await;
        publisher.put(a, "2").await;
        let ids = publisher.ids(a).await;
        stream.started().await;
        stream
            .mutate(
                1,
                &[(group_topic(a), ids[1]), (group_topic(a), ids[0])],
                &[],
                false,
            )
            .await;
        assert_eq!(stream.wave(1).await.0, ["2"]);
        // In both: reset, and replayed from the new cursor.
        stream
            .mutate(2, &[(group_topic(a), ids[0])], &[group_topic(a)], false)
            .await;
        assert_eq!(
            stream.wave(2).await,
            (vec!["2".into()], vec![group_topic(a)])
        );
        publisher.put(a, "3").await;
        assert_eq!(stream.live().await, "3");
    });
}

#[tokio::test]
async fn rule_5_mutate_ids_are_needed_for_adds() {
    on_both!(node, stream, _p, |_| {}, {
        stream.started().await;
        stream
            .mutate(0, &[(group_topic(unique_bytes()), 0)], &[], false)
            .await;
        assert_eq!(stream.next().await.unwrap_err(), INVALID_ARGUMENT);
    });
}

#[tokio::test]
async fn rules_6_to_8_every_mutate_is_answered_no_ops_at_once() {
    on_both!(node, stream, publisher, |_| {}, {
        let a = unique_bytes();
        publisher.put(a, "1").await;
        publisher.put(a, "2").await;
        let ids = publisher.ids(a).await;
        stream.started().await;
        stream.mutate(0, &[], &[], false).await;
        assert_eq!(stream.wave(0).await, (vec![], vec![]));
        stream.mutate(1, &[(group_topic(a), 0)], &[], false).await;
        assert_eq!(stream.wave(1).await.0, ["1", "2"]);
        // At or above the floor: nothing happens, and it stays live.
        for (id, cursor) in [(2, ids[1]), (3, u64::MAX)] {
            stream
                .mutate(id, &[(group_topic(a), cursor)], &[], false)
                .await;
            assert_eq!(stream.wave(id).await, (vec![], vec![]));
        }
        // Below: replayed from there.
        stream
            .mutate(4, &[(group_topic(a), ids[0])], &[], false)
            .await;
        assert_eq!(
            stream.wave(4).await,
            (vec!["2".into()], vec![group_topic(a)])
        );
        publisher.put(a, "3").await;
        assert_eq!(stream.live().await, "3");
        // Removed: silent, and its floor forgotten.
        stream.mutate(5, &[], &[group_topic(a)], false).await;
        assert_eq!(stream.wave(5).await, (vec![], vec![]));
        publisher.put(a, "4").await;
        let other = unique_bytes();
        stream
            .mutate(6, &[(group_topic(other), 0)], &[], false)
            .await;
        assert_eq!(stream.wave(6).await.1, [group_topic(other)]);
        publisher.put(other, "o").await;
        assert_eq!(stream.live().await, "o");
        let three = publisher.ids(a).await[2];
        stream
            .mutate(7, &[(group_topic(a), three)], &[], false)
            .await;
        assert_eq!(stream.wave(7).await.0, ["4"]);
    });
}

#[tokio::test]
async fn rule_9_history_only_is_not_followed_by_live() {
    on_both!(node, stream, publisher, |_| {}, {
        let (a, b) = (unique_bytes(), unique_bytes());
        publisher.put(a, "1").await;
        stream.started().await;
        stream.mutate(1, &[(group_topic(a), 0)], &[], true).await;
        assert_eq!(
            stream.wave(1).await,
            (vec!["1".into()], vec![group_topic(a)])
        );
        stream.mutate(2, &[(group_topic(b), 0)], &[], false).await;
        stream.wave(2).await;
        publisher.put(a, "2").await;
        publisher.put(b, "b").await;
        assert_eq!(stream.live().await, "b");
    });
}

#[tokio::test]
async fn rule_10_half_close_finishes_the_waves_and_ends_with_ok() {
    on_both!(node, stream, publisher, |c| c.keepalive_ms = 100, {
        let a = unique_bytes();
        for n in 0..100 {
            publisher.put(a, &n.to_string()).await;
        }
        stream.started().await;
        stream.mutate(1, &[(group_topic(a), 0)], &[], false).await;
        stream.half_close().await;
        assert_eq!(stream.wave(1).await.0.len(), 100);
        assert_eq!(stream.next().await.unwrap_err(), 0);
    });
    on_both!(node, stream, _p, |_| {}, {
        stream.started().await;
        stream.half_close().await;
        assert_eq!(stream.next().await.unwrap_err(), 0);
    });
}

#[tokio::test]
async fn rule_11_silence_is_pinged_and_only_the_right_pong_answers() {
    on_both!(node, stream, _p, |c| c.keepalive_ms = 200, {
        stream.started().await;
        let mut nonces = vec![];
        for _ in 0..2 {
            let Ok(Response::Ping(Ping { nonce })) = stream.next().await else {
                panic!()
            };
            nonces.push(nonce);
            stream.send(Request::Pong(Pong { nonce })).await;
        }
        assert_ne!(nonces[0], nonces[1]);
        // A client's ping is answered with its nonce.
        stream.send(Request::Ping(Ping { nonce: 77 })).await;
        let answered = loop {
            match stream.next().await.unwrap() {
                Response::Pong(Pong { nonce }) => break nonce,
                Response::Ping(Ping { nonce }) => stream.send(Request::Pong(Pong { nonce })).await,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(answered, 77);
        // Another nonce is no answer.
        loop {
            match stream.next().await {
                Ok(Response::Ping(Ping { nonce })) => {
                    stream.send(Request::Pong(Pong { nonce: nonce ^ 1 })).await
                }
                Ok(other) => panic!("{other:?}"),
                Err(code) => {
                    assert_eq!(code, UNAVAILABLE);
                    break;
                }
            }
        }
    });
}

#[tokio::test]
async fn rule_12_unknown_kinds_and_versions_end_the_stream_and_unknown_frames_do_not() {
    let topics = [vec![], vec![2; 33], vec![3; 33], vec![0; 16], vec![1; 34]];
    for topic in &topics {
        on_both!(node, stream, _p, |_| {}, {
            stream.started().await;
            stream.mutate(1, &[(topic.clone(), 0)], &[], false).await;
            assert_eq!(stream.next().await.unwrap_err(), INVALID_ARGUMENT);
        });
        on_both!(node, stream, _p, |_| {}, {
            stream.started().await;
            stream
                .mutate(1, &[], std::slice::from_ref(topic), false)
                .await;
            assert_eq!(stream.next().await.unwrap_err(), INVALID_ARGUMENT);
        });
    }
    on_both!(node, stream, _p, |_| {}, {
        stream.started().await;
        // Field 9 of an unknown version.
        stream.send_bytes(vec![0x4a, 0]).await;
        assert_eq!(stream.next().await.unwrap_err(), INVALID_ARGUMENT);
    });
    let node = TestNode::start().await;
    let mut stream = Stream::socket(&node).await;
    stream.started().await;
    // v1 with an unknown frame of field 9.
    stream.send_bytes(vec![0x0a, 2, 0x4a, 0]).await;
    stream.send(Request::Ping(Ping { nonce: 5 })).await;
    assert!(matches!(
        stream.next().await,
        Ok(Response::Pong(Pong { nonce: 5 }))
    ));
}

#[tokio::test]
async fn rule_13_topics_and_requests_are_bounded() {
    on_both!(node, stream, _p, |c| c.max_topics = 3, {
        stream.started().await;
        let topics: Vec<_> = (0..4).map(|_| (group_topic(unique_bytes()), 0)).collect();
        stream.mutate(1, &topics[..3], &[], false).await;
        stream.wave(1).await;
        // One leaves, one comes: still three.
        stream
            .mutate(2, &topics[3..], &[topics[0].0.clone()], false)
            .await;
        stream.wave(2).await;
        stream.mutate(3, &topics[..1], &[], false).await;
        assert_eq!(stream.next().await.unwrap_err(), RESOURCE_EXHAUSTED);
    });
    on_both!(node, stream, _p, |_| {}, {
        stream.started().await;
        for nonce in 0..2_000 {
            stream.send(Request::Ping(Ping { nonce })).await;
        }
        let code = loop {
            if let Err(code) = stream.next().await {
                break code;
            }
        };
        assert_eq!(code, RESOURCE_EXHAUSTED);
    });
}

#[tokio::test]
async fn an_unfinished_mutate_id_cannot_be_used_again_and_waves_take_turns() {
    on_both!(node, stream, publisher, |c| c.write_rate = 0, {
        let (large, small) = (unique_bytes(), unique_bytes());
        for batch in 0..12 {
            let messages = (0..500)
                .map(|n| message(large, &format!("{batch}/{n}")))
                .collect();
            publisher
                .0
                .call::<()>(paths::SEND_GROUP_MESSAGES, send(messages))
                .await
                .unwrap();
        }
        publisher.put(small, "small").await;
        stream.started().await;
        stream
            .mutate(1, &[(group_topic(large), 0)], &[], false)
            .await;
        stream
            .mutate(2, &[(group_topic(small), 0)], &[], false)
            .await;
        let mut done = vec![];
        let mut texts: BTreeMap<u64, usize> = BTreeMap::new();
        while done.len() < 2 {
            match stream.next().await.unwrap() {
                Response::Messages(messages) => {
                    *texts.entry(messages.mutate_id).or_default() += messages.group_messages.len()
                }
                Response::CatchupComplete(complete) => done.push(complete.mutate_id),
                Response::TopicsLive(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(done, [2, 1], "the small one does not wait");
        assert_eq!(texts, BTreeMap::from([(1, 6_000), (2, 1)]));

        stream
            .mutate(3, &[(group_topic(large), 0)], &[], false)
            .await;
        stream
            .mutate(3, &[(group_topic(small), 0)], &[], false)
            .await;
        let code = loop {
            if let Err(code) = stream.next().await {
                break code;
            }
        };
        assert_eq!(code, INVALID_ARGUMENT);
    });
}

#[tokio::test]
async fn a_large_envelope_goes_alone_and_others_share_frames_of_a_megabyte() {
    on_both!(node, stream, publisher, |_| {}, {
        let group = unique_bytes();
        let sizes = [400_000, 400_000, 400_000, 3_000_000, 20_000, 20_000];
        for (n, size) in sizes.into_iter().enumerate() {
            let large = input(private_message(group, 1, &vec![n as u8; size]));
            publisher
                .0
                .call::<()>(paths::SEND_GROUP_MESSAGES, send(vec![large]))
                .await
                .unwrap();
        }
        stream.started().await;
        stream
            .mutate(1, &[(group_topic(group), 0)], &[], false)
            .await;
        let mut frames = vec![];
        while let Response::Messages(messages) = stream.next().await.unwrap() {
            frames.push(
                messages
                    .group_messages
                    .iter()
                    .map(|m| *group_v1(m).data.last().unwrap())
                    .collect::<Vec<_>>(),
            );
            let bytes = messages.encoded_len();
            assert!(
                bytes < 1 << 20 || messages.group_messages.len() == 1,
                "{bytes}"
            );
        }
        assert_eq!(frames.concat(), [0, 1, 2, 3, 4, 5]);
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn adding_topics_while_others_publish_leaves_no_gap_and_no_duplicate() {
    const TOPICS: usize = 12;
    const EACH: usize = 40;
    let node = TestNode::start().await;
    let groups: Vec<[u8; 16]> = (0..TOPICS).map(|_| unique_bytes()).collect();
    let mut writers = vec![];
    for group in groups.clone() {
        let client = node.native().await;
        writers.push(tokio::spawn(async move {
            for n in 0..EACH {
                client
                    .call::<()>(
                        paths::SEND_GROUP_MESSAGES,
                        send(vec![message(group, &format!("{n:03}"))]),
                    )
                    .await
                    .unwrap();
            }
        }));
    }
    for mut stream in [Stream::h2(&node).await, Stream::socket(&node).await] {
        stream.started().await;
        let mut in_wave: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
        for (n, pair) in groups.chunks(2).enumerate() {
            let topics: Vec<_> = pair.iter().map(|group| group_topic(*group)).collect();
            let adds: Vec<_> = topics.iter().map(|topic| (topic.clone(), 0)).collect();
            stream.mutate(n as u64 + 1, &adds, &[], false).await;
            in_wave.insert(n as u64 + 1, topics);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut seen: BTreeMap<Vec<u8>, Vec<u64>> = BTreeMap::new();
        let mut last_live = 0;
        while seen.values().map(Vec::len).sum::<usize>() < TOPICS * EACH || !in_wave.is_empty() {
            match stream.next().await.unwrap() {
                Response::Messages(messages) => {
                    for message in &messages.group_messages {
                        let message = group_v1(message);
                        let topic = [&[0], message.group_id.as_slice()].concat();
                        let waiting = in_wave.values().any(|topics| topics.contains(&topic));
                        assert_eq!(
                            waiting,
                            messages.mutate_id != 0,
                            "live during a wave, or the reverse"
                        );
                        if messages.mutate_id == 0 {
                            assert!(
                                message.id > last_live,
                                "live frames ascend over the whole stream"
                            );
                            last_live = message.id;
                        }
                        seen.entry(topic).or_default().push(message.id);
                    }
                }
                Response::CatchupComplete(done) => {
                    in_wave
                        .remove(&done.mutate_id)
                        .expect("once for each Mutate");
                }
                Response::TopicsLive(_) => {}
                other => panic!("{other:?}"),
            }
        }
        for ids in seen.values() {
            assert_eq!(ids.len(), EACH);
            assert!(ids.windows(2).all(|w| w[0] < w[1]));
        }
    }
    for writer in writers {
        soon(writer).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_does_not_read_is_cut_off() {
    let node = TestNode::with(|c| c.queue = 8).await;
    let publisher = Publisher(node.native().await);
    for mut stream in [Stream::h2(&node).await, Stream::socket(&node).await] {
        let group = unique_bytes();
        stream.started().await;
        stream
            .mutate(1, &[(group_topic(group), 0)], &[], false)
            .await;
        stream.wave(1).await;
        for n in 0..40_u8 {
            let large = input(private_message(group, 1, &vec![n; 400_000]));
            publisher
                .0
                .call::<()>(paths::SEND_GROUP_MESSAGES, send(vec![large]))
                .await
                .unwrap();
        }
        let mut seen = 0;
        let code = loop {
            match stream.next().await {
                Ok(_) => seen += 1,
                Err(code) => break code,
            }
        };
        assert_eq!(code, 10);
        assert!(seen < 40);
    }
}

#[tokio::test]
async fn broken_sockets_get_a_typed_close() {
    let node = TestNode::start().await;
    let cases = [
        (Frame::Text("{}".into()), INVALID_ARGUMENT),
        (Frame::Binary(vec![0xff; 40].into()), INVALID_ARGUMENT),
        (Frame::Binary(vec![0x0a, 0x7f].into()), INVALID_ARGUMENT),
        (
            Frame::Binary(vec![0; (1 << 20) + 1].into()),
            RESOURCE_EXHAUSTED,
        ),
    ];
    for (frame, code) in cases {
        let mut stream = Stream::socket(&node).await;
        stream.started().await;
        let Stream::Socket(inner) = &mut stream else {
            panic!()
        };
        inner.send(frame).await.unwrap();
        assert_eq!(stream.next().await.unwrap_err(), code);
    }
}

#[tokio::test]
async fn sockets_are_refused_without_the_subprotocol_or_when_switched_off() {
    let status = async |node: &TestNode, protocol: Option<&str>| {
        let url = format!("ws://{}{}", node.address(), paths::SUBSCRIBE);
        let mut request = url.into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request
                .headers_mut()
                .insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        let stream = TcpStream::connect(node.address()).await.unwrap();
        match client_async(request, stream).await {
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                response.status().as_u16()
            }
            other => panic!("{other:?}"),
        }
    };
    let node = TestNode::start().await;
    assert_eq!(status(&node, None).await, 400);
    assert_eq!(status(&node, Some("graphql")).await, 400);
    let node = TestNode::with(|config| config.no_websocket = true).await;
    assert_eq!(status(&node, Some("sotto.subscribe.v1")).await, 405);
}

#[tokio::test]
async fn draining_closes_sockets_as_going_away() {
    let node = TestNode::start().await;
    let mut socket = socket(&node.address()).await;
    let Some(Ok(Frame::Binary(_))) = soon(socket.next()).await else {
        panic!()
    };
    let shutdown = tokio::spawn(node.server.shutdown());
    let Some(Ok(Frame::Close(Some(close)))) = soon(socket.next()).await else {
        panic!()
    };
    assert_eq!(u16::from(close.code), 1001);
    // Answering the close is the client's part.
    while let Some(Ok(_)) = soon(socket.next()).await {}
    soon(shutdown).await.unwrap();
}
