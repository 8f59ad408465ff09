//! How elements are encrypted: AES-256-GCM under one key, with nonces that count up from a random
//! first one, so that elements cannot be swapped or left out unnoticed (except at the end).

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes256Gcm, Nonce};
use zeroize::Zeroizing;

use super::ArchiveError;

/// The bytes of an archive key.
const KEY_BYTES: usize = 32;
/// The bytes of a nonce.
pub(super) const NONCE_BYTES: usize = 12;
/// The bytes that encryption adds.
pub(super) const TAG_BYTES: usize = 16;

/// The key of an archive. There is no password derivation: what the app gives is the key.
#[derive(Clone)]
pub struct ArchiveKey(Zeroizing<[u8; KEY_BYTES]>);

impl ArchiveKey {
    /// The first 32 bytes of `bytes`; what follows is not used.
    ///
    /// # Errors
    /// [`ArchiveError::KeyTooShort`].
    pub fn new(bytes: &[u8]) -> Result<Self, ArchiveError> {
        bytes
            .first_chunk()
            .map(|key| Self(Zeroizing::new(*key)))
            .ok_or(ArchiveError::KeyTooShort { got: bytes.len() })
    }

    /// The 32 bytes, for the reply that tells another installation.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for ArchiveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArchiveKey([redacted])")
    }
}

impl PartialEq for ArchiveKey {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for ArchiveKey {}

/// Seals or opens the elements of one archive, in order.
pub(super) struct ElementSeal {
    cipher: Aes256Gcm,
    next: u128,
    opened_any: bool,
}

impl ElementSeal {
    pub(super) fn new(key: &ArchiveKey, first_nonce: [u8; NONCE_BYTES]) -> Self {
        let mut wide = [0; 16];
        for (to, from) in wide.iter_mut().zip(first_nonce) {
            *to = from;
        }
        Self {
            cipher: Aes256Gcm::new(key.as_bytes().into()),
            next: u128::from_le_bytes(wide),
            opened_any: false,
        }
    }

    /// Seals the next element. Fails only for sizes that no element has.
    pub(super) fn seal(&mut self, plaintext: &[u8]) -> Option<Vec<u8>> {
        let sealed = self.cipher.encrypt(&nonce(self.next), plaintext).ok()?;
        self.next = self.next.wrapping_add(1);
        Some(sealed)
    }

    /// Opens the next element, or gives nothing if it does not belong here under this key.
    ///
    /// Archives from before November 2025 seal every element with the first nonce, so an element
    /// that fails is tried once more with the nonce of the one before it.
    pub(super) fn open(&mut self, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let open = |number| self.cipher.decrypt(&nonce(number), sealed).ok();
        let previous = self.next.wrapping_sub(1);
        let (plaintext, used) = match open(self.next) {
            Some(plaintext) => (plaintext, self.next),
            None if self.opened_any => (open(previous)?, previous),
            None => return None,
        };
        self.next = used.wrapping_add(1);
        self.opened_any = true;
        Some(Zeroizing::new(plaintext))
    }
}

/// The 12 bytes of a nonce that is counted as one little-endian number, modulo 2^96.
fn nonce(number: u128) -> Nonce<aes_gcm::aead::consts::U12> {
    let mut nonce = Nonce::default();
    for (to, from) in nonce.iter_mut().zip(number.to_le_bytes()) {
        *to = from;
    }
    nonce
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn key() -> ArchiveKey {
        ArchiveKey::new(&[7; 32]).unwrap()
    }

    #[test]
    fn a_key_is_the_first_32_bytes_and_no_fewer() {
        assert_eq!(
            ArchiveKey::new(&[1; 31]),
            Err(ArchiveError::KeyTooShort { got: 31 })
        );
        assert_eq!(ArchiveKey::new(&[1; 32]), ArchiveKey::new(&[1; 33]));
        assert!(!format!("{:?}", key()).contains('7'));
    }

    #[test]
    fn nonces_count_through_all_twelve_bytes_and_start_again() {
        assert_eq!(
            nonce(0x0102).as_slice(),
            [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        );
        let mut seal = ElementSeal::new(&key(), [0xff; 12]);
        let last = seal.seal(b"x").unwrap();
        let first = seal.seal(b"x").unwrap();
        let mut from_zero = ElementSeal::new(&key(), [0; 12]);
        assert_eq!(from_zero.open(&first).unwrap().as_slice(), b"x");
        let mut through = ElementSeal::new(&key(), [0xff; 12]);
        assert!(through.open(&last).is_some() && through.open(&first).is_some());
    }

    #[test]
    fn equal_elements_have_different_ciphertexts() {
        let mut seal = ElementSeal::new(&key(), [0; 12]);
        assert_ne!(seal.seal(b"x"), seal.seal(b"x"));
    }

    #[test]
    fn elements_open_in_their_order_only() {
        let mut seal = ElementSeal::new(&key(), [5; 12]);
        let sealed: Vec<_> = (0..3).map(|n| seal.seal(&[n]).unwrap()).collect();
        let [a, b, c] = sealed.as_slice() else {
            unreachable!()
        };
        let mut open = ElementSeal::new(&key(), [5; 12]);
        assert!(open.open(b).is_none());
        assert!(open.open(a).is_some());
        assert!(open.open(c).is_none());
        assert!(open.open(b).is_some());
        assert!(open.open(c).is_some());
    }

    #[test]
    fn elements_that_all_have_the_first_nonce_open() {
        let sealed: Vec<_> = (0..4)
            .map(|n| ElementSeal::new(&key(), [9; 12]).seal(&[n]).unwrap())
            .collect();
        let mut open = ElementSeal::new(&key(), [9; 12]);
        for (number, sealed) in (0..).zip(&sealed) {
            assert_eq!(open.open(sealed).unwrap().as_slice(), [number]);
        }
    }
}
