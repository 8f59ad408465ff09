//! The storage interface of openmls on top of a [`View`].
//!
//! One view is one group, so the group id that openmls passes along is not part of any key. What
//! the protocol rules of XMTP exclude is answered with "nothing here" and not stored: pre-shared
//! keys, own Update proposals, signature keys (the installation key stays in its own row). The file
//! is long because the interface is: one implementation cannot be cut in two.

use openmls_traits::storage::{CURRENT_VERSION as V, StorageProvider, traits};
use serde::Serialize;

use super::View;
use super::codec::{decode, decode_described, encode, encode_described};

/// Why a view could not be read or written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// A value could not be encoded.
    #[error("a value could not be encoded")]
    Encode,
    /// A stored value does not decode.
    #[error("a stored value does not decode")]
    Decode,
    /// A row was written in a format this version does not know.
    #[error("a row has an unknown format")]
    UnknownFormat,
    /// A value's rows are not all there.
    #[error("a chunk of a value is missing")]
    MissingChunk,
    /// The MLS library asked to store something that our groups never contain.
    #[error("not stored: {0}")]
    Unsupported(&'static str),
}

const TREE: u8 = 1;
const CONTEXT: u8 = 2;
const INTERIM_TRANSCRIPT_HASH: u8 = 3;
const CONFIRMATION_TAG: u8 = 4;
const GROUP_STATE: u8 = 5;
const MESSAGE_SECRETS: u8 = 6;
const RESUMPTION_PSKS: u8 = 7;
const OWN_LEAF_INDEX: u8 = 8;
const EPOCH_SECRETS: u8 = 9;
const JOIN_CONFIG: u8 = 10;
/// Followed by epoch and leaf index.
const EPOCH_KEY_PAIRS: u8 = 11;
const PROPOSALS: u8 = 12;
/// Followed by the hash reference.
const KEY_PACKAGE: u8 = 13;

/// A queued proposal: its reference and itself, both encoded.
type EncodedProposal = (Vec<u8>, Vec<u8>);

pub(super) fn key_package_key(hash_reference: &[u8]) -> Vec<u8> {
    [&[KEY_PACKAGE], hash_reference].concat()
}

fn epoch_key<K: Serialize>(epoch: &K, leaf_index: u32) -> Result<Vec<u8>, ViewError> {
    Ok([
        &[EPOCH_KEY_PAIRS],
        &*encode(epoch)?,
        &leaf_index.to_be_bytes(),
    ]
    .concat())
}

impl View {
    fn write<T: Serialize>(&self, tag: u8, value: &T) -> Result<(), ViewError> {
        self.put(vec![tag], encode(value)?);
        Ok(())
    }

    fn read<T: serde::de::DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, ViewError> {
        self.get(key).map(|value| decode(&value)).transpose()
    }

    /// The queued proposals, oldest first.
    fn proposals(&self) -> Result<Vec<EncodedProposal>, ViewError> {
        Ok(self.read(&[PROPOSALS])?.unwrap_or_default())
    }
}

impl StorageProvider<V> for View {
    type Error = ViewError;

    fn write_tree<G: traits::GroupId<V>, T: traits::TreeSync<V>>(
        &self,
        _: &G,
        value: &T,
    ) -> Result<(), ViewError> {
        self.write(TREE, value)
    }

    fn tree<G: traits::GroupId<V>, T: traits::TreeSync<V>>(
        &self,
        _: &G,
    ) -> Result<Option<T>, ViewError> {
        self.read(&[TREE])
    }

    fn delete_tree<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), ViewError> {
        self.delete(&[TREE]);
        Ok(())
    }

    fn write_context<G: traits::GroupId<V>, T: traits::GroupContext<V>>(
        &self,
        _: &G,
        value: &T,
    ) -> Result<(), ViewError> {
        self.write(CONTEXT, value)
    }

    fn group_context<G: traits::GroupId<V>, T: traits::GroupContext<V>>(
        &self,
        _: &G,
    ) -> Result<Option<T>, ViewError> {
        self.read(&[CONTEXT])
    }

    fn delete_context<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), ViewError> {
        self.delete(&[CONTEXT]);
        Ok(())
    }

    fn write_interim_transcript_hash<G: traits::GroupId<V>, T: traits::InterimTranscriptHash<V>>(
        &self,
        _: &G,
        value: &T,
    ) -> Result<(), ViewError> {
        self.write(INTERIM_TRANSCRIPT_HASH, value)
    }

    fn interim_transcript_hash<G: traits::GroupId<V>, T: traits::InterimTranscriptHash<V>>(
        &self,
        _: &G,
    ) -> Result<Option<T>, ViewError> {
        self.read(&[INTERIM_TRANSCRIPT_HASH])
    }

    fn delete_interim_transcript_hash<G: traits::GroupId<V>>(
        &self,
        _: &G,
    ) -> Result<(), ViewError> {
        self.delete(&[INTERIM_TRANSCRIPT_HASH]);
        Ok(())
    }

    fn write_confirmation_tag<G: traits::GroupId<V>, T: traits::ConfirmationTag<V>>(
        &self,
        _: &G,
        value: &T,
    ) -> Result<(), ViewError> {
        self.write(CONFIRMATION_TAG, value)
    }

    fn confirmation_tag<G: traits::GroupId<V>, T: traits::ConfirmationTag<V>>(
        &self,
        _: &G,
    ) -> Result<Option<T>, ViewError> {
        self.read(&[CONFIRMATION_TAG])
    }

    fn delete_confirmation_tag<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), ViewError> {
        self.delete(&[CONFIRMATION_TAG]);
        Ok(())
    }

    fn write_message_secrets<G: traits::GroupId<V>, T: traits::MessageSecrets<V>>(
        &self,
        _: &G,
        value: &T,
    ) -> Result<(), ViewError> {
        self.write(MESSAGE_SECRETS, value)
    }

    fn message_secrets<G: traits::GroupId<V>, T: traits::MessageSecrets<V>>(
        &self,
        _: &G,
    ) -> Result<Option<T>, ViewError> {
        self.read(&[MESSAGE_SECRETS])
    }

    fn delete_message_secrets<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), ViewError> {
        self.delete(&[MESSAGE_SECRETS]);
        Ok(())
    }

    fn write_resumption_psk_store<G: traits::GroupId<V>, T: traits::ResumptionPskStore<V>>(
        &self,
        _: &G,
        value: &T,
    ) -> Result<(), ViewError> {
        self.write(RESUMPTION_PSKS, value)
    }

    fn resumption_psk_store<G: traits::GroupId<V>, T: traits::ResumptionPskStore<V>>(
        &self,
        _: &G,
    ) -> Result<Option<T>, ViewError> {
        self.read(&[RESUMPTION_PSKS])
    }

    fn delete_all_resumption_psk_secrets<G: traits::GroupId<V>>(
        &self,
        _: &G,
    ) -> Result<(), ViewError> {
        self.delete(&[RESUMPTION_PSKS]);
        Ok(())
    }

    fn write_own_leaf_index<G: traits::GroupId<V>, T: traits::LeafNodeIndex<V>>(
        &self,
        _: &G,
        value: &T,
    ) -> Result<(), ViewError> {
        self.write(OWN_LEAF_INDEX, value)
    }

    fn own_leaf_index<G: traits::GroupId<V>, T: traits::LeafNodeIndex<V>>(
        &self,
        _: &G,
    ) -> Result<Option<T>, ViewError> {
        self.read(&[OWN_LEAF_INDEX])
    }

    fn delete_own_leaf_index<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), ViewError> {
        self.delete(&[OWN_LEAF_INDEX]);
        Ok(())
    }

    fn write_group_epoch_secrets<G: traits::GroupId<V>, T: traits::GroupEpochSecrets<V>>(
        &self,
        _: &G,
        value: &T,
    ) -> Result<(), ViewError> {
        self.write(EPOCH_SECRETS, value)
    }

    fn group_epoch_secrets<G: traits::GroupId<V>, T: traits::GroupEpochSecrets<V>>(
        &self,
        _: &G,
    ) -> Result<Option<T>, ViewError> {
        self.read(&[EPOCH_SECRETS])
    }

    fn delete_group_epoch_secrets<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), ViewError> {
        self.delete(&[EPOCH_SECRETS]);
        Ok(())
    }

    // The group state holds the pending Commit; its type parameters come in the other order.

    fn write_group_state<T: traits::GroupState<V>, G: traits::GroupId<V>>(
        &self,
        _: &G,
        value: &T,
    ) -> Result<(), ViewError> {
        self.write(GROUP_STATE, value)
    }

    fn group_state<T: traits::GroupState<V>, G: traits::GroupId<V>>(
        &self,
        _: &G,
    ) -> Result<Option<T>, ViewError> {
        self.read(&[GROUP_STATE])
    }

    fn delete_group_state<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), ViewError> {
        self.delete(&[GROUP_STATE]);
        Ok(())
    }

    fn write_mls_join_config<G: traits::GroupId<V>, T: traits::MlsGroupJoinConfig<V>>(
        &self,
        _: &G,
        config: &T,
    ) -> Result<(), ViewError> {
        self.put(vec![JOIN_CONFIG], encode_described(config)?);
        Ok(())
    }

    fn mls_group_join_config<G: traits::GroupId<V>, T: traits::MlsGroupJoinConfig<V>>(
        &self,
        _: &G,
    ) -> Result<Option<T>, ViewError> {
        let value = self.get(&[JOIN_CONFIG]);
        value.map(|value| decode_described(&value)).transpose()
    }

    fn delete_group_config<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), ViewError> {
        self.delete(&[JOIN_CONFIG]);
        Ok(())
    }

    // Key pairs of one epoch.

    fn write_encryption_epoch_key_pairs<
        G: traits::GroupId<V>,
        E: traits::EpochKey<V>,
        K: traits::HpkeKeyPair<V>,
    >(
        &self,
        _: &G,
        epoch: &E,
        leaf_index: u32,
        key_pairs: &[K],
    ) -> Result<(), ViewError> {
        self.put(epoch_key(epoch, leaf_index)?, encode(&key_pairs)?);
        Ok(())
    }

    fn encryption_epoch_key_pairs<
        G: traits::GroupId<V>,
        E: traits::EpochKey<V>,
        K: traits::HpkeKeyPair<V>,
    >(
        &self,
        _: &G,
        epoch: &E,
        leaf_index: u32,
    ) -> Result<Vec<K>, ViewError> {
        let key_pairs = self.read(&epoch_key(epoch, leaf_index)?)?;
        Ok(key_pairs.unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<G: traits::GroupId<V>, E: traits::EpochKey<V>>(
        &self,
        _: &G,
        epoch: &E,
        leaf_index: u32,
    ) -> Result<(), ViewError> {
        self.delete(&epoch_key(epoch, leaf_index)?);
        Ok(())
    }

    // Standalone proposals, queued only while a Commit that may name them is processed.

    fn queue_proposal<
        G: traits::GroupId<V>,
        R: traits::ProposalRef<V>,
        P: traits::QueuedProposal<V>,
    >(
        &self,
        _: &G,
        reference: &R,
        proposal: &P,
    ) -> Result<(), ViewError> {
        let mut queue = self.proposals()?;
        queue.push((encode(reference)?.to_vec(), encode(proposal)?.to_vec()));
        self.write(PROPOSALS, &queue)
    }

    fn queued_proposal_refs<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        _: &G,
    ) -> Result<Vec<R>, ViewError> {
        let queue = self.proposals()?;
        queue
            .iter()
            .map(|(reference, _)| decode(reference))
            .collect()
    }

    fn queued_proposals<
        G: traits::GroupId<V>,
        R: traits::ProposalRef<V>,
        P: traits::QueuedProposal<V>,
    >(
        &self,
        _: &G,
    ) -> Result<Vec<(R, P)>, ViewError> {
        let queue = self.proposals()?;
        queue
            .iter()
            .map(|(reference, proposal)| Ok((decode(reference)?, decode(proposal)?)))
            .collect()
    }

    fn remove_proposal<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        _: &G,
        reference: &R,
    ) -> Result<(), ViewError> {
        let reference = encode(reference)?;
        let mut queue = self.proposals()?;
        queue.retain(|(queued, _)| **queued != *reference);
        self.write(PROPOSALS, &queue)
    }

    fn clear_proposal_queue<G: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        _: &G,
    ) -> Result<(), ViewError> {
        self.delete(&[PROPOSALS]);
        Ok(())
    }

    // Key packages: only those lent for a join.

    fn write_key_package<H: traits::HashReference<V>, K: traits::KeyPackage<V>>(
        &self,
        hash_reference: &H,
        key_package: &K,
    ) -> Result<(), ViewError> {
        self.lend_key_package(&encode(hash_reference)?, encode(key_package)?);
        Ok(())
    }

    fn key_package<H: traits::HashReference<V>, K: traits::KeyPackage<V>>(
        &self,
        hash_reference: &H,
    ) -> Result<Option<K>, ViewError> {
        self.read(&key_package_key(&encode(hash_reference)?))
    }

    fn delete_key_package<H: traits::HashReference<V>>(&self, _: &H) -> Result<(), ViewError> {
        // Ours are last-resort key packages: a Welcome does not use them up.
        Ok(())
    }

    // Never used by our groups.

    fn append_own_leaf_node<G: traits::GroupId<V>, L: traits::LeafNode<V>>(
        &self,
        _: &G,
        _: &L,
    ) -> Result<(), ViewError> {
        Err(ViewError::Unsupported("own Update proposals"))
    }

    fn own_leaf_nodes<G: traits::GroupId<V>, L: traits::LeafNode<V>>(
        &self,
        _: &G,
    ) -> Result<Vec<L>, ViewError> {
        Ok(Vec::new())
    }

    fn delete_own_leaf_nodes<G: traits::GroupId<V>>(&self, _: &G) -> Result<(), ViewError> {
        Ok(())
    }

    fn write_encryption_key_pair<E: traits::EncryptionKey<V>, K: traits::HpkeKeyPair<V>>(
        &self,
        _: &E,
        _: &K,
    ) -> Result<(), ViewError> {
        Err(ViewError::Unsupported("key pairs of Update proposals"))
    }

    fn encryption_key_pair<K: traits::HpkeKeyPair<V>, E: traits::EncryptionKey<V>>(
        &self,
        _: &E,
    ) -> Result<Option<K>, ViewError> {
        Ok(None)
    }

    fn delete_encryption_key_pair<E: traits::EncryptionKey<V>>(
        &self,
        _: &E,
    ) -> Result<(), ViewError> {
        Ok(())
    }

    fn write_signature_key_pair<
        P: traits::SignaturePublicKey<V>,
        K: traits::SignatureKeyPair<V>,
    >(
        &self,
        _: &P,
        _: &K,
    ) -> Result<(), ViewError> {
        Err(ViewError::Unsupported("signature keys"))
    }

    fn signature_key_pair<P: traits::SignaturePublicKey<V>, K: traits::SignatureKeyPair<V>>(
        &self,
        _: &P,
    ) -> Result<Option<K>, ViewError> {
        Ok(None)
    }

    fn delete_signature_key_pair<P: traits::SignaturePublicKey<V>>(
        &self,
        _: &P,
    ) -> Result<(), ViewError> {
        Ok(())
    }

    fn write_psk<I: traits::PskId<V>, B: traits::PskBundle<V>>(
        &self,
        _: &I,
        _: &B,
    ) -> Result<(), ViewError> {
        Err(ViewError::Unsupported("pre-shared keys"))
    }

    fn psk<B: traits::PskBundle<V>, I: traits::PskId<V>>(
        &self,
        _: &I,
    ) -> Result<Option<B>, ViewError> {
        Ok(None)
    }

    fn delete_psk<I: traits::PskId<V>>(&self, _: &I) -> Result<(), ViewError> {
        Ok(())
    }
}
