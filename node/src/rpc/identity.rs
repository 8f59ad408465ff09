//! `xmtp.identity.api.v1.IdentityApi`.
//!
//! An update is verified against the log as it stands, then offered to the log together with the
//! sequence id that it was verified against. If another update came first, it is verified anew.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use futures_util::future::join_all;
use sotto::identity::{
    AssociationState, ContractAnswers, ContractCheck, Identifier as Wallet, IdentifierKind,
    IdentityError, MemberIdentifier, SignedUpdate, VerifiedUpdate, fold,
    publish::{self, PublishRefusal},
};
use sotto_proto::identity_api as api;

use super::{Answer, Caller, bounded};
use crate::{
    contract::{ChainError, Question},
    node::Node,
    record::{Identifier, IdentityUpdate, Record},
    status::{Code, Status},
    topic::{self, InboxId},
    validate::{MAX_IDENTITY_UPDATE, MAX_SIGNATURES},
    view::{Outcome, query},
};

/// How often an update is verified anew because others came first.
const MAX_ATTEMPTS: usize = 8;
/// Contract wallets in one request.
const MAX_CONTRACT_CHECKS: usize = 32;

/// `PublishIdentityUpdate`.
pub async fn publish_identity_update(
    caller: Caller<'_>,
    request: api::PublishIdentityUpdateRequest,
) -> Result<api::PublishIdentityUpdateResponse, Status> {
    caller.write(1)?;
    let node = caller.node;
    let bytes = request
        .identity_update
        .ok_or_else(|| Status::invalid("no identity update"))?;
    if bytes.len() > MAX_IDENTITY_UPDATE {
        return Err(Status::exhausted("the identity update is too large"));
    }
    let update = SignedUpdate::decode(&bytes).map_err(|error| refused(&error))?;
    let inbox = topic::inbox_id(update.inbox_id())?;
    let signatures: HashSet<_> = update.signatures().collect();
    if signatures.len() > MAX_SIGNATURES {
        return Err(Status::invalid("too many signatures in one update"));
    }

    // Before anything is locked or read: a chain may take seconds, and the signatures say
    // nothing about the log.
    let answers = ask_chains(node, update.contract_checks()).await?;
    let (update, verified) = tokio::task::spawn_blocking(move || {
        let verified = update.verify(&answers).map_err(|error| refused(&error))?;
        Ok::<_, Status>((Arc::new(update), Arc::new(verified)))
    })
    .await
    .map_err(|_| Status::invalid("the identity update cannot be verified"))??;

    let _turn = node.inboxes.turn(&inbox).lock().await;
    for _ in 0..MAX_ATTEMPTS {
        node.log.catch_up().await?;
        match attempt(node, inbox, &bytes, &update, &verified).await? {
            Outcome::Stored(_) | Outcome::Duplicate => {
                return Ok(api::PublishIdentityUpdateResponse {});
            }
            Outcome::Full => return Err(refused_publish(&PublishRefusal::LogFull)),
            Outcome::Conflict => {}
        }
    }
    Err(Status::new(
        Code::Unavailable,
        "too many updates of this inbox at once",
    ))
}

/// Verifies against the present log, and submits.
async fn attempt(
    node: &Node,
    inbox: InboxId,
    bytes: &[u8],
    update: &Arc<SignedUpdate>,
    verified: &Arc<VerifiedUpdate>,
) -> Result<Outcome, Status> {
    let log = node
        .view
        .read(move |view| Ok(query::identity_updates(view, inbox, 0)?))
        .await?;
    if log.iter().any(|entry| entry.item == bytes) {
        return Ok(Outcome::Duplicate);
    }
    let based_on = log.last().map_or(0, |entry| entry.id);
    let known = node.inboxes.get(&inbox, based_on);
    let (update, verified) = (Arc::clone(update), Arc::clone(verified));
    let decided = tokio::task::spawn_blocking(move || {
        let log = log
            .iter()
            .map(|entry| SignedUpdate::decode(&entry.item))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| Status::storage(&error))?;
        let old = match known {
            Some(state) => Some(state),
            None if log.is_empty() => None,
            None => Some(Arc::new(
                refold(&log).map_err(|error| Status::storage(&error))?,
            )),
        };
        let new = AssociationState::apply_verified(old.as_deref(), &verified)
            .map_err(|error| refused(&error))?;
        publish::check(&log, &update).map_err(|refusal| refused_publish(&refusal))?;
        let diff = AssociationState::diff(old.as_deref(), &new);
        Ok::<_, Status>((new, diff))
    })
    .await
    .map_err(|_| Status::invalid("the identity update cannot be verified"))?;
    let (new, diff) = decided?;
    let record = Record::IdentityUpdate(IdentityUpdate {
        inbox_id: inbox,
        update: bytes.to_vec(),
        based_on,
        joined: diff.new_members.iter().filter_map(indexed).collect(),
        left: diff.removed_members.iter().filter_map(indexed).collect(),
    });
    let outcomes = node.log.submit(vec![record]).await?;
    let Some(outcome) = outcomes.first().copied() else {
        return Err(Status::storage(&"a record without an outcome"));
    };
    if let Outcome::Stored(id) = outcome {
        node.inboxes.put(inbox, id, Arc::new(new));
    }
    Ok(outcome)
}

/// The state of a log that this node accepted: its contract signatures were valid then.
fn refold(log: &[SignedUpdate]) -> Result<AssociationState, IdentityError> {
    let answers: ContractAnswers = log
        .iter()
        .flat_map(SignedUpdate::contract_checks)
        .map(|check| (check, true))
        .collect();
    fold(log, &answers)
}

/// The reverse look-up's form of a member; installations are not looked up.
fn indexed(member: &MemberIdentifier) -> Option<Identifier> {
    let identifier = member.identifier()?;
    Some(Identifier {
        text: identifier.text().into_owned(),
        kind: identifier.kind().to_wire(),
    })
}

/// Asks the chains about contract wallets.
async fn ask_chains(node: &Node, checks: Vec<ContractCheck>) -> Result<ContractAnswers, Status> {
    if checks.len() > MAX_CONTRACT_CHECKS {
        return Err(Status::invalid(
            "too many contract signatures in one update",
        ));
    }
    let ask = async |check: ContractCheck| {
        let question = Question {
            account_id: check.account_id.clone(),
            block_number: Some(check.block_number),
            hash: check.hash,
            signature: check.signature.clone(),
        };
        match node.contracts.verify(question).await {
            Ok(verdict) => Ok((check, verdict.is_valid)),
            Err(error @ ChainError::Account) => Err(Status::invalid(error.to_string())),
            Err(error) => Err(Status::new(Code::Unavailable, error.to_string())),
        }
    };
    let answers = join_all(checks.into_iter().map(ask)).await;
    answers.into_iter().collect::<Result<BTreeMap<_, _>, _>>()
}

fn refused(error: &IdentityError) -> Status {
    Status::invalid(format!("invalid identity update: {error}"))
}

fn refused_publish(refusal: &PublishRefusal) -> Status {
    match refusal {
        PublishRefusal::LogFull => Status::exhausted(refusal.to_string()),
        other => Status::invalid(format!("invalid identity update: {other}")),
    }
}

/// `GetIdentityUpdates`: one response for each request, in order, unpaged.
pub async fn get_identity_updates(
    caller: Caller<'_>,
    request: api::GetIdentityUpdatesRequest,
) -> Result<api::GetIdentityUpdatesResponse, Status> {
    use api::get_identity_updates_response::{IdentityUpdateLog, Response};
    caller.read(request.requests.len()).await?;
    bounded("requests", request.requests.len(), caller.node.limits.batch)?;
    let responses = caller
        .node
        .view
        .read(move |view| {
            let mut size = Answer::default();
            let answer = |asked: api::get_identity_updates_request::Request| {
                // No update is stored for another form of id.
                let rows = match topic::inbox_id(&asked.inbox_id) {
                    Ok(inbox) => query::identity_updates(view, inbox, asked.sequence_id)?,
                    Err(_) => vec![],
                };
                size.add(rows.iter().map(|row| row.item.len()).sum())?;
                let updates = rows
                    .into_iter()
                    .map(|row| IdentityUpdateLog {
                        sequence_id: row.id,
                        server_timestamp_ns: row.created_ns,
                        update: Some(row.item),
                    })
                    .collect();
                Ok(Response {
                    inbox_id: asked.inbox_id,
                    updates,
                })
            };
            request.requests.into_iter().map(answer).collect()
        })
        .await?;
    Ok(api::GetIdentityUpdatesResponse { responses })
}

/// `GetInboxIds`: one response for each identifier, in order, echoing it as it came.
pub async fn get_inbox_ids(
    caller: Caller<'_>,
    request: api::GetInboxIdsRequest,
) -> Result<api::GetInboxIdsResponse, Status> {
    use api::get_inbox_ids_response::Response;
    caller.read(request.requests.len()).await?;
    bounded(
        "identifiers",
        request.requests.len(),
        caller.node.limits.batch,
    )?;
    let responses = caller
        .node
        .view
        .read(move |view| {
            let answer = |asked: api::get_inbox_ids_request::Request| {
                let kind = IdentifierKind::from_wire(asked.identifier_kind);
                let inbox = match Wallet::parse(kind, &asked.identifier) {
                    Ok(wallet) => {
                        let identifier = Identifier {
                            text: wallet.text().into_owned(),
                            kind: kind.to_wire(),
                        };
                        query::inbox_of(view, &identifier)?
                    }
                    Err(_) => None,
                };
                Ok(Response {
                    identifier: asked.identifier,
                    inbox_id: inbox.map(hex::encode),
                    identifier_kind: asked.identifier_kind,
                })
            };
            request.requests.into_iter().map(answer).collect()
        })
        .await?;
    Ok(api::GetInboxIdsResponse { responses })
}

/// `VerifySmartContractWalletSignatures`: one response for each signature, in order. A bad entry
/// never fails the others.
pub async fn verify_signatures(
    caller: Caller<'_>,
    request: api::VerifySmartContractWalletSignaturesRequest,
) -> Result<api::VerifySmartContractWalletSignaturesResponse, Status> {
    use api::verify_smart_contract_wallet_signatures_response::ValidationResponse;
    caller.read(request.signatures.len()).await?;
    bounded("signatures", request.signatures.len(), MAX_CONTRACT_CHECKS)?;
    let invalid = |error: String| ValidationResponse {
        is_valid: false,
        block_number: None,
        error: Some(error),
    };
    let answer = async |asked: api::VerifySmartContractWalletSignatureRequestSignature| {
        let Ok(hash) = <[u8; 32]>::try_from(asked.hash) else {
            return invalid("the hash has not 32 bytes".into());
        };
        let question = Question {
            account_id: asked.account_id,
            block_number: asked.block_number,
            hash,
            signature: asked.signature,
        };
        match caller.node.contracts.verify(question).await {
            Ok(verdict) => ValidationResponse {
                is_valid: verdict.is_valid,
                block_number: Some(verdict.block_number),
                error: None,
            },
            Err(error) => invalid(error.to_string()),
        }
    };
    let responses = join_all(request.signatures.into_iter().map(answer)).await;
    Ok(api::VerifySmartContractWalletSignaturesResponse { responses })
}
