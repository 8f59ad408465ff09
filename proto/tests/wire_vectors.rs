//! Every recorded item of `tests/vectors/wire`: what official clients and a node put on the wire
//! decodes with our messages and encodes again to the same bytes, so that no field is missing,
//! misnumbered or mistyped.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;
use sotto_proto::{
    Message, associations, identity_api as identity, message_contents, mls_api as mls, paths,
};

fn items(file: &str) -> Vec<Value> {
    let path = format!(
        "{}/../tests/vectors/wire/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(path).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    let items = document["items"].as_array().unwrap().clone();
    assert_eq!(items.len() as u64, document["count"].as_u64().unwrap());
    items
}

fn bytes(value: &Value) -> Vec<u8> {
    BASE64.decode(value.as_str().unwrap()).unwrap()
}

/// Decodes and encodes again. Maps may come in any order on the wire, so messages that hold one
/// are compared as values instead; none of those here does.
fn survives<T: Message + Default>(bytes: &[u8], what: &str) -> T {
    let message = T::decode(bytes).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(message.encode_to_vec(), bytes, "{what}");
    message
}

#[test]
fn every_recorded_call_survives_decoding() {
    let items = items("rpc-samples.json");
    for item in &items {
        let path = item["path"].as_str().unwrap();
        let request = bytes(&item["request_b64"]);
        let responses: Vec<Vec<u8>> = match item["stream_messages_b64"].as_array() {
            Some(messages) => messages.iter().map(bytes).collect(),
            None => vec![bytes(&item["response_b64"])],
        };
        fn both<Req: Message + Default, Res: Message + Default>(
            path: &str,
            request: &[u8],
            responses: &[Vec<u8>],
        ) {
            survives::<Req>(request, path);
            for response in responses {
                survives::<Res>(response, path);
            }
        }
        match path {
            paths::SEND_GROUP_MESSAGES => {
                both::<mls::SendGroupMessagesRequest, ()>(path, &request, &responses)
            }
            paths::QUERY_GROUP_MESSAGES => {
                both::<mls::QueryGroupMessagesRequest, mls::QueryGroupMessagesResponse>(
                    path, &request, &responses,
                );
            }
            paths::GET_NEWEST_GROUP_MESSAGE => {
                both::<mls::GetNewestGroupMessageRequest, mls::GetNewestGroupMessageResponse>(
                    path, &request, &responses,
                );
            }
            paths::SUBSCRIBE_GROUP_MESSAGES => {
                both::<mls::SubscribeGroupMessagesRequest, mls::GroupMessage>(
                    path, &request, &responses,
                );
            }
            paths::SUBSCRIBE_WELCOME_MESSAGES => {
                both::<mls::SubscribeWelcomeMessagesRequest, mls::WelcomeMessage>(
                    path, &request, &responses,
                );
            }
            paths::SEND_WELCOME_MESSAGES => {
                both::<mls::SendWelcomeMessagesRequest, ()>(path, &request, &responses)
            }
            paths::QUERY_WELCOME_MESSAGES => {
                both::<mls::QueryWelcomeMessagesRequest, mls::QueryWelcomeMessagesResponse>(
                    path, &request, &responses,
                );
            }
            paths::UPLOAD_KEY_PACKAGE => {
                both::<mls::UploadKeyPackageRequest, ()>(path, &request, &responses)
            }
            paths::FETCH_KEY_PACKAGES => {
                both::<mls::FetchKeyPackagesRequest, mls::FetchKeyPackagesResponse>(
                    path, &request, &responses,
                );
            }
            paths::BATCH_PUBLISH_COMMIT_LOG => {
                both::<mls::BatchPublishCommitLogRequest, ()>(path, &request, &responses)
            }
            paths::BATCH_QUERY_COMMIT_LOG => {
                both::<mls::BatchQueryCommitLogRequest, mls::BatchQueryCommitLogResponse>(
                    path, &request, &responses,
                );
            }
            paths::PUBLISH_IDENTITY_UPDATE => {
                both::<
                    identity::PublishIdentityUpdateRequest,
                    identity::PublishIdentityUpdateResponse,
                >(path, &request, &responses);
            }
            paths::GET_IDENTITY_UPDATES => {
                both::<identity::GetIdentityUpdatesRequest, identity::GetIdentityUpdatesResponse>(
                    path, &request, &responses,
                );
            }
            paths::GET_INBOX_IDS => {
                both::<identity::GetInboxIdsRequest, identity::GetInboxIdsResponse>(
                    path, &request, &responses,
                );
            }
            other => panic!("a recorded call that no test covers: {other}"),
        }
    }
}

#[test]
fn every_recorded_welcome_survives_decoding() {
    for item in items("welcomes.json") {
        let name = item["name"].as_str().unwrap();
        let input: mls::WelcomeMessageInput = survives(&bytes(&item["input_b64"]), name);
        let stored: mls::WelcomeMessage = survives(&bytes(&item["welcome_message_b64"]), name);
        match (input.version.unwrap(), stored.version.unwrap()) {
            (
                mls::welcome_message_input::Version::V1(input),
                mls::welcome_message::Version::V1(stored),
            ) => {
                assert_eq!(
                    (input.installation_key, input.data),
                    (stored.installation_key, stored.data)
                );
            }
            (
                mls::welcome_message_input::Version::WelcomePointer(input),
                mls::welcome_message::Version::WelcomePointer(stored),
            ) => assert_eq!(input.welcome_pointer, stored.welcome_pointer),
            _ => panic!("{name}: sent as one variant, stored as the other"),
        }
    }
}

#[test]
fn every_recorded_group_message_survives_decoding() {
    for item in items("group-messages.json") {
        let name = item["name"].as_str().unwrap();
        let stored: mls::GroupMessage = survives(&bytes(&item["group_message_b64"]), name);
        let Some(mls::group_message::Version::V1(v1)) = stored.version else {
            panic!("{name}: no version")
        };
        assert_eq!(v1.data, bytes(&item["message_b64"]), "{name}");
        assert_eq!(v1.id.to_string(), item["id"].as_str().unwrap(), "{name}");
    }
}

#[test]
fn every_recorded_identity_update_survives_decoding() {
    for item in items("identity-updates.json") {
        let name = item["name"].as_str().unwrap();
        let update: associations::IdentityUpdate = survives(&bytes(&item["update_b64"]), name);
        assert_eq!(
            update.inbox_id,
            item["inbox_id"].as_str().unwrap(),
            "{name}"
        );
    }
}

#[test]
fn every_recorded_commit_log_entry_survives_decoding() {
    for item in items("commit-log.json") {
        let request: mls::PublishCommitLogRequest =
            survives(&bytes(&item["request_b64"]), "request");
        let entry: message_contents::PlaintextCommitLogEntry =
            survives(&bytes(&item["entry_b64"]), "entry");
        assert_eq!(
            request.serialized_commit_log_entry,
            bytes(&item["entry_b64"])
        );
        assert_eq!(
            hex::encode(&entry.group_id),
            item["group_id_hex"].as_str().unwrap()
        );
        assert_eq!(
            hex::encode(request.signature.unwrap().bytes),
            item["signature_hex"].as_str().unwrap()
        );
    }
}

#[test]
fn every_recorded_grpc_web_body_is_frames_of_known_messages() {
    for item in items("grpc-web.json") {
        let url = item["url"].as_str().unwrap();
        assert!(paths::ALL.contains(&url), "{url}");
        let body = hex::decode(item["request_body_hex"].as_str().unwrap()).unwrap();
        if !body.is_empty() {
            let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
            assert_eq!((body[0], body.len()), (0, 5 + length), "{url}");
        }
    }
}
