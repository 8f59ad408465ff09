//! `Engine`: one client, from an opened store to its end.

use std::cell::RefCell;
use std::rc::Rc;

use js_sys::Promise;
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use zeroize::Zeroizing;

use super::convert::{IdentifierView, from_js, identifiers, inbox, installations, required, to_js};
use super::env::{BrowserEnv, BrowserStore};
use super::promise::promise;
use super::stream::EngineStream;
use super::views::{
    ConversationView, DisappearingView, InboxStateView, MessageView, PolicySetView,
};
use crate::client::conversations::{GroupOptions, ListQuery};
use crate::client::db::Db;
use crate::client::env::Env;
use crate::client::preferences::Consent;
use crate::client::registration::{Begun, Opened, Registration, Signing, WalletSignature, open};
use crate::client::{Client, GroupId, Options, permissions};
use crate::error::{Code, Error, Result};
use crate::identity::{InstallationId, SignatureRequest};
use crate::mls::policy::{CustomPolicies, Preset};
use crate::mls::validate::MAX_INBOXES;
use crate::net::api::Api;
use crate::net::fetch::FetchTransport;
use crate::store::indexeddb::{BrowserKey, IndexedDb, persist};
use crate::store::{AppKey, Durability, MemoryStore, Vault, system_random};

/// The client in the browser.
pub type BrowserClient = Client<BrowserEnv>;

/// Settings as `index.js` passes them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct EngineOptions {
    api_urls: Vec<String>,
    app_version: String,
    db_name: String,
    db_encryption_key: Option<serde_bytes::ByteBuf>,
    memory: bool,
    strict_durability: bool,
    disable_device_sync: bool,
    max_group_size: Option<usize>,
    nonce: Option<u64>,
}

enum State {
    Unregistered(Registration<BrowserEnv>),
    Signing(Box<Signing<BrowserEnv>>),
    Ready(BrowserClient),
    Busy,
}

/// One client. A handle: copies of it in JavaScript are the same client.
#[wasm_bindgen]
#[derive(Clone)]
pub struct Engine {
    state: Rc<RefCell<State>>,
    name: String,
    memory: bool,
}

/// What a wallet answered, as `index.js` passes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SignatureView {
    r#type: String,
    signature: serde_bytes::ByteBuf,
    chain_id: Option<u64>,
    block_number: Option<u64>,
    public_key: Option<serde_bytes::ByteBuf>,
    authenticator_data: Option<serde_bytes::ByteBuf>,
    client_data_json: Option<serde_bytes::ByteBuf>,
}

impl SignatureView {
    /// As the engine takes it.
    pub fn into_signature(self) -> Result<WalletSignature> {
        match self.r#type.as_str() {
            "EOA" => Ok(WalletSignature::Eoa(self.signature.into_vec())),
            "SCW" => Ok(WalletSignature::Contract {
                chain_id: self.chain_id.ok_or_else(|| {
                    Error::new(
                        Code::InvalidArgument,
                        "a contract wallet's signer needs a chain id",
                    )
                })?,
                block_number: self.block_number,
                signature: self.signature.into_vec(),
            }),
            "Passkey" => {
                let missing =
                    || Error::new(Code::InvalidArgument, "a passkey's signature is incomplete");
                Ok(WalletSignature::Passkey(
                    crate::identity::PasskeyAssertion {
                        public_key: self.public_key.ok_or_else(missing)?.into_vec(),
                        signature: self.signature.into_vec(),
                        authenticator_data: self.authenticator_data.ok_or_else(missing)?.into_vec(),
                        client_data_json: self.client_data_json.ok_or_else(missing)?.into_vec(),
                    },
                ))
            }
            other => Err(Error::new(
                Code::InvalidArgument,
                format!("no such type of signer: {other}"),
            )),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Info {
    inbox_id: String,
    installation_id: String,
    installation_id_bytes: serde_bytes::ByteBuf,
    identifier: IdentifierView,
}

impl Engine {
    pub(super) fn client(&self) -> Result<BrowserClient> {
        match &*self.state.borrow() {
            State::Ready(client) => {
                client.check_open()?;
                Ok(client.clone())
            }
            _ => Err(Error::new(
                Code::NotRegistered,
                "this installation is not registered",
            )),
        }
    }

    /// Runs `work` with the client.
    pub(super) fn with<T, F>(&self, work: impl FnOnce(BrowserClient) -> F) -> Promise
    where
        F: Future<Output = Result<T>> + 'static,
        T: Into<JsValue> + 'static,
    {
        match self.client() {
            Ok(client) => promise(work(client)),
            Err(error) => promise(async move { Err::<JsValue, _>(error) }),
        }
    }

    /// Does something to a conversation, and answers with the conversation as it is then.
    pub(super) fn change<F>(
        &self,
        id: String,
        work: impl FnOnce(BrowserClient, GroupId) -> F + 'static,
    ) -> Promise
    where
        F: Future<Output = Result<()>> + 'static,
    {
        self.with(|client| async move {
            let id = GroupId::parse(&id)?;
            work(client.clone(), id).await?;
            conversation(&client, id).await
        })
    }

    async fn take_client(&self, client: BrowserClient) -> Result<()> {
        if !self.memory {
            IndexedDb::mark(&self.name, &client.me.installation.to_hex()).await?;
        }
        *self.state.borrow_mut() = State::Ready(client);
        Ok(())
    }
}

#[wasm_bindgen]
impl Engine {
    /// Opens the store for an identifier. Nothing is sent.
    #[wasm_bindgen(unchecked_return_type = "Promise<Engine>")]
    pub fn open(identifier: JsValue, options: JsValue) -> Promise {
        promise(async move {
            let identifier = required::<IdentifierView>(identifier, "identifier")?.parse()?;
            let options: EngineOptions = required(options, "options")?;
            let transport = FetchTransport::new(options.api_urls, options.app_version)?;
            let env = Rc::new(BrowserEnv::new(&options.db_name));
            let api = Rc::new(Api::new(Rc::clone(&env), Rc::new(transport)));
            let app_key = match options.db_encryption_key {
                Some(bytes) => Some(AppKey::new(Zeroizing::new(bytes.into_vec())).ok_or_else(
                    || {
                        Error::new(
                            Code::InvalidArgument,
                            "the database key needs at least 32 bytes",
                        )
                    },
                )?),
                None => None,
            };
            let random = system_random();
            let vault = if options.memory {
                let key = AppKey::new(fresh_key()?)
                    .ok_or_else(|| Error::internal("a fresh key has 32 bytes"))?;
                Vault::open(BrowserStore::Memory(MemoryStore::new()), &key, random).await?
            } else {
                let store = IndexedDb::open(&options.db_name).await?;
                match app_key {
                    Some(key) => Vault::open(BrowserStore::IndexedDb(store), &key, random).await?,
                    None => {
                        let key = BrowserKey::new(&store);
                        Vault::open(BrowserStore::IndexedDb(store), &key, random).await?
                    }
                }
            };
            let settings = Options {
                durability: if options.strict_durability {
                    Durability::Strict
                } else {
                    Durability::Relaxed
                },
                device_sync: !options.disable_device_sync,
                max_group_size: options.max_group_size.unwrap_or(MAX_INBOXES),
            };
            let opened = open(
                env,
                api,
                Rc::new(Db(vault)),
                identifier,
                options.nonce,
                settings,
            )
            .await?;
            let state = match opened {
                Opened::Ready(client) => State::Ready(client),
                Opened::Unregistered(registration) => State::Unregistered(registration),
            };
            Ok(Engine {
                state: Rc::new(RefCell::new(state)),
                name: options.db_name,
                memory: options.memory,
            })
        })
    }

    /// Whether there is a registered installation.
    #[wasm_bindgen(getter, js_name = isRegistered)]
    pub fn is_registered(&self) -> bool {
        matches!(&*self.state.borrow(), State::Ready(_))
    }

    /// The inbox that the identifier has, or would get.
    #[wasm_bindgen(js_name = inboxIdToBe, unchecked_return_type = "Promise<string>")]
    pub fn inbox_id_to_be(&self) -> Promise {
        let state = Rc::clone(&self.state);
        promise(async move {
            let taken = std::mem::replace(&mut *state.borrow_mut(), State::Busy);
            let result = match &taken {
                State::Ready(client) => Ok(client.inbox_id().to_owned()),
                State::Unregistered(registration) => registration
                    .inbox_id()
                    .await
                    .map(|(inbox, _)| inbox.to_string()),
                State::Signing(signing) => Ok(signing.inbox_id().to_owned()),
                State::Busy => Err(Error::new(Code::Busy, "registration is under way")),
            };
            *state.borrow_mut() = taken;
            result
        })
    }

    /// Begins to register: the text to sign, or nothing where another context has done it.
    #[wasm_bindgen(js_name = beginRegistration, unchecked_return_type = "Promise<string | undefined>")]
    pub fn begin_registration(&self) -> Promise {
        let engine = self.clone();
        promise(async move {
            let taken = std::mem::replace(&mut *engine.state.borrow_mut(), State::Busy);
            match taken {
                State::Unregistered(registration) => {
                    let again = registration.again();
                    match registration.begin().await {
                        Ok(Begun::Done(client)) => {
                            engine.take_client(client).await?;
                            Ok(JsValue::UNDEFINED)
                        }
                        Ok(Begun::Sign(signing)) => {
                            let text = JsValue::from_str(signing.text());
                            *engine.state.borrow_mut() = State::Signing(signing);
                            Ok(text)
                        }
                        Err(error) => {
                            *engine.state.borrow_mut() = State::Unregistered(again);
                            Err(error)
                        }
                    }
                }
                State::Signing(signing) => {
                    let text = JsValue::from_str(signing.text());
                    *engine.state.borrow_mut() = State::Signing(signing);
                    Ok(text)
                }
                State::Ready(client) => {
                    *engine.state.borrow_mut() = State::Ready(client);
                    Ok(JsValue::UNDEFINED)
                }
                State::Busy => Err(Error::new(Code::Busy, "registration is under way")),
            }
        })
    }

    /// Takes the wallet's signature and finishes.
    #[wasm_bindgen(js_name = finishRegistration, unchecked_return_type = "Promise<void>")]
    pub fn finish_registration(&self, signature: JsValue) -> Promise {
        let engine = self.clone();
        promise(async move {
            let signature = required::<SignatureView>(signature, "signature")?.into_signature()?;
            let taken = std::mem::replace(&mut *engine.state.borrow_mut(), State::Busy);
            let State::Signing(signing) = taken else {
                *engine.state.borrow_mut() = taken;
                return Err(Error::new(
                    Code::InvalidArgument,
                    "nothing waits for a signature",
                ));
            };
            let again = signing.again();
            match signing.finish(signature).await {
                Ok(client) => {
                    engine.take_client(client).await?;
                    Ok(JsValue::UNDEFINED)
                }
                Err(error) => {
                    *engine.state.borrow_mut() = State::Unregistered(again);
                    Err(error)
                }
            }
        })
    }

    /// Gives a prompt up; another context may prompt then.
    #[wasm_bindgen(js_name = cancelRegistration)]
    pub fn cancel_registration(&self) {
        let taken = std::mem::replace(&mut *self.state.borrow_mut(), State::Busy);
        *self.state.borrow_mut() = match taken {
            State::Signing(signing) => State::Unregistered(signing.again()),
            other => other,
        };
    }

    /// Who we are.
    pub fn info(&self) -> Result<JsValue, JsValue> {
        let info = self.client().and_then(|client| {
            to_js(&Info {
                inbox_id: client.inbox_id().to_owned(),
                installation_id: client.me.installation.to_hex(),
                installation_id_bytes: serde_bytes::ByteBuf::from(
                    client.me.installation.as_bytes().to_vec(),
                ),
                identifier: (&client.me.identifier).into(),
            })
        });
        info.map_err(|error| super::promise::to_js(&error))
    }

    /// Ends everything.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn close(&self) -> Promise {
        let client = match &*self.state.borrow() {
            State::Ready(client) => Some(client.clone()),
            _ => None,
        };
        promise(async move {
            if let Some(client) = client {
                client.close().await;
            }
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Settles what an earlier life left half done.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn settle(&self) -> Promise {
        self.with(|client| async move {
            client.settle_all().await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Asks the browser not to evict the store: "persistent", "best-effort" or "unknown".
    #[wasm_bindgen(js_name = persist, unchecked_return_type = "Promise<string>")]
    pub fn persist() -> Promise {
        promise(async move {
            Ok(match persist().await {
                crate::store::indexeddb::Persistence::Persistent => "persistent",
                crate::store::indexeddb::Persistence::BestEffort => "best-effort",
                crate::store::indexeddb::Persistence::Unknown => "unknown",
            })
        })
    }

    /// Deletes a store for good.
    #[wasm_bindgen(js_name = deleteStore, unchecked_return_type = "Promise<void>")]
    pub fn delete_store(name: String) -> Promise {
        promise(async move {
            IndexedDb::delete(&name).await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Forgets that a store of this name was here, so that a new one may be made.
    #[wasm_bindgen(js_name = forgetStore, unchecked_return_type = "Promise<void>")]
    pub fn forget_store(name: String) -> Promise {
        promise(async move {
            IndexedDb::unmark(&name).await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Requests sent so far, by RPC.
    pub fn stats(&self) -> Result<JsValue, JsValue> {
        let counts = self.client().and_then(|client| {
            let counts: std::collections::BTreeMap<String, u64> = client
                .api
                .counts()
                .into_iter()
                .map(|(path, count)| (path.rsplit('/').next().unwrap_or(path).to_owned(), count))
                .chain([("bytesWritten".to_owned(), client.written.get())])
                .collect();
            to_js(&counts)
        });
        counts.map_err(|error| super::promise::to_js(&error))
    }

    // --- identity

    /// The inbox of each identifier, `undefined` where there is none.
    #[wasm_bindgen(js_name = inboxIds, unchecked_return_type = "Promise<(string | undefined)[]>")]
    pub fn inbox_ids(&self, wanted: JsValue) -> Promise {
        self.with(|client| async move { to_js(&client.inbox_ids(&identifiers(wanted)?).await?) })
    }

    /// Our inbox's state.
    #[wasm_bindgen(js_name = inboxState)]
    pub fn inbox_state(&self, refresh: bool) -> Promise {
        self.with(move |client| async move {
            to_js(&InboxStateView::new(&*client.inbox_state(refresh).await?))
        })
    }

    /// Other inboxes' states.
    #[wasm_bindgen(js_name = inboxStates)]
    pub fn inbox_states(&self, inboxes: Vec<String>, refresh: bool) -> Promise {
        self.with(move |client| async move {
            for name in &inboxes {
                inbox(name)?;
            }
            let states = client.inbox_states(&inboxes, refresh).await?;
            to_js(
                &states
                    .iter()
                    .map(|state| InboxStateView::new(state))
                    .collect::<Vec<_>>(),
            )
        })
    }

    /// A signature request as bytes, by kind: "addAccount", "removeAccount", "revokeInstallations",
    /// "revokeOthers" or "changeRecovery". `undefined` where there is nothing to do.
    #[wasm_bindgen(js_name = signatureRequest, unchecked_return_type = "Promise<Uint8Array | undefined>")]
    pub fn signature_request(&self, kind: String, argument: JsValue, reassign: bool) -> Promise {
        self.with(move |client| async move {
            let identifier = |value| required::<IdentifierView>(value, "identifier")?.parse();
            let request = match kind.as_str() {
                "addAccount" => {
                    let identifier = identifier(argument)?;
                    match client.request_link(&identifier, reassign).await? {
                        Some(request) => request,
                        None => return Ok(JsValue::UNDEFINED),
                    }
                }
                "removeAccount" => {
                    client
                        .request_remove_account(&identifier(argument)?)
                        .await?
                }
                "changeRecovery" => {
                    client
                        .request_change_recovery(&identifier(argument)?)
                        .await?
                }
                "revokeInstallations" => {
                    client
                        .request_revoke_installations(&installations(argument)?)
                        .await?
                }
                "revokeOthers" => match client.request_revoke_others().await? {
                    Some(request) => request,
                    None => return Ok(JsValue::UNDEFINED),
                },
                _ => return Err(Error::new(Code::InvalidArgument, "no such request")),
            };
            Ok(js_sys::Uint8Array::from(request.to_bytes().as_slice()).into())
        })
    }

    /// Adds a signature to a request and publishes it when it is complete. Returns the request as
    /// it is then, and whether it was published.
    #[wasm_bindgen(js_name = applySignature)]
    pub fn apply_signature(
        &self,
        request: Vec<u8>,
        signer: JsValue,
        signature: JsValue,
    ) -> Promise {
        self.with(|client| async move {
            let signer = required::<IdentifierView>(signer, "identifier")?.parse()?;
            let signature = required::<SignatureView>(signature, "signature")?.into_signature()?;
            let mut request = SignatureRequest::from_bytes(&request)
                .map_err(|error| Error::new(Code::InvalidArgument, error.to_string()))?;
            client
                .apply_signature(&mut request, &signer, signature)
                .await?;
            Ok(js_sys::Uint8Array::from(request.to_bytes().as_slice()))
        })
    }

    /// Signs with the installation's key, for an app's own use.
    #[wasm_bindgen(js_name = signWithInstallationKey)]
    pub fn sign_with_installation_key(&self, text: &str) -> Result<Vec<u8>, JsValue> {
        let signed = self
            .client()
            .map(|client| client.sign_with_installation_key(text).to_vec());
        signed.map_err(|error| super::promise::to_js(&error))
    }

    /// Key package states of installations.
    #[wasm_bindgen(js_name = keyPackageStatuses)]
    pub fn key_package_statuses(&self, ids: JsValue) -> Promise {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Lifetime {
            not_before: u64,
            not_after: u64,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Status {
            id: String,
            lifetime: Option<Lifetime>,
            validation_error: Option<String>,
        }
        self.with(|client| async move {
            let ids: Vec<InstallationId> = installations(ids)?;
            let statuses = client.key_package_statuses(&ids).await?;
            let views: Vec<Status> = ids
                .iter()
                .zip(statuses)
                .map(|(id, status)| Status {
                    id: id.to_hex(),
                    lifetime: status.lifetime.map(|(not_before, not_after)| Lifetime {
                        not_before,
                        not_after,
                    }),
                    validation_error: status.fault,
                })
                .collect();
            to_js(&views)
        })
    }

    // --- conversations

    /// Creates a group; returns it.
    #[wasm_bindgen(js_name = createGroup)]
    pub fn create_group(&self, inboxes: Vec<String>, options: JsValue) -> Promise {
        self.with(|client| async move {
            let options = from_js::<GroupOptionsView>(options, "options")?.parse()?;
            let id = client.create_group(inboxes, options).await?;
            conversation(&client, id).await
        })
    }

    /// Creates or finds the DM with an inbox; returns it.
    #[wasm_bindgen(js_name = createDm)]
    pub fn create_dm(&self, inbox: String, options: JsValue) -> Promise {
        self.with(|client| async move {
            let options = from_js::<GroupOptionsView>(options, "options")?;
            let id = client.create_dm(&inbox, options.disappearing()).await?;
            conversation(&client, id).await
        })
    }

    /// The conversations to show.
    pub fn list(&self, query: JsValue) -> Promise {
        self.with(|client| async move {
            let query = from_js::<ListQueryView>(query, "options")?.parse();
            let rows = client.list(&query).await?;
            to_js(&rows.iter().map(ConversationView::new).collect::<Vec<_>>())
        })
    }

    /// A conversation by id, or `undefined`.
    pub fn conversation(&self, id: String) -> Promise {
        self.with(|client| async move {
            match client.find(GroupId::parse(&id)?).await? {
                Some(row) => to_js(&ConversationView::new(&row)),
                None => Ok(JsValue::UNDEFINED),
            }
        })
    }

    /// The DM with an inbox, or `undefined`.
    #[wasm_bindgen(js_name = dmWith)]
    pub fn dm_with(&self, inbox: String) -> Promise {
        self.with(|client| async move {
            match client.find_dm(&inbox).await? {
                Some(row) => to_js(&ConversationView::new(&row)),
                None => Ok(JsValue::UNDEFINED),
            }
        })
    }

    /// A message by id, or `undefined`.
    #[wasm_bindgen(js_name = messageById)]
    pub fn message_by_id(&self, id: String) -> Promise {
        self.with(|client| async move {
            let id = hex::decode(&id).map_err(|_| {
                Error::new(Code::InvalidArgument, "a message id has 64 hex characters")
            })?;
            match client.db.message(&id).await? {
                Some((_, row)) => to_js(&MessageView::new(&row)),
                None => Ok(JsValue::UNDEFINED),
            }
        })
    }

    /// Fetches Welcomes.
    pub fn sync(&self) -> Promise {
        self.with(|client| async move {
            client.sync().await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Fetches everything new; `progress` is called with (done, of).
    #[wasm_bindgen(js_name = syncAll)]
    pub fn sync_all(
        &self,
        consent: Option<Vec<i32>>,
        progress: Option<js_sys::Function>,
    ) -> Promise {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Summary {
            num_eligible: u32,
            num_synced: u32,
        }
        self.with(|client| async move {
            let tell = |done: usize, of: usize| {
                if let Some(progress) = &progress {
                    // An exception of the app's is the app's.
                    let _ = progress.call2(
                        &JsValue::UNDEFINED,
                        &(done as u32).into(),
                        &(of as u32).into(),
                    );
                }
            };
            let consent = consent.map(|states| states.into_iter().collect());
            let summary = client.sync_all(consent, Some(&tell)).await?;
            to_js(&Summary {
                num_eligible: summary.eligible as u32,
                num_synced: summary.synced as u32,
            })
        })
    }

    // --- streams

    /// Starts the subscription.
    #[wasm_bindgen(js_name = goLive)]
    pub fn go_live(&self) {
        if let Ok(client) = self.client() {
            client.go_live();
        }
    }

    /// The subscription's state: `{ state, reason, version }`, at the next change after `seen`;
    /// `undefined` once the client is closed.
    #[wasm_bindgen(js_name = nextState)]
    pub fn next_state(&self, seen: u64) -> Promise {
        #[derive(Serialize)]
        struct StateView {
            state: &'static str,
            reason: String,
            version: u64,
        }
        self.with(move |client| async move {
            match client.next_state(seen).await {
                Some((state, reason, version)) => to_js(&StateView {
                    state: state.as_str(),
                    reason,
                    version,
                }),
                None => Ok(JsValue::UNDEFINED),
            }
        })
    }

    /// The subscription's state now.
    #[wasm_bindgen(getter, js_name = linkState)]
    pub fn link_state(&self) -> String {
        match &*self.state.borrow() {
            State::Ready(client) => client.live.state().as_str().to_owned(),
            _ => "idle".to_owned(),
        }
    }

    /// A stream of what happens from now on; see `stream.rs` for the filter.
    #[wasm_bindgen(unchecked_return_type = "Promise<EngineStream>")]
    pub fn stream(&self, filter: JsValue) -> Promise {
        self.with(
            |client| async move { EngineStream::start(client, from_js(filter, "options")?).await },
        )
    }

    // --- preferences

    /// Records consent.
    #[wasm_bindgen(js_name = setConsent)]
    pub fn set_consent(&self, records: JsValue) -> Promise {
        self.with(|client| async move {
            let records: Vec<ConsentView> = required(records, "records")?;
            let records: Vec<Consent> = records
                .into_iter()
                .map(|record| Consent {
                    entity_type: record.entity_type,
                    state: record.state,
                    entity: record.entity,
                })
                .collect();
            client.set_consent(&records).await?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// The consent state of an entity.
    #[wasm_bindgen(js_name = consentState)]
    pub fn consent_state(&self, entity_type: i32, entity: String) -> Promise {
        self.with(move |client| async move { client.consent_state(entity_type, &entity).await })
    }
}

/// `{ entityType, state, entity }`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsentView {
    /// 0 group, 1 inbox.
    pub entity_type: i32,
    /// 0 unknown, 1 allowed, 2 denied.
    pub state: i32,
    /// Group id or inbox id.
    pub entity: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct GroupOptionsView {
    permissions: Option<i32>,
    custom_permission_policy_set: Option<PolicySetView>,
    group_name: Option<String>,
    group_description: Option<String>,
    group_image_url_square: Option<String>,
    app_data: Option<String>,
    message_disappearing_settings: Option<DisappearingView>,
}

impl GroupOptionsView {
    fn disappearing(&self) -> Option<(i64, i64)> {
        self.message_disappearing_settings
            .map(|settings| (settings.from_ns, settings.in_ns))
    }

    fn parse(self) -> Result<GroupOptions> {
        let disappearing = self.disappearing();
        let invalid = |what: &str| Error::new(Code::InvalidArgument, what.to_owned());
        let preset = match self.permissions {
            Some(0) => Some(Preset::AllMembers),
            Some(1) => Some(Preset::AdminOnly),
            Some(2) if self.custom_permission_policy_set.is_none() => {
                return Err(invalid("custom permissions need a policy set"));
            }
            Some(2) | None => None,
            Some(_) => return Err(invalid("no such permissions")),
        };
        let custom = match self.custom_permission_policy_set {
            Some(_) if self.permissions != Some(2) => {
                return Err(invalid("a policy set goes with custom permissions only"));
            }
            Some(set) => Some(custom(&set)?),
            None => None,
        };
        Ok(GroupOptions {
            preset,
            custom,
            name: self.group_name,
            description: self.group_description,
            image_url: self.group_image_url_square,
            app_data: self.app_data,
            disappearing,
        })
    }
}

fn custom(set: &PolicySetView) -> Result<CustomPolicies> {
    let option = |number| {
        permissions::option(number)
            .ok_or_else(|| Error::new(Code::InvalidArgument, "no such policy"))
    };
    Ok(CustomPolicies {
        add_member: option(set.add_member_policy)?,
        remove_member: option(set.remove_member_policy)?,
        add_admin: option(set.add_admin_policy)?,
        remove_admin: option(set.remove_admin_policy)?,
        name: option(set.update_group_name_policy)?,
        description: option(set.update_group_description_policy)?,
        image_url: option(set.update_group_image_url_square_policy)?,
        disappearing: option(set.update_message_disappearing_policy)?,
        app_data: option(set.update_app_data_policy)?,
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ListQueryView {
    consent_states: Option<Vec<i32>>,
    conversation_type: Option<i32>,
    created_after_ns: Option<u64>,
    created_before_ns: Option<u64>,
    include_duplicate_dms: bool,
    order_by: Option<i32>,
    limit: Option<u64>,
}

impl ListQueryView {
    fn parse(self) -> ListQuery {
        ListQuery {
            consent: self
                .consent_states
                .map(|states| states.into_iter().collect()),
            kind: self.conversation_type.map(|kind| match kind {
                0 => 2,
                1 => 1,
                other => other + 1,
            }),
            created_after_ns: self.created_after_ns,
            created_before_ns: self.created_before_ns,
            include_duplicate_dms: self.include_duplicate_dms,
            by_creation: self.order_by == Some(0),
            limit: self.limit.map(|limit| limit as usize),
        }
    }
}

/// A conversation as apps see it.
pub async fn conversation<E: Env>(client: &Client<E>, id: GroupId) -> Result<JsValue> {
    to_js(&ConversationView::new(&client.peek(id).await?))
}

fn fresh_key() -> Result<Zeroizing<Vec<u8>>> {
    let mut key = Zeroizing::new(vec![0; 32]);
    getrandom::fill(&mut key)
        .map_err(|error| Error::new(Code::StorageUnavailable, error.to_string()))?;
    Ok(key)
}
