//! Key packages of our own, with their private keys.

use std::rc::Rc;

use super::super::crypto::Crypto;
use openmls::prelude::tls_codec::Serialize as _;
use openmls::prelude::{
    ApplicationIdExtension, Extension, Extensions, KeyPackage, KeyPackageBundle, Lifetime,
    UnknownExtension,
};
use openmls_traits::OpenMlsProvider as _;
use prost::Message as _;
use sotto_proto::message_contents as proto;
use zeroize::Zeroizing;

use super::super::extensions::{self, WELCOME_POINTEE, WELCOME_WRAPPER};
use super::super::group::{CIPHERSUITE, credential_with_key};
use super::super::provider::{MlsSigner, Provider, random};
use super::super::view::{View, ViewError, decode_value, encode_value};
use super::super::welcome::WrapperAlgorithm;
use super::super::welcome::kem;
use super::super::{InstallationKey, MlsError};
use super::POINTEE_AEAD;

/// The format of the row of a key package of ours. A later format gets another number.
const ROW_VERSION: u8 = 1;

/// A key package of ours with its private keys.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub struct OwnKeyPackage {
    /// What is uploaded: the bare KeyPackage.
    public: Vec<u8>,
    /// Under which key the MLS library asks for it.
    hash_reference: Vec<u8>,
    /// The bundle that the MLS library wants.
    bundle: Zeroizing<Vec<u8>>,
    init_public: Vec<u8>,
    init_private: Zeroizing<Vec<u8>>,
    xwing_public: Vec<u8>,
    xwing_seed: Zeroizing<[u8; 32]>,
}

impl OwnKeyPackage {
    /// Makes a key package, valid from `lifetime.0` to `lifetime.1` (Unix seconds; see
    /// `lifetime_at`).
    ///
    /// # Errors
    ///
    /// If no randomness is available or the MLS library refuses.
    pub fn generate(
        inbox: &str,
        key: &InstallationKey,
        lifetime: (u64, u64),
    ) -> Result<Self, MlsError> {
        let provider = Provider::new(View::empty());
        let seed = Zeroizing::new(random::<32>(provider.crypto())?);
        let xwing_public = kem::xwing_public(&seed).ok_or(MlsError::Randomness)?;
        let wrapper = proto::WelcomeWrapperEncryption {
            pub_key: xwing_public.clone(),
            algorithm: proto::WelcomeWrapperAlgorithm::XwingMlkem768Draft6.into(),
        };
        let pointee = proto::WelcomePointeeEncryptionAeadTypesExtension {
            supported_aead_types: vec![POINTEE_AEAD],
        };
        let unknown =
            |number, message: Vec<u8>| Extension::Unknown(number, UnknownExtension(message));
        let key_package_extensions = Extensions::from_vec(vec![
            unknown(WELCOME_POINTEE, pointee.encode_to_vec()),
            unknown(WELCOME_WRAPPER, wrapper.encode_to_vec()),
        ]);
        let id = ApplicationIdExtension::new(inbox.as_bytes());
        let leaf_extensions = Extensions::single(Extension::ApplicationId(id));
        let bundle = KeyPackage::builder()
            .leaf_node_capabilities(extensions::capabilities())
            .leaf_node_extensions(leaf_extensions.map_err(MlsError::mls)?)
            .key_package_extensions(key_package_extensions.map_err(MlsError::mls)?)
            .key_package_lifetime(Lifetime::init(lifetime.0, lifetime.1))
            .mark_as_last_resort()
            .build(
                CIPHERSUITE,
                &provider,
                &MlsSigner(key),
                credential_with_key(inbox, key),
            )
            .map_err(MlsError::mls)?;
        Self::from_bundle(&bundle, provider.crypto(), xwing_public, seed)
    }

    /// The key package of a fixture, whose private keys are known.
    #[cfg(test)]
    pub(in super::super) fn from_stored_bundle(
        bundle: &KeyPackageBundle,
        xwing_seed: Option<[u8; 32]>,
    ) -> Result<Self, MlsError> {
        let public = xwing_seed.and_then(|seed| kem::xwing_public(&seed));
        let seed = Zeroizing::new(xwing_seed.unwrap_or_default());
        Self::from_bundle(bundle, &Crypto, public.unwrap_or_default(), seed)
    }

    fn from_bundle(
        bundle: &KeyPackageBundle,
        crypto: &Crypto,
        xwing_public: Vec<u8>,
        xwing_seed: Zeroizing<[u8; 32]>,
    ) -> Result<Self, MlsError> {
        let key_package = bundle.key_package();
        let hash_reference = key_package.hash_ref(crypto).map_err(MlsError::mls)?;
        Ok(Self {
            public: key_package
                .tls_serialize_detached()
                .map_err(MlsError::mls)?,
            hash_reference: encode_value(&hash_reference)?.to_vec(),
            bundle: Zeroizing::new(encode_value(bundle)?.to_vec()),
            init_public: key_package.hpke_init_key().as_slice().to_vec(),
            init_private: Zeroizing::new(bundle.init_private_key().to_vec()),
            xwing_public,
            xwing_seed,
        })
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    ///
    /// If the bytes are damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, MlsError> {
        match bytes {
            [ROW_VERSION, value @ ..] => Ok(decode_value(value)?),
            _ => Err(ViewError::UnknownFormat.into()),
        }
    }

    /// Everything, private keys included, as one row.
    ///
    /// # Errors
    ///
    /// Never, in practice: only if memory cannot be written.
    pub fn encode(&self) -> Result<Zeroizing<Vec<u8>>, MlsError> {
        let value = encode_value(self)?;
        Ok(Zeroizing::new([&[ROW_VERSION], &*value].concat()))
    }

    /// What is uploaded: the bare KeyPackage.
    #[must_use]
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// The public keys by which a Welcome may name this key package: the init key, the X-Wing key.
    #[must_use]
    pub fn welcome_keys(&self) -> [&[u8]; 2] {
        [&self.init_public, &self.xwing_public]
    }

    /// Which private key belongs to `public_key`.
    pub(in super::super) fn private_key(
        &self,
        public_key: &[u8],
    ) -> Option<(WrapperAlgorithm, &[u8])> {
        if public_key == self.init_public {
            Some((WrapperAlgorithm::Curve25519, &self.init_private))
        } else if !self.xwing_public.is_empty() && public_key == self.xwing_public {
            Some((WrapperAlgorithm::XWing, &*self.xwing_seed))
        } else {
            None
        }
    }

    /// Lets a join find this key package.
    pub(in super::super) fn lend_to(&self, view: &View) {
        view.lend_key_package(&self.hash_reference, Rc::from(self.bundle.as_slice()));
    }
}

impl std::fmt::Debug for OwnKeyPackage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnKeyPackage")
            .field("init_key", &hex::encode(&self.init_public))
            .finish_non_exhaustive()
    }
}
