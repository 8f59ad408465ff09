//! What the official SDKs put on the wire, played to the node.

use base64::{Engine, prelude::BASE64_STANDARD};
use prost::Message;
use serde_json::Value;
use sotto_proto::{associations, identity_api as id, mls_api as api, paths};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

fn items(file: &str) -> Vec<Value> {
    let path = format!(
        "{}/../tests/vectors/wire/{file}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    let mut file: Value = serde_json::from_str(&text).unwrap();
    let items = file["items"].take();
    assert_eq!(
        items.as_array().unwrap().len() as u64,
        file["count"].as_u64().unwrap()
    );
    match items {
        Value::Array(items) => items,
        _ => panic!(),
    }
}

fn base64(item: &Value, field: &str) -> Vec<u8> {
    BASE64_STANDARD
        .decode(item[field].as_str().unwrap())
        .unwrap()
}

/// Publishes all recorded identity updates, in order.
async fn register_everybody(client: &Native) {
    for item in items("identity-updates") {
        let request = publish(base64(&item, "update_b64"));
        let _: id::PublishIdentityUpdateResponse = client
            .call(paths::PUBLISH_IDENTITY_UPDATE, request)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn identity_updates_of_official_clients_are_taken_and_returned_byte_for_byte() {
    let node = TestNode::start().await;
    let client = node.native().await;
    register_everybody(&client).await;
    let recorded = items("identity-updates");
    for item in &recorded {
        let inbox = item["inbox_id"].as_str().unwrap();
        let answer: id::GetIdentityUpdatesResponse = client
            .call(paths::GET_IDENTITY_UPDATES, updates_of(inbox, 0))
            .await
            .unwrap();
        let got: Vec<Vec<u8>> = answer.responses[0]
            .updates
            .iter()
            .map(|u| u.update.clone().unwrap())
            .collect();
        let sent: Vec<Vec<u8>> = recorded
            .iter()
            .filter(|other| other["inbox_id"] == item["inbox_id"])
            .map(|other| base64(other, "update_b64"))
            .collect();
        assert_eq!(got, sent);
    }
    // Who created an inbox is found by address.
    let creators: Vec<(String, String)> = recorded
        .iter()
        .filter_map(|item| {
            let update =
                associations::IdentityUpdate::decode(base64(item, "update_b64").as_slice())
                    .unwrap();
            update
                .actions
                .iter()
                .find_map(|action| match action.kind.as_ref()? {
                    associations::identity_action::Kind::CreateInbox(create) => {
                        Some((create.initial_identifier.clone(), update.inbox_id.clone()))
                    }
                    _ => None,
                })
        })
        .collect();
    assert!(creators.len() >= 7);
    let asked: Vec<(&str, i32)> = creators
        .iter()
        .map(|(address, _)| (address.as_str(), 1))
        .collect();
    let answer: id::GetInboxIdsResponse = client
        .call(paths::GET_INBOX_IDS, inboxes_of(&asked))
        .await
        .unwrap();
    for ((_, inbox), response) in creators.iter().zip(&answer.responses) {
        assert_eq!(response.inbox_id.as_ref(), Some(inbox));
    }
}

#[tokio::test]
async fn group_messages_come_back_as_the_recording_node_returned_them() {
    let node = TestNode::start().await;
    let client = node.native().await;
    let recorded = items("group-messages");
    let expected = |item: &Value| {
        api::GroupMessage::decode(base64(item, "group_message_b64").as_slice()).unwrap()
    };
    for item in &recorded {
        let v1 = group_v1(&expected(item)).clone();
        let version = api::group_message_input::Version::V1(api::group_message_input::V1 {
            data: base64(item, "message_b64"),
            sender_hmac: v1.sender_hmac,
            should_push: v1.should_push,
        });
        let request = send(vec![api::GroupMessageInput {
            version: Some(version),
        }]);
        client
            .call::<()>(paths::SEND_GROUP_MESSAGES, request)
            .await
            .unwrap();
    }
    let mut seen = 0;
    let mut groups: Vec<Vec<u8>> = recorded
        .iter()
        .map(|i| group_v1(&expected(i)).group_id.clone())
        .collect();
    groups.sort();
    groups.dedup();
    for group in groups {
        let answer: api::QueryGroupMessagesResponse = client
            .call(
                paths::QUERY_GROUP_MESSAGES,
                query(group.clone().try_into().unwrap(), paging(1, 100, 0)),
            )
            .await
            .unwrap();
        let wanted = recorded
            .iter()
            .map(expected)
            .filter(|message| group_v1(message).group_id == group);
        for (got, wanted) in answer.messages.iter().zip(wanted) {
            let (got, wanted) = (group_v1(got), group_v1(&wanted));
            let same = api::group_message::V1 {
                id: got.id,
                created_ns: got.created_ns,
                ..wanted.clone()
            };
            assert_eq!(*got, same);
            seen += 1;
        }
    }
    assert_eq!(seen, recorded.len());
}

#[tokio::test]
async fn welcomes_come_back_as_the_recording_node_returned_them() {
    use api::welcome_message::Version;
    let node = TestNode::start().await;
    let client = node.native().await;
    for item in items("welcomes") {
        let input =
            api::WelcomeMessageInput::decode(base64(&item, "input_b64").as_slice()).unwrap();
        let request = api::SendWelcomeMessagesRequest {
            messages: vec![input],
        };
        client
            .call::<()>(paths::SEND_WELCOME_MESSAGES, request)
            .await
            .unwrap();
        let mut wanted =
            api::WelcomeMessage::decode(base64(&item, "welcome_message_b64").as_slice()).unwrap();
        let key = match wanted.version.as_ref().unwrap() {
            Version::V1(v1) => v1.installation_key.clone(),
            Version::WelcomePointer(pointer) => pointer.installation_key.clone(),
        };
        let asked = api::QueryWelcomeMessagesRequest {
            installation_key: key,
            paging_info: paging(2, 1, 0),
        };
        let answer: api::QueryWelcomeMessagesResponse = client
            .call(paths::QUERY_WELCOME_MESSAGES, asked)
            .await
            .unwrap();
        let got = answer.messages.into_iter().next().unwrap();
        match (
            wanted.version.as_mut().unwrap(),
            got.version.as_ref().unwrap(),
        ) {
            (Version::V1(wanted), Version::V1(got)) => {
                (wanted.id, wanted.created_ns) = (got.id, got.created_ns)
            }
            (Version::WelcomePointer(wanted), Version::WelcomePointer(got)) => {
                (wanted.id, wanted.created_ns) = (got.id, got.created_ns);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(got, wanted);
    }
}

#[tokio::test]
async fn key_packages_are_taken_exactly_while_they_are_valid() {
    let node = TestNode::start().await;
    let client = node.native().await;
    let now = now_ns() / 1_000_000_000;
    for item in items("key-packages") {
        let leaf = &item["decoded"]["leaf"];
        let time = |field: &str| leaf[field].as_str().unwrap().parse::<u64>().unwrap();
        let valid = time("not_before") <= now && now < time("not_after");
        let bytes = base64(&item, "key_package_b64");
        let answer = client
            .call::<()>(paths::UPLOAD_KEY_PACKAGE, upload(bytes.clone()))
            .await;
        assert_eq!(answer.is_ok(), valid, "{answer:?}");
        let key = hex::decode(leaf["signature_key_hex"].as_str().unwrap()).unwrap();
        let request = api::FetchKeyPackagesRequest {
            installation_keys: vec![key],
        };
        let fetched: api::FetchKeyPackagesResponse = client
            .call(paths::FETCH_KEY_PACKAGES, request)
            .await
            .unwrap();
        let expected = if valid { bytes } else { vec![] };
        assert_eq!(fetched.key_packages[0].key_package_tls_serialized, expected);
    }
}

#[tokio::test]
async fn every_recorded_request_is_answered() {
    let node = TestNode::start().await;
    let (native, web) = (node.native().await, node.web());
    register_everybody(&native).await;
    for item in items("rpc-samples") {
        let path = item["path"].as_str().unwrap();
        let path = paths::ALL.iter().find(|known| **known == path).unwrap();
        let request = base64(&item, "request_b64");
        if item.get("stream_messages_b64").is_some() {
            // Streams are opened, not read to their end.
            let opened = native.stream::<Opaque>(path, Opaque(request)).await;
            assert!(opened.is_ok(), "{path}");
            continue;
        }
        let answer = match item["transport"].as_str().unwrap() {
            "grpc" => native.call::<Opaque>(path, Opaque(request)).await,
            "grpc-web" => web.call::<Opaque>(path, Opaque(request)).await,
            other => panic!("{other}"),
        };
        match answer {
            Ok(_) => {}
            // Recorded key packages expire; that they are judged by time is another test's.
            Err((3, why)) if *path == paths::UPLOAD_KEY_PACKAGE && why.contains("lifetime") => {}
            Err(other) => panic!("{path}: {other:?}"),
        }
    }
}

/// Any message, kept as bytes.
#[derive(Debug, Default)]
struct Opaque(Vec<u8>);

impl Message for Opaque {
    fn encode_raw(&self, buffer: &mut impl bytes::BufMut) {
        buffer.put_slice(&self.0);
    }
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: prost::encoding::WireType,
        buffer: &mut impl bytes::Buf,
        context: prost::encoding::DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        prost::encoding::skip_field(wire_type, tag, buffer, context)
    }
    fn encoded_len(&self) -> usize {
        self.0.len()
    }
    fn clear(&mut self) {}
}

#[tokio::test]
async fn recorded_browser_requests_get_the_recorded_kind_of_answer() {
    let node = TestNode::start().await;
    for item in items("grpc-web") {
        let text = |field: &str| item[field].as_str().unwrap();
        let body = hex::decode(text("request_body_hex")).unwrap();
        let mut request = format!(
            "{} {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n",
            text("method"),
            text("url")
        );
        for (name, value) in item["request_headers"].as_object().unwrap() {
            if !["host", "connection", "content-length"].contains(&name.as_str()) {
                request.push_str(&format!("{name}: {}\r\n", value.as_str().unwrap()));
            }
        }
        request.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
        let mut stream = tokio::net::TcpStream::connect(node.address())
            .await
            .unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.write_all(&body).await.unwrap();

        let streaming = text("url").contains("Subscribe") && text("method") == "POST";
        let mut bytes = vec![];
        if streaming {
            // Its head, and then it stays open.
            while !bytes.ends_with(b"\r\n\r\n") {
                assert!(soon(stream.read_buf(&mut bytes)).await.unwrap() > 0);
            }
        } else {
            soon(stream.read_to_end(&mut bytes)).await.unwrap();
        }
        let response = Response::parse(&bytes);
        assert_eq!(u64::from(response.status), item["status"].as_u64().unwrap());
        for (name, value) in item["response_headers"].as_object().unwrap() {
            let got = response.header(name).unwrap_or_else(|| panic!("{name}"));
            // Expose what a page needs; details we do not send need no exposing.
            if name != "access-control-expose-headers" {
                assert_eq!(got, value.as_str().unwrap(), "{name}");
            }
        }
        let writes: Vec<Vec<u8>> = item["response_writes_hex"]
            .as_array()
            .unwrap()
            .iter()
            .map(|write| hex::decode(write.as_str().unwrap()).unwrap())
            .collect();
        if !streaming && let Some(trailers) = writes.last() {
            let refused = response.frames().len() == 1;
            // The recorded registration is of an inbox with a history; each request is answered in form.
            assert!(refused || response.body.ends_with(trailers));
        }
    }
}
