//! The time by which lifetimes in a Commit are judged: the one the node stamped on it.
//!
//! The MLS library compares the lifetime of an added key package with its own clock. Members that
//! read a Commit months apart must agree on it, so that clock is pinned while a Commit is
//! processed, and moved into the lifetime of a key package that was out of date even then: that
//! one is a matter for whoever added it. Nothing is lost by trying again, since a message that
//! fails changes nothing. On the host the clock cannot be pinned and a failure stands.

use openmls::group::{
    ProcessMessageError, ProposalValidationError, StageCommitError, ValidationError,
};
use openmls::prelude::{KeyPackageVerifyError, ProcessedMessage};
use openmls::treesync::errors::{LeafNodeValidationError, LifetimeError};

use super::view::ViewError;

type Processed = Result<ProcessedMessage, ProcessMessageError<ViewError>>;

/// More attempts than a Commit of ours can need: two for each of 200 additions.
const MAX_ATTEMPTS: usize = 512;

/// Runs `process` at the time `created_ns` (Unix nanoseconds).
pub(super) fn at(created_ns: u64, mut process: impl FnMut() -> Processed) -> Processed {
    let stamped = created_ns / 1_000_000_000;
    // What each reading of the clock shows; the last entry holds for all further ones.
    let mut times = vec![stamped];
    let mut attempts = 0;
    loop {
        let pin = web_time::pin(&times);
        let processed = process();
        let readings = pin.readings();
        drop(pin);
        attempts += 1;
        let Some(time) = processed.as_ref().err().and_then(acceptable_time) else {
            return processed;
        };
        // The check that failed is the one that read the clock last.
        let Some(reading) = readings.checked_sub(1).filter(|_| attempts < MAX_ATTEMPTS) else {
            return processed;
        };
        if times.get(reading) == Some(&time) {
            return processed;
        }
        while times.len() < reading + 2 {
            times.push(stamped);
        }
        if let Some(shown) = times.get_mut(reading) {
            *shown = time;
        }
    }
}

/// A time at which the lifetime that this error names is valid.
fn acceptable_time(error: &ProcessMessageError<ViewError>) -> Option<u64> {
    let lifetime = match error {
        ProcessMessageError::ValidationError(ValidationError::KeyPackageVerifyError(
            KeyPackageVerifyError::LifetimeError(error),
        )) => error,
        ProcessMessageError::InvalidCommit(
            StageCommitError::ProposalValidationError(ProposalValidationError::LeafNodeValidation(
                LeafNodeValidationError::Lifetime(error),
            ))
            | StageCommitError::LeafNodeValidation(LeafNodeValidationError::Lifetime(error)),
        ) => error,
        _ => return None,
    };
    match lifetime {
        LifetimeError::Expired { not_after, .. } => not_after.checked_sub(1),
        LifetimeError::NotValidYet { not_before, .. } => Some(*not_before),
        _ => None,
    }
}
