//! Signatures of contract wallets. Only their chain can say whether they are valid.

mod chain;

use std::sync::Arc;

pub use chain::{Chains, Endpoint, NotAnEndpoint};
use futures_util::future::BoxFuture;

/// Is this `account_id`'s signature over `hash`, as of a block?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// CAIP-10, `eip155:<chain>:<address>`.
    pub account_id: String,
    /// The block to look at; the latest if unset.
    pub block_number: Option<u64>,
    /// What was signed.
    pub hash: [u8; 32],
    /// The signature.
    pub signature: Vec<u8>,
}

/// What the chain said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether the wallet accepts the signature.
    pub is_valid: bool,
    /// The block that was looked at.
    pub block_number: u64,
}

/// Why the chain said nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// The account id is not one of an EVM chain.
    #[error("the account id is not of the form eip155:<chain>:<address>")]
    Account,
    /// The signature is longer than any wallet's.
    #[error("the signature is too long")]
    TooLong,
    /// No endpoint is configured for that chain.
    #[error("this node does not verify signatures of chain {0}")]
    UnknownChain(u64),
    /// The endpoint did not answer, or not sensibly.
    #[error("the chain could not be asked")]
    Unreachable,
}

/// Who asks chains.
pub trait ContractVerifier: Send + Sync + 'static {
    /// Asks.
    fn verify(&self, question: Question) -> BoxFuture<'_, Result<Verdict, ChainError>>;
}

/// A shared verifier.
pub type Contracts = Arc<dyn ContractVerifier>;
