//! Wrapping the data key by a key that the browser keeps: an AES-GCM key whose bytes no script can read.
//!
//! It stands in an object store of the same database, so neither is evicted without the other.

use js_sys::{Array, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{Crypto, CryptoKey, SubtleCrypto};
use zeroize::{Zeroize, Zeroizing};

use super::IndexedDb;
use super::failure::{self, Failure};
use super::schema::WRAPPING_KEYS;
use super::transaction::{Mode, Transaction};
use crate::store::header::data_key;
use crate::store::{Durability, KeyWrapper, StoreError, WrapKind};

const KEY: &str = "data-key";
const NONCE_LENGTH: usize = 12;

/// The wrapping key that the browser keeps beside one store.
pub struct BrowserKey {
    store: IndexedDb,
}

impl BrowserKey {
    /// The key beside `store`; made when it is first needed.
    pub fn new(store: &IndexedDb) -> Self {
        Self {
            store: store.clone(),
        }
    }

    async fn stored(&self) -> Result<Option<JsValue>, StoreError> {
        self.store
            .attempt(async |database| {
                let transaction = Transaction::begin(database, &[WRAPPING_KEYS], Mode::ReadOnly)?;
                let request = transaction.object_store(WRAPPING_KEYS)?.get(&KEY.into())?;
                transaction.complete().await?;
                Ok(Some(request.result()?).filter(|key| !key.is_undefined()))
            })
            .await
    }

    /// Keeps `key`, unless there is one: the first of several contexts decides.
    async fn keep(&self, key: &JsValue) -> Result<(), StoreError> {
        self.store
            .attempt(async |database| {
                let mode = Mode::ReadWrite(Durability::Strict);
                let mut transaction = Transaction::begin(database, &[WRAPPING_KEYS], mode)?;
                let store = transaction.object_store(WRAPPING_KEYS)?;
                let request = store.get(&KEY.into())?;
                let key = key.clone();
                transaction.on_success(&request, move |found| {
                    if found.is_undefined() {
                        store.put_with_key(&key, &KEY.into())?;
                    }
                    Ok::<(), Failure>(())
                });
                transaction.complete().await
            })
            .await
    }

    async fn stored_or_new(&self, crypto: &SubtleCrypto) -> Result<JsValue, StoreError> {
        if let Some(key) = self.stored().await? {
            return Ok(key);
        }
        let algorithm = object(&[("name", "AES-GCM".into()), ("length", 256.into())])?;
        let usages = Array::of2(&"encrypt".into(), &"decrypt".into());
        let made = crypto
            .generate_key_with_object(&algorithm, false, &usages)
            .map_err(unavailable)?;
        self.keep(&JsFuture::from(made).await.map_err(unavailable)?)
            .await?;
        self.stored().await?.ok_or(StoreError::WrongKey)
    }
}

impl KeyWrapper for BrowserKey {
    fn kind(&self) -> WrapKind {
        WrapKind::WebCrypto
    }

    async fn wrap(&self, data_key: &[u8; 32], context: &[u8]) -> Result<Vec<u8>, StoreError> {
        let crypto = crypto()?;
        let subtle = subtle(&crypto)?;
        let key = self
            .stored_or_new(&subtle)
            .await?
            .dyn_into::<CryptoKey>()
            .map_err(|_| StoreError::WrongKey)?;
        let mut nonce = [0; NONCE_LENGTH];
        crypto
            .get_random_values_with_u8_array(&mut nonce)
            .map_err(unavailable)?;
        let plain = Uint8Array::from(data_key.as_slice());
        let sealed = subtle
            .encrypt_with_object_and_js_u8_array(&algorithm(&nonce, context)?, &key, &plain)
            .map_err(unavailable)?;
        let sealed = JsFuture::from(sealed).await.map_err(unavailable);
        plain.fill(0, 0, plain.length());
        Ok([nonce.as_slice(), &Uint8Array::new(&sealed?).to_vec()].concat())
    }

    async fn unwrap(
        &self,
        wrapped: &[u8],
        context: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        let crypto = crypto()?;
        let subtle = subtle(&crypto)?;
        let key = self
            .stored()
            .await?
            .and_then(|key| key.dyn_into::<CryptoKey>().ok())
            .ok_or(StoreError::WrongKey)?;
        let (nonce, sealed) = wrapped
            .split_at_checked(NONCE_LENGTH)
            .ok_or(StoreError::WrongKey)?;
        let opened = subtle
            .decrypt_with_object_and_js_u8_array(
                &algorithm(nonce, context)?,
                &key,
                &Uint8Array::from(sealed),
            )
            .map_err(|_| StoreError::WrongKey)?;
        let opened = JsFuture::from(opened)
            .await
            .map_err(|_| StoreError::WrongKey)?;
        let opened = Uint8Array::new(&opened);
        let mut plain = opened.to_vec();
        opened.fill(0, 0, opened.length());
        let key = data_key(&plain);
        plain.zeroize();
        key
    }
}

/// WebCrypto's global object.
fn crypto() -> Result<Crypto, StoreError> {
    let crypto = Reflect::get(&js_sys::global(), &"crypto".into())
        .ok()
        .filter(JsValue::is_object);
    crypto.map(JsCast::unchecked_into).ok_or_else(no_crypto)
}

/// The part of WebCrypto that only secure contexts have.
fn subtle(crypto: &Crypto) -> Result<SubtleCrypto, StoreError> {
    let subtle = Reflect::get(crypto, &"subtle".into())
        .ok()
        .filter(JsValue::is_object);
    subtle.map(JsCast::unchecked_into).ok_or_else(no_crypto)
}

fn no_crypto() -> StoreError {
    StoreError::Unavailable {
        retryable: false,
        reason: "no WebCrypto: the page is not a secure context".into(),
    }
}

fn algorithm(nonce: &[u8], context: &[u8]) -> Result<Object, StoreError> {
    object(&[
        ("name", "AES-GCM".into()),
        ("iv", Uint8Array::from(nonce).into()),
        ("additionalData", Uint8Array::from(context).into()),
    ])
}

fn object(entries: &[(&str, JsValue)]) -> Result<Object, StoreError> {
    let object = Object::new();
    for (name, value) in entries {
        Reflect::set(&object, &JsValue::from_str(name), value).map_err(unavailable)?;
    }
    Ok(object)
}

fn unavailable(error: JsValue) -> StoreError {
    StoreError::Unavailable {
        retryable: false,
        reason: failure::name(&error),
    }
}
