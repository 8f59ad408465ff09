//! The signatures of identity updates, and what verifying one tells: who signed.

use sotto_proto::associations as proto;

use super::contract::{AccountId, ContractAnswers, ContractSignature};
use super::error::IdentityError;
use super::ethereum::Recoverable;
use super::identifier::Identifier;
use super::installation::InstallationId;
use super::legacy::LegacySignature;
use super::member::MemberIdentifier;
use super::passkey::PasskeyAssertion;
use super::text::SignatureText;

/// How a signature was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureKind {
    /// An externally owned account, EIP-191.
    Erc191,
    /// A contract wallet, ERC-1271 or ERC-6492.
    Contract,
    /// An installation key, Ed25519ph.
    InstallationKey,
    /// A passkey, WebAuthn P-256.
    Passkey,
    /// A legacy key in place of its wallet.
    LegacyDelegated,
}

/// A signature as a message carries it, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Signature {
    /// r, s and v of an externally owned account.
    Erc191(Vec<u8>),
    /// A contract wallet's.
    Contract(ContractSignature),
    /// An installation's.
    InstallationKey {
        /// Whose it is.
        key: InstallationId,
        /// 64 bytes, if it is one.
        signature: Vec<u8>,
    },
    /// A passkey's.
    Passkey(PasskeyAssertion),
    /// A legacy key's.
    LegacyDelegated(LegacySignature),
}

/// A signature that was verified, and who made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedSignature {
    kind: SignatureKind,
    signer: MemberIdentifier,
    replay_bytes: Vec<u8>,
    chain_id: Option<u64>,
}

impl VerifiedSignature {
    /// How it was made.
    #[must_use]
    pub fn kind(&self) -> SignatureKind {
        self.kind
    }

    /// Who made it.
    #[must_use]
    pub fn signer(&self) -> &MemberIdentifier {
        &self.signer
    }

    /// What is remembered of it, so that no later update uses it again.
    #[must_use]
    pub fn replay_bytes(&self) -> &[u8] {
        &self.replay_bytes
    }

    /// The EIP-155 chain of a contract wallet.
    #[must_use]
    pub fn chain_id(&self) -> Option<u64> {
        self.chain_id
    }
}

impl Signature {
    /// How it was made.
    #[must_use]
    pub fn kind(&self) -> SignatureKind {
        match self {
            Self::Erc191(_) => SignatureKind::Erc191,
            Self::Contract(_) => SignatureKind::Contract,
            Self::InstallationKey { .. } => SignatureKind::InstallationKey,
            Self::Passkey(_) => SignatureKind::Passkey,
            Self::LegacyDelegated(_) => SignatureKind::LegacyDelegated,
        }
    }

    pub(super) fn from_proto(message: Option<proto::Signature>) -> Result<Self, IdentityError> {
        use proto::signature::Signature as Kind;
        let kind = message
            .and_then(|message| message.signature)
            .ok_or(IdentityError::Malformed("missing signature"))?;
        Ok(match kind {
            Kind::Erc191(signature) => Self::Erc191(signature.bytes),
            Kind::Erc6492(signature) => Self::Contract(ContractSignature {
                account_id: AccountId::parse(&signature.account_id)?,
                block_number: signature.block_number,
                signature: signature.signature,
            }),
            Kind::InstallationKey(signature) => Self::InstallationKey {
                key: InstallationId::try_from(signature.public_key.as_slice())
                    .ok()
                    .filter(InstallationId::is_on_curve)
                    .ok_or(IdentityError::Malformed("installation key"))?,
                signature: signature.bytes,
            },
            Kind::Passkey(assertion) => Self::Passkey(PasskeyAssertion {
                public_key: assertion.public_key,
                signature: assertion.signature,
                authenticator_data: assertion.authenticator_data,
                client_data_json: assertion.client_data_json,
            }),
            Kind::DelegatedErc191(signature) => Self::LegacyDelegated(
                LegacySignature::from_proto(signature)
                    .ok_or(IdentityError::Malformed("legacy signature"))?,
            ),
        })
    }

    pub(super) fn to_proto(&self) -> proto::Signature {
        use proto::signature::Signature as Kind;
        let kind = match self.clone() {
            Self::Erc191(bytes) => Kind::Erc191(proto::RecoverableEcdsaSignature { bytes }),
            Self::Contract(signature) => Kind::Erc6492(proto::SmartContractWalletSignature {
                account_id: signature.account_id.to_string(),
                block_number: signature.block_number,
                signature: signature.signature,
            }),
            Self::InstallationKey { key, signature } => {
                Kind::InstallationKey(proto::RecoverableEd25519Signature {
                    bytes: signature,
                    public_key: key.as_bytes().to_vec(),
                })
            }
            Self::Passkey(assertion) => Kind::Passkey(proto::RecoverablePasskeySignature {
                public_key: assertion.public_key,
                signature: assertion.signature,
                authenticator_data: assertion.authenticator_data,
                client_data_json: assertion.client_data_json,
            }),
            Self::LegacyDelegated(signature) => Kind::DelegatedErc191(signature.to_proto()),
        };
        proto::Signature {
            signature: Some(kind),
        }
    }

    /// Finds out who signed the text. Never looks at any state.
    pub(super) fn verify(
        &self,
        text: &SignatureText,
        answers: &ContractAnswers,
    ) -> Result<VerifiedSignature, IdentityError> {
        let wallet = |address| MemberIdentifier::from(Identifier::Ethereum(address));
        let (signer, replay_bytes, chain_id) = match self {
            Self::Erc191(bytes) => {
                let signature = Recoverable::parse(bytes)?.lowered();
                let address = signature.recover(&text.hash)?;
                (wallet(address), signature.to_vec(), None)
            }
            Self::Contract(signature) => {
                let check = signature.check(text.hash);
                match answers.get(&check) {
                    None => return Err(IdentityError::Unanswered(Box::new(check))),
                    Some(false) => {
                        return Err(IdentityError::InvalidSignature("refused by the contract"));
                    }
                    Some(true) => {}
                }
                let address = signature.account_id.address()?;
                let chain_id = signature.account_id.chain_id()?;
                (wallet(address), signature.signature.clone(), Some(chain_id))
            }
            Self::InstallationKey { key, signature } => {
                key.verify_text(&text.text, signature)?;
                (MemberIdentifier::from(*key), signature.clone(), None)
            }
            Self::Passkey(assertion) => {
                let (origin, scalars) = assertion.verify(&text.text)?;
                let identifier = Identifier::Passkey {
                    key: assertion.public_key.clone(),
                    relying_party: Some(origin),
                };
                (identifier.into(), scalars.to_vec(), None)
            }
            Self::LegacyDelegated(signature) => {
                let (address, replay_bytes) = signature.verify(&text.hash)?;
                (wallet(address), replay_bytes, None)
            }
        };
        Ok(VerifiedSignature {
            kind: self.kind(),
            signer,
            replay_bytes,
            chain_id,
        })
    }
}
