//! Signature requests: an update in the making. It says what text to sign and who still has to,
//! takes signatures as they come, in any order and across reloads of the page, and becomes the
//! bytes to publish.

use std::collections::{BTreeMap, BTreeSet};

use super::contract::{AccountId, ContractAnswers, ContractSignature, NewContractCheck};
use super::error::IdentityError;
use super::ethereum::Recoverable;
use super::identifier::Identifier;
use super::inbox::InboxId;
use super::installation::{InstallationId, InstallationKey};
use super::member::MemberIdentifier;
use super::passkey::PasskeyAssertion;
use super::signature::Signature;
use super::text::SignatureText;
use super::update::{Action, Update};
use crate::gather::Gather;

/// Why a request does not take a signature, or cannot be finished.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Nobody whose signature is missing; for a signature over another text, nobody at all.
    #[error("unknown signer {0}")]
    UnknownSigner(MemberIdentifier),
    /// The signature is none, or not over this text.
    #[error(transparent)]
    Signature(#[from] IdentityError),
    /// The contract wallet does not accept the signature.
    #[error("the contract wallet refused the signature")]
    RefusedByContract,
    /// The answer does not say at which block the contract accepted the signature.
    #[error("unable to get block number")]
    NoBlockNumber,
    /// Some still have to sign.
    #[error("required signature was not provided ({} missing)", .0.len())]
    MissingSignatures(BTreeSet<MemberIdentifier>),
    /// Bytes that are no saved request.
    #[error("not a saved signature request")]
    NotASavedRequest,
}

/// An update that waits for signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureRequest {
    pub(super) update: Update<MemberIdentifier>,
    pub(super) text: SignatureText,
    pub(super) signatures: BTreeMap<MemberIdentifier, Signature>,
}

impl SignatureRequest {
    /// A request for any actions. The time is the wall clock's, in nanoseconds since 1970.
    #[must_use]
    pub fn builder(inbox_id: &InboxId, client_timestamp_ns: u64) -> SignatureRequestBuilder {
        SignatureRequestBuilder(Update {
            inbox_id: inbox_id.to_string(),
            client_timestamp_ns,
            actions: Vec::new(),
        })
    }

    /// Creates an inbox with its first installation.
    #[must_use]
    pub fn create_inbox(
        identifier: &Identifier,
        nonce: u64,
        installation: InstallationId,
        client_timestamp_ns: u64,
    ) -> Self {
        let inbox_id = InboxId::derive(identifier, nonce);
        Self::builder(&inbox_id, client_timestamp_ns)
            .create_inbox(identifier.clone(), nonce)
            .add(installation, identifier.clone())
            .build()
    }

    /// Adds an installation, signed for by a wallet or passkey of the inbox.
    #[must_use]
    pub fn add_installation(
        inbox_id: &InboxId,
        identifier: &Identifier,
        installation: InstallationId,
        client_timestamp_ns: u64,
    ) -> Self {
        Self::builder(inbox_id, client_timestamp_ns)
            .add(installation, identifier.clone())
            .build()
    }

    /// Adds a wallet or passkey, signed for by an installation of the inbox.
    #[must_use]
    pub fn add_identifier(
        inbox_id: &InboxId,
        installation: InstallationId,
        identifier: &Identifier,
        client_timestamp_ns: u64,
    ) -> Self {
        Self::builder(inbox_id, client_timestamp_ns)
            .add(identifier.clone(), installation)
            .build()
    }

    /// Revokes members, signed for by the recovery identifier.
    #[must_use]
    pub fn revoke(
        inbox_id: &InboxId,
        recovery: &Identifier,
        members: impl IntoIterator<Item = MemberIdentifier>,
        client_timestamp_ns: u64,
    ) -> Self {
        let builder = Self::builder(inbox_id, client_timestamp_ns);
        members
            .into_iter()
            .fold(builder, |builder, member| {
                builder.revoke(member, recovery.clone())
            })
            .build()
    }

    /// Names another recovery identifier, signed for by the present one.
    #[must_use]
    pub fn change_recovery(
        inbox_id: &InboxId,
        recovery: &Identifier,
        new_recovery: &Identifier,
        client_timestamp_ns: u64,
    ) -> Self {
        Self::builder(inbox_id, client_timestamp_ns)
            .change_recovery(new_recovery.clone(), recovery.clone())
            .build()
    }

    /// The text that everyone signs.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text.text
    }

    /// The inbox it is for.
    #[must_use]
    pub fn inbox_id(&self) -> &str {
        &self.update.inbox_id
    }

    /// What it does, and who has to sign each part.
    #[must_use]
    pub fn actions(&self) -> &[Action<MemberIdentifier>] {
        &self.update.actions
    }

    /// Who still has to sign.
    #[must_use]
    pub fn missing_signers(&self) -> BTreeSet<MemberIdentifier> {
        self.update
            .signatures()
            .filter(|signer| !self.signatures.contains_key(*signer))
            .cloned()
            .gather()
    }

    /// Whether nobody has to sign any more.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing_signers().is_empty()
    }

    /// Takes what a wallet answered to `personal_sign`: r, s, and v in any of its forms.
    ///
    /// # Errors
    /// [`RequestError::Signature`] if it is no signature; [`RequestError::UnknownSigner`] if it is another
    /// wallet's, over another text, or not wanted any more.
    pub fn add_wallet_signature(&mut self, signature: &[u8]) -> Result<(), RequestError> {
        // Written as every reader takes it: low s, v 27 or 28.
        let signature = Recoverable::parse(signature)?.canonical()?;
        self.add_verified(Signature::Erc191(signature.to_vec()))
    }

    /// Signs with an installation key.
    ///
    /// # Errors
    /// [`RequestError::UnknownSigner`] if it does not have to sign.
    pub fn sign_with(&mut self, key: &InstallationKey) -> Result<(), RequestError> {
        self.add_installation_signature(key.id(), &key.sign_text(self.text()))
    }

    /// Takes an installation's signature.
    ///
    /// # Errors
    /// [`RequestError::Signature`] if it does not verify; [`RequestError::UnknownSigner`] if the
    /// installation does not have to sign.
    pub fn add_installation_signature(
        &mut self,
        key: InstallationId,
        signature: &[u8],
    ) -> Result<(), RequestError> {
        let signature = signature.to_vec();
        self.add_verified(Signature::InstallationKey { key, signature })
    }

    /// Takes a passkey's assertion.
    ///
    /// # Errors
    /// [`RequestError::Signature`] if it does not verify; [`RequestError::UnknownSigner`] if the
    /// passkey does not have to sign.
    pub fn add_passkey_signature(
        &mut self,
        assertion: PasskeyAssertion,
    ) -> Result<(), RequestError> {
        self.add_verified(Signature::Passkey(assertion))
    }

    /// First half of taking a contract wallet's signature: what to ask of the contract.
    ///
    /// # Errors
    /// [`RequestError::UnknownSigner`] if the wallet does not have to sign;
    /// [`RequestError::Signature`] if it is no address.
    pub fn contract_check(
        &self,
        chain_id: u64,
        wallet: &Identifier,
        signature: Vec<u8>,
        block_number: Option<u64>,
    ) -> Result<NewContractCheck, RequestError> {
        let account_id = AccountId::ethereum(chain_id, wallet)?;
        self.expect_missing(&MemberIdentifier::from(wallet.clone()))?;
        Ok(NewContractCheck {
            account_id,
            block_number,
            hash: self.text.hash,
            signature,
        })
    }

    /// Second half: takes the signature along with the contract's answer. The update records the
    /// block number of the answer, even if another was asked for.
    ///
    /// # Errors
    /// [`RequestError::RefusedByContract`]; [`RequestError::NoBlockNumber`];
    /// [`RequestError::UnknownSigner`] if the wallet does not have to sign or the question was
    /// about another text.
    pub fn add_contract_signature(
        &mut self,
        check: NewContractCheck,
        is_valid: bool,
        block_number: Option<u64>,
    ) -> Result<(), RequestError> {
        if !is_valid {
            return Err(RequestError::RefusedByContract);
        }
        let signer = Identifier::Ethereum(check.account_id.address()?).into();
        if check.hash != self.text.hash {
            return Err(RequestError::UnknownSigner(signer));
        }
        self.expect_missing(&signer)?;
        let signature = ContractSignature {
            account_id: check.account_id,
            block_number: block_number.ok_or(RequestError::NoBlockNumber)?,
            signature: check.signature,
        };
        self.signatures
            .insert(signer, Signature::Contract(signature));
        Ok(())
    }

    /// The bytes of the finished update, ready to publish.
    ///
    /// # Errors
    /// [`RequestError::MissingSignatures`].
    pub fn finish(&self) -> Result<Vec<u8>, RequestError> {
        let missing = |_| RequestError::MissingSignatures(self.missing_signers());
        self.update
            .try_map(|signer| self.signatures.get(signer).cloned().ok_or(()))
            .map(|update| update.encode())
            .map_err(missing)
    }

    /// What contracts answered about the signatures at hand: all it takes to apply the finished
    /// update to one's own state before it is published.
    #[must_use]
    pub fn answers(&self) -> ContractAnswers {
        self.signatures
            .values()
            .filter_map(|signature| match signature {
                Signature::Contract(contract) => Some((contract.check(self.text.hash), true)),
                _ => None,
            })
            .gather()
    }

    fn add_verified(&mut self, signature: Signature) -> Result<(), RequestError> {
        let verified = signature.verify(&self.text, &ContractAnswers::new())?;
        self.expect_missing(verified.signer())?;
        self.signatures.insert(verified.signer().clone(), signature);
        Ok(())
    }

    fn expect_missing(&self, signer: &MemberIdentifier) -> Result<(), RequestError> {
        let is_wanted = self.update.signatures().any(|wanted| wanted == signer);
        if is_wanted && !self.signatures.contains_key(signer) {
            Ok(())
        } else {
            Err(RequestError::UnknownSigner(signer.clone()))
        }
    }
}

/// Puts the actions of a [`SignatureRequest`] together.
#[derive(Debug, Clone)]
pub struct SignatureRequestBuilder(pub(super) Update<MemberIdentifier>);

impl SignatureRequestBuilder {
    /// Creates the inbox; the identifier signs.
    #[must_use]
    pub fn create_inbox(self, identifier: Identifier, nonce: u64) -> Self {
        let signature = identifier.clone().into();
        self.with(Action::CreateInbox {
            identifier,
            nonce,
            signature,
        })
    }

    /// Adds a member; it signs, and so does an existing one.
    #[must_use]
    pub fn add(
        self,
        new_member: impl Into<MemberIdentifier>,
        existing_member: impl Into<MemberIdentifier>,
    ) -> Self {
        let new_member = new_member.into();
        self.with(Action::AddAssociation {
            new_member_signature: new_member.clone(),
            new_member,
            existing_member_signature: existing_member.into(),
        })
    }

    /// Revokes a member; the recovery identifier signs.
    #[must_use]
    pub fn revoke(self, member: impl Into<MemberIdentifier>, recovery: Identifier) -> Self {
        self.with(Action::RevokeAssociation {
            member: member.into(),
            recovery_signature: recovery.into(),
        })
    }

    /// Names another recovery identifier; the present one signs.
    #[must_use]
    pub fn change_recovery(self, new_recovery: Identifier, recovery: Identifier) -> Self {
        self.with(Action::ChangeRecoveryIdentifier {
            identifier: new_recovery,
            recovery_signature: recovery.into(),
        })
    }

    fn with(mut self, action: Action<MemberIdentifier>) -> Self {
        self.0.actions.push(action);
        self
    }

    /// The request.
    #[must_use]
    pub fn build(self) -> SignatureRequest {
        SignatureRequest {
            text: SignatureText::of(&self.0),
            update: self.0,
            signatures: BTreeMap::new(),
        }
    }
}
