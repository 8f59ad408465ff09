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

type Error = ProcessMessageError<ViewError>;

/// More attempts than a Commit of ours can need: two for each of 200 additions.
const MAX_ATTEMPTS: usize = 512;

/// Runs `process` at the time `created_ns` (Unix nanoseconds).
pub(super) fn at(
    created_ns: u64,
    mut process: impl FnMut() -> Result<ProcessedMessage, Error>,
) -> Result<ProcessedMessage, Error> {
    let pinned = |times: &[u64]| {
        let pin = web_time::pin(times);
        let processed = process();
        (processed, pin.readings())
    };
    retry(created_ns / 1_000_000_000, pinned, acceptable_time)
}

/// Calls `attempt` with the times that readings of the clock are to show (the last one holds for
/// all further readings) until it succeeds, or fails for another reason than the time. It also
/// says how often it read the clock: the check that failed is the one that read it last.
fn retry<T, E>(
    stamped: u64,
    mut attempt: impl FnMut(&[u64]) -> (Result<T, E>, usize),
    acceptable: impl Fn(&E) -> Option<u64>,
) -> Result<T, E> {
    let mut times = vec![stamped];
    for _ in 1..MAX_ATTEMPTS {
        let (result, readings) = attempt(&times);
        let wanted = result.as_ref().err().and_then(&acceptable);
        let (Some(time), Some(reading)) = (wanted, readings.checked_sub(1)) else {
            return result;
        };
        if times.get(reading) == Some(&time) {
            return result;
        }
        if times.len() < reading + 2 {
            times.resize(reading + 2, stamped);
        }
        if let Some(shown) = times.get_mut(reading) {
            *shown = time;
        }
    }
    attempt(&times).0
}

/// A time at which the lifetime that this error names is valid.
fn acceptable_time(error: &Error) -> Option<u64> {
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
        LifetimeError::SystemTimeBeforeUnixEpoch => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads the clock once for each lifetime, in order, and fails at the first that is not valid
    /// then, naming a time that would be.
    fn check(lifetimes: &[(u64, u64)], times: &[u64]) -> (Result<(), u64>, usize) {
        for (reading, (from, to)) in lifetimes.iter().enumerate() {
            let now = *times.get(reading).or(times.last()).unwrap();
            if now >= *to {
                return (Err(to - 1), reading + 1);
            }
            if now < *from {
                return (Err(*from), reading + 1);
            }
        }
        (Ok(()), lifetimes.len())
    }

    fn judged(stamped: u64, lifetimes: &[(u64, u64)]) -> (Result<(), u64>, usize) {
        let mut attempts = 0;
        let attempt = |times: &[u64]| {
            attempts += 1;
            check(lifetimes, times)
        };
        (retry(stamped, attempt, |time| Some(*time)), attempts)
    }

    #[test]
    fn what_is_valid_when_stamped_is_accepted_at_once() {
        assert_eq!(judged(50, &[(0, 100), (40, 60)]), (Ok(()), 1));
        assert_eq!(judged(50, &[]), (Ok(()), 1));
    }

    #[test]
    fn mls_67_what_was_out_of_date_even_then_is_accepted_after_another_try() {
        assert_eq!(judged(50, &[(0, 50)]), (Ok(()), 2));
        assert_eq!(judged(50, &[(51, 60)]), (Ok(()), 2));
    }

    #[test]
    fn lifetimes_without_a_common_moment_are_accepted() {
        let lifetimes = [(0, 10), (90, 100), (0, 100), (20, 30), (0, 10), (90, 100)];
        assert_eq!(judged(50, &lifetimes), (Ok(()), 6));
    }

    #[test]
    fn an_impossible_lifetime_is_given_up() {
        let (result, attempts) = judged(50, &[(60, 40)]);
        assert!(result.is_err());
        assert!(attempts <= MAX_ATTEMPTS);
    }

    #[test]
    fn without_a_pin_the_first_answer_stands() {
        let mut attempts = 0;
        let attempt = |_: &[u64]| {
            attempts += 1;
            (Err::<(), u64>(7), 0)
        };
        assert_eq!(retry(50, attempt, |time| Some(*time)), Err(7));
        assert_eq!(attempts, 1);
    }
}
