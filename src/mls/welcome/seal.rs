//! Sealing the inner Welcome for those it is meant for.

use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use prost::Message as _;
use sotto_proto::message_contents as contents;
use sotto_proto::mls_api::{
    WelcomeMessageInput, WelcomePointerWrapperAlgorithm, WelcomeWrapperAlgorithm,
    welcome_message_input,
};

use super::super::crypto::Crypto;
use super::super::extensions::write_vector;
use super::super::key_package::POINTEE_AEAD;
use super::super::provider::random;
use super::{Recipient, WelcomeError, WrapperAlgorithm, kem};

/// From how many recipients that can follow pointers on a shared copy is made.
pub const POINTERS_FROM: usize = 3;

/// Seals `inner` to one recipient. `message_cursor` is the node's id of the Commit that added it.
///
/// # Errors
///
/// If the recipient's key is not usable.
pub fn seal(
    inner: &[u8],
    message_cursor: u64,
    recipient: &Recipient,
) -> Result<WelcomeMessageInput, WelcomeError> {
    let metadata = metadata(message_cursor);
    let (encapped, sealed) = kem::seal(
        recipient.algorithm,
        &recipient.public_key,
        &[inner, &metadata],
    )?;
    let [ciphertext, welcome_metadata] =
        <[Vec<u8>; 2]>::try_from(sealed).map_err(|_| WelcomeError::Seal)?;
    let algorithm = match recipient.algorithm {
        WrapperAlgorithm::Curve25519 => WelcomeWrapperAlgorithm::Curve25519,
        WrapperAlgorithm::XWing => WelcomeWrapperAlgorithm::XwingMlkem768Draft6,
    };
    Ok(direct(welcome_message_input::V1 {
        installation_key: recipient.installation_id.as_bytes().to_vec(),
        data: hpke_ciphertext(&encapped, &ciphertext),
        hpke_public_key: recipient.public_key.clone(),
        wrapper_algorithm: algorithm.into(),
        welcome_metadata,
    }))
}

/// Seals `inner` to all recipients of one Commit: those who can follow pointers share a copy if
/// there are at least [`POINTERS_FROM`] of them; it comes before the pointers. The order of the
/// messages matters no further.
///
/// # Errors
///
/// If a recipient's key is not usable or no randomness is available.
pub fn seal_for_all(
    inner: &[u8],
    message_cursor: u64,
    recipients: &[Recipient],
) -> Result<Vec<WelcomeMessageInput>, WelcomeError> {
    let capable = recipients
        .iter()
        .filter(|recipient| recipient.takes_pointers)
        .count();
    let share = capable >= POINTERS_FROM;
    let mut messages = Vec::with_capacity(recipients.len() + 1);
    let mut pointer = Vec::new();
    if share {
        let (pointee, sealed_pointer) = pointee(inner, message_cursor)?;
        messages.push(pointee);
        pointer = sealed_pointer;
    }
    for recipient in recipients {
        messages.push(if share && recipient.takes_pointers {
            point(&pointer, recipient)?
        } else {
            seal(inner, message_cursor, recipient)?
        });
    }
    Ok(messages)
}

/// The shared copy, and the pointer to it before it is sealed.
fn pointee(
    inner: &[u8],
    message_cursor: u64,
) -> Result<(WelcomeMessageInput, Vec<u8>), WelcomeError> {
    let destination: [u8; 32] = random(&Crypto).map_err(|_| WelcomeError::Randomness)?;
    let key: [u8; 32] = random(&Crypto).map_err(|_| WelcomeError::Randomness)?;
    let data_nonce: [u8; 12] = random(&Crypto).map_err(|_| WelcomeError::Randomness)?;
    let mut metadata_nonce: [u8; 12] = random(&Crypto).map_err(|_| WelcomeError::Randomness)?;
    if metadata_nonce == data_nonce {
        metadata_nonce[0] ^= 1;
    }
    let cipher = ChaCha20Poly1305::new((&key).into());
    let encrypt = |nonce: &[u8; 12], plaintext: &[u8]| {
        let sealed = cipher.encrypt(nonce.into(), plaintext);
        sealed.map_err(|_| WelcomeError::Seal)
    };
    let message = direct(welcome_message_input::V1 {
        installation_key: destination.to_vec(),
        data: encrypt(&data_nonce, inner)?,
        hpke_public_key: Vec::new(),
        wrapper_algorithm: WelcomeWrapperAlgorithm::SymmetricKey.into(),
        welcome_metadata: encrypt(&metadata_nonce, &metadata(message_cursor))?,
    });
    let pointer = contents::WelcomePointer {
        version: Some(contents::welcome_pointer::Version::WelcomeV1Pointer(
            contents::welcome_pointer::WelcomeV1Pointer {
                destination: destination.to_vec(),
                aead_type: POINTEE_AEAD,
                encryption_key: key.to_vec(),
                data_nonce: data_nonce.to_vec(),
                welcome_metadata_nonce: metadata_nonce.to_vec(),
            },
        )),
    };
    Ok((message, pointer.encode_to_vec()))
}

/// A pointer, sealed to one recipient.
fn point(pointer: &[u8], recipient: &Recipient) -> Result<WelcomeMessageInput, WelcomeError> {
    let (encapped, sealed) = kem::seal(recipient.algorithm, &recipient.public_key, &[pointer])?;
    let ciphertext = sealed.first().ok_or(WelcomeError::Seal)?;
    Ok(WelcomeMessageInput {
        version: Some(welcome_message_input::Version::WelcomePointer(
            welcome_message_input::WelcomePointer {
                installation_key: recipient.installation_id.as_bytes().to_vec(),
                welcome_pointer: hpke_ciphertext(&encapped, ciphertext),
                hpke_public_key: recipient.public_key.clone(),
                wrapper_algorithm: WelcomePointerWrapperAlgorithm::XwingMlkem768Draft6.into(),
            },
        )),
    })
}

fn direct(message: welcome_message_input::V1) -> WelcomeMessageInput {
    WelcomeMessageInput {
        version: Some(welcome_message_input::Version::V1(message)),
    }
}

fn metadata(message_cursor: u64) -> Vec<u8> {
    contents::WelcomeMetadata { message_cursor }.encode_to_vec()
}

/// HPKECiphertext of RFC 9420, 7.6.
fn hpke_ciphertext(encapped: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    [write_vector(encapped), write_vector(ciphertext)].concat()
}
