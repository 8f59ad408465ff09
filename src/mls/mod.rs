//! MLS groups by the rules of XMTP v3: what is in them, who may change it, and how every member
//! comes to the same answer.
//!
//! This module takes bytes, a time and a [`View`] of a group's stored rows; it returns bytes,
//! reports and changed rows. It does no I/O, waits for nothing, reads no clock, and never decides
//! to forgive: what a rule rejects is undone completely.
//!
//! | file | what |
//! |---|---|
//! | `view/` | the stored rows as openmls sees them, savepoints, what changed |
//! | `extensions/`, `policy/`, `facts.rs` | what members agree on |
//! | `group.rs`, `commit.rs`, `process.rs` | a group: create, load, encrypt, commit, process |
//! | `validate/` | whether a Commit is accepted |
//! | `header.rs` | what of a message is not encrypted |
//! | `key_package/`, `welcome/` | being added and adding |
//! | `membership.rs` | planning who is to be added and removed |
//! | `roles.rs` | who was what at which place in the log |

mod clock;
mod commit;
mod crypto;
mod error;
pub mod extensions;
mod facts;
mod group;
mod header;
mod held;
pub mod hmac;
pub mod key_package;
pub mod membership;
pub mod policy;
mod process;
mod provider;
pub mod roles;
pub mod validate;
mod view;
pub mod welcome;

pub use commit::{Change, OwnCommit};
pub use error::MlsError;
pub use extensions::{ConversationKind, ImmutableMetadata, Membership, MutableMetadata};
pub use facts::{GroupFacts, Member};
pub use group::{Group, NewGroup, PAST_EPOCHS};
pub use header::{ContentKind, Header, header};
pub use key_package::{OwnKeyPackage, VerifiedKeyPackage};
pub use process::{ApplicationMessage, CommitReport, Incoming, SkipReason};
pub use validate::{
    Accepted, AttributeChange, CommitChange, Finding, IdentityStates, ListChange, Lookup, Pause,
    RejectCode, Rejection, Rules, Verdict,
};
pub use view::{RowChange, Savepoint, View, ViewError};

use crate::identity::{InstallationId, InstallationKey};

/// A group id.
pub type GroupId = [u8; 16];

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests;
