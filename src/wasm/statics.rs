//! Calls to a node without a client: look-ups, and revoking installations with only a signer.

use std::rc::Rc;

use js_sys::Promise;
use serde::Deserialize;
use wasm_bindgen::prelude::*;

use super::convert::{IdentifierView, identifiers, inbox, installations, required, to_js};
use super::engine::SignatureView;
use super::env::BrowserEnv;
use super::promise::promise;
use super::views::InboxStateView;
use crate::client::db::Db;
use crate::client::env::Env;
use crate::client::identities::Identities;
use crate::client::identity::publish_update;
use crate::client::registration::{add_signature, request_error};
use crate::error::{Code, Error, Result};
use crate::identity::{MemberIdentifier, SignatureRequest};
use crate::net::api::Api;
use crate::net::fetch::FetchTransport;
use crate::store::{AppKey, MemoryStore, Vault, system_random};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeOptions {
    api_urls: Vec<String>,
    app_version: String,
}

/// A node, and nothing stored.
#[wasm_bindgen]
#[derive(Clone)]
pub struct NodeHandle {
    env: Rc<BrowserEnv>,
    api: Rc<Api<BrowserEnv>>,
}

impl NodeHandle {
    async fn identities(&self) -> Result<Identities<BrowserEnv>> {
        let key = AppKey::new(vec![0; 32]).ok_or_else(|| Error::internal("a key of 32 bytes"))?;
        let store = super::env::BrowserStore::Memory(MemoryStore::new());
        let db = Db(Vault::open(store, &key, system_random()).await?);
        Ok(Identities::new(
            Rc::clone(&self.env),
            Rc::clone(&self.api),
            Rc::new(db),
        ))
    }
}

#[wasm_bindgen]
impl NodeHandle {
    /// A node at one of several URLs.
    #[wasm_bindgen(constructor)]
    pub fn new(options: JsValue) -> Result<NodeHandle, JsValue> {
        let open = || {
            let options: NodeOptions = required(options, "options")?;
            let transport = FetchTransport::new(options.api_urls, options.app_version)?;
            let env = Rc::new(BrowserEnv::new("statics"));
            let api = Rc::new(Api::new(Rc::clone(&env), Rc::new(transport)));
            Ok(NodeHandle { env, api })
        };
        open().map_err(|error: Error| super::promise::to_js(&error))
    }

    /// The inbox of each identifier, `undefined` where there is none.
    #[wasm_bindgen(js_name = inboxIds)]
    pub fn inbox_ids(&self, wanted: JsValue) -> Promise {
        let node = self.clone();
        promise(async move {
            let wanted: Vec<(String, i32)> = identifiers(wanted)?
                .iter()
                .map(|identifier| (identifier.text().into_owned(), identifier.kind().to_wire()))
                .collect();
            to_js(&node.api.get_inbox_ids(&wanted).await?)
        })
    }

    /// The newest states of inboxes.
    #[wasm_bindgen(js_name = inboxStates)]
    pub fn inbox_states(&self, inboxes: Vec<String>) -> Promise {
        let node = self.clone();
        promise(async move {
            let identities = node.identities().await?;
            let mut states = Vec::with_capacity(inboxes.len());
            for name in &inboxes {
                inbox(name)?;
                states.push(InboxStateView::new(&identities.require(name).await?.1));
            }
            to_js(&states)
        })
    }

    /// How many updates each inbox's log has.
    #[wasm_bindgen(js_name = updateCounts)]
    pub fn update_counts(&self, inboxes: Vec<String>) -> Promise {
        let node = self.clone();
        promise(async move {
            for name in &inboxes {
                inbox(name)?;
            }
            let wanted: Vec<(String, u64)> = inboxes.into_iter().map(|inbox| (inbox, 0)).collect();
            let logs = node.api.get_identity_updates(&wanted).await?;
            to_js(&logs.iter().map(|log| log.len() as u32).collect::<Vec<_>>())
        })
    }

    /// A request to revoke installations, to be signed by the recovery identifier as the caller
    /// names it.
    #[wasm_bindgen(js_name = revocation)]
    pub fn revocation(
        &self,
        inbox_id: &str,
        recovery: JsValue,
        ids: JsValue,
    ) -> Result<Vec<u8>, JsValue> {
        let build = || {
            let recovery = required::<IdentifierView>(recovery, "identifier")?.parse()?;
            let members = installations(ids)?.into_iter().map(MemberIdentifier::from);
            Ok(
                SignatureRequest::revoke(&inbox(inbox_id)?, &recovery, members, self.env.now_ns())
                    .to_bytes(),
            )
        };
        build().map_err(|error: Error| super::promise::to_js(&error))
    }

    /// Signs and publishes such a request.
    #[wasm_bindgen(js_name = publishSigned)]
    pub fn publish_signed(&self, request: Vec<u8>, signer: JsValue, signature: JsValue) -> Promise {
        let node = self.clone();
        promise(async move {
            let signer = required::<IdentifierView>(signer, "identifier")?.parse()?;
            let signature = required::<SignatureView>(signature, "signature")?.into_signature()?;
            let mut request = SignatureRequest::from_bytes(&request)
                .map_err(|error| Error::new(Code::InvalidArgument, error.to_string()))?;
            let identities = node.identities().await?;
            add_signature(&node.api, &identities, &mut request, &signer, signature).await?;
            let update = request.finish().map_err(request_error)?;
            publish_update(&identities, &node.api, request.inbox_id(), update).await?;
            Ok(JsValue::UNDEFINED)
        })
    }
}

/// What a signature request asks to be signed.
#[wasm_bindgen(js_name = signatureText)]
pub fn signature_text(request: &[u8]) -> Result<String, JsValue> {
    SignatureRequest::from_bytes(request)
        .map(|request| request.text().to_owned())
        .map_err(|error| {
            super::promise::to_js(&Error::new(Code::InvalidArgument, error.to_string()))
        })
}
