//! `Error`: what every public call can fail with, grouped by whose fault it is. Nothing else.

use std::fmt;

/// Whose fault an error is, hence what a caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The call was wrong, or not allowed as things stand: change it.
    Usage,
    /// The node could not be reached or would not answer now: try again later.
    Network,
    /// The browser's storage failed.
    Storage,
    /// A peer or the node broke the protocol.
    Protocol,
    /// A ciphertext could not be opened.
    Decrypt,
    /// The client was closed.
    Closed,
    /// Our bug.
    Internal,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $kind:ident, $retryable:literal;)*) => {
        /// A stable code for each way to fail. The text never changes once released.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Code] = &[$(Code::$name),*];

            /// The stable text, `ERR_…`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Code::$name => $text,)* }
            }

            /// The code with this text.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == text)
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Code::$name => Kind::$kind,)* }
            }

            /// Whether the same call may succeed later without any change.
            #[must_use]
            pub const fn retryable(self) -> bool {
                match self { $(Code::$name => $retryable,)* }
            }
        }
    };
}

codes! {
    /// An argument has the wrong type, form or length.
    InvalidArgument = "ERR_INVALID_ARGUMENT", Usage, false;
    /// A wallet address or passkey is not one.
    InvalidIdentifier = "ERR_INVALID_IDENTIFIER", Usage, false;
    /// No inbox, conversation or message of that name.
    NotFound = "ERR_NOT_FOUND", Usage, false;
    /// The signer threw, or the user refused.
    SignerRejected = "ERR_SIGNER_REJECTED", Usage, true;
    /// The signature is not one of the wallet that it should be of.
    SignerMismatch = "ERR_SIGNER_MISMATCH", Usage, false;
    /// A contract wallet is known on another chain than the one that signed.
    ChainMismatch = "ERR_CHAIN_MISMATCH", Usage, false;
    /// The contract, asked by the node, says that the signature is not valid.
    SignatureInvalid = "ERR_SIGNATURE_INVALID", Usage, false;
    /// This installation is not registered.
    NotRegistered = "ERR_NOT_REGISTERED", Usage, false;
    /// The inbox has its ten installations; one must be revoked first.
    TooManyInstallations = "ERR_TOO_MANY_INSTALLATIONS", Usage, false;
    /// The inbox's identity log holds its 256 updates.
    InboxLogFull = "ERR_INBOX_LOG_FULL", Usage, false;
    /// The identifier belongs to an inbox already.
    IdentifierTaken = "ERR_IDENTIFIER_TAKEN", Usage, false;
    /// We are not, or no longer, a member.
    NotAMember = "ERR_NOT_A_MEMBER", Usage, false;
    /// The group's permissions do not allow it.
    PermissionDenied = "ERR_PERMISSION_DENIED", Usage, false;
    /// Another member's change made this one pointless; nothing was published.
    Superseded = "ERR_SUPERSEDED", Usage, false;
    /// The group asks for a newer protocol version.
    Paused = "ERR_PAUSED", Usage, false;
    /// The group waits for the app to look at a suspicious change.
    Quarantined = "ERR_QUARANTINED", Usage, false;
    /// None of the invited inboxes' installations can be added.
    CannotBeAdded = "ERR_CANNOT_BE_ADDED", Usage, false;
    /// A content or a group is above its limit.
    TooLarge = "ERR_TOO_LARGE", Usage, false;
    /// The content has the wrong form for its type.
    InvalidContent = "ERR_INVALID_CONTENT", Usage, false;
    /// The node could not be reached.
    Network = "ERR_NETWORK", Network, true;
    /// The node asks to slow down.
    RateLimited = "ERR_RATE_LIMITED", Network, true;
    /// The node refused the request.
    NodeRefused = "ERR_NODE_REFUSED", Network, false;
    /// It takes longer than the caller was told it would; it goes on in the background.
    Pending = "ERR_PENDING", Network, true;
    /// Another tab held what was needed for too long.
    Busy = "ERR_BUSY", Storage, true;
    /// The storage does not answer.
    StorageUnavailable = "ERR_STORAGE_UNAVAILABLE", Storage, true;
    /// The disk or the site's quota is full.
    StorageQuota = "ERR_STORAGE_QUOTA", Storage, true;
    /// Stored data is damaged.
    StorageCorrupt = "ERR_STORAGE_CORRUPT", Storage, false;
    /// An installation was stored here, and its data is gone.
    StorageMissing = "ERR_STORAGE_MISSING", Storage, false;
    /// The data was written by a newer release, or an older tab blocks the upgrade.
    StorageVersion = "ERR_STORAGE_VERSION", Storage, true;
    /// There is no IndexedDB here; ask for memory storage if that is wanted.
    NoStorage = "ERR_NO_STORAGE", Storage, false;
    /// The key does not open the stored data.
    WrongKey = "ERR_WRONG_KEY", Storage, false;
    /// The node answered with something that is not the protocol.
    Protocol = "ERR_PROTOCOL", Protocol, false;
    /// An inbox's identity log does not verify.
    InvalidIdentity = "ERR_INVALID_IDENTITY", Protocol, false;
    /// The wasm module could not be loaded.
    LoadFailed = "ERR_LOAD_FAILED", Network, true;
    /// The page's Content-Security-Policy forbids WebAssembly.
    WasmBlocked = "ERR_WASM_BLOCKED", Usage, false;
    /// A ciphertext could not be opened.
    Decrypt = "ERR_DECRYPT", Decrypt, false;
    /// The client was closed.
    Closed = "ERR_CLOSED", Closed, false;
    /// Our bug.
    Internal = "ERR_INTERNAL", Internal, false;
    /// The engine crashed; the page or worker must be loaded anew. Nothing stored is lost.
    Panicked = "ERR_PANICKED", Internal, false;
}

/// Why a call failed. Messages never hold plaintext, keys or tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: Code,
    message: String,
    details: Vec<(&'static str, String)>,
}

impl Error {
    /// An error with a sentence for a developer.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            details: Vec::new(),
        }
    }

    /// Adds a named fact that a program may want, such as `max` or `installationIds`.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.details.push((name, value.to_string()));
        self
    }

    /// An error that only a bug of ours can cause.
    pub fn internal(message: impl fmt::Display) -> Self {
        Self::new(Code::Internal, message.to_string())
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The sentence for a developer.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Named facts.
    #[must_use]
    pub fn details(&self) -> &[(&'static str, String)] {
        &self.details
    }

    /// Whether the same call may succeed later without any change.
    #[must_use]
    pub fn retryable(&self) -> bool {
        self.code.retryable()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Short for a result with our [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_well_formed() {
        let texts: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        assert!(texts.iter().all(|text| {
            text.starts_with("ERR_") && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        }));
    }

    #[test]
    fn details_and_message_are_kept_apart_from_the_code() {
        let error = Error::new(Code::TooLarge, "too large").with("max", 10);
        assert_eq!(error.to_string(), "too large");
        assert_eq!(error.details(), [("max", "10".to_owned())]);
        assert!(!error.retryable());
    }
}
