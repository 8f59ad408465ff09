//! How a value is sealed and a key is hidden, under the data key of a store. Pure.
//!
//! A sealed value is `version (1) ‖ nonce (24) ‖ XChaCha20-Poly1305 ciphertext and tag`. Its associated data name the
//! place it belongs to, so that a row moved to another place does not open there.

use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use super::Table;

/// The key everything in a store is sealed under; wiped when dropped.
pub(super) type DataKey = Zeroizing<[u8; 32]>;

/// The bytes of a key that hide the scope.
pub(super) const SCOPE_LENGTH: usize = 16;

const VERSION: u8 = 1;
const NONCE_LENGTH: usize = 24;
const TAG_LENGTH: usize = 16;

/// A sealed value that is not what was written at its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsealable;

/// The keys derived from the data key; wiped when dropped.
pub(super) struct Sealer {
    values: DataKey,
    scopes: DataKey,
}

impl Sealer {
    pub(super) fn new(data_key: &DataKey) -> Self {
        let derive = |label: &[u8]| {
            let mut key = Zeroizing::new([0; 32]);
            // 32 bytes are within what HKDF-SHA-256 can give, so this cannot fail; if it did, all keys would be zero,
            // which a test excludes.
            let _ =
                Hkdf::<Sha256>::new(None, data_key.as_slice()).expand(label, key.as_mut_slice());
            key
        };
        Self {
            values: derive(b"sotto store v1 values"),
            scopes: derive(b"sotto store v1 scopes"),
        }
    }

    /// What stands for `scope` at the start of stored keys; nothing for the empty scope.
    pub(super) fn hide(&self, table: Table, scope: &[u8]) -> Vec<u8> {
        if scope.is_empty() {
            return Vec::new();
        }
        self.tag(b"scope", table, scope).to_vec()
    }

    /// A stand-in for `name` that tells nothing about it and is the same each time.
    pub(super) fn blind(&self, table: Table, name: &[u8]) -> [u8; SCOPE_LENGTH] {
        self.tag(b"order", table, name)
    }

    fn tag(&self, use_: &[u8], table: Table, name: &[u8]) -> [u8; SCOPE_LENGTH] {
        let mut tag = [0; SCOPE_LENGTH];
        // HMAC takes keys of any length.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.scopes.as_slice()) {
            mac.update(use_);
            mac.update(&[table.number()]);
            mac.update(name);
            for (out, byte) in tag.iter_mut().zip(mac.finalize().into_bytes()) {
                *out = byte;
            }
        }
        tag
    }

    /// Seals `value` for `place`, and wipes the plaintext.
    pub(super) fn seal(
        &self,
        place: &Place,
        nonce: [u8; NONCE_LENGTH],
        mut value: Vec<u8>,
    ) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(1 + NONCE_LENGTH + value.len() + TAG_LENGTH);
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&value);
        value.zeroize();
        let cipher = XChaCha20Poly1305::new((&*self.values).into());
        let (_, text) = sealed.split_at_mut(1 + NONCE_LENGTH);
        match cipher.encrypt_inout_detached(&nonce.into(), &place.associated_data(), text.into()) {
            Ok(tag) => sealed.extend_from_slice(&tag),
            // Only a value beyond the cipher's 256 GiB gets here; never let it through in the clear.
            Err(_) => sealed.zeroize(),
        }
        sealed
    }

    /// Opens what was sealed for `place`.
    ///
    /// # Errors
    /// [`Unsealable`] if it was altered, cut, moved here from elsewhere, or sealed under another key.
    pub(super) fn open(&self, place: &Place, mut sealed: Vec<u8>) -> Result<Vec<u8>, Unsealable> {
        let (version, rest) = sealed.split_first_mut().ok_or(Unsealable)?;
        if *version != VERSION {
            return Err(Unsealable);
        }
        let (nonce, rest) = rest
            .split_first_chunk_mut::<NONCE_LENGTH>()
            .ok_or(Unsealable)?;
        let (text, tag) = rest
            .split_last_chunk_mut::<TAG_LENGTH>()
            .ok_or(Unsealable)?;
        let cipher = XChaCha20Poly1305::new((&*self.values).into());
        cipher
            .decrypt_inout_detached(
                (&*nonce).into(),
                &place.associated_data(),
                (&mut *text).into(),
                (&*tag).into(),
            )
            .map_err(|_| Unsealable)?;
        let length = text.len();
        sealed.copy_within(1 + NONCE_LENGTH..1 + NONCE_LENGTH + length, 0);
        sealed.truncate(length);
        Ok(sealed)
    }
}

/// The place a value is sealed for.
pub(super) enum Place<'a> {
    /// The row at a stored key.
    Row(Table, &'a [u8]),
    /// Any position in a log: the store assigns it after sealing.
    Log(Table),
}

impl<'a> Place<'a> {
    /// The place of the row at `key`.
    pub(super) fn of(table: Table, key: &'a [u8]) -> Self {
        if table.is_log() {
            Self::Log(table)
        } else {
            Self::Row(table, key)
        }
    }

    fn associated_data(&self) -> Vec<u8> {
        match self {
            Self::Row(table, key) => [&[VERSION, table.number()], *key].concat(),
            Self::Log(table) => vec![VERSION, table.number()],
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sealer() -> Sealer {
        Sealer::new(&Zeroizing::new([7; 32]))
    }

    #[test]
    fn the_derived_keys_differ_from_each_other_and_from_zero() {
        let sealer = sealer();
        assert_ne!(*sealer.values, [0; 32]);
        assert_ne!(*sealer.scopes, [0; 32]);
        assert_ne!(*sealer.values, *sealer.scopes);
    }

    #[test]
    fn what_was_sealed_opens_at_its_place_and_nowhere_else() {
        let sealer = sealer();
        let place = Place::of(Table::Mls, b"key");
        for value in [vec![], b"value".to_vec(), vec![9; 100_000]] {
            let sealed = sealer.seal(&place, [1; 24], value.clone());
            assert_eq!(sealed.len(), value.len() + 41);
            assert_eq!(sealer.open(&place, sealed.clone()).unwrap(), value);
            let elsewhere = [
                Place::of(Table::Mls, b"kez"),
                Place::of(Table::Roles, b"key"),
                Place::of(Table::Feed, b"key"),
            ];
            for place in &elsewhere {
                assert_eq!(sealer.open(place, sealed.clone()), Err(Unsealable));
            }
            let other = Sealer::new(&Zeroizing::new([8; 32]));
            assert_eq!(other.open(&place, sealed), Err(Unsealable));
        }
    }

    #[test]
    fn no_altered_or_cut_value_opens() {
        let sealer = sealer();
        let place = Place::of(Table::Mls, b"key");
        let sealed = sealer.seal(&place, [1; 24], b"value".to_vec());
        for bit in 0..sealed.len() * 8 {
            let mut altered = sealed.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(sealer.open(&place, altered), Err(Unsealable), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(
                sealer.open(&place, sealed[..length].to_vec()),
                Err(Unsealable),
                "length {length}"
            );
        }
    }

    #[test]
    fn a_log_entry_opens_at_any_position_of_its_log() {
        let sealer = sealer();
        let sealed = sealer.seal(&Place::Log(Table::Feed), [1; 24], b"entry".to_vec());
        assert_eq!(
            sealer
                .open(&Place::of(Table::Feed, &5u64.to_be_bytes()), sealed)
                .unwrap(),
            b"entry"
        );
    }

    #[test]
    fn scopes_are_hidden_apart_by_table_key_and_use() {
        let sealer = sealer();
        let hidden = sealer.hide(Table::Mls, b"group");
        assert_eq!(hidden, sealer.hide(Table::Mls, b"group"));
        assert_ne!(hidden, sealer.hide(Table::Roles, b"group"));
        assert_ne!(hidden, sealer.hide(Table::Mls, b"grouq"));
        assert_ne!(hidden, sealer.blind(Table::Mls, b"group"));
        assert_ne!(
            hidden,
            Sealer::new(&Zeroizing::new([8; 32])).hide(Table::Mls, b"group")
        );
        assert_eq!(sealer.hide(Table::Mls, b""), b"");
    }
}
