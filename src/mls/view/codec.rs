//! How entities become bytes: a compact binary encoding for all of them but the join
//! configuration, which openmls can only read back from a self-describing one.

use std::rc::Rc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::storage::ViewError;

/// The binary encoding of `value`.
pub(crate) fn encode<T: Serialize>(value: &T) -> Result<Rc<[u8]>, ViewError> {
    postcard::to_stdvec(value)
        .map(Rc::from)
        .map_err(|_| ViewError::Encode)
}

/// Reads what [`encode`] wrote, to the last byte.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ViewError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(ViewError::Decode),
    }
}

/// The self-describing encoding of `value`.
pub(super) fn encode_described<T: Serialize>(value: &T) -> Result<Rc<[u8]>, ViewError> {
    serde_json::to_vec(value)
        .map(Rc::from)
        .map_err(|_| ViewError::Encode)
}

/// Reads what [`encode_described`] wrote.
pub(super) fn decode_described<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ViewError> {
    serde_json::from_slice(bytes).map_err(|_| ViewError::Decode)
}
