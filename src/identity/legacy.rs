//! Legacy keys: a v2 identity key, itself signed by a wallet once, that signs in the wallet's
//! stead. Nobody makes such signatures any more, but old logs hold them and everyone who
//! resolves those inboxes has to agree on them.

use k256::ecdsa::VerifyingKey;
use sotto_proto::{Message, associations as proto};

use super::error::IdentityError;
use super::ethereum::{Recoverable, address, eip191_hash};

/// A legacy key's signature, and the wallet's signature over the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LegacySignature {
    /// An encoded `UnsignedPublicKey`, exactly as the wallet signed it.
    pub key_bytes: Vec<u8>,
    /// r, s and recovery byte.
    pub wallet_signature: Vec<u8>,
    /// The key's own signature over the text: r, s and v.
    pub signature: Vec<u8>,
}

impl LegacySignature {
    /// A key without a signature reads as one with an empty, hence invalid, signature.
    pub(super) fn from_proto(message: proto::LegacyDelegatedSignature) -> Option<Self> {
        use proto::legacy_key_signature::Union;
        let key = message.delegated_key?;
        // Which of the two variants it is means nothing.
        let compact = key
            .signature
            .and_then(|s| s.union)
            .map(|union| match union {
                Union::EcdsaCompact(compact) | Union::WalletEcdsaCompact(compact) => compact,
            });
        let wallet_signature = compact.map_or_else(Vec::new, |compact| {
            let mut bytes = compact.bytes;
            // The lowest byte alone, as everyone reads it.
            bytes.push(compact.recovery.to_le_bytes()[0]);
            bytes
        });
        Some(Self {
            key_bytes: key.key_bytes,
            wallet_signature,
            signature: message.signature?.bytes,
        })
    }

    pub(super) fn to_proto(&self) -> proto::LegacyDelegatedSignature {
        use proto::legacy_key_signature::{Compact, Union};
        let union = self.wallet_signature.split_last().map(|(v, scalars)| {
            Union::WalletEcdsaCompact(Compact {
                bytes: scalars.to_vec(),
                recovery: u32::from(*v),
            })
        });
        proto::LegacyDelegatedSignature {
            delegated_key: Some(proto::SignedPublicKey {
                key_bytes: self.key_bytes.clone(),
                signature: Some(proto::LegacyKeySignature { union }),
            }),
            signature: Some(proto::RecoverableEcdsaSignature {
                bytes: self.signature.clone(),
            }),
        }
    }

    /// Checks the key's signature over a text with this EIP-191 hash, and the wallet's over the
    /// key. Gives the wallet's address and its signature, by which a replay is known.
    pub(super) fn verify(&self, hash: &[u8; 32]) -> Result<(String, Vec<u8>), IdentityError> {
        let signer = Recoverable::parse(&self.signature)?
            .lowered()
            .recover(hash)?;
        let wallet_signature = Recoverable::parse(&self.wallet_signature)?.lowered();
        let wallet = wallet_signature.recover(&eip191_hash(&key_text(&self.key_bytes)))?;
        if self.key_address()? != signer {
            return Err(IdentityError::InvalidSignature("another legacy key"));
        }
        Ok((wallet, wallet_signature.to_vec()))
    }

    fn key_address(&self) -> Result<String, IdentityError> {
        use proto::unsigned_public_key::Union;
        let invalid = IdentityError::InvalidSignature("legacy key");
        let message = proto::UnsignedPublicKey::decode(self.key_bytes.as_slice()).ok();
        match message.and_then(|key| key.union) {
            Some(Union::Secp256k1Uncompressed(key)) => VerifyingKey::from_sec1_bytes(&key.bytes)
                .map(|key| address(&key))
                .map_err(|_| invalid),
            None => Err(invalid),
        }
    }
}

/// What the wallet signed. The final slash is the wallet's, and missing in today's texts.
fn key_text(key_bytes: &[u8]) -> String {
    format!(
        "XMTP : Create Identity\n{}\n\nFor more info: https://xmtp.org/signatures/",
        hex::encode(key_bytes)
    )
}
