//! What a node demands of a **new** update beyond what every reader demands. None of it ever
//! meets an update that an honest client made; it keeps out of the log what would make an inbox
//! unusable, or what readers of different ages would understand differently.

use std::collections::{BTreeSet, HashSet};

use super::error::IdentityError;
use super::ethereum::Recoverable;
use super::identifier::Identifier;
use super::inbox::InboxId;
use super::member::MemberIdentifier;
use super::signature::Signature;
use super::update::{Action, SignedUpdate};
use crate::gather::Gather;

/// How many updates an inbox's log may hold, ever.
pub const MAX_UPDATES: usize = 256;

/// How many different signatures an update may hold. Three do for anything a client asks for;
/// each one more is work for a node before it can say no.
pub const MAX_SIGNATURES: usize = 16;

/// Why a node refuses an update whether or not it verifies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishRefusal {
    /// The log holds [`MAX_UPDATES`].
    #[error("inbox log is full")]
    LogFull,
    /// The inbox ID is not 64 lower-case hex digits.
    #[error("inbox ID is not canonical")]
    InboxId,
    /// An address that is not lower-case, a passkey that is no point, an installation key that
    /// is none: nobody could ever sign for it.
    #[error("an identifier is not canonical")]
    Identifier,
    /// A new update has no business with a legacy key.
    #[error("legacy keys can no longer sign")]
    LegacySignature,
    /// An installation key under which a signature proves nothing.
    #[error("an installation key is weak")]
    WeakInstallationKey,
    /// An encoding of an Ethereum signature that not every reader takes.
    #[error("a signature is not in its canonical encoding")]
    SignatureEncoding,
    /// More than [`MAX_SIGNATURES`] different signatures.
    #[error("too many signatures")]
    TooManySignatures,
    /// A signature of an earlier update, in whatever encoding.
    #[error("a signature was used in an earlier update")]
    Replay,
}

/// Whether a node may append `update` to `log`, if
/// [`AssociationState::apply`](super::AssociationState::apply) takes it too. This is the cheaper
/// of the two by far; with an empty log it tells what can be told before anything is read or
/// verified.
///
/// # Errors
/// Why not.
pub fn check(log: &[SignedUpdate], update: &SignedUpdate) -> Result<(), PublishRefusal> {
    if log.len() >= MAX_UPDATES {
        return Err(PublishRefusal::LogFull);
    }
    InboxId::parse(update.inbox_id()).map_err(|_| PublishRefusal::InboxId)?;
    if !update.actions().iter().all(names_canonically) {
        return Err(PublishRefusal::Identifier);
    }
    let signatures: HashSet<&Signature> = update.signatures().collect();
    if signatures.len() > MAX_SIGNATURES {
        return Err(PublishRefusal::TooManySignatures);
    }
    update.signatures().try_for_each(check_signature)?;
    let used: BTreeSet<Fingerprint> = log.iter().flat_map(fingerprints).gather();
    if fingerprints(update).any(|fingerprint| used.contains(&fingerprint)) {
        return Err(PublishRefusal::Replay);
    }
    Ok(())
}

fn names_canonically(action: &Action<Signature>) -> bool {
    match action {
        Action::CreateInbox { identifier, .. }
        | Action::ChangeRecoveryIdentifier { identifier, .. } => identifier.is_canonical(),
        Action::AddAssociation { new_member, .. } => is_canonical(new_member),
        Action::RevokeAssociation { member, .. } => is_canonical(member),
    }
}

fn is_canonical(member: &MemberIdentifier) -> bool {
    match member {
        MemberIdentifier::Identifier(identifier) => identifier.is_canonical(),
        MemberIdentifier::Installation(_) => {
            member.installation().is_some_and(|key| key.is_on_curve())
        }
    }
}

fn check_signature(signature: &Signature) -> Result<(), PublishRefusal> {
    match signature {
        Signature::Erc191(bytes) => match Recoverable::parse(bytes) {
            Ok(signature) if signature.is_canonical() => Ok(()),
            _ => Err(PublishRefusal::SignatureEncoding),
        },
        Signature::InstallationKey { key, .. } if key.is_weak() => {
            Err(PublishRefusal::WeakInstallationKey)
        }
        Signature::LegacyDelegated(_) => Err(PublishRefusal::LegacySignature),
        Signature::Contract(signature) => {
            let address = signature.account_id.address().map(Identifier::Ethereum);
            match address {
                Ok(address) if address.is_canonical() => Ok(()),
                _ => Err(PublishRefusal::Identifier),
            }
        }
        Signature::InstallationKey { .. } | Signature::Passkey(_) => Ok(()),
    }
}

/// What stays the same in every encoding of one signature.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Fingerprint {
    /// r and the lower s.
    Ethereum([u8; 64]),
    /// r.
    Passkey([u8; 32]),
    /// A contract may take any number of encodings, so: the account, and what it signed.
    Contract(String, [u8; 32]),
}

/// An installation's signature has one encoding, which readers remember; a legacy one none that
/// a new update could use.
fn fingerprints(update: &SignedUpdate) -> impl Iterator<Item = Fingerprint> {
    update.signatures().filter_map(|signature| {
        let fingerprint: Result<_, IdentityError> = match signature {
            Signature::Erc191(bytes) => Recoverable::parse(bytes)
                .map(|signature| Fingerprint::Ethereum(signature.lowered().scalars())),
            Signature::Passkey(assertion) => assertion.r().map(Fingerprint::Passkey),
            Signature::Contract(signature) => signature
                .account_id
                .address()
                .map(|address| Fingerprint::Contract(address, update.hash())),
            Signature::InstallationKey { .. } | Signature::LegacyDelegated(_) => return None,
        };
        fingerprint.ok()
    })
}
