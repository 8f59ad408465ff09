//! What openmls needs from us: cryptography, randomness, the view it stores into, and a signer.

use openmls_rust_crypto::RustCrypto;
use openmls_traits::OpenMlsProvider;
use openmls_traits::random::OpenMlsRand;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;

use super::view::View;
use super::{InstallationKey, MlsError};

/// Cryptography and randomness of the provider crate, storage of our own.
#[derive(Debug, Default)]
pub(super) struct Provider {
    crypto: RustCrypto,
    view: View,
}

impl Provider {
    pub(super) fn new(view: View) -> Self {
        Self {
            crypto: RustCrypto::default(),
            view,
        }
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = RustCrypto;
    type RandProvider = RustCrypto;
    type StorageProvider = View;

    fn storage(&self) -> &View {
        &self.view
    }

    fn crypto(&self) -> &RustCrypto {
        &self.crypto
    }

    fn rand(&self) -> &RustCrypto {
        &self.crypto
    }
}

/// Random bytes.
///
/// # Errors
///
/// If the generator cannot be used.
pub(super) fn random<const N: usize>(crypto: &RustCrypto) -> Result<[u8; N], MlsError> {
    crypto.random_array().map_err(|_| MlsError::Randomness)
}

/// Signs with the installation key, as openmls asks for it.
pub(super) struct MlsSigner<'a>(pub(super) &'a InstallationKey);

impl Signer for MlsSigner<'_> {
    fn sign(&self, payload: &[u8]) -> Result<Vec<u8>, SignerError> {
        Ok(self.0.sign_mls(payload).to_vec())
    }

    fn signature_scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}
