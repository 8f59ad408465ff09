//! One group: creating, loading, its facts, and encrypting for it.

use std::collections::BTreeSet;

use openmls::prelude::{
    Ciphersuite, CredentialWithKey, Lifetime, MlsGroup, MlsGroupJoinConfig,
    PURE_CIPHERTEXT_WIRE_FORMAT_POLICY,
};
use openmls_traits::OpenMlsProvider as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::extensions::{self, ImmutableMetadata, Membership, MutableMetadata};
use super::facts::{self, Context, GroupFacts};
use super::policy::PolicySet;
use super::provider::{MlsSigner, Provider};
use super::view::{Savepoint, View, ViewError, decode_value, encode_value};
use super::{GroupId, InstallationId, InstallationKey, MlsError};
use crate::gather::Gather;

/// The one ciphersuite of groups.
pub(super) const CIPHERSUITE: Ciphersuite =
    Ciphersuite::MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519;

/// How many past epochs stay readable.
pub const PAST_EPOCHS: u64 = 3;

/// What a new group starts as.
#[derive(Debug, Clone)]
pub struct NewGroup {
    /// 16 random bytes.
    pub group_id: GroupId,
    /// Kind, creator (our own inbox) and members of a DM.
    pub metadata: ImmutableMetadata,
    /// Attributes and admin lists.
    pub mutable: MutableMetadata,
    /// The policies.
    pub permissions: PolicySet,
    /// From when to when our leaf is valid (Unix seconds).
    pub lifetime: (u64, u64),
}

/// A group with its stored rows, its MLS state and the key that signs for us.
pub struct Group {
    pub(super) mls: MlsGroup,
    pub(super) provider: Provider,
    pub(super) key: InstallationKey,
    pub(super) notes: Notes,
}

/// What we remember about a group beside its MLS state, in a row of the view.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Notes {
    /// The data of extension 0xf000 when we first saw it (META-1).
    pub(super) pin: Vec<u8>,
    /// Leaves that do not belong to the inbox they name (SAFE-Q1).
    pub(super) untrusted: BTreeSet<[u8; 32]>,
}

/// Key of the [`Notes`] row; openmls rows have smaller ones.
const NOTES: u8 = 64;

impl Group {
    /// Makes a group of which we are the only member, in epoch 0. Its first Commit must raise our
    /// own identity sequence from 0 before anything else happens (permissions.md 4).
    ///
    /// # Errors
    ///
    /// If the MLS library refuses.
    pub fn create(new: &NewGroup, key: &InstallationKey) -> Result<Self, MlsError> {
        let membership = Membership {
            members: [(new.metadata.creator.clone(), 0)].into_iter().gather(),
            failed: BTreeSet::new(),
        };
        let context =
            extensions::new_group(&new.metadata, &new.mutable, &membership, &new.permissions)?;
        let provider = Provider::new(View::empty());
        let mls = MlsGroup::builder()
            .with_group_id(openmls::prelude::GroupId::from_slice(&new.group_id))
            .ciphersuite(CIPHERSUITE)
            .with_wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
            .use_ratchet_tree_extension(true)
            .max_past_epochs(PAST_EPOCHS as usize)
            .with_capabilities(extensions::capabilities())
            .with_group_context_extensions(context)
            .lifetime(Lifetime::init(new.lifetime.0, new.lifetime.1))
            .build(
                &provider,
                &MlsSigner(key),
                credential_with_key(&new.metadata.creator, key),
            )
            .map_err(MlsError::mls)?;
        let notes = Notes {
            pin: new.metadata.encode(),
            untrusted: BTreeSet::new(),
        };
        Self::start(mls, provider, key, notes)
    }

    /// The group in `view`, or nothing if the view holds none.
    ///
    /// # Errors
    ///
    /// If its rows are damaged or belong to another installation.
    pub fn load(
        view: View,
        group_id: &GroupId,
        key: &InstallationKey,
    ) -> Result<Option<Self>, MlsError> {
        let provider = Provider::new(view);
        let Some(notes) = read_row(provider.view(), NOTES)? else {
            return Ok(None);
        };
        let id = openmls::prelude::GroupId::from_slice(group_id);
        let Some(mls) = MlsGroup::load(provider.storage(), &id)? else {
            return Ok(None);
        };
        let own = mls.own_leaf_node();
        if own.is_none_or(|leaf| leaf.signature_key().as_slice() != key.id().as_bytes()) {
            return Err(MlsError::WrongInstallation);
        }
        Ok(Some(Self {
            mls,
            provider,
            key: key.clone(),
            notes,
        }))
    }

    /// Wraps a group that was just created or joined and notes its pin.
    pub(super) fn start(
        mls: MlsGroup,
        provider: Provider,
        key: &InstallationKey,
        notes: Notes,
    ) -> Result<Self, MlsError> {
        let group = Self {
            mls,
            provider,
            key: key.clone(),
            notes,
        };
        group.save_notes()?;
        Ok(group)
    }

    /// The rows of this group. A clone shares them.
    #[must_use]
    pub fn view(&self) -> &View {
        self.provider.view()
    }

    /// The group id.
    ///
    /// # Errors
    ///
    /// If it is not 16 bytes long, which no group of ours is.
    pub fn group_id(&self) -> Result<GroupId, MlsError> {
        facts::group_id(self.mls.group_id())
    }

    /// The epoch.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.mls.epoch().as_u64()
    }

    /// Whether we are still a member.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.mls.is_active()
    }

    /// Our own leaf index.
    #[must_use]
    pub fn own_leaf(&self) -> u32 {
        self.mls.own_leaf_index().u32()
    }

    /// What the members agree on.
    ///
    /// # Errors
    ///
    /// If an extension is missing or does not decode.
    pub fn facts(&self) -> Result<GroupFacts, MlsError> {
        let Context {
            mutable,
            membership,
            permissions,
        } = Context::of(&self.mls)?;
        let trusted = |id: &InstallationId| !self.notes.untrusted.contains(id.as_bytes());
        Ok(GroupFacts {
            group_id: self.group_id()?,
            epoch: self.epoch(),
            epoch_authenticator: self.mls.epoch_authenticator().as_slice().to_vec(),
            metadata: ImmutableMetadata::decode(&self.notes.pin)?,
            mutable,
            membership,
            permissions,
            members: facts::members(&self.mls, trusted),
        })
    }

    /// Encrypts an application message in the present epoch. The advanced ratchet is in the view:
    /// store it before the bytes leave.
    ///
    /// # Errors
    ///
    /// If we are no longer a member.
    pub fn encrypt(&mut self, plaintext: &[u8]) -> Result<Vec<u8>, MlsError> {
        self.encrypt_beside(plaintext, Vec::new())
    }

    /// The same, with data beside it that is authenticated and not encrypted.
    ///
    /// # Errors
    ///
    /// If we are no longer a member.
    pub fn encrypt_beside(
        &mut self,
        plaintext: &[u8],
        authenticated_data: Vec<u8>,
    ) -> Result<Vec<u8>, MlsError> {
        if !self.is_active() {
            return Err(MlsError::Inactive);
        }
        self.mls.set_aad(authenticated_data);
        let message = self
            .mls
            .create_message(&self.provider, &MlsSigner(&self.key), plaintext)
            .map_err(MlsError::mls)?;
        message.to_bytes().map_err(MlsError::mls)
    }

    /// Undoes everything since `savepoint`, in the view and in memory.
    pub(super) fn roll_back(&mut self, savepoint: &Savepoint) -> Result<(), MlsError> {
        self.view().restore(savepoint);
        let id = self.mls.group_id().clone();
        let reloaded = MlsGroup::load(self.provider.storage(), &id)?;
        self.mls = reloaded.ok_or(ViewError::Decode)?;
        if let Some(notes) = read_row(self.view(), NOTES)? {
            self.notes = notes;
        }
        Ok(())
    }

    pub(super) fn save_notes(&self) -> Result<(), MlsError> {
        write_row(self.view(), NOTES, &self.notes)
    }
}

/// Settings of every group that we join.
pub(super) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(PURE_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .use_ratchet_tree_extension(true)
        .max_past_epochs(PAST_EPOCHS as usize)
        .build()
}

pub(super) fn credential_with_key(inbox: &str, key: &InstallationKey) -> CredentialWithKey {
    CredentialWithKey {
        credential: facts::credential(inbox),
        signature_key: key.id().as_bytes().as_slice().into(),
    }
}

pub(super) fn read_row<T: DeserializeOwned>(view: &View, tag: u8) -> Result<Option<T>, MlsError> {
    let value = view.own_row(tag);
    Ok(value.map(|value| decode_value(&value)).transpose()?)
}

pub(super) fn write_row<T: Serialize>(view: &View, tag: u8, value: &T) -> Result<(), MlsError> {
    view.set_own_row(tag, Some(encode_value(value)?));
    Ok(())
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group")
            .field("epoch", &self.epoch())
            .field("active", &self.is_active())
            .finish_non_exhaustive()
    }
}
