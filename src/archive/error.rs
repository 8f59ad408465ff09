//! What can be wrong with an archive as a whole. Single elements that cannot be used are counted,
//! not errors: see [`super::Unusable`].

/// Why an archive cannot be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The caller's key is too short.
    #[error("the archive key has {got} bytes, and needs at least 32")]
    KeyTooShort {
        /// What was given, in bytes.
        got: usize,
    },
    /// A version of the format that we do not know, or no archive at all.
    #[error("archive version {0} is not supported")]
    UnsupportedVersion(u16),
    /// The file ends before the archive does.
    #[error("the archive is not complete")]
    Truncated,
    /// The file was made with another key.
    #[error("the key does not open this archive")]
    WrongKey,
    /// The file was changed, or was not made by a client.
    #[error("the archive is damaged: {0}")]
    Corrupt(&'static str),
    /// The archive belongs to another inbox.
    #[error("the archive was made by another inbox")]
    ForeignArchive,
    /// The second pass was given another file than the first.
    #[error("this is not the archive that was checked")]
    OtherArchive,
    /// An element that no reader would accept.
    #[error("an element of {got} bytes does not fit in an archive, at most {max} do")]
    ElementTooLarge {
        /// The limit, in bytes.
        max: usize,
        /// What was given, in bytes.
        got: usize,
    },
}
