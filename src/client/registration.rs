//! From a wallet to a registered installation, in steps that survive being cut off anywhere: the
//! key, the key package and the exact update are stored before anything is sent, and a later
//! start goes on from what is stored. An installation is never registered twice, and never
//! without being asked for.

use std::rc::Rc;

use prost::Message as _;
use sotto_proto::identity_api::VerifySmartContractWalletSignatureRequestSignature as ContractQuestion;

use super::db::{Db, IDENTITY_SCOPE, identity_key};
use super::env::{Env, LockGuard, random};
use super::identities::Identities;
use super::rows::IdentityRow;
use super::{Client, Options};
use crate::error::{Code, Error, Result};
use crate::identity::{
    Action, AssociationState, DEFAULT_NONCE, Identifier, IdentityError, InboxId, InstallationKey,
    MAX_INSTALLATIONS, MemberIdentifier, PasskeyAssertion, RequestError, SignatureRequest,
};
use crate::mls;
use crate::net::NetError;
use crate::net::api::Api;
use crate::store::{Changes, Durability};

/// Bytes of the key that HMACs for push servers are derived from.
const HMAC_KEY_LENGTH: usize = 42;

/// What a wallet answered.
#[derive(Debug, Clone)]
pub enum WalletSignature {
    /// `personal_sign` of an externally owned account.
    Eoa(Vec<u8>),
    /// A contract wallet's bytes.
    Contract {
        /// EIP-155 chain.
        chain_id: u64,
        /// Block to look at; the newest by default.
        block_number: Option<u64>,
        /// Wallet-specific bytes.
        signature: Vec<u8>,
    },
    /// A passkey's assertion.
    Passkey(PasskeyAssertion),
}

/// A store without a registered installation.
pub struct Registration<E: Env> {
    env: Rc<E>,
    api: Rc<Api<E>>,
    db: Rc<Db<E>>,
    options: Options,
    identifier: Identifier,
    nonce: u64,
}

/// What opening a store found.
pub enum Opened<E: Env> {
    /// A registered installation: no signature is needed.
    Ready(Client<E>),
    /// None yet.
    Unregistered(Registration<E>),
}

/// What registering needs next.
pub enum Begun<E: Env> {
    /// Nothing: another context, or an earlier life, has done it.
    Done(Client<E>),
    /// A signature over the text.
    Sign(Box<Signing<E>>),
}

/// A registration that waits for the wallet. While it exists no other context prompts.
pub struct Signing<E: Env> {
    registration: Registration<E>,
    row: IdentityRow,
    revision: u64,
    request: SignatureRequest,
    _role: Box<dyn LockGuard>,
}

/// Opens a store: the client in it, or what is needed to register one. `nonce` matters only for a
/// new inbox; the default is 1.
pub async fn open<E: Env>(
    env: Rc<E>,
    api: Rc<Api<E>>,
    db: Rc<Db<E>>,
    identifier: Identifier,
    nonce: Option<u64>,
    options: Options,
) -> Result<Opened<E>> {
    if let (Some(row), _) = db.identity().await?
        && row.registered
    {
        let client = ready(env, api, db, &row, options).await?;
        if let Err(error) = client.expect_own(&identifier).await {
            client.close().await;
            return Err(error);
        }
        return Ok(Opened::Ready(client));
    }
    let nonce = nonce.unwrap_or(DEFAULT_NONCE);
    Ok(Opened::Unregistered(Registration {
        env,
        api,
        db,
        options,
        identifier,
        nonce,
    }))
}

async fn ready<E: Env>(
    env: Rc<E>,
    api: Rc<Api<E>>,
    db: Rc<Db<E>>,
    row: &IdentityRow,
    options: Options,
) -> Result<Client<E>> {
    let client = Client::assemble(env, api, db, row, options)?;
    client
        .identities
        .load([client.inbox_id().to_owned()])
        .await?;
    client.listen();
    Ok(client)
}

impl<E: Env> Registration<E> {
    /// The same registration, to be begun again.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            env: Rc::clone(&self.env),
            api: Rc::clone(&self.api),
            db: Rc::clone(&self.db),
            options: self.options.clone(),
            identifier: self.identifier.clone(),
            nonce: self.nonce,
        }
    }

    /// The inbox that registering would give: the identifier's on this network, or a new one.
    pub async fn inbox_id(&self) -> Result<(InboxId, bool)> {
        let known = self
            .api
            .get_inbox_ids(&[(
                self.identifier.text().into_owned(),
                self.identifier.kind().to_wire(),
            )])
            .await?;
        match known.into_iter().next().flatten() {
            Some(inbox) => {
                let inbox = InboxId::parse(&inbox).map_err(|_| {
                    Error::new(Code::Protocol, "the node names an inbox that is none")
                })?;
                Ok((inbox, true))
            }
            None => Ok((InboxId::derive(&self.identifier, self.nonce), false)),
        }
    }

    /// Goes on with, or begins, a registration. One context at a time; the others wait.
    pub async fn begin(self) -> Result<Begun<E>> {
        let role = self.env.lead("registration").await?;
        let (stored, revision) = self.db.identity().await?;
        let row = match stored {
            Some(row) if row.registered => {
                let client = ready(self.env, self.api, self.db, &row, self.options).await?;
                return Ok(Begun::Done(client));
            }
            Some(row) if !row.pending_update.is_empty() => {
                if row.identifier != self.identifier.text() {
                    return Err(other_inbox(&row.inbox_id));
                }
                match self.resume(&row, revision).await {
                    Ok(row) => {
                        let client = ready(self.env, self.api, self.db, &row, self.options).await?;
                        return Ok(Begun::Done(client));
                    }
                    // A definite no ends that attempt: a new one starts with the same key.
                    Err(error) if error.code() == Code::NodeRefused => IdentityRow {
                        pending_update: vec![],
                        pending_key_package: vec![],
                        pending_request: vec![],
                        ..row
                    },
                    Err(error) => return Err(error),
                }
            }
            Some(row) => row,
            None => IdentityRow {
                seed: random::<32, E>(&*self.env).to_vec(),
                ..IdentityRow::default()
            },
        };
        let key = key_of(&row)?;
        let (inbox, exists) = self.inbox_id().await?;
        if exists {
            self.check_room(&inbox).await?;
        }
        // A prompt that an earlier life of this page showed may still be answered, unless what it
        // asks for has become wrong in the meantime.
        if let Ok(request) = SignatureRequest::from_bytes(&row.pending_request)
            && row.identifier == self.identifier.text()
            && request.inbox_id() == inbox.as_str()
            && creates_inbox(&request) != exists
        {
            return Ok(Begun::Sign(Box::new(Signing {
                registration: self,
                row,
                revision,
                request,
                _role: role,
            })));
        }
        let now = self.env.now_ns();
        let mut request = if exists {
            SignatureRequest::add_installation(&inbox, &self.identifier, key.id(), now)
        } else {
            SignatureRequest::create_inbox(&self.identifier, self.nonce, key.id(), now)
        };
        request.sign_with(&key).map_err(request_error)?;
        let row = IdentityRow {
            inbox_id: inbox.as_str().to_owned(),
            identifier: self.identifier.text().into_owned(),
            identifier_kind: self.identifier.kind().to_wire(),
            pending_request: request.to_bytes(),
            ..row
        };
        self.store(&row, revision, Changes::new()).await?;
        Ok(Begun::Sign(Box::new(Signing {
            registration: self,
            row,
            revision: revision + 1,
            request,
            _role: role,
        })))
    }

    fn identities(&self) -> Identities<E> {
        Identities::new(
            Rc::clone(&self.env),
            Rc::clone(&self.api),
            Rc::clone(&self.db),
        )
    }

    async fn check_room(&self, inbox: &InboxId) -> Result<()> {
        let identities = self.identities();
        let (_, state) = identities.require(inbox.as_str()).await?;
        let installations = state.installations();
        if installations.len() >= MAX_INSTALLATIONS {
            let ids: Vec<String> = installations.iter().map(|id| id.to_hex()).collect();
            return Err(Error::new(
                Code::TooManyInstallations,
                "the inbox has as many installations as it may have",
            )
            .with("inboxId", inbox)
            .with("installationIds", ids.join(",")));
        }
        Ok(())
    }

    /// Sends what an earlier life had stored, unless the log has it already.
    async fn resume(&self, row: &IdentityRow, revision: u64) -> Result<IdentityRow> {
        if !self.log_has(row).await? {
            self.api
                .upload_key_package(row.pending_key_package.clone())
                .await?;
            if let Err(error) = self
                .api
                .publish_identity_update(row.pending_update.clone())
                .await
                && !self.log_has(row).await?
            {
                return Err(refusal(error));
            }
            if !self.log_has(row).await? {
                return Err(Error::new(
                    Code::Protocol,
                    "the node does not show the update that it took",
                ));
            }
        }
        let done = IdentityRow {
            registered: true,
            pending_update: Vec::new(),
            pending_key_package: Vec::new(),
            pending_request: Vec::new(),
            ..row.clone()
        };
        self.store(&done, revision, Changes::new()).await?;
        Ok(done)
    }

    /// Whether our installation stands in the inbox's log.
    async fn log_has(&self, row: &IdentityRow) -> Result<bool> {
        let inbox = InboxId::parse(&row.inbox_id)
            .map_err(|_| Error::new(Code::StorageCorrupt, "the stored inbox id is none"))?;
        let identities = self.identities();
        identities.refresh(&[inbox.to_string()]).await?;
        let key = key_of(row)?;
        Ok(identities.latest(inbox.as_str()).is_some_and(
            |(_, state): (u64, Rc<AssociationState>)| state.contains_installation(&key.id()),
        ))
    }

    async fn store(&self, row: &IdentityRow, revision: u64, mut changes: Changes) -> Result<()> {
        changes.put(identity_key(), row.encode_to_vec());
        changes.expect(IDENTITY_SCOPE, revision);
        // What is about to be published must survive a loss of power.
        changes.durability(Durability::Strict);
        self.db.apply(changes).await?;
        Ok(())
    }
}

impl<E: Env> Signing<E> {
    /// The registration, to be begun again. This prompt stays open until it is dropped.
    #[must_use]
    pub fn again(&self) -> Registration<E> {
        self.registration.again()
    }

    /// The inbox that is being registered.
    #[must_use]
    pub fn inbox_id(&self) -> &str {
        &self.row.inbox_id
    }

    /// What the wallet has to sign.
    #[must_use]
    pub fn text(&self) -> &str {
        self.request.text()
    }

    /// Takes the wallet's answer, publishes, and opens the client.
    pub async fn finish(mut self, signature: WalletSignature) -> Result<Client<E>> {
        let identities = self.registration.identities();
        identities.load([self.row.inbox_id.clone()]).await?;
        add_signature(
            &self.registration.api,
            &identities,
            &mut self.request,
            &self.registration.identifier,
            signature,
        )
        .await?;
        let update = self.request.finish().map_err(request_error)?;
        identities.expect_valid(&self.request, &update).await?;
        let registration = self.registration;
        let key = key_of(&self.row)?;
        let inbox = InboxId::parse(&self.row.inbox_id).map_err(Error::internal)?;
        let now = registration.env.now_ns();
        let lifetime = mls::key_package::lifetime_at(now / 1_000_000_000);
        let package = mls::OwnKeyPackage::generate(inbox.as_str(), &key, lifetime)?;
        let mut changes = Changes::new();
        let (place, value) = super::welcome::key_package_row(&package, now)?;
        changes.put(place, value);
        let row = IdentityRow {
            pending_update: update,
            pending_key_package: package.public().to_vec(),
            hmac_user_key: random::<HMAC_KEY_LENGTH, E>(&*registration.env).to_vec(),
            hmac_cycled_ns: now,
            rotate_at_ns: now + super::welcome::ROTATION_NS,
            ..self.row
        };
        registration.store(&row, self.revision, changes).await?;
        let row = registration.resume(&row, self.revision + 1).await?;
        ready(
            registration.env,
            registration.api,
            registration.db,
            &row,
            registration.options,
        )
        .await
    }
}

/// The complaint that a store is not the identifier's.
pub fn other_inbox(inbox: &str) -> Error {
    Error::new(
        Code::SignerMismatch,
        "the store belongs to an inbox that the identifier is no member of",
    )
    .with("inboxId", inbox)
}

fn creates_inbox(request: &SignatureRequest) -> bool {
    matches!(request.actions().first(), Some(Action::CreateInbox { .. }))
}

/// Adds a wallet's signature to a request; a contract wallet's is checked by the node first.
pub async fn add_signature<E: Env>(
    api: &Api<E>,
    identities: &Identities<E>,
    request: &mut SignatureRequest,
    signer: &Identifier,
    signature: WalletSignature,
) -> Result<()> {
    match signature {
        WalletSignature::Eoa(bytes) => request.add_wallet_signature(&bytes).map_err(request_error),
        WalletSignature::Passkey(assertion) => request
            .add_passkey_signature(assertion)
            .map_err(request_error),
        WalletSignature::Contract {
            chain_id,
            block_number,
            signature,
        } => {
            let check = request
                .contract_check(chain_id, signer, signature, block_number)
                .map_err(request_error)?;
            // A wallet that is a member signs on the chain on which it joined.
            let joined = identities
                .latest(request.inbox_id())
                .and_then(|(_, state)| {
                    let member = state.member(&MemberIdentifier::from(signer.clone()))?;
                    Some(member.chain_id)
                });
            if let Some(joined) = joined
                && joined != Some(chain_id)
            {
                let mismatch = IdentityError::ChainIdMismatch {
                    joined,
                    signed: Some(chain_id),
                };
                return Err(update_error(&mismatch));
            }
            let answer = api
                .verify_contract_signature(ContractQuestion {
                    account_id: check.account_id.to_string(),
                    block_number: check.block_number,
                    signature: check.signature.clone(),
                    hash: check.hash.to_vec(),
                })
                .await?;
            request
                .add_contract_signature(check, answer.is_valid, answer.block_number)
                .map_err(request_error)
        }
    }
}

/// A refused publish by what it means to the caller.
pub fn refusal(error: NetError) -> Error {
    match &error {
        NetError::Refused { message, .. } if message.contains("log is full") => Error::new(
            Code::InboxLogFull,
            "the inbox's identity log is full; a new inbox is the way out",
        ),
        _ => error.into(),
    }
}

/// A request's complaint by what it means to the caller.
pub fn request_error(error: RequestError) -> Error {
    let code = match &error {
        RequestError::UnknownSigner(_) => Code::SignerMismatch,
        RequestError::RefusedByContract | RequestError::Signature(_) => Code::SignatureInvalid,
        _ => Code::InvalidArgument,
    };
    Error::new(code, error.to_string())
}

/// What is wrong with an update of ours, by what it means to the caller.
pub fn update_error(error: &IdentityError) -> Error {
    let code = match error {
        IdentityError::ChainIdMismatch { .. } => Code::ChainMismatch,
        IdentityError::MissingExistingMember | IdentityError::NewMemberSignatureMismatch => {
            Code::SignerMismatch
        }
        IdentityError::InvalidSignature(_)
        | IdentityError::Replay
        | IdentityError::SignatureNotAllowed => Code::SignatureInvalid,
        IdentityError::MultipleCreate => Code::IdentifierTaken,
        _ => Code::InvalidArgument,
    };
    Error::new(code, error.to_string())
}

fn key_of(row: &IdentityRow) -> Result<InstallationKey> {
    let seed: [u8; 32] = row
        .seed
        .as_slice()
        .try_into()
        .map_err(|_| Error::new(Code::StorageCorrupt, "the stored key is damaged"))?;
    Ok(InstallationKey::from_seed(&seed))
}
