//! gRPC-Web on the wire, byte by byte; CORS; what is not an RPC.

use std::time::Duration;

use prost::Message;
use sotto_proto::{mls_api as api, paths};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::support::*;

/// Reads whatever comes, one item a read, until nothing comes for a while.
async fn reads(stream: &mut TcpStream) -> Vec<Vec<u8>> {
    let mut out = vec![];
    let mut buffer = vec![0; 1 << 20];
    while let Ok(Ok(read)) = timeout(Duration::from_millis(300), stream.read(&mut buffer)).await {
        if read == 0 {
            break;
        }
        out.push(buffer[..read].to_vec());
    }
    out
}

const OK_TRAILERS: &[u8] = b"\x80\x00\x00\x00\x0fgrpc-status:0\r\n";

fn is_in(needle: &[u8], hay: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trailers_frame_arrives_in_one_read() {
    let node = TestNode::start().await;
    let web = node.web();
    let group = unique_bytes();
    let batch = (0..80)
        .map(|n| input(private_message(group, 1, &[n; 40_000])))
        .collect();
    web.call::<()>(paths::SEND_GROUP_MESSAGES, send(batch))
        .await
        .unwrap();
    for limit in [1, 2, 10, 80] {
        let body = frame(0, &query(group, paging(1, limit, 0)).encode_to_vec());
        let mut stream = web.open(paths::QUERY_GROUP_MESSAGES, &body).await;
        let reads = reads(&mut stream).await;
        assert!(
            reads.iter().any(|read| read.ends_with(OK_TRAILERS)),
            "{limit}"
        );
        let response = Response::parse(&reads.concat());
        assert_eq!(
            response
                .unary::<api::QueryGroupMessagesResponse>()
                .unwrap()
                .messages
                .len(),
            limit as usize
        );
    }
}

#[tokio::test]
async fn a_unary_answer_has_the_right_head() {
    let node = TestNode::start().await;
    let body = frame(0, &query(unique_bytes(), None).encode_to_vec());
    let response = node.web().post(paths::QUERY_GROUP_MESSAGES, &body).await;
    assert_eq!(response.status, 200);
    assert_eq!(
        response.header("content-type"),
        Some("application/grpc-web+proto")
    );
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    assert!(
        response
            .header("access-control-expose-headers")
            .unwrap()
            .contains("grpc-status")
    );
    let frames = response.frames();
    assert_eq!(
        frames.iter().map(|(flag, _)| *flag).collect::<Vec<_>>(),
        [0, 0x80]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_sends_its_head_at_once_and_nothing_while_idle() {
    let node = TestNode::start().await;
    let web = node.web();
    let group: [u8; 16] = unique_bytes();
    let request = api::SubscribeGroupMessagesRequest {
        filters: vec![api::subscribe_group_messages_request::Filter {
            group_id: group.to_vec(),
            id_cursor: 0,
        }],
    };
    let mut stream = web
        .open(
            paths::SUBSCRIBE_GROUP_MESSAGES,
            &frame(0, &request.encode_to_vec()),
        )
        .await;
    let head = reads(&mut stream).await.concat();
    let text = String::from_utf8(head).unwrap().to_lowercase();
    assert!(
        text.starts_with("http/1.1 200") && text.ends_with("\r\n\r\n"),
        "{text}"
    );
    assert!(text.contains("content-type: application/grpc-web+proto"));
    assert!(!text.contains("content-length"));

    web.call::<()>(
        paths::SEND_GROUP_MESSAGES,
        send(vec![message(group, "live")]),
    )
    .await
    .unwrap();
    let body = reads(&mut stream).await.concat();
    let frames = frames(&unchunk(&body));
    assert_eq!(frames.len(), 1);
    let message = api::GroupMessage::decode(frames[0].1.as_slice()).unwrap();
    assert!(group_v1(&message).data.ends_with(b"live"));

    // The end of the node is the end of the stream, with a status in one piece.
    let shutdown = tokio::spawn(node.server.shutdown());
    let end = reads(&mut stream).await.concat();
    assert!(is_in(b"grpc-status:14\r\n", &end));
    soon(shutdown).await.unwrap();
}

#[tokio::test]
async fn errors_are_a_trailers_frame_alone() {
    let node = TestNode::start().await;
    let response = node
        .web()
        .post(paths::SEND_GROUP_MESSAGES, &frame(0, &[]))
        .await;
    assert_eq!((response.status, response.frames().len()), (200, 1));
    assert_eq!(
        response.unary::<()>().unwrap_err(),
        (3, "no messages".into())
    );
    assert_eq!(
        response.header("content-type"),
        Some("application/grpc-web+proto")
    );
}

#[tokio::test]
async fn broken_bodies_get_a_typed_status_on_every_rpc() {
    let node = TestNode::with(|config| config.max_request = 100_000).await;
    let web = node.web();
    let oversized = {
        let mut body = frame(0, &[]);
        body[1..5].copy_from_slice(&100_001_u32.to_be_bytes());
        body
    };
    let cases: [(&str, Vec<u8>, i32); 8] = [
        ("empty", vec![], 3),
        ("cut head", vec![0, 0, 0], 3),
        ("cut body", vec![0, 0, 0, 0, 9, 1], 3),
        ("two frames", [frame(0, &[]), frame(0, &[])].concat(), 3),
        ("garbage protobuf", frame(0, &[0xff; 64]), 3),
        ("compressed", frame(1, &[]), 12),
        ("unknown flag", frame(2, &[]), 3),
        ("oversized", oversized, 8),
    ];
    for path in paths::ALL {
        for (what, body, code) in &cases {
            let failed = web.post(path, body).await.unary::<()>().unwrap_err();
            // gRPC-Web cannot carry Subscribe, so nobody looks into its messages.
            let code = match (*path, *what) {
                (paths::SUBSCRIBE, "garbage protobuf") => 12,
                _ => *code,
            };
            assert_eq!(failed.0, code, "{path}: {what}");
        }
    }
    // A body that is larger than it says, without a declared length in the frame.
    let failed = web
        .post(paths::QUERY_GROUP_MESSAGES, &vec![0; 200_000])
        .await;
    assert!(failed.unary::<()>().is_err());
    let metrics = plain(&node, "GET /metrics HTTP/1.1").await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    assert!(
        metrics.contains("\nsotto_log_records_total 0\n"),
        "nothing was stored"
    );
}

#[tokio::test]
async fn broken_frames_over_http2_get_a_typed_status_too() {
    let node = TestNode::with(|config| config.max_request = 100_000).await;
    let client = node.native().await;
    for path in paths::ALL.iter().filter(|path| **path != paths::SUBSCRIBE) {
        // A group id field of the wrong wire type: every request message refuses it.
        let failed = client
            .call::<()>(path, Raw(vec![0x0b; 9]))
            .await
            .unwrap_err();
        assert_eq!(failed.0, 3, "{path}");
        let failed = client
            .call::<()>(path, Raw(vec![0x0a; 100_001]))
            .await
            .unwrap_err();
        assert_eq!(failed.0, 8, "{path}");
    }
}

/// Bytes that pretend to be a message.
#[derive(Debug, Default)]
struct Raw(Vec<u8>);

impl Message for Raw {
    fn encode_raw(&self, buf: &mut impl bytes::BufMut) {
        buf.put_slice(&self.0);
    }
    fn merge_field(
        &mut self,
        _: u32,
        _: prost::encoding::WireType,
        _: &mut impl bytes::Buf,
        _: prost::encoding::DecodeContext,
    ) -> Result<(), prost::DecodeError> {
        Ok(())
    }
    fn encoded_len(&self) -> usize {
        self.0.len()
    }
    fn clear(&mut self) {}
}

#[tokio::test]
async fn unknown_methods_are_unimplemented_in_both_framings() {
    let node = TestNode::start().await;
    let native = node.native().await;
    for path in [
        "/xmtp.mls.api.v1.MlsApi/RevokeInstallation",
        "/xmtp.mls.api.v1.MlsApi/GetIdentityUpdates",
        "/nothing",
    ] {
        assert_eq!(native.call::<()>(path, ()).await.unwrap_err().0, 12);
        assert_eq!(node.web().call::<()>(path, ()).await.unwrap_err().0, 12);
    }
    let failed = node
        .web()
        .call::<()>(paths::SUBSCRIBE, ())
        .await
        .unwrap_err();
    assert_eq!(failed.0, 12);
}

async fn plain(node: &TestNode, head: &str) -> Response {
    let mut stream = TcpStream::connect(node.address()).await.unwrap();
    let request = format!("{head}\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = vec![];
    soon(stream.read_to_end(&mut bytes)).await.unwrap();
    Response::parse(&bytes)
}

#[tokio::test]
async fn preflights_allow_what_the_sdks_send() {
    let node = TestNode::start().await;
    for path in paths::ALL {
        let asked = format!(
            "OPTIONS {path} HTTP/1.1\r\norigin: http://a.example\r\naccess-control-request-method: POST\r\n\
             access-control-request-headers: content-type,x-app-version,x-grpc-web,x-libxmtp-version"
        );
        let response = plain(&node, &asked).await;
        assert_eq!(response.status, 204);
        assert_eq!(response.header("access-control-allow-origin"), Some("*"));
        assert_eq!(
            response.header("access-control-allow-methods"),
            Some("POST")
        );
        let allowed = response.header("access-control-allow-headers").unwrap();
        for name in [
            "content-type",
            "x-app-version",
            "x-grpc-web",
            "x-libxmtp-version",
        ] {
            assert!(allowed.contains(name));
        }
        assert!(
            response
                .header("access-control-max-age")
                .unwrap()
                .parse::<u32>()
                .unwrap()
                >= 7_200
        );
    }
}

#[tokio::test]
async fn health_metrics_files_and_other_requests() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("index.html"), "<p>hello").unwrap();
    let www = directory.path().to_owned();
    let node = TestNode::with(|config| config.www = Some(www)).await;
    node.web()
        .call::<api::QueryGroupMessagesResponse>(
            paths::QUERY_GROUP_MESSAGES,
            query(unique_bytes(), None),
        )
        .await
        .unwrap();

    let get = async |path: &str| plain(&node, &format!("GET {path} HTTP/1.1")).await;
    assert_eq!(get("/healthz").await.status, 200);
    assert_eq!(get("/readyz").await.status, 200);
    let metrics = String::from_utf8(get("/metrics").await.body).unwrap();
    assert!(metrics.contains("sotto_calls_total{rpc=\"QueryGroupMessages\",code=\"Ok\"} 1"));
    let index = get("/").await;
    assert_eq!(
        (index.status, index.body.as_slice()),
        (200, &b"<p>hello"[..])
    );
    assert_eq!(get("/none").await.status, 404);
    assert_eq!(get(paths::QUERY_GROUP_MESSAGES).await.status, 405);
    assert_eq!(plain(&node, "DELETE / HTTP/1.1").await.status, 405);
    let json = format!(
        "POST {} HTTP/1.1\r\ncontent-type: application/json",
        paths::QUERY_GROUP_MESSAGES
    );
    assert_eq!(plain(&node, &json).await.status, 415);
}
