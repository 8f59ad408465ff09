//! The header of a store: the data key, wrapped, and how it is wrapped. And the wrapping by a key of the app's.
//!
//! The header is the one row that is not sealed. It is written once, when the store is made, and never replaced.
//! Format 1: `"sotto" ‖ version (1) ‖ kind of wrapping (1) ‖ salt (32) ‖ wrapped data key`.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::StoreError;
use super::seal::DataKey;

const MAGIC: &[u8; 5] = b"sotto";
const VERSION: u8 = 1;
const SALT_LENGTH: usize = 32;
const CONTEXT_LENGTH: usize = MAGIC.len() + 2 + SALT_LENGTH;

/// How a data key is wrapped. Numbers are part of the stored format and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum WrapKind {
    /// By a key the app passes: [`AppKey`].
    App = 1,
    /// By a non-extractable key that the browser keeps beside the store.
    WebCrypto = 2,
}

/// What wraps the data key of a store.
///
/// `context` is the start of the header: authenticate it. It holds a fresh random salt, so it never repeats.
#[allow(async_fn_in_trait)] // As for `Store`.
pub trait KeyWrapper {
    /// How the key is wrapped.
    fn kind(&self) -> WrapKind;

    /// Wraps a new data key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] or [`StoreError::Quota`] if a key cannot be made or kept.
    async fn wrap(&self, data_key: &[u8; 32], context: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Unwraps a data key.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`] if this is not the key it was wrapped by, or that key is gone.
    async fn unwrap(
        &self,
        wrapped: &[u8],
        context: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, StoreError>;
}

/// A wrapping key from the app: a passkey's PRF output, or stretched from a passphrase. Wiped when dropped.
pub struct AppKey(Zeroizing<Vec<u8>>);

impl AppKey {
    /// The least length in bytes.
    pub const MIN_LENGTH: usize = 32;

    /// Takes at least [`Self::MIN_LENGTH`] bytes of uniformly random or well stretched key; `None` if there are fewer.
    pub fn new(key: impl Into<Zeroizing<Vec<u8>>>) -> Option<Self> {
        let key = key.into();
        (key.len() >= Self::MIN_LENGTH).then_some(Self(key))
    }

    /// The cipher for one header. Its key is used once, since `context` holds a fresh salt; so the nonce is constant.
    fn cipher(&self, context: &[u8]) -> Result<XChaCha20Poly1305, StoreError> {
        let mut key = Zeroizing::new([0; 32]);
        Hkdf::<Sha256>::new(Some(context), &self.0)
            .expand(b"sotto store v1 wrap", key.as_mut_slice())
            .map_err(|_| StoreError::WrongKey)?;
        Ok(XChaCha20Poly1305::new((&*key).into()))
    }
}

impl std::fmt::Debug for AppKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AppKey([redacted])")
    }
}

impl KeyWrapper for AppKey {
    fn kind(&self) -> WrapKind {
        WrapKind::App
    }

    async fn wrap(&self, data_key: &[u8; 32], context: &[u8]) -> Result<Vec<u8>, StoreError> {
        let payload = Payload {
            msg: data_key,
            aad: context,
        };
        self.cipher(context)?
            .encrypt(&XNonce::default(), payload)
            .map_err(|_| StoreError::WrongKey)
    }

    async fn unwrap(
        &self,
        wrapped: &[u8],
        context: &[u8],
    ) -> Result<Zeroizing<[u8; 32]>, StoreError> {
        let payload = Payload {
            msg: wrapped,
            aad: context,
        };
        let plain = self
            .cipher(context)?
            .decrypt(&XNonce::default(), payload)
            .map_err(|_| StoreError::WrongKey)?;
        data_key(&Zeroizing::new(plain))
    }
}

/// Takes unwrapped bytes as a data key.
pub(super) fn data_key(plain: &[u8]) -> Result<DataKey, StoreError> {
    plain
        .try_into()
        .map(Zeroizing::new)
        .map_err(|_| StoreError::WrongKey)
}

/// Makes the header of a new store.
pub(super) async fn make<W: KeyWrapper>(
    wrapper: &W,
    data_key: &DataKey,
    salt: [u8; SALT_LENGTH],
) -> Result<Vec<u8>, StoreError> {
    let context = [MAGIC.as_slice(), &[VERSION, wrapper.kind() as u8], &salt].concat();
    let wrapped = wrapper.wrap(data_key, &context).await?;
    Ok([context, wrapped].concat())
}

/// Unwraps the data key of a stored header; `None` if this is no header.
///
/// # Errors
/// [`StoreError::NewerVersion`], [`StoreError::WrongKey`].
pub(super) async fn open<W: KeyWrapper>(
    wrapper: &W,
    header: &[u8],
) -> Result<Option<DataKey>, StoreError> {
    let Some((version, kind)) = header
        .strip_prefix(MAGIC.as_slice())
        .and_then(|rest| Some((rest.first()?, rest.get(1)?)))
    else {
        return Ok(None);
    };
    if *version > VERSION {
        return Err(StoreError::NewerVersion);
    }
    if *version != VERSION || header.len() <= CONTEXT_LENGTH {
        return Ok(None);
    }
    if *kind != wrapper.kind() as u8 {
        return Err(StoreError::WrongKey);
    }
    let (context, wrapped) = header.split_at(CONTEXT_LENGTH);
    wrapper.unwrap(wrapped, context).await.map(Some)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    fn app_key(byte: u8) -> AppKey {
        AppKey::new(vec![byte; 32]).unwrap()
    }

    fn header() -> Vec<u8> {
        block_on(make(&app_key(1), &Zeroizing::new([5; 32]), [9; 32])).unwrap()
    }

    #[test]
    fn the_key_that_wrapped_unwraps_and_no_other_does() {
        assert_eq!(
            *block_on(open(&app_key(1), &header())).unwrap().unwrap(),
            [5; 32]
        );
        assert_eq!(
            block_on(open(&app_key(2), &header())),
            Err(StoreError::WrongKey)
        );
        assert!(AppKey::new(vec![1; 31]).is_none());
    }

    #[test]
    fn an_altered_header_never_opens() {
        let header = header();
        for bit in 0..header.len() * 8 {
            let mut altered = header.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(
                !matches!(block_on(open(&app_key(1), &altered)), Ok(Some(_))),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_later_version_is_told_apart_from_a_broken_header() {
        let mut newer = header();
        newer[5] = 2;
        assert_eq!(
            block_on(open(&app_key(1), &newer)),
            Err(StoreError::NewerVersion)
        );
        assert_eq!(block_on(open(&app_key(1), b"sott")), Ok(None));
        assert_eq!(
            block_on(open(&app_key(1), &header()[..CONTEXT_LENGTH])),
            Ok(None)
        );
    }

    #[test]
    fn a_key_does_not_print() {
        assert_eq!(format!("{:?}", app_key(1)), "AppKey([redacted])");
    }
}
