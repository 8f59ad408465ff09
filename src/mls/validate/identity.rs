//! Asking for identity states, and noting what could not be answered.

use std::collections::BTreeSet;

use super::super::InstallationId;
use super::Stop;
use super::verdict::RejectCode;

/// Identity states by inbox and sequence, as far as the identity logs are known.
pub trait IdentityStates {
    /// The installations of `inbox` after the identity update numbered exactly `sequence`.
    fn installations(&self, inbox: &str, sequence: u64) -> Lookup<'_>;
}

/// The answer to a question for an identity state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// The installations at that point.
    Known(&'a BTreeSet<InstallationId>),
    /// The log is not known that far: fetch it and ask again.
    NotLoaded,
    /// The log is known that far, and no update has this number.
    Absent {
        /// The number of the last update before it; 0 if there is none.
        previous: u64,
    },
}

/// Asks and notes what was missing.
pub(super) struct Resolver<'a> {
    states: &'a dyn IdentityStates,
    pub(super) not_loaded: Vec<(String, u64)>,
    pub(super) absent: Option<(String, u64)>,
}

impl<'a> Resolver<'a> {
    pub(super) fn new(states: &'a dyn IdentityStates) -> Self {
        Self {
            states,
            not_loaded: Vec::new(),
            absent: None,
        }
    }

    /// The state at `sequence`; nothing if the log is not loaded (which is noted). Sequence 0 is
    /// a placeholder and never resolves.
    pub(super) fn ask(&mut self, inbox: &str, sequence: u64) -> Option<Lookup<'a>> {
        let lookup = match sequence {
            0 => Lookup::Absent { previous: 0 },
            _ => self.states.installations(inbox, sequence),
        };
        if lookup == Lookup::NotLoaded {
            let question = (inbox.to_owned(), sequence);
            if !self.not_loaded.contains(&question) {
                self.not_loaded.push(question);
            }
            return None;
        }
        Some(lookup)
    }

    /// The installations at `sequence`, which has to resolve. Nothing if the log is not loaded.
    pub(super) fn exact(
        &mut self,
        inbox: &str,
        sequence: u64,
    ) -> Result<Option<&'a BTreeSet<InstallationId>>, Stop> {
        match self.ask(inbox, sequence) {
            Some(Lookup::Known(installations)) => Ok(Some(installations)),
            Some(_) => {
                self.absent = Some((inbox.to_owned(), sequence));
                Err(RejectCode::IdentityMissing.into())
            }
            None => Ok(None),
        }
    }

    /// The installations at `sequence`, if it resolves.
    pub(super) fn known(
        &mut self,
        inbox: &str,
        sequence: u64,
    ) -> Option<&'a BTreeSet<InstallationId>> {
        match self.ask(inbox, sequence) {
            Some(Lookup::Known(installations)) => Some(installations),
            _ => None,
        }
    }

    /// Stops the checks if something was not loaded.
    pub(super) fn settle(&self) -> Result<(), Stop> {
        if self.not_loaded.is_empty() {
            Ok(())
        } else {
            Err(Stop::Identity)
        }
    }
}
