//! What openmls needs from us: cryptography, randomness, the view it stores into, and a signer.

use openmls_traits::OpenMlsProvider;
use openmls_traits::random::OpenMlsRand;
use openmls_traits::signatures::{Signer, SignerError};
use openmls_traits::types::SignatureScheme;

use super::crypto::Crypto;
use super::view::View;
use super::{InstallationKey, MlsError};

/// What openmls works with: no state but the view.
#[derive(Debug, Default)]
pub(super) struct Provider {
    crypto: Crypto,
    view: View,
}

impl Provider {
    pub(super) fn new(view: View) -> Self {
        Self {
            crypto: Crypto,
            view,
        }
    }

    pub(super) fn view(&self) -> &View {
        &self.view
    }
}

impl OpenMlsProvider for Provider {
    type CryptoProvider = Crypto;
    type RandProvider = Crypto;
    type StorageProvider = View;

    fn storage(&self) -> &View {
        &self.view
    }

    fn crypto(&self) -> &Crypto {
        &self.crypto
    }

    fn rand(&self) -> &Crypto {
        &self.crypto
    }
}

/// Random bytes.
///
/// # Errors
///
/// If the generator cannot be used.
pub(super) fn random<const N: usize>(crypto: &Crypto) -> Result<[u8; N], MlsError> {
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
