//! Asking EVM chains over JSON-RPC.
//!
//! One `eth_call` runs the validator of ERC-6492 without deploying it: its creation code returns
//! 1 when the wallet accepts the signature by ERC-1271, also after deploying the wallet first, or
//! when it is a plain key that signed. `erc6492.hex` is that code, from the constant
//! `erc6492SignatureValidatorByteCode` of the npm package viem (MIT).

use std::{collections::HashMap, fmt, str::FromStr, time::Duration};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Method, Request, Uri, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use sotto::identity::AccountId;
use tokio::{sync::Semaphore, time::timeout};

use super::{ChainError, ContractVerifier, Question, Verdict};

const VALIDATOR: &str = include_str!("erc6492.hex");
/// Bytes of a signature. Deploying wallets make long ones; this is far above.
const MAX_SIGNATURE: usize = 64 << 10;
/// Bytes of an endpoint's answer.
const MAX_ANSWER: usize = 1 << 20;
/// Questions asked at the same time, all clients together.
const MAX_PARALLEL: usize = 16;
/// For one question, waiting for its turn included.
const PATIENCE: Duration = Duration::from_secs(10);
/// JSON-RPC's code for a call that the contract reverted.
const REVERTED: i64 = 3;

/// A chain and where to ask it: `1=https://example.org/key`. The URL often holds a secret, so it
/// is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    chain: u64,
    uri: Uri,
}

/// Not an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected CHAIN=URL, as in 1=https://example.org")]
pub struct NotAnEndpoint;

impl FromStr for Endpoint {
    type Err = NotAnEndpoint;

    fn from_str(text: &str) -> Result<Self, NotAnEndpoint> {
        let (chain, uri) = text.split_once('=').ok_or(NotAnEndpoint)?;
        let uri: Uri = uri.parse().map_err(|_| NotAnEndpoint)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(NotAnEndpoint);
        }
        Ok(Self {
            chain: chain.parse().map_err(|_| NotAnEndpoint)?,
            uri,
        })
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({}=[redacted])", self.chain)
    }
}

/// The chains that this node can ask.
pub struct Chains {
    endpoints: HashMap<u64, Uri>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    turns: Semaphore,
}

/// What an endpoint answered.
enum Answer {
    Result(Value),
    Reverted,
}

impl Chains {
    /// Chains by their endpoints; of two for one chain the later counts.
    pub fn new(endpoints: &[Endpoint]) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_webpki_roots()
            .https_or_http()
            .enable_http1()
            .build();
        Self {
            endpoints: endpoints
                .iter()
                .map(|endpoint| (endpoint.chain, endpoint.uri.clone()))
                .collect(),
            client: Client::builder(TokioExecutor::new()).build(connector),
            turns: Semaphore::new(MAX_PARALLEL),
        }
    }

    async fn ask(&self, question: Question) -> Result<Verdict, ChainError> {
        let account = AccountId::parse(&question.account_id).map_err(|_| ChainError::Account)?;
        let chain = account.chain_id().map_err(|_| ChainError::Account)?;
        let address = account.address().map_err(|_| ChainError::Account)?;
        if question.signature.len() > MAX_SIGNATURE {
            return Err(ChainError::TooLong);
        }
        let uri = self
            .endpoints
            .get(&chain)
            .ok_or(ChainError::UnknownChain(chain))?;
        let _turn = self.turns.acquire().await;

        let block_number = match question.block_number {
            Some(block) => block,
            None => match self.call(uri, "eth_blockNumber", json!([])).await? {
                Answer::Result(Value::String(number)) => quantity(&number)?,
                _ => return Err(ChainError::Unreachable),
            },
        };
        let data = call_data(&address, &question.hash, &question.signature);
        let params = json!([{ "data": data }, format!("{block_number:#x}")]);
        let is_valid = match self.call(uri, "eth_call", params).await? {
            Answer::Result(Value::String(returned)) => is_true(&returned)?,
            Answer::Result(_) => return Err(ChainError::Unreachable),
            Answer::Reverted => false,
        };
        Ok(Verdict {
            is_valid,
            block_number,
        })
    }

    async fn call(&self, uri: &Uri, method: &str, params: Value) -> Result<Answer, ChainError> {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body.to_string())))
            .map_err(|_| ChainError::Unreachable)?;
        let unreachable = |what: &'static str| {
            // Not the error itself: it may quote the URL.
            tracing::warn!(what, method, "a chain endpoint failed");
            ChainError::Unreachable
        };
        let response = self
            .client
            .request(request)
            .await
            .map_err(|_| unreachable("no connection"))?;
        let body = Limited::new(response.into_body(), MAX_ANSWER)
            .collect()
            .await
            .map_err(|_| unreachable("no body"))?;
        let mut answer: Value =
            serde_json::from_slice(&body.to_bytes()).map_err(|_| unreachable("not JSON"))?;
        if let Some(error) = answer.get("error").filter(|error| !error.is_null()) {
            let message = error["message"].as_str().unwrap_or_default();
            let reverted = error["code"].as_i64() == Some(REVERTED) || message.contains("revert");
            return match reverted {
                true => Ok(Answer::Reverted),
                false => Err(unreachable("it refused")),
            };
        }
        match answer.get_mut("result").map(Value::take) {
            Some(result) => Ok(Answer::Result(result)),
            None => Err(unreachable("no result")),
        }
    }
}

impl ContractVerifier for Chains {
    fn verify(&self, question: Question) -> BoxFuture<'_, Result<Verdict, ChainError>> {
        Box::pin(async move {
            timeout(PATIENCE, self.ask(question))
                .await
                .map_err(|_| ChainError::Unreachable)?
        })
    }
}

/// The validator's creation code and its constructor's arguments (address, bytes32, bytes).
fn call_data(address: &str, hash: &[u8; 32], signature: &[u8]) -> String {
    const WORD: usize = 64;
    let address = address.strip_prefix("0x").unwrap_or(address);
    let signature = hex::encode(signature);
    let padding = "0".repeat(signature.len().next_multiple_of(WORD) - signature.len());
    format!(
        "0x{}{address:0>64}{}{:064x}{:064x}{signature}{padding}",
        VALIDATOR.trim_end(),
        hex::encode(hash),
        3 * WORD / 2,
        signature.len() / 2,
    )
}

/// A JSON-RPC quantity.
fn quantity(text: &str) -> Result<u64, ChainError> {
    let digits = text.strip_prefix("0x").ok_or(ChainError::Unreachable)?;
    u64::from_str_radix(digits, 16).map_err(|_| ChainError::Unreachable)
}

/// The validator returns one byte, or a call through a proxy one word: 1 is yes.
fn is_true(text: &str) -> Result<bool, ChainError> {
    let digits = text.strip_prefix("0x").ok_or(ChainError::Unreachable)?;
    let bytes = hex::decode(digits).map_err(|_| ChainError::Unreachable)?;
    Ok(match bytes.split_last() {
        Some((last, rest)) => *last == 1 && rest.iter().all(|byte| *byte == 0),
        None => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_parsed_and_never_printed() {
        let endpoint: Endpoint = "8453=https://rpc.example/SECRET".parse().unwrap();
        assert_eq!(format!("{endpoint:?}"), "Endpoint(8453=[redacted])");
        for text in ["", "1", "x=http://a", "1=ftp://a", "1=/path", "-1=http://a"] {
            assert_eq!(text.parse::<Endpoint>(), Err(NotAnEndpoint), "{text}");
        }
    }

    #[test]
    fn arguments_are_encoded_as_the_abi_wants_them() {
        let data = call_data(&format!("0x{}", "ab".repeat(20)), &[0xcd; 32], &[0xef; 33]);
        let arguments = data
            .strip_prefix(&format!("0x{}", VALIDATOR.trim_end()))
            .unwrap();
        let words: Vec<&str> = (0..arguments.len() / 64)
            .map(|word| &arguments[word * 64..(word + 1) * 64])
            .collect();
        assert_eq!(words.len(), 6);
        assert_eq!(words[0], format!("{}{}", "0".repeat(24), "ab".repeat(20)));
        assert_eq!(words[1], "cd".repeat(32));
        assert_eq!(words[2], format!("{:064x}", 96));
        assert_eq!(words[3], format!("{:064x}", 33));
        assert_eq!(words[4], "ef".repeat(32));
        assert_eq!(words[5], format!("ef{}", "0".repeat(62)));
    }

    #[test]
    fn only_one_means_yes() {
        for (text, expected) in [
            ("0x01", true),
            ("0x00", false),
            ("0x", false),
            ("0x0101", false),
        ] {
            assert_eq!(is_true(text), Ok(expected), "{text}");
        }
        assert_eq!(is_true(&format!("0x{:064x}", 1)), Ok(true));
        assert_eq!(is_true("01"), Err(ChainError::Unreachable));
    }
}
