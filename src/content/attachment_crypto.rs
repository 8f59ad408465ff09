//! Sealing a file before it is stored elsewhere, and opening what was fetched.
//!
//! The key is HKDF-SHA256 of a secret that travels in the message, so the store sees ciphertext
//! only; the digest is checked before anything is decrypted. Randomness is passed in.

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use hkdf::Hkdf;
use serde::Serialize;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::{Attachment, ContentError, ContentType, EncodedContent, RemoteAttachment};

const SECRET_BYTES: usize = 32;
const SALT_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// The random numbers that sealing one attachment takes: from a good source, and never used again.
pub struct AttachmentRandomness {
    /// What the key is derived from.
    pub secret: [u8; SECRET_BYTES],
    /// The salt of that derivation.
    pub salt: [u8; SALT_BYTES],
    /// The nonce of the encryption.
    pub nonce: [u8; NONCE_BYTES],
}

/// A sealed attachment: the payload to store, and what a [`RemoteAttachment`] says about it.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EncryptedAttachment {
    /// The bytes to store.
    #[serde(with = "serde_bytes")]
    pub payload: Vec<u8>,
    /// SHA-256 of `payload`, in hex.
    pub content_digest: String,
    /// What the key is derived from.
    #[serde(with = "serde_bytes")]
    pub secret: Vec<u8>,
    /// The salt of that derivation.
    #[serde(with = "serde_bytes")]
    pub salt: Vec<u8>,
    /// The nonce of the encryption.
    #[serde(with = "serde_bytes")]
    pub nonce: Vec<u8>,
    /// The length of `payload` in bytes.
    pub content_length: u32,
    /// The name of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

impl EncryptedAttachment {
    /// The content to send once the payload is stored at `url`.
    #[must_use]
    pub fn stored_at(&self, url: &str) -> RemoteAttachment {
        RemoteAttachment {
            url: url.to_owned(),
            content_digest: self.content_digest.clone(),
            secret: self.secret.clone(),
            salt: self.salt.clone(),
            nonce: self.nonce.clone(),
            scheme: "https".to_owned(),
            content_length: Some(self.content_length),
            filename: self.filename.clone(),
        }
    }
}

/// Seals an attachment.
///
/// # Errors
/// [`ContentError::PayloadTooLarge`] from 4 GiB on.
pub fn encrypt_attachment(
    attachment: &Attachment,
    randomness: &AttachmentRandomness,
) -> Result<EncryptedAttachment, ContentError> {
    let plaintext = Zeroizing::new(attachment.encode()?.to_bytes());
    let too_large = || ContentError::PayloadTooLarge {
        max: u32::MAX as usize,
        got: plaintext.len(),
    };
    let payload = cipher(&randomness.secret, &randomness.salt)
        .encrypt(Nonce::from_slice(&randomness.nonce), plaintext.as_slice())
        .map_err(|_| too_large())?;
    Ok(EncryptedAttachment {
        content_digest: hex::encode(Sha256::digest(&payload)),
        content_length: u32::try_from(payload.len()).map_err(|_| too_large())?,
        payload,
        secret: randomness.secret.to_vec(),
        salt: randomness.salt.to_vec(),
        nonce: randomness.nonce.to_vec(),
        filename: attachment.filename.clone(),
    })
}

/// Opens what was fetched from the URL of a remote attachment.
///
/// # Errors
/// [`ContentError::DigestMismatch`] if it is not what the sender stored,
/// [`ContentError::AttachmentSealed`] if the secret does not open it, and whatever is wrong with
/// the content inside.
pub fn decrypt_attachment(
    payload: &[u8],
    remote: &RemoteAttachment,
) -> Result<Attachment, ContentError> {
    let digest = hex::encode(Sha256::digest(payload));
    if !digest.eq_ignore_ascii_case(&remote.content_digest) {
        return Err(ContentError::DigestMismatch);
    }
    check_length("secret", &remote.secret, SECRET_BYTES)?;
    check_length("salt", &remote.salt, SALT_BYTES)?;
    check_length("nonce", &remote.nonce, NONCE_BYTES)?;
    let plaintext = cipher(&remote.secret, &remote.salt)
        .decrypt(Nonce::from_slice(&remote.nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| ContentError::AttachmentSealed)?;
    Attachment::decode(&EncodedContent::from_bytes(&plaintext)?)
}

fn check_length(what: &'static str, bytes: &[u8], expected: usize) -> Result<(), ContentError> {
    if bytes.len() == expected {
        Ok(())
    } else {
        Err(ContentError::Invalid {
            what,
            problem: "does not have the right length",
        })
    }
}

fn cipher(secret: &[u8], salt: &[u8]) -> Aes256Gcm {
    let mut key = Zeroizing::new([0; 32]);
    // Fails only for more than 255 hashes of output, and this is one.
    let expanded = Hkdf::<Sha256>::new(Some(salt), secret).expand(&[], key.as_mut_slice());
    debug_assert!(expanded.is_ok());
    Aes256Gcm::new(key.as_slice().into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// spec/mls.md A.8.
    const PAYLOAD: &str = "f7c0f02e720f494cafe4950e64397a19978b55365a20f71c9e672f0b9f4ccb8e698f3d1a324417e17b26b7dc9c64f6305b98acf5b3a9194f6eae19ed8da9463fb4c14f03be4b94d67d8b207a16d702987d7b84a7bf39bfe0c70c";
    const DIGEST: &str = "daf207fc5e85cba1924dd844d14cb61694d4b035b271b3ef36a8a03f981cd2f4";

    fn attachment() -> Attachment {
        Attachment {
            filename: Some("a.txt".to_owned()),
            mime_type: "text/plain".to_owned(),
            content: vec![1, 2, 3],
        }
    }

    fn randomness() -> AttachmentRandomness {
        AttachmentRandomness {
            secret: [1; 32],
            salt: [2; 32],
            nonce: [3; 12],
        }
    }

    fn remote() -> RemoteAttachment {
        encrypt_attachment(&attachment(), &randomness())
            .unwrap()
            .stored_at("https://example.org/x")
    }

    /// The vector's plaintext has no fallback, so it is opened as it stands rather than remade.
    #[test]
    fn the_payload_of_the_vector_opens() {
        let remote = RemoteAttachment {
            content_digest: DIGEST.to_owned(),
            ..remote()
        };
        let payload = hex::decode(PAYLOAD).unwrap();
        assert_eq!(decrypt_attachment(&payload, &remote), Ok(attachment()));
    }

    #[test]
    fn sealing_the_plaintext_of_the_vector_gives_its_payload() {
        let plaintext = hex::decode("0a180a08786d74702e6f7267120a6174746163686d656e74180112110a0866696c656e616d651205612e74787412160a086d696d6554797065120a746578742f706c61696e2203010203").unwrap();
        let random = randomness();
        let payload = cipher(&random.secret, &random.salt)
            .encrypt(Nonce::from_slice(&random.nonce), plaintext.as_slice())
            .unwrap();
        assert_eq!(hex::encode(&payload), PAYLOAD);
        assert_eq!(hex::encode(Sha256::digest(&payload)), DIGEST);
    }

    #[test]
    fn a_sealed_attachment_opens_again() {
        let sealed = encrypt_attachment(&attachment(), &randomness()).unwrap();
        assert_eq!(sealed.content_length as usize, sealed.payload.len());
        assert_eq!(sealed.filename.as_deref(), Some("a.txt"));
        assert_eq!(
            decrypt_attachment(&sealed.payload, &remote()),
            Ok(attachment())
        );
    }

    #[test]
    fn a_changed_payload_is_refused_before_it_is_decrypted() {
        let mut payload = encrypt_attachment(&attachment(), &randomness())
            .unwrap()
            .payload;
        *payload.first_mut().unwrap() ^= 1;
        assert_eq!(
            decrypt_attachment(&payload, &remote()),
            Err(ContentError::DigestMismatch)
        );
    }

    #[test]
    fn a_payload_with_the_right_digest_and_another_secret_does_not_open() {
        let payload = encrypt_attachment(&attachment(), &randomness())
            .unwrap()
            .payload;
        for change in [
            |remote: &mut RemoteAttachment| remote.secret = vec![7; 32],
            |remote: &mut RemoteAttachment| remote.salt = vec![7; 32],
            |remote: &mut RemoteAttachment| remote.nonce = vec![7; 12],
        ] {
            let mut changed = remote();
            change(&mut changed);
            assert_eq!(
                decrypt_attachment(&payload, &changed),
                Err(ContentError::AttachmentSealed)
            );
        }
    }

    #[test]
    fn lengths_that_cannot_be_are_errors_and_not_panics() {
        let payload = encrypt_attachment(&attachment(), &randomness())
            .unwrap()
            .payload;
        for change in [
            |remote: &mut RemoteAttachment| remote.secret.clear(),
            |remote: &mut RemoteAttachment| remote.salt.clear(),
            |remote: &mut RemoteAttachment| remote.nonce.clear(),
        ] {
            let mut changed = remote();
            change(&mut changed);
            assert!(matches!(
                decrypt_attachment(&payload, &changed),
                Err(ContentError::Invalid { .. })
            ));
        }
    }
}
