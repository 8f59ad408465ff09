//! Ethereum keys: `personal_sign` hashes (EIP-191) and signatures that name their signer by
//! public key recovery.

use std::fmt;

use k256::ecdsa::{RecoveryId, Signature, SigningKey, VerifyingKey};
use sha3::{Digest, Keccak256};

use super::error::{IdentifierError, IdentityError};
use super::identifier::Identifier;

/// What a wallet signs when asked to sign `text` with `personal_sign`.
#[must_use]
pub fn eip191_hash(text: &str) -> [u8; 32] {
    Keccak256::new()
        .chain_update(b"\x19Ethereum Signed Message:\n")
        .chain_update(text.len().to_string())
        .chain_update(text)
        .finalize()
        .into()
}

/// `0x` and 40 lower-case hex digits: the last 20 bytes of the Keccak-256 of the point.
pub(super) fn address(key: &VerifyingKey) -> String {
    let point = key.to_encoded_point(false);
    // The first byte says "uncompressed".
    let hash = Keccak256::digest(point.as_bytes().get(1..).unwrap_or_default());
    let tail = hash.get(12..).unwrap_or_default();
    format!("0x{}", hex::encode(tail))
}

/// A 65-byte signature, taken apart.
pub(super) struct Recoverable {
    signature: Signature,
    v: u8,
}

impl Recoverable {
    /// # Errors
    /// Not 65 bytes, or r or s out of range.
    pub fn parse(bytes: &[u8]) -> Result<Self, IdentityError> {
        let invalid = IdentityError::InvalidSignature("not an Ethereum signature");
        let (v, scalars) = match bytes.split_last() {
            Some((v, scalars)) if scalars.len() == 64 => (*v, scalars),
            _ => return Err(invalid),
        };
        let signature = Signature::from_slice(scalars).map_err(|_| invalid)?;
        Ok(Self { signature, v })
    }

    /// The parity that v stands for: 0 and 1, 27 and 28, and everything from 35 on (EIP-155).
    fn is_y_odd(&self) -> Result<bool, IdentityError> {
        match self.v {
            0 | 27 => Ok(false),
            1 | 28 => Ok(true),
            v @ 35.. => Ok((v - 35) % 2 == 1),
            _ => Err(IdentityError::InvalidSignature("v is no parity")),
        }
    }

    /// Whether every reader, old and new, takes this encoding for the same signature: low s and
    /// v one of 0, 1, 27, 28.
    pub fn is_canonical(&self) -> bool {
        self.signature.normalize_s().is_none() && matches!(self.v, 0 | 1 | 27 | 28)
    }

    /// With s in the lower half and **v left as it is**, which is how readers of a log have
    /// always done it: a signature with a high s counts only if v is that of the low one.
    pub fn lowered(self) -> Self {
        Self {
            signature: self.signature.normalize_s().unwrap_or(self.signature),
            v: self.v,
        }
    }

    /// The same signature as a writer has to put it: low s, v 27 or 28.
    ///
    /// # Errors
    /// v is no parity.
    pub fn canonical(self) -> Result<Self, IdentityError> {
        let odd = self.is_y_odd()?;
        let (signature, odd) = match self.signature.normalize_s() {
            Some(low) => (low, !odd),
            None => (self.signature, odd),
        };
        let v = 27 + u8::from(odd);
        Ok(Self { signature, v })
    }

    /// r and s.
    pub fn scalars(&self) -> [u8; 64] {
        self.signature.to_bytes().into()
    }

    /// r, s and v.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = self.scalars().to_vec();
        bytes.push(self.v);
        bytes
    }

    /// The address of whoever signed this hash. A signature over something else gives an address
    /// too, just nobody's.
    ///
    /// # Errors
    /// v is no parity, or there is no such point.
    pub fn recover(&self, hash: &[u8; 32]) -> Result<String, IdentityError> {
        let parity = RecoveryId::new(self.is_y_odd()?, false);
        VerifyingKey::recover_from_prehash(hash, &self.signature, parity)
            .map(|key| address(&key))
            .map_err(|_| IdentityError::InvalidSignature("no key can be recovered"))
    }
}

/// A private key of an externally owned account, for wallets made in the page and for tests.
/// Erased from memory when dropped, never printed.
#[derive(Clone)]
pub struct EthereumKey(SigningKey);

impl EthereumKey {
    /// The key with these 32 bytes, which come from a cryptographic random source.
    ///
    /// # Errors
    /// Zero or not below the group's order: as good as never by chance.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, IdentifierError> {
        SigningKey::from_slice(bytes)
            .map(Self)
            .map_err(|_| IdentifierError::PrivateKey)
    }

    /// The private key, for storage alone.
    #[must_use]
    pub fn to_bytes(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.0.to_bytes().into())
    }

    /// `0x` and 40 lower-case hex digits.
    #[must_use]
    pub fn address(&self) -> String {
        address(self.0.verifying_key())
    }

    /// The address as an identifier.
    #[must_use]
    pub fn identifier(&self) -> Identifier {
        Identifier::Ethereum(self.address())
    }

    /// What a wallet answers to `personal_sign`: r, low s, and v 27 or 28.
    #[must_use]
    pub fn sign_personal(&self, text: &str) -> [u8; 65] {
        // Deterministic (RFC 6979) and with a low s.
        let Ok((signature, parity)) = self.0.sign_prehash_recoverable(&eip191_hash(text)) else {
            unreachable!("a 32-byte hash is long enough to sign");
        };
        let mut bytes = [27 + u8::from(parity.is_y_odd()); 65];
        bytes[..64].copy_from_slice(&signature.to_bytes());
        bytes
    }
}

impl fmt::Debug for EthereumKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EthereumKey([redacted])")
    }
}
