//! Who is who: inbox IDs, identity updates and their signatures, and the association state that
//! an inbox's log of updates folds to. One implementation for the client and the node.
//!
//! Everything here is pure: bytes in, values out. It must never do I/O, look at a clock or draw
//! randomness; what needs the outside (a contract wallet's answer, the time, a fresh key) comes
//! in as an argument.
//!
//! The life of an update: a [`SignatureRequest`] collects signatures over one text and becomes
//! the bytes to publish; those are decoded to a [`SignedUpdate`]; its [`ContractCheck`]s are
//! answered by a node; [`AssociationState::apply`] verifies it and takes it in, or refuses it
//! whole.

mod association;
mod contract;
mod error;
mod ethereum;
mod identifier;
mod inbox;
mod installation;
mod legacy;
mod log;
mod member;
mod passkey;
pub mod publish;
mod request;
mod saved;
mod signature;
mod state;
mod text;
mod update;
mod wire;

pub use contract::{
    AccountId, ContractAnswers, ContractCheck, ContractSignature, NewContractCheck,
};
pub use error::{IdentifierError, IdentityError};
pub use ethereum::{EthereumKey, eip191_hash};
pub use identifier::{Identifier, IdentifierKind};
pub use inbox::{DEFAULT_NONCE, InboxId};
pub use installation::{InstallationId, InstallationKey};
pub use legacy::LegacySignature;
pub use log::{fold, resolve};
pub use member::{Member, MemberIdentifier};
pub use passkey::PasskeyAssertion;
pub use request::{RequestError, SignatureRequest, SignatureRequestBuilder};
pub use signature::{Signature, SignatureKind, VerifiedSignature};
pub use state::{AssociationState, Diff, MAX_INSTALLATIONS};
pub use text::format_timestamp;
pub use update::{Action, SignedUpdate, Update, VerifiedUpdate};
