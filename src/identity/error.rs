//! Why an identifier, an identity update or a whole log is refused.

use super::contract::ContractCheck;

/// What a caller typed is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// Not `0x` and 40 hex digits.
    #[error("an Ethereum address is 0x and 40 hex digits")]
    Address,
    /// Not hex, or an odd number of digits.
    #[error("a passkey is written as an even number of hex digits")]
    Passkey,
    /// Not 64 lower-case hex digits.
    #[error("an inbox ID is 64 lower-case hex digits")]
    InboxId,
    /// Not 32 bytes, or not 64 hex digits.
    #[error("an installation ID is 32 bytes, written as 64 hex digits")]
    InstallationId,
    /// 32 bytes that are no private key of the curve.
    #[error("not a private key")]
    PrivateKey,
}

/// Why an identity update, and with it the log that holds it, is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The bytes are no identity update, or a part that must be there is missing.
    #[error("malformed identity update: {0}")]
    Malformed(&'static str),
    /// A signature does not verify over the update's text.
    #[error("invalid signature: {0}")]
    InvalidSignature(&'static str),
    /// The signer has no say in this inbox, or not this one.
    #[error("the signer is not a member that may do this")]
    MissingExistingMember,
    /// The new member's signature is somebody else's.
    #[error("the new member's signature was made by another key")]
    NewMemberSignatureMismatch,
    /// A member adding itself.
    #[error("a member cannot add itself")]
    AddSelf,
    /// An installation adding an installation.
    #[error("an installation cannot add an installation")]
    MemberNotAllowed,
    /// A signature of an earlier update, once more.
    #[error("a signature was used in an earlier update")]
    Replay,
    /// A contract wallet signing on another chain than it joined on (`None`: not as a contract).
    #[error("the wallet joined on chain {joined:?} and signs on chain {signed:?}")]
    ChainIdMismatch {
        /// The EIP-155 chain ID with which the wallet became a member.
        joined: Option<u64>,
        /// The EIP-155 chain ID of the signature at hand.
        signed: Option<u64>,
    },
    /// The log does not begin with creating the inbox.
    #[error("the inbox has not been created")]
    NotCreated,
    /// A second CreateInbox.
    #[error("the inbox was created before")]
    MultipleCreate,
    /// The update names another inbox than the log it is in.
    #[error("the update belongs to another inbox")]
    WrongInboxId,
    /// A legacy key speaking outside the one inbox it may speak in.
    #[error("a legacy key may only be used in the inbox with nonce 0")]
    LegacySignatureReuse,
    /// A kind of signature that cannot speak for this kind of member.
    #[error("this kind of signature may not be used here")]
    SignatureNotAllowed,
    /// Nobody asked yet whether a contract wallet accepts this signature.
    #[error("the signature of {} has not been checked with its contract", .0.account_id)]
    Unanswered(Box<ContractCheck>),
    /// The log at hand has no entry with the sequence ID that was asked for.
    #[error("the identity update at that sequence ID is not at hand")]
    MissingIdentityUpdate,
}

impl IdentityError {
    /// The error's class: one word that names the rule that was broken.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "Malformed",
            Self::InvalidSignature(_) => "InvalidSignature",
            Self::MissingExistingMember => "MissingExistingMember",
            Self::NewMemberSignatureMismatch => "NewMemberSignatureMismatch",
            Self::AddSelf => "AddSelf",
            Self::MemberNotAllowed => "MemberNotAllowed",
            Self::Replay => "Replay",
            Self::ChainIdMismatch { .. } => "ChainIdMismatch",
            Self::NotCreated => "NotCreated",
            Self::MultipleCreate => "MultipleCreate",
            Self::WrongInboxId => "WrongInboxId",
            Self::LegacySignatureReuse => "LegacySignatureReuse",
            Self::SignatureNotAllowed => "SignatureNotAllowed",
            Self::Unanswered(_) => "Unanswered",
            Self::MissingIdentityUpdate => "MissingIdentityUpdate",
        }
    }

    /// Whether the same update can still turn out valid: something had to be fetched first.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unanswered(_) | Self::MissingIdentityUpdate)
    }
}
