//! The user's own inbox: its members, and changing them. A change is a signature request; once
//! complete it is published, read back, and only then reported.

use std::rc::Rc;

use super::env::Env;
use super::identities::Identities;
use super::registration::{WalletSignature, add_signature, other_inbox, refusal, request_error};
use super::{Client, Inner};
use crate::error::{Code, Error, Result};
use crate::identity::{
    AssociationState, Identifier, InstallationId, MemberIdentifier, SignatureRequest,
};
use crate::mls::key_package;
use crate::net::api::Api;

/// What is known of an installation's key package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPackageStatus {
    /// (not before, not after), Unix seconds, where it can be read.
    pub lifetime: Option<(u64, u64)>,
    /// Why it cannot be used, if it cannot.
    pub fault: Option<String>,
}

impl<E: Env> Client<E> {
    /// Our inbox's state; `refresh` asks the node first.
    pub async fn inbox_state(&self, refresh: bool) -> Result<Rc<AssociationState>> {
        if refresh {
            return Ok(self.identities.require(self.inbox_id()).await?.1);
        }
        self.identities.load([self.inbox_id().to_owned()]).await?;
        match self.identities.latest(self.inbox_id()) {
            Some((_, state)) => Ok(state),
            None => Ok(self.identities.require(self.inbox_id()).await?.1),
        }
    }

    /// Refuses an identifier that is no member of our inbox.
    pub(super) async fn expect_own(&self, identifier: &Identifier) -> Result<()> {
        if identifier.text() == self.me.identifier.text() {
            return Ok(());
        }
        let member = MemberIdentifier::from(identifier.clone());
        let known = self.inbox_state(false).await?.contains(&member);
        if known || self.inbox_state(true).await?.contains(&member) {
            Ok(())
        } else {
            Err(other_inbox(self.inbox_id()))
        }
    }

    /// Other inboxes' states, in the order asked.
    pub async fn inbox_states(
        &self,
        inboxes: &[String],
        refresh: bool,
    ) -> Result<Vec<Rc<AssociationState>>> {
        if refresh {
            self.identities.refresh(inboxes).await?;
        } else {
            self.identities.load(inboxes.iter().cloned()).await?;
        }
        let mut states = Vec::with_capacity(inboxes.len());
        for inbox in inboxes {
            match self.identities.latest(inbox) {
                Some((_, state)) => states.push(state),
                None => states.push(self.identities.require(inbox).await?.1),
            }
        }
        Ok(states)
    }

    /// A request to link a wallet or passkey. Already signed by this installation; the new member
    /// has to sign too. An identifier that has an inbox is taken only with `reassign`.
    pub async fn request_add_account(
        &self,
        identifier: &Identifier,
        reassign: bool,
    ) -> Result<SignatureRequest> {
        let known = self.inbox_of(identifier).await?;
        self.link(identifier, reassign, known)
    }

    /// The same; `None` where the identifier is linked to our inbox already, such as by a call
    /// whose end nobody saw.
    pub async fn request_link(
        &self,
        identifier: &Identifier,
        reassign: bool,
    ) -> Result<Option<SignatureRequest>> {
        let known = self.inbox_of(identifier).await?;
        if known.as_deref() == Some(self.inbox_id()) {
            return Ok(None);
        }
        self.link(identifier, reassign, known).map(Some)
    }

    async fn inbox_of(&self, identifier: &Identifier) -> Result<Option<String>> {
        let known = self.inbox_ids(std::slice::from_ref(identifier)).await?;
        Ok(known.into_iter().flatten().next())
    }

    fn link(
        &self,
        identifier: &Identifier,
        reassign: bool,
        known: Option<String>,
    ) -> Result<SignatureRequest> {
        if let Some(inbox) = known
            && !reassign
        {
            let message = "the identifier belongs to an inbox already";
            return Err(Error::new(Code::IdentifierTaken, message).with("inboxId", inbox));
        }
        let now = self.env.now_ns();
        let mut request = SignatureRequest::add_identifier(
            &self.me.inbox_id,
            self.me.installation,
            identifier,
            now,
        );
        request.sign_with(&self.me.key).map_err(request_error)?;
        Ok(request)
    }

    /// A request to unlink a wallet or passkey; the recovery identifier has to sign.
    pub async fn request_remove_account(
        &self,
        identifier: &Identifier,
    ) -> Result<SignatureRequest> {
        self.request_revoke(vec![MemberIdentifier::from(identifier.clone())])
            .await
    }

    /// A request to revoke installations; the recovery identifier has to sign.
    pub async fn request_revoke_installations(
        &self,
        installations: &[InstallationId],
    ) -> Result<SignatureRequest> {
        self.request_revoke(
            installations
                .iter()
                .copied()
                .map(MemberIdentifier::from)
                .collect(),
        )
        .await
    }

    /// A request to revoke every installation but this one; `None` if there is no other.
    pub async fn request_revoke_others(&self) -> Result<Option<SignatureRequest>> {
        let state = self.inbox_state(true).await?;
        let others: Vec<InstallationId> = state
            .installations()
            .into_iter()
            .filter(|installation| *installation != self.me.installation)
            .collect();
        if others.is_empty() {
            Ok(None)
        } else {
            Ok(Some(self.request_revoke_installations(&others).await?))
        }
    }

    async fn request_revoke(&self, members: Vec<MemberIdentifier>) -> Result<SignatureRequest> {
        if members.is_empty() {
            return Err(Error::new(Code::InvalidArgument, "nothing to revoke"));
        }
        let state = self.inbox_state(true).await?;
        let now = self.env.now_ns();
        Ok(SignatureRequest::revoke(
            &self.me.inbox_id,
            state.recovery_identifier(),
            members,
            now,
        ))
    }

    /// A request to name another recovery identifier; the present one has to sign.
    pub async fn request_change_recovery(
        &self,
        identifier: &Identifier,
    ) -> Result<SignatureRequest> {
        let state = self.inbox_state(true).await?;
        let now = self.env.now_ns();
        Ok(SignatureRequest::change_recovery(
            &self.me.inbox_id,
            state.recovery_identifier(),
            identifier,
            now,
        ))
    }

    /// Takes a signature for a request; one that is complete by it is published.
    pub async fn apply_signature(
        &self,
        request: &mut SignatureRequest,
        signer: &Identifier,
        signature: WalletSignature,
    ) -> Result<()> {
        add_signature(&self.api, &self.identities, request, signer, signature).await?;
        if request.is_complete() {
            self.apply_request(request).await?;
        }
        Ok(())
    }

    /// Publishes a complete request for our inbox and reads it back.
    pub async fn apply_request(&self, request: &SignatureRequest) -> Result<()> {
        let update = request.finish().map_err(request_error)?;
        self.identities.expect_valid(request, &update).await?;
        publish_update(&self.identities, &self.api, request.inbox_id(), update).await
    }

    /// The state of other installations' key packages, in the order asked.
    pub async fn key_package_statuses(
        &self,
        installations: &[InstallationId],
    ) -> Result<Vec<KeyPackageStatus>> {
        let ids: Vec<Vec<u8>> = installations
            .iter()
            .map(|id| id.as_bytes().to_vec())
            .collect();
        let now = self.env.now_ns() / 1_000_000_000;
        let packages = self.api.fetch_key_packages(&ids).await?;
        Ok(installations
            .iter()
            .zip(packages)
            .map(|(id, bytes)| status(&bytes, id, now))
            .collect())
    }
}

impl<E: Env> Inner<E> {
    /// Signs a text with this installation's key, for an app's own use.
    pub fn sign_with_installation_key(&self, text: &str) -> [u8; 64] {
        self.me.key.sign_public(text)
    }
}

fn status(bytes: &[u8], installation: &InstallationId, now: u64) -> KeyPackageStatus {
    let lifetime = key_package::lifetime_of(bytes, now).ok();
    let fault = match key_package::validate_upload(bytes, now) {
        Ok(id) if id == *installation => None,
        Ok(_) => Some("belongs to somebody else".to_owned()),
        Err(fault) => Some(fault.to_string()),
    };
    KeyPackageStatus { lifetime, fault }
}

/// Publishes an update; after a failure the log decides whether it succeeded all the same.
pub async fn publish_update<E: Env>(
    identities: &Identities<E>,
    api: &Api<E>,
    inbox: &str,
    update: Vec<u8>,
) -> Result<()> {
    let published = api.publish_identity_update(update.clone()).await;
    identities.refresh(&[inbox.to_owned()]).await?;
    match published {
        Ok(()) => Ok(()),
        Err(_) if identities.holds_update(inbox, &update).await? => Ok(()),
        Err(error) => Err(refusal(error)),
    }
}
