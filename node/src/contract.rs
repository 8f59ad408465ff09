//! Signatures of contract wallets. Only their chain can say whether they are valid.

use std::sync::Arc;

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

/// A verifier without any chain: says so for every account.
pub struct NoChains;

impl ContractVerifier for NoChains {
    fn verify(&self, question: Question) -> BoxFuture<'_, Result<Verdict, ChainError>> {
        let error = match chain_id(&question.account_id) {
            Some(chain) => ChainError::UnknownChain(chain),
            None => ChainError::Account,
        };
        Box::pin(futures_util::future::ready(Err(error)))
    }
}

/// A shared verifier.
pub type Contracts = Arc<dyn ContractVerifier>;

/// The EVM chain of an account, if its address has the right form too.
pub fn chain_id(account_id: &str) -> Option<u64> {
    let account = sotto::identity::AccountId::parse(account_id).ok()?;
    account.address().ok()?;
    account.chain_id().ok()
}
