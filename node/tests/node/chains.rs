//! Contract wallets, asked of a chain that the test plays.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sotto::identity::{InstallationKey, SignatureRequest};
use sotto_proto::{identity_api as id, paths};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpListener,
};

use crate::support::*;

/// A JSON-RPC endpoint at block 0x1234 that answers every `eth_call` with what it is told to.
#[derive(Clone)]
struct Chain {
    address: String,
    answer: Arc<Mutex<Value>>,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Chain {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let chain = Self {
            address: listener.local_addr().unwrap().to_string(),
            answer: Arc::default(),
            asked: Arc::default(),
        };
        let serving = chain.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let serving = serving.clone();
                tokio::spawn(async move { serving.serve(stream).await });
            }
        });
        chain
    }

    async fn serve(self, stream: tokio::net::TcpStream) {
        let mut stream = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let lower = line.to_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                let request: Value = serde_json::from_slice(&body).unwrap();
                let answer = match request["method"].as_str().unwrap() {
                    "eth_blockNumber" => json!({ "result": "0x1234" }).to_string(),
                    _ => match &*self.answer.lock().unwrap() {
                        Value::String(raw) => raw.clone(),
                        answer => answer.to_string(),
                    },
                };
                self.asked.lock().unwrap().push(request);
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                    answer.len()
                );
                let _ = stream.write_all((head + &answer).as_bytes()).await;
            }
        }
    }

    fn say(&self, answer: Value) {
        *self.answer.lock().unwrap() = answer;
    }

    async fn node(&self) -> TestNode {
        let endpoint = format!("8453=http://{}/key", self.address).parse().unwrap();
        TestNode::with(|config| config.eth_rpc = vec![endpoint]).await
    }
}

fn yes() -> Value {
    json!({ "result": "0x01" })
}

fn account(chain: u64) -> String {
    format!("eip155:{chain}:0x{}", "ab".repeat(20))
}

fn question(
    account_id: String,
    block_number: Option<u64>,
) -> id::VerifySmartContractWalletSignaturesRequest {
    id::VerifySmartContractWalletSignaturesRequest {
        signatures: vec![id::VerifySmartContractWalletSignatureRequestSignature {
            account_id,
            block_number,
            signature: vec![0xef; 65],
            hash: vec![0xcd; 32],
        }],
    }
}

#[tokio::test]
async fn the_chain_is_asked_at_the_right_block_and_its_word_is_passed_on() {
    let chain = Chain::start().await;
    let node = chain.node().await;
    let client = node.native().await;
    let ask = async |request| {
        let answer: id::VerifySmartContractWalletSignaturesResponse = client
            .call(paths::VERIFY_SMART_CONTRACT_WALLET_SIGNATURES, request)
            .await
            .unwrap();
        let response = answer.responses.into_iter().next().unwrap();
        (
            response.is_valid,
            response.block_number,
            response.error.is_some(),
        )
    };

    chain.say(yes());
    assert_eq!(
        ask(question(account(8453), None)).await,
        (true, Some(0x1234), false)
    );
    assert_eq!(
        ask(question(account(8453), Some(7))).await,
        (true, Some(7), false)
    );
    {
        let asked = chain.asked.lock().unwrap();
        let methods: Vec<_> = asked
            .iter()
            .map(|request| request["method"].as_str().unwrap())
            .collect();
        assert_eq!(methods, ["eth_blockNumber", "eth_call", "eth_call"]);
        assert_eq!(asked[1]["params"][1], "0x1234");
        assert_eq!(asked[2]["params"][1], "0x7");
        // A deployless call: no `to`, and the arguments after the creation code.
        let call = asked[2]["params"][0].as_object().unwrap();
        assert_eq!(call.keys().collect::<Vec<_>>(), ["data"]);
        assert!(call["data"].as_str().unwrap().contains(&"cd".repeat(32)));
    }

    for no in [
        json!({ "result": "0x00" }),
        json!({ "error": { "code": 3, "message": "execution reverted" } }),
    ] {
        chain.say(no);
        assert_eq!(
            ask(question(account(8453), Some(7))).await,
            (false, Some(7), false)
        );
    }
    for nothing in [
        json!({ "error": { "code": -32000, "message": "header not found" } }),
        json!({ "result": null }),
        json!({ "result": 1 }),
        json!({}),
        json!("not JSON"),
        json!("x".repeat(2 << 20)),
    ] {
        chain.say(nothing);
        assert_eq!(
            ask(question(account(8453), Some(7))).await,
            (false, None, true)
        );
    }
    assert_eq!(
        ask(question(account(1), Some(7))).await,
        (false, None, true)
    );
}

#[tokio::test]
async fn a_contract_wallet_registers_when_its_contract_agrees() {
    let chain = Chain::start().await;
    let node = chain.node().await;
    let client = node.native().await;
    let wallet = sotto::identity::Identifier::ethereum(&format!("0x{}", "ab".repeat(20))).unwrap();
    let installation = InstallationKey::from_seed(&unique_bytes());
    let mut request = SignatureRequest::create_inbox(&wallet, 1, installation.id(), now_ns());
    request.sign_with(&installation).unwrap();
    let check = request
        .contract_check(8453, &wallet, vec![0xef; 65], None)
        .unwrap();
    request
        .add_contract_signature(check, true, Some(99))
        .unwrap();
    let inbox = request.inbox_id().to_owned();
    let update = request.finish().unwrap();
    let put = async || {
        client
            .call::<id::PublishIdentityUpdateResponse>(
                paths::PUBLISH_IDENTITY_UPDATE,
                publish(update.clone()),
            )
            .await
    };
    let stored = async || {
        let answer: id::GetIdentityUpdatesResponse = client
            .call(paths::GET_IDENTITY_UPDATES, updates_of(&inbox, 0))
            .await
            .unwrap();
        answer.responses[0].updates.len()
    };

    chain.say(json!({ "result": "0x00" }));
    assert_eq!(put().await.unwrap_err().0, 3);
    chain.say(json!({ "error": { "code": -32000, "message": "busy" } }));
    assert_eq!(put().await.unwrap_err().0, 14);
    assert_eq!(stored().await, 0);
    chain.say(yes());
    put().await.unwrap();
    assert_eq!(stored().await, 1);
    assert_eq!(
        chain.asked.lock().unwrap().last().unwrap()["params"][1],
        "0x63"
    );

    // What was accepted is not asked again: the chain may be gone by now.
    chain.say(json!("gone"));
    let other = Person::new();
    let link = SignatureRequest::add_identifier(
        &sotto::identity::InboxId::parse(&inbox).unwrap(),
        installation.id(),
        &other.wallet.identifier(),
        now_ns(),
    );
    let update = other.finish(link, &[&installation]);
    let _: id::PublishIdentityUpdateResponse = client
        .call(paths::PUBLISH_IDENTITY_UPDATE, publish(update))
        .await
        .unwrap();
    assert_eq!(stored().await, 2);
}
