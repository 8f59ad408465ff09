//! Why an MLS operation failed. A message or Commit of somebody else that we do not accept is not
//! an error: see [`Incoming`](super::Incoming).

use super::extensions::ExtensionError;
use super::view::ViewError;

/// Why an MLS operation failed.
#[derive(Debug, thiserror::Error)]
pub enum MlsError {
    /// The stored rows of the group are damaged or of an unknown format.
    #[error("stored group state is unusable: {0}")]
    View(#[from] ViewError),
    /// A group context extension is missing or does not decode.
    #[error("group context: {0}")]
    Extension(#[from] ExtensionError),
    /// We are no longer a member of the group.
    #[error("no longer a member of the group")]
    Inactive,
    /// A Commit of ours waits for its place in the log; a second one must not be built.
    #[error("a commit is already pending")]
    CommitPending,
    /// There is no pending Commit to merge or check.
    #[error("no commit is pending")]
    NoPendingCommit,
    /// The Commit would remove our own leaf.
    #[error("a member cannot remove itself")]
    RemovesSelf,
    /// The rows belong to another installation than the key.
    #[error("the group belongs to another installation")]
    WrongInstallation,
    /// The group id is not 16 bytes long.
    #[error("a group id has 16 bytes")]
    GroupId,
    /// No randomness is available.
    #[error("no randomness available")]
    Randomness,
    /// The MLS library refused; the text names its reason and holds no secrets.
    #[error("MLS: {0}")]
    Mls(String),
}

impl MlsError {
    /// Wraps an error of the MLS library.
    pub(super) fn mls(error: impl std::fmt::Debug) -> Self {
        Self::Mls(reason(&error))
    }
}

/// The MLS library's reason in words. A release carries only the name of the error's type: the
/// formatting of the library's whole error tree is a good part of a download.
pub(super) fn reason<E: std::fmt::Debug>(error: &E) -> String {
    if cfg!(debug_assertions) {
        format!("{error:?}")
    } else {
        std::any::type_name::<E>().to_owned()
    }
}
