//! Welcomes: sealing one for each new installation, opening ours, and joining.
//!
//! The MLS Welcome of a Commit (the inner Welcome) is the same for all installations added by it.
//! It travels inside another layer of encryption, so that a node cannot tell which Welcomes belong
//! together: sealed to a key of the recipient, or, when several recipients can, encrypted once
//! under a random key at a random address (the pointee) with a small sealed pointer for each.

mod join;
pub(super) mod kem;
mod open;
mod seal;

use super::InstallationId;

pub use join::{JoinRefusal, JoinRemark, JoinVerdict, Joining};
pub use open::{OpenedWelcome, Pointer, open, open_pointee, open_pointer};
pub use seal::{POINTERS_FROM, seal, seal_for_all};

/// How a Welcome is sealed to its recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WrapperAlgorithm {
    /// HPKE with X25519.
    Curve25519,
    /// HPKE with X-Wing.
    XWing,
}

/// To whom a Welcome is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// The installation, which is the topic.
    pub installation_id: InstallationId,
    /// The algorithm that its key package asks for.
    pub algorithm: WrapperAlgorithm,
    /// The key that its key package names.
    pub public_key: Vec<u8>,
    /// Whether it can follow a pointer to a shared Welcome.
    pub takes_pointers: bool,
}

/// Why a Welcome cannot be sealed, opened or joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WelcomeError {
    /// Our key packages do not include the key it is sealed to.
    #[error("sealed to a key that we do not have")]
    UnknownKey,
    /// It is not of the form that it should have.
    #[error("malformed")]
    Malformed,
    /// It does not open with the key.
    #[error("does not open")]
    Open,
    /// The recipient's key is not usable.
    #[error("the recipient's key is not usable")]
    Seal,
    /// No randomness is available.
    #[error("no randomness available")]
    Randomness,
    /// The MLS library refused the inner Welcome.
    #[error("MLS: {0}")]
    Mls(String),
    /// It asks for a pre-shared key, which our groups never use.
    #[error("asks for a pre-shared key")]
    Psk,
    /// The group context is not one of ours, or one that we cannot read.
    #[error("unreadable group context")]
    GroupContext,
}

#[cfg(test)]
mod tests;
