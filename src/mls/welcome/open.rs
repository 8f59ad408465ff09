//! Opening what was sealed to us.

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use prost::Message as _;
use sotto_proto::message_contents as contents;
use sotto_proto::mls_api::{WelcomeWrapperAlgorithm, welcome_message};
use zeroize::Zeroizing;

use super::super::extensions::split_vector;
use super::super::key_package::{OwnKeyPackage, POINTEE_AEAD};
use super::{WelcomeError, WrapperAlgorithm, kem};

/// An opened Welcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedWelcome {
    /// The inner Welcome, an MLSMessage.
    pub inner: Vec<u8>,
    /// The node's id of the Commit that added us; none if the metadata is absent or unreadable.
    pub message_cursor: Option<u64>,
}

/// Where a shared Welcome lies and what opens it.
#[derive(Clone)]
pub struct Pointer {
    /// The topic of the shared Welcome.
    pub destination: [u8; 32],
    key: Zeroizing<[u8; 32]>,
    data_nonce: [u8; 12],
    metadata_nonce: [u8; 12],
}

impl Pointer {
    /// Everything, the key included, for keeping it until the Welcome is there.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let parts: [&[u8]; 4] = [
            &self.destination,
            &*self.key,
            &self.data_nonce,
            &self.metadata_nonce,
        ];
        Zeroizing::new(parts.concat())
    }

    /// Reads what [`Self::encode`] wrote.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (destination, rest) = bytes.split_first_chunk::<32>()?;
        let (key, rest) = rest.split_first_chunk::<32>()?;
        let (data_nonce, rest) = rest.split_first_chunk::<12>()?;
        Some(Self {
            destination: *destination,
            key: Zeroizing::new(*key),
            data_nonce: *data_nonce,
            metadata_nonce: rest.try_into().ok()?,
        })
    }
}

impl std::fmt::Debug for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pointer([redacted])")
    }
}

/// Opens a Welcome that is sealed to a key of `keys`, the key package that it names.
///
/// # Errors
///
/// If the key is another one's, or the Welcome is malformed or does not open. That is permanent.
pub fn open(
    message: &welcome_message::V1,
    keys: &OwnKeyPackage,
) -> Result<OpenedWelcome, WelcomeError> {
    let (algorithm, private_key) = private_key(keys, &message.hpke_public_key)?;
    let expected = match algorithm {
        WrapperAlgorithm::Curve25519 => WelcomeWrapperAlgorithm::Curve25519,
        WrapperAlgorithm::XWing => WelcomeWrapperAlgorithm::XwingMlkem768Draft6,
    };
    if message.wrapper_algorithm != i32::from(expected) {
        return Err(WelcomeError::Malformed);
    }
    let (encapped, ciphertext) = split_ciphertext(&message.data).ok_or(WelcomeError::Malformed)?;
    let ciphertexts = [ciphertext, &message.welcome_metadata];
    let opened = kem::open(algorithm, private_key, encapped, &ciphertexts)?;
    let mut opened = opened.into_iter();
    let inner = opened.next().flatten().ok_or(WelcomeError::Open)?;
    Ok(OpenedWelcome {
        inner,
        message_cursor: read_cursor(opened.next().flatten()),
    })
}

/// Opens a pointer that is sealed to a key of `keys`.
///
/// # Errors
///
/// As [`open`].
pub fn open_pointer(
    message: &welcome_message::WelcomePointer,
    keys: &OwnKeyPackage,
) -> Result<Pointer, WelcomeError> {
    let (algorithm, private_key) = private_key(keys, &message.hpke_public_key)?;
    if algorithm != WrapperAlgorithm::XWing {
        return Err(WelcomeError::Malformed);
    }
    let (encapped, ciphertext) =
        split_ciphertext(&message.welcome_pointer).ok_or(WelcomeError::Malformed)?;
    let opened = kem::open(algorithm, private_key, encapped, &[ciphertext])?;
    let pointer = opened
        .into_iter()
        .next()
        .flatten()
        .ok_or(WelcomeError::Open)?;
    read_pointer(&Zeroizing::new(pointer)).ok_or(WelcomeError::Malformed)
}

/// Opens the shared Welcome that `pointer` points to.
///
/// # Errors
///
/// If it is another kind of message or does not open.
pub fn open_pointee(
    message: &welcome_message::V1,
    pointer: &Pointer,
) -> Result<OpenedWelcome, WelcomeError> {
    if message.wrapper_algorithm != i32::from(WelcomeWrapperAlgorithm::SymmetricKey) {
        return Err(WelcomeError::Malformed);
    }
    let cipher = ChaCha20Poly1305::new((&*pointer.key).into());
    let decrypt =
        |nonce: &[u8; 12], ciphertext: &[u8]| cipher.decrypt(nonce.into(), ciphertext).ok();
    let inner = decrypt(&pointer.data_nonce, &message.data).ok_or(WelcomeError::Open)?;
    Ok(OpenedWelcome {
        inner,
        message_cursor: read_cursor(decrypt(&pointer.metadata_nonce, &message.welcome_metadata)),
    })
}

fn private_key<'a>(
    keys: &'a OwnKeyPackage,
    public_key: &[u8],
) -> Result<(WrapperAlgorithm, &'a [u8]), WelcomeError> {
    keys.private_key(public_key).ok_or(WelcomeError::UnknownKey)
}

/// Encapsulated key and ciphertext; nothing may follow.
fn split_ciphertext(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let (encapped, rest) = split_vector(data)?;
    let (ciphertext, rest) = split_vector(rest)?;
    rest.is_empty().then_some((encapped, ciphertext))
}

fn read_cursor(metadata: Option<Vec<u8>>) -> Option<u64> {
    let metadata = contents::WelcomeMetadata::decode(metadata?.as_slice()).ok()?;
    Some(metadata.message_cursor)
}

fn read_pointer(bytes: &[u8]) -> Option<Pointer> {
    let pointer = contents::WelcomePointer::decode(bytes).ok()?;
    let contents::welcome_pointer::Version::WelcomeV1Pointer(pointer) = pointer.version?;
    if pointer.aead_type != POINTEE_AEAD {
        return None;
    }
    Some(Pointer {
        destination: pointer.destination.try_into().ok()?,
        key: Zeroizing::new(pointer.encryption_key.try_into().ok()?),
        data_nonce: pointer.data_nonce.try_into().ok()?,
        metadata_nonce: pointer.welcome_metadata_nonce.try_into().ok()?,
    })
}
