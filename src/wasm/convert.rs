//! JavaScript values in and out.

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsValue;

use crate::error::{Code, Error, Result};
use crate::identity::{Identifier, IdentifierKind, InboxId, InstallationId};

/// Plain data out: 64-bit numbers are bigints, maps are objects, bytes are `Uint8Array`s.
pub fn to_js<T: Serialize>(value: &T) -> Result<JsValue> {
    let serializer = serde_wasm_bindgen::Serializer::new()
        .serialize_large_number_types_as_bigints(true)
        .serialize_maps_as_objects(true)
        .serialize_missing_as_null(false);
    value.serialize(&serializer).map_err(Error::internal)
}

/// Plain data in; `undefined` and `null` give the default.
pub fn from_js<T: DeserializeOwned + Default>(value: JsValue, what: &str) -> Result<T> {
    if value.is_undefined() || value.is_null() {
        return Ok(T::default());
    }
    required(value, what)
}

/// Plain data in.
pub fn required<T: DeserializeOwned>(value: JsValue, what: &str) -> Result<T> {
    serde_wasm_bindgen::from_value(value)
        .map_err(|error| Error::new(Code::InvalidArgument, format!("{what}: {error}")))
}

/// `{ identifier, identifierKind }` as the official SDK has it: 0 Ethereum, 1 passkey.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentifierView {
    /// Address, or hex of the passkey's public key.
    pub identifier: String,
    /// 0 or 1.
    pub identifier_kind: i32,
}

impl IdentifierView {
    /// Checks and normalises what an app passed.
    pub fn parse(&self) -> Result<Identifier> {
        let kind = match self.identifier_kind {
            0 => IdentifierKind::Ethereum,
            1 => IdentifierKind::Passkey,
            _ => {
                return Err(Error::new(
                    Code::InvalidIdentifier,
                    "no such kind of identifier",
                ));
            }
        };
        Identifier::parse(kind, &self.identifier)
            .map_err(|error| Error::new(Code::InvalidIdentifier, error.to_string()))
    }
}

impl From<&Identifier> for IdentifierView {
    fn from(identifier: &Identifier) -> Self {
        Self {
            identifier: identifier.text().into_owned(),
            identifier_kind: match identifier.kind() {
                IdentifierKind::Ethereum => 0,
                IdentifierKind::Passkey => 1,
            },
        }
    }
}

/// Identifiers that an app passed.
pub fn identifiers(value: JsValue) -> Result<Vec<Identifier>> {
    required::<Vec<IdentifierView>>(value, "identifiers")?
        .iter()
        .map(IdentifierView::parse)
        .collect()
}

/// An inbox id that an app passed.
pub fn inbox(text: &str) -> Result<InboxId> {
    InboxId::parse(text).map_err(|_| {
        Error::new(
            Code::InvalidArgument,
            "an inbox id has 64 lower-case hex characters",
        )
    })
}

/// Installation ids that an app passed, as bytes or hex.
pub fn installations(value: JsValue) -> Result<Vec<InstallationId>> {
    js_sys::Array::from(&value)
        .iter()
        .map(|item| {
            let id = match item.as_string() {
                Some(text) => InstallationId::parse(&text).ok(),
                None => {
                    InstallationId::try_from(js_sys::Uint8Array::new(&item).to_vec().as_slice())
                        .ok()
                }
            };
            id.ok_or_else(|| Error::new(Code::InvalidArgument, "an installation id has 32 bytes"))
        })
        .collect()
}
