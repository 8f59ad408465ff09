//! Errors of the layers below, by what they mean to a caller.

use crate::content::ContentError;
use crate::error::{Code, Error};
use crate::mls::MlsError;

impl From<MlsError> for Error {
    fn from(error: MlsError) -> Self {
        let code = match &error {
            MlsError::View(_) | MlsError::WrongInstallation => Code::StorageCorrupt,
            MlsError::Inactive => Code::NotAMember,
            _ => Code::Internal,
        };
        Error::new(code, error.to_string())
    }
}

impl From<ContentError> for Error {
    fn from(error: ContentError) -> Self {
        match &error {
            ContentError::PayloadTooLarge { max, got } => {
                let (max, got) = (*max, *got);
                Error::new(Code::TooLarge, error.to_string())
                    .with("max", max)
                    .with("got", got)
            }
            _ => Error::new(Code::InvalidContent, error.to_string()),
        }
    }
}
