//! Signature requests as bytes, to be kept while their signers are elsewhere: over a reload of
//! the page, a restart of a service worker, a visit to another app.

use serde::{Deserialize, Serialize};

use super::contract::{AccountId, NewContractCheck};
use super::installation::InstallationId;
use super::member::{MemberIdentifier, hex_bytes};
use super::passkey::PasskeyAssertion;
use super::request::{RequestError, SignatureRequest, SignatureRequestBuilder};
use super::signature::Signature;
use super::update::Update;

const SAVED_VERSION: u32 = 1;

/// A request as it is kept while its signers are elsewhere.
#[derive(Serialize, Deserialize)]
struct Saved {
    version: u32,
    update: Update<MemberIdentifier>,
    signatures: Vec<SavedSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SavedSignature {
    Wallet(#[serde(with = "hex_bytes")] Vec<u8>),
    Installation {
        key: InstallationId,
        #[serde(with = "hex_bytes")]
        signature: Vec<u8>,
    },
    Passkey(PasskeyAssertion),
    Contract {
        account_id: String,
        block_number: u64,
        #[serde(with = "hex_bytes")]
        signature: Vec<u8>,
    },
}

impl SignatureRequest {
    /// The request with the signatures it has, to be kept while its signers are elsewhere. Holds
    /// nothing secret.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let save = |signature: &Signature| match signature.clone() {
            Signature::Erc191(bytes) => Some(SavedSignature::Wallet(bytes)),
            Signature::InstallationKey { key, signature } => {
                Some(SavedSignature::Installation { key, signature })
            }
            Signature::Passkey(assertion) => Some(SavedSignature::Passkey(assertion)),
            Signature::Contract(contract) => Some(SavedSignature::Contract {
                account_id: contract.account_id.to_string(),
                block_number: contract.block_number,
                signature: contract.signature,
            }),
            // A request never takes one.
            Signature::LegacyDelegated(_) => None,
        };
        let saved = Saved {
            version: SAVED_VERSION,
            update: self.update.clone(),
            signatures: self.signatures.values().filter_map(save).collect(),
        };
        // Serialising plain data to memory has no way to fail.
        serde_json::to_vec(&saved).unwrap_or_default()
    }

    /// Reads what [`SignatureRequest::to_bytes`] gave. Signatures are verified again, except
    /// those of contract wallets, which whoever publishes has to have checked in any case.
    ///
    /// # Errors
    /// [`RequestError::NotASavedRequest`], or why a signature in it is not taken.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RequestError> {
        let saved: Saved =
            serde_json::from_slice(bytes).map_err(|_| RequestError::NotASavedRequest)?;
        if saved.version != SAVED_VERSION {
            return Err(RequestError::NotASavedRequest);
        }
        let mut request = SignatureRequestBuilder(saved.update).build();
        for signature in saved.signatures {
            match signature {
                SavedSignature::Wallet(bytes) => request.add_wallet_signature(&bytes)?,
                SavedSignature::Installation { key, signature } => {
                    request.add_installation_signature(key, &signature)?;
                }
                SavedSignature::Passkey(assertion) => request.add_passkey_signature(assertion)?,
                SavedSignature::Contract {
                    account_id,
                    block_number,
                    signature,
                } => {
                    let check = NewContractCheck {
                        account_id: AccountId::parse(&account_id)?,
                        block_number: None,
                        hash: request.text.hash,
                        signature,
                    };
                    request.add_contract_signature(check, true, Some(block_number))?;
                }
            }
        }
        Ok(request)
    }
}
