//! Encoding of XIP-83 responses. Messages are spliced in as they were encoded once.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use prost::{
    Message,
    encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len},
};
use sotto_proto::mls_api::{
    Ping, Pong, SubscribeResponse,
    subscribe_response::{
        V1, Version,
        v1::{CatchupComplete, Response, Started, TopicsLive},
    },
};

use crate::{
    envelope::Envelope,
    topic::{Kind, Topic},
};

/// A `Messages` frame; `mutate_id` 0 means live.
pub fn messages(envelopes: &[Arc<Envelope>], mutate_id: u64) -> Bytes {
    const GROUP_MESSAGES: u32 = 1;
    const WELCOME_MESSAGES: u32 = 2;
    const MUTATE_ID: u32 = 3;

    let entries: usize = envelopes
        .iter()
        .map(|envelope| delimited_len(envelope.message.len()))
        .sum();
    let id = if mutate_id == 0 {
        0
    } else {
        key_len(MUTATE_ID) + encoded_len_varint(mutate_id)
    };
    let body = entries + id;
    let mut out = BytesMut::with_capacity(delimited_len(delimited_len(body)));
    // SubscribeResponse.v1, then V1.messages: both field 1.
    start_delimited(1, delimited_len(body), &mut out);
    start_delimited(1, body, &mut out);
    for envelope in envelopes {
        let field = match envelope.topic.kind() {
            Kind::Group => GROUP_MESSAGES,
            Kind::Welcome => WELCOME_MESSAGES,
        };
        start_delimited(field, envelope.message.len(), &mut out);
        out.put_slice(&envelope.message);
    }
    if mutate_id != 0 {
        encode_key(MUTATE_ID, WireType::Varint, &mut out);
        encode_varint(mutate_id, &mut out);
    }
    out.freeze()
}

/// The first frame of a stream.
pub fn started(keepalive_interval_ms: u32) -> Bytes {
    encode(Response::Started(Started {
        keepalive_interval_ms,
        capabilities: vec![],
    }))
}

/// Topics whose history is complete.
pub fn topics_live(topics: &[Topic]) -> Bytes {
    encode(Response::TopicsLive(TopicsLive {
        topics: topics.iter().map(|topic| topic.to_bytes()).collect(),
    }))
}

/// The end of a Mutate.
pub fn catchup_complete(mutate_id: u64) -> Bytes {
    encode(Response::CatchupComplete(CatchupComplete { mutate_id }))
}

/// The node asks whether the client is there.
pub fn ping(nonce: u64) -> Bytes {
    encode(Response::Ping(Ping { nonce }))
}

/// The answer to a client's ping.
pub fn pong(nonce: u64) -> Bytes {
    encode(Response::Pong(Pong { nonce }))
}

fn encode(response: Response) -> Bytes {
    SubscribeResponse {
        version: Some(Version::V1(V1 {
            response: Some(response),
        })),
    }
    .encode_to_vec()
    .into()
}

/// Length of a delimited field whose number is below 16.
fn delimited_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64) + len
}

fn start_delimited(field: u32, len: usize, out: &mut BytesMut) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(len as u64, out);
}

#[cfg(test)]
mod tests {
    use sotto_proto::mls_api::subscribe_response::v1::Messages;

    use super::*;
    use crate::record::{GroupMessage, Stored, Welcome};

    #[test]
    fn a_spliced_frame_equals_one_encoded_whole() {
        let message = GroupMessage {
            group_id: [1; 16],
            data: vec![2; 300],
            sender_hmac: vec![3; 32],
            should_push: true,
            is_commit: false,
        };
        let welcome = Welcome {
            installation_key: [4; 32],
            data: vec![5; 20],
            hpke_public_key: vec![6; 32],
            wrapper_algorithm: 1,
            welcome_metadata: vec![],
            is_pointer: false,
        };
        fn stored<T: Clone>(item: &T, id: u64) -> Stored<T> {
            Stored {
                id,
                created_ns: id + 1,
                item: item.clone(),
            }
        }
        for mutate_id in [0, 1, u64::MAX] {
            let whole = encode(Response::Messages(Messages {
                group_messages: vec![
                    stored(&message, 7).into_wire(),
                    stored(&message, 9).into_wire(),
                ],
                welcome_messages: vec![stored(&welcome, 11).into_wire()],
                mutate_id,
            }));
            let spliced = messages(
                &[
                    Envelope::group(stored(&message, 7)),
                    Envelope::group(stored(&message, 9)),
                    Envelope::welcome(stored(&welcome, 11)),
                ],
                mutate_id,
            );
            assert_eq!(spliced, whole);
        }
    }
}
