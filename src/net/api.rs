//! The node's RPCs in types, with retries. All publishing is idempotent at the node, so that a
//! request without an answer may be sent again; what a node refuses for good is not repeated.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use sotto_proto::identity_api as identity;
use sotto_proto::mls_api as mls;
use sotto_proto::{Message, paths};

use super::{NetError, Status, Transport};
use crate::client::env::Env;

/// The largest page a node gives, in messages.
pub const PAGE: u32 = 100;
/// How often a call is tried before its failure is reported.
const TRIES: u32 = 4;
/// Pause before the second try; it triples.
const FIRST_PAUSE: Duration = Duration::from_millis(60);
/// Identity logs asked for in one call.
const INBOXES_PER_CALL: usize = 50;
/// Groups asked for in one newest-message call.
const GROUPS_PER_CALL: usize = 1000;

/// A page of a log.
pub struct Page<T> {
    /// Entries, ascending by id.
    pub items: Vec<T>,
    /// Whether another page must be asked for.
    pub more: bool,
}

/// Typed calls to one node (or, when several URLs are given, to the transport's current one).
pub struct Api<E: Env> {
    env: Rc<E>,
    transport: Rc<E::Transport>,
    counts: RefCell<BTreeMap<&'static str, u64>>,
    closed: Cell<bool>,
}

impl<E: Env> Api<E> {
    /// Calls through `transport`.
    pub fn new(env: Rc<E>, transport: Rc<E::Transport>) -> Self {
        Self {
            env,
            transport,
            counts: RefCell::default(),
            closed: Cell::new(false),
        }
    }

    /// The transport underneath.
    #[must_use]
    pub fn transport(&self) -> &E::Transport {
        &self.transport
    }

    /// The transport underneath, for what outlives a call.
    #[must_use]
    pub fn shared_transport(&self) -> Rc<E::Transport> {
        Rc::clone(&self.transport)
    }

    /// Requests sent so far, by RPC path.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.borrow().clone()
    }

    /// From now on every call fails with [`NetError::Closed`].
    pub fn close(&self) {
        self.closed.set(true);
    }

    async fn call<Req: Message, Res: Message + Default>(
        &self,
        path: &'static str,
        request: &Req,
    ) -> Result<Res, NetError> {
        let bytes = request.encode_to_vec();
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            if self.closed.get() {
                return Err(NetError::Closed);
            }
            *self.counts.borrow_mut().entry(path).or_default() += 1;
            let error = match self.transport.unary(path, bytes.clone()).await {
                Ok(answer) => {
                    return Res::decode(answer.as_slice())
                        .map_err(|error| NetError::Malformed(error.to_string()));
                }
                Err(error) => error,
            };
            let wait = match &error {
                NetError::Refused {
                    status: Status::RESOURCE_EXHAUSTED,
                    retry_after,
                    ..
                } => retry_after.unwrap_or(pause).min(Duration::from_secs(30)),
                NetError::Refused {
                    status: Status::UNAVAILABLE | Status::INTERNAL | Status::ABORTED,
                    ..
                }
                | NetError::Unreachable(_) => pause,
                _ => return Err(error),
            };
            if attempt >= TRIES {
                return Err(error);
            }
            self.env.sleep(jitter(&*self.env, wait)).await;
            pause *= 3;
        }
        Err(NetError::Closed)
    }

    /// Appends messages to their groups' logs.
    pub async fn send_group_messages(
        &self,
        messages: Vec<mls::group_message_input::V1>,
    ) -> Result<(), NetError> {
        let messages = messages
            .into_iter()
            .map(|v1| mls::GroupMessageInput {
                version: Some(mls::group_message_input::Version::V1(v1)),
            })
            .collect();
        let request = mls::SendGroupMessagesRequest { messages };
        self.call::<_, ()>(paths::SEND_GROUP_MESSAGES, &request)
            .await
    }

    /// One ascending page of a group's log: messages with an id above `cursor`.
    pub async fn query_group_messages(
        &self,
        group_id: &[u8],
        cursor: u64,
    ) -> Result<Page<mls::group_message::V1>, NetError> {
        let request = mls::QueryGroupMessagesRequest {
            group_id: group_id.to_vec(),
            paging_info: Some(ascending(cursor)),
        };
        let response: mls::QueryGroupMessagesResponse =
            self.call(paths::QUERY_GROUP_MESSAGES, &request).await?;
        let more = has_more(response.messages.len(), response.paging_info);
        let items = response
            .messages
            .into_iter()
            .filter_map(group_message)
            .collect();
        Ok(Page { items, more })
    }

    /// The newest message of each group, without content, in the order asked.
    pub async fn newest_group_messages(
        &self,
        group_ids: &[Vec<u8>],
    ) -> Result<Vec<Option<mls::group_message::V1>>, NetError> {
        let mut newest = Vec::with_capacity(group_ids.len());
        for chunk in group_ids.chunks(GROUPS_PER_CALL) {
            let request = mls::GetNewestGroupMessageRequest {
                group_ids: chunk.to_vec(),
                include_content: false,
            };
            let response: mls::GetNewestGroupMessageResponse =
                self.call(paths::GET_NEWEST_GROUP_MESSAGE, &request).await?;
            same_length(
                "GetNewestGroupMessage",
                chunk.len(),
                response.responses.len(),
            )?;
            newest.extend(
                response
                    .responses
                    .into_iter()
                    .map(|entry| entry.group_message.and_then(group_message)),
            );
        }
        Ok(newest)
    }

    /// Delivers welcomes.
    pub async fn send_welcome_messages(
        &self,
        messages: Vec<mls::WelcomeMessageInput>,
    ) -> Result<(), NetError> {
        self.call::<_, ()>(
            paths::SEND_WELCOME_MESSAGES,
            &mls::SendWelcomeMessagesRequest { messages },
        )
        .await
    }

    /// One ascending page of a welcome topic.
    pub async fn query_welcome_messages(
        &self,
        installation: &[u8],
        cursor: u64,
    ) -> Result<Page<mls::WelcomeMessage>, NetError> {
        let request = mls::QueryWelcomeMessagesRequest {
            installation_key: installation.to_vec(),
            paging_info: Some(ascending(cursor)),
        };
        let response: mls::QueryWelcomeMessagesResponse =
            self.call(paths::QUERY_WELCOME_MESSAGES, &request).await?;
        let more = has_more(response.messages.len(), response.paging_info);
        Ok(Page {
            items: response.messages,
            more,
        })
    }

    /// Replaces this installation's key package.
    pub async fn upload_key_package(&self, key_package: Vec<u8>) -> Result<(), NetError> {
        let request = mls::UploadKeyPackageRequest {
            key_package: Some(mls::KeyPackageUpload {
                key_package_tls_serialized: key_package,
            }),
            is_inbox_id_credential: true,
        };
        self.call::<_, ()>(paths::UPLOAD_KEY_PACKAGE, &request)
            .await
    }

    /// Key packages in the order asked; empty bytes where there is none.
    pub async fn fetch_key_packages(
        &self,
        installations: &[Vec<u8>],
    ) -> Result<Vec<Vec<u8>>, NetError> {
        if installations.is_empty() {
            return Ok(Vec::new());
        }
        let request = mls::FetchKeyPackagesRequest {
            installation_keys: installations.to_vec(),
        };
        let response: mls::FetchKeyPackagesResponse =
            self.call(paths::FETCH_KEY_PACKAGES, &request).await?;
        same_length(
            "FetchKeyPackages",
            installations.len(),
            response.key_packages.len(),
        )?;
        Ok(response
            .key_packages
            .into_iter()
            .map(|entry| entry.key_package_tls_serialized)
            .collect())
    }

    /// Appends an identity update to its inbox's log.
    pub async fn publish_identity_update(&self, update: Vec<u8>) -> Result<(), NetError> {
        let request = identity::PublishIdentityUpdateRequest {
            identity_update: Some(update),
        };
        self.call::<_, identity::PublishIdentityUpdateResponse>(
            paths::PUBLISH_IDENTITY_UPDATE,
            &request,
        )
        .await?;
        Ok(())
    }

    /// For each (inbox, sequence id) the log entries after that sequence id, in the order asked.
    pub async fn get_identity_updates(
        &self,
        wanted: &[(String, u64)],
    ) -> Result<Vec<Vec<identity::get_identity_updates_response::IdentityUpdateLog>>, NetError>
    {
        let mut logs = Vec::with_capacity(wanted.len());
        for chunk in wanted.chunks(INBOXES_PER_CALL) {
            let requests = chunk
                .iter()
                .map(
                    |(inbox_id, sequence_id)| identity::get_identity_updates_request::Request {
                        inbox_id: inbox_id.clone(),
                        sequence_id: *sequence_id,
                    },
                )
                .collect();
            let request = identity::GetIdentityUpdatesRequest { requests };
            let response: identity::GetIdentityUpdatesResponse =
                self.call(paths::GET_IDENTITY_UPDATES, &request).await?;
            same_length("GetIdentityUpdates", chunk.len(), response.responses.len())?;
            for ((inbox_id, _), entry) in chunk.iter().zip(response.responses) {
                if entry.inbox_id != *inbox_id {
                    return Err(NetError::Malformed(
                        "GetIdentityUpdates answered out of order".into(),
                    ));
                }
                logs.push(entry.updates);
            }
        }
        Ok(logs)
    }

    /// The inbox of each (identifier text, kind number), in the order asked.
    pub async fn get_inbox_ids(
        &self,
        identifiers: &[(String, i32)],
    ) -> Result<Vec<Option<String>>, NetError> {
        if identifiers.is_empty() {
            return Ok(Vec::new());
        }
        let requests = identifiers
            .iter()
            .map(
                |(identifier, kind)| identity::get_inbox_ids_request::Request {
                    identifier: identifier.clone(),
                    identifier_kind: *kind,
                },
            )
            .collect();
        let request = identity::GetInboxIdsRequest { requests };
        let response: identity::GetInboxIdsResponse =
            self.call(paths::GET_INBOX_IDS, &request).await?;
        same_length("GetInboxIds", identifiers.len(), response.responses.len())?;
        Ok(response
            .responses
            .into_iter()
            .map(|entry| entry.inbox_id)
            .collect())
    }

    /// Asks the node whether one contract wallet's signature is valid.
    pub async fn verify_contract_signature(
        &self,
        signature: identity::VerifySmartContractWalletSignatureRequestSignature,
    ) -> Result<
        identity::verify_smart_contract_wallet_signatures_response::ValidationResponse,
        NetError,
    > {
        let request = identity::VerifySmartContractWalletSignaturesRequest {
            signatures: vec![signature],
        };
        let response: identity::VerifySmartContractWalletSignaturesResponse = self
            .call(paths::VERIFY_SMART_CONTRACT_WALLET_SIGNATURES, &request)
            .await?;
        same_length(
            "VerifySmartContractWalletSignatures",
            1,
            response.responses.len(),
        )?;
        response
            .responses
            .into_iter()
            .next()
            .ok_or_else(|| NetError::Malformed("no answer".into()))
    }
}

/// Whether the node has more than it answered. It says so by a cursor: a page may end early
/// because of its size in bytes. Without paging information a full page may have a successor.
fn has_more(length: usize, paging: Option<mls::PagingInfo>) -> bool {
    match paging {
        Some(paging) => paging.id_cursor != 0 && length > 0,
        None => length >= PAGE as usize,
    }
}

fn ascending(cursor: u64) -> mls::PagingInfo {
    mls::PagingInfo {
        direction: mls::SortDirection::Ascending as i32,
        limit: PAGE,
        id_cursor: cursor,
    }
}

fn group_message(message: mls::GroupMessage) -> Option<mls::group_message::V1> {
    message
        .version
        .map(|mls::group_message::Version::V1(v1)| v1)
}

fn same_length(call: &str, asked: usize, got: usize) -> Result<(), NetError> {
    if asked == got {
        Ok(())
    } else {
        Err(NetError::Malformed(format!(
            "{call}: {got} answers to {asked} requests"
        )))
    }
}

/// `duration`, plus up to a quarter of it by chance, so that clients do not march in step.
pub fn jitter<E: Env>(env: &E, duration: Duration) -> Duration {
    let mut byte = [0u8; 1];
    env.random(&mut byte);
    duration + duration / 4 * u32::from(byte[0]) / 256
}
