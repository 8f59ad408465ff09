//! HPKE as Welcomes use it.

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::{SharedSecret, X25519HkdfSha256, XWing};
use hpke::rand_core::CryptoRng;
use hpke::{
    Deserializable, HpkeError, Kem, OpModeR, OpModeS, Serializable, setup_receiver, setup_sender,
};

use super::{WelcomeError, WrapperAlgorithm};

/// Length of an X-Wing public key.
pub(in super::super) const XWING_PUBLIC_KEY: usize = 1_216;

/// EncryptContext of RFC 9420, 5.1.3, with label "MLS 1.0 MLS_WELCOME" and no context.
pub(super) const INFO: &[u8] = b"\x13MLS 1.0 MLS_WELCOME\x00";

/// X-Wing under the number that XMTP gives it, which enters into the derived keys. The number
/// of the HPKE registry gives other keys.
#[derive(Debug)]
pub(super) struct XmtpXWing;

impl Kem for XmtpXWing {
    type PublicKey = <XWing as Kem>::PublicKey;
    type PrivateKey = <XWing as Kem>::PrivateKey;
    type EncappedKey = <XWing as Kem>::EncappedKey;
    type NSecret = <XWing as Kem>::NSecret;

    const KEM_ID: u16 = 0x004d;

    fn sk_to_pk(key: &Self::PrivateKey) -> Self::PublicKey {
        XWing::sk_to_pk(key)
    }

    fn derive_keypair(ikm: &[u8]) -> (Self::PrivateKey, Self::PublicKey) {
        XWing::derive_keypair(ikm)
    }

    fn decap(
        private: &Self::PrivateKey,
        sender: Option<&Self::PublicKey>,
        encapped: &Self::EncappedKey,
    ) -> Result<SharedSecret<Self>, HpkeError> {
        let secret = XWing::decap(private, sender, encapped)?;
        Ok(SharedSecret(secret.0))
    }

    fn encap_with_rng(
        public: &Self::PublicKey,
        sender: Option<(&Self::PrivateKey, &Self::PublicKey)>,
        rng: &mut impl CryptoRng,
    ) -> Result<(SharedSecret<Self>, Self::EncappedKey), HpkeError> {
        let (secret, encapped) = XWing::encap_with_rng(public, sender, rng)?;
        Ok((SharedSecret(secret.0), encapped))
    }
}

/// The public key of an X-Wing seed.
pub(in super::super) fn xwing_public(seed: &[u8; 32]) -> Option<Vec<u8>> {
    let key = <XmtpXWing as Kem>::PrivateKey::from_bytes(seed).ok()?;
    Some(XmtpXWing::sk_to_pk(&key).to_bytes().to_vec())
}

/// Encapsulated key and ciphertexts of `messages`, sealed in order in one context.
pub(super) fn seal(
    algorithm: WrapperAlgorithm,
    public_key: &[u8],
    messages: &[&[u8]],
) -> Result<(Vec<u8>, Vec<Vec<u8>>), WelcomeError> {
    let sealed = match algorithm {
        WrapperAlgorithm::Curve25519 => seal_with::<X25519HkdfSha256>(public_key, messages),
        WrapperAlgorithm::XWing => seal_with::<XmtpXWing>(public_key, messages),
    };
    sealed.map_err(|_| WelcomeError::Seal)
}

fn seal_with<K: Kem>(
    public_key: &[u8],
    messages: &[&[u8]],
) -> Result<(Vec<u8>, Vec<Vec<u8>>), HpkeError> {
    let public_key = K::PublicKey::from_bytes(public_key)?;
    let (encapped, mut context) =
        setup_sender::<ChaCha20Poly1305, HkdfSha256, K>(&OpModeS::Base, &public_key, INFO)?;
    let sealed = messages.iter().map(|message| context.seal(message, b""));
    Ok((
        encapped.to_bytes().to_vec(),
        sealed.collect::<Result<_, _>>()?,
    ))
}

/// The plaintexts of `ciphertexts`, which were sealed in this order. Later ones may fail without
/// spoiling earlier ones; after a failure nothing further opens.
pub(super) fn open(
    algorithm: WrapperAlgorithm,
    private_key: &[u8],
    encapped: &[u8],
    ciphertexts: &[&[u8]],
) -> Result<Vec<Option<Vec<u8>>>, WelcomeError> {
    let opened = match algorithm {
        WrapperAlgorithm::Curve25519 => {
            open_with::<X25519HkdfSha256>(private_key, encapped, ciphertexts)
        }
        WrapperAlgorithm::XWing => open_with::<XmtpXWing>(private_key, encapped, ciphertexts),
    };
    opened.map_err(|_| WelcomeError::Open)
}

fn open_with<K: Kem>(
    private_key: &[u8],
    encapped: &[u8],
    ciphertexts: &[&[u8]],
) -> Result<Vec<Option<Vec<u8>>>, HpkeError> {
    let private_key = K::PrivateKey::from_bytes(private_key)?;
    let encapped = K::EncappedKey::from_bytes(encapped)?;
    let mut context = setup_receiver::<ChaCha20Poly1305, HkdfSha256, K>(
        &OpModeR::Base,
        &private_key,
        &encapped,
        INFO,
    )?;
    let opened = ciphertexts
        .iter()
        .map(|ciphertext| context.open(ciphertext, b"").ok());
    Ok(opened.collect())
}
