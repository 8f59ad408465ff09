//! Whole logs: the state of an inbox is the fold of its updates, from the first on. One update
//! that fails makes the log unresolvable; none is ever skipped.

use super::contract::ContractAnswers;
use super::error::IdentityError;
use super::state::AssociationState;
use super::update::SignedUpdate;

/// The state after all these updates, which are a log from its first entry on.
///
/// # Errors
/// Why one of them is refused; [`IdentityError::MissingIdentityUpdate`] for none at all.
pub fn fold<'a>(
    updates: impl IntoIterator<Item = &'a SignedUpdate>,
    answers: &ContractAnswers,
) -> Result<AssociationState, IdentityError> {
    let mut state = None;
    for update in updates {
        state = Some(AssociationState::apply(state.as_ref(), update, answers)?);
    }
    state.ok_or(IdentityError::MissingIdentityUpdate)
}

/// The state at a sequence ID, which has to be that of an entry; `None` is the latest at hand.
/// The entries are a log from its first on, with their sequence IDs, in order.
///
/// # Errors
/// Why an update is refused; [`IdentityError::MissingIdentityUpdate`] if there is no entry with
/// that sequence ID, or none at all: fetch, and try again.
pub fn resolve<'a>(
    entries: impl IntoIterator<Item = (u64, &'a SignedUpdate)>,
    at: Option<u64>,
    answers: &ContractAnswers,
) -> Result<AssociationState, IdentityError> {
    let entries: Vec<(u64, &SignedUpdate)> = entries
        .into_iter()
        .take_while(|(sequence_id, _)| at.is_none_or(|at| *sequence_id <= at))
        .collect();
    match (at, entries.last()) {
        (Some(at), Some((last, _))) if *last != at => Err(IdentityError::MissingIdentityUpdate),
        _ => fold(entries.into_iter().map(|(_, update)| update), answers),
    }
}
