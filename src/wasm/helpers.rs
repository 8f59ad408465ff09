//! Functions without a client: content, inbox ids, wallets made in the page, attachments.

use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;

use super::convert::{IdentifierView, required, to_js};
use super::promise::to_js as error_to_js;
use crate::content::{
    Actions, Attachment, AttachmentRandomness, Content, ContentType, DeleteMessage, EditMessage,
    EncodedContent, Intent, LeaveRequest, Markdown, MultiRemoteAttachment, Reaction, ReadReceipt,
    RemoteAttachment, Reply, Text, TransactionReference, WalletSendCalls, decrypt_attachment,
    encrypt_attachment,
};
use crate::error::{Code, Error, Result};
use crate::identity::{DEFAULT_NONCE, EthereumKey, InboxId, InstallationId};

/// Content as an app passes it: `{ type, content }`, where type "encoded" is an `EncodedContent`.
pub fn content_in(value: JsValue) -> Result<EncodedContent> {
    let field =
        |name: &str| js_sys::Reflect::get(&value, &name.into()).unwrap_or(JsValue::UNDEFINED);
    let kind = field("type")
        .as_string()
        .ok_or_else(|| Error::new(Code::InvalidArgument, "content without a type"))?;
    let content = field("content");
    match kind.as_str() {
        "encoded" => required(content, "content"),
        "text" => encode::<Text>(content),
        "markdown" => encode::<Markdown>(content),
        "reaction" => encode::<Reaction>(content),
        "reply" => encode::<Reply>(content),
        "readReceipt" => Ok(ReadReceipt::default().encode()?),
        "attachment" => encode::<Attachment>(content),
        "remoteAttachment" => encode::<RemoteAttachment>(content),
        "multiRemoteAttachment" => encode::<MultiRemoteAttachment>(content),
        "transactionReference" => encode::<TransactionReference>(content),
        "walletSendCalls" => encode::<WalletSendCalls>(content),
        "actions" => encode::<Actions>(content),
        "intent" => encode::<Intent>(content),
        "leaveRequest" => Ok(LeaveRequest::default().encode()?),
        "deleteMessage" => encode::<DeleteMessage>(content),
        "editMessage" => encode::<EditMessage>(content),
        _ => Err(Error::new(Code::InvalidArgument, "no such type of content")),
    }
}

fn encode<T: ContentType + DeserializeOwned>(content: JsValue) -> Result<EncodedContent> {
    Ok(required::<T>(content, "content")?.encode()?)
}

fn out<T: Into<JsValue>>(result: Result<T>) -> Result<JsValue, JsValue> {
    result.map(Into::into).map_err(|error| error_to_js(&error))
}

/// Encodes `{ type, content }`.
#[wasm_bindgen(js_name = encodeContent)]
pub fn encode_content(content: JsValue) -> Result<JsValue, JsValue> {
    out(content_in(content).and_then(|encoded| to_js(&encoded)))
}

/// Decodes an `EncodedContent` to `{ type, content }`.
#[wasm_bindgen(js_name = decodeContent)]
pub fn decode_content(encoded: JsValue) -> Result<JsValue, JsValue> {
    out(required::<EncodedContent>(encoded, "content")
        .and_then(|encoded| to_js(&Content::decode(&encoded)?)))
}

/// The inbox id that an identifier gets with a nonce (default 1).
#[wasm_bindgen(js_name = generateInboxId)]
pub fn generate_inbox_id(identifier: JsValue, nonce: Option<u64>) -> Result<JsValue, JsValue> {
    out(required::<IdentifierView>(identifier, "identifier")
        .and_then(|identifier| identifier.parse())
        .map(|identifier| InboxId::derive(&identifier, nonce.unwrap_or(DEFAULT_NONCE)).to_string()))
}

/// Checks a signature made with an installation's key for an app's own use.
#[wasm_bindgen(js_name = verifySignedWithPublicKey)]
#[must_use]
pub fn verify_signed_with_public_key(text: &str, signature: &[u8], public_key: &[u8]) -> bool {
    InstallationId::try_from(public_key).is_ok_and(|id| id.verify_public(text, signature).is_ok())
}

/// A wallet made in the page: 32 random bytes.
#[wasm_bindgen(js_name = newPrivateKey)]
pub fn new_private_key() -> Result<Vec<u8>, JsValue> {
    for _ in 0..16 {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).map_err(|error| error_to_js(&Error::internal(error)))?;
        if EthereumKey::from_bytes(&bytes).is_ok() {
            return Ok(bytes.to_vec());
        }
    }
    Err(error_to_js(&Error::internal("no usable randomness")))
}

fn key(private_key: &[u8]) -> Result<EthereumKey> {
    let bytes: [u8; 32] = private_key
        .try_into()
        .map_err(|_| Error::new(Code::InvalidArgument, "a private key has 32 bytes"))?;
    EthereumKey::from_bytes(&bytes)
        .map_err(|error| Error::new(Code::InvalidArgument, error.to_string()))
}

/// The address of a private key.
#[wasm_bindgen(js_name = addressOf)]
pub fn address_of(private_key: &[u8]) -> Result<JsValue, JsValue> {
    out(key(private_key).map(|key| key.address()))
}

/// `personal_sign` with a private key.
#[wasm_bindgen(js_name = personalSign)]
pub fn personal_sign(private_key: &[u8], text: &str) -> Result<Vec<u8>, JsValue> {
    key(private_key)
        .map(|key| key.sign_personal(text).to_vec())
        .map_err(|error| error_to_js(&error))
}

/// Encrypts an attachment to be stored elsewhere.
#[wasm_bindgen(js_name = encryptAttachment)]
pub fn encrypt_attachment_js(attachment: JsValue) -> Result<JsValue, JsValue> {
    out(
        required::<Attachment>(attachment, "attachment").and_then(|attachment| {
            let mut randomness = AttachmentRandomness {
                secret: [0; 32],
                salt: [0; 32],
                nonce: [0; 12],
            };
            for bytes in [
                &mut randomness.secret[..],
                &mut randomness.salt[..],
                &mut randomness.nonce[..],
            ] {
                getrandom::fill(bytes).map_err(Error::internal)?;
            }
            to_js(&encrypt_attachment(&attachment, &randomness)?)
        }),
    )
}

/// Checks and decrypts what was stored elsewhere.
#[wasm_bindgen(js_name = decryptAttachment)]
pub fn decrypt_attachment_js(payload: &[u8], remote: JsValue) -> Result<JsValue, JsValue> {
    out(required::<RemoteAttachment>(remote, "remoteAttachment")
        .and_then(|remote| to_js(&decrypt_attachment(payload, &remote)?)))
}
