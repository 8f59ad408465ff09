//! `xmtp.mls.api.v1.MlsApi`.

use std::sync::Arc;

use sotto_proto::mls_api as api;

use super::{Answer, Caller, bounded};
use crate::{
    record::{CommitLogEntry, GroupMessage, Record, Stored, Welcome},
    status::Status,
    subscribe::feed::{Feed, OnLag},
    topic::{self, Topic},
    validate,
    view::{Outcome, Page, query},
};

/// Commit log entries in one publish.
const MAX_COMMIT_LOG_INSERTS: usize = 10;
/// Groups in one commit log query.
const MAX_COMMIT_LOG_QUERIES: usize = 20;

/// `SendGroupMessages`.
pub async fn send_group_messages(
    caller: Caller<'_>,
    request: api::SendGroupMessagesRequest,
) -> Result<(), Status> {
    bounded("messages", request.messages.len(), caller.node.limits.batch)?;
    caller.write(request.messages.len())?;
    let records = request
        .messages
        .into_iter()
        .map(|input| validate::group_message(input).map(Record::GroupMessage))
        .collect::<Result<_, _>>()?;
    store(caller, records).await
}

/// `QueryGroupMessages`.
pub async fn query_group_messages(
    caller: Caller<'_>,
    request: api::QueryGroupMessagesRequest,
) -> Result<api::QueryGroupMessagesResponse, Status> {
    caller.read(1).await?;
    if request.group_id.is_empty() {
        return Err(Status::invalid("no group id"));
    }
    let page = Page::from_wire(request.paging_info.as_ref());
    let (messages, paging_info) = caller
        .node
        .view
        .read(move |view| Ok(query::group_messages(view, &request.group_id, page)?))
        .await?;
    Ok(api::QueryGroupMessagesResponse {
        messages: messages
            .into_iter()
            .map(Stored::<GroupMessage>::into_wire)
            .collect(),
        paging_info: Some(paging_info),
    })
}

/// `GetNewestGroupMessage`: one response for each group, in the request's order.
pub async fn get_newest_group_message(
    caller: Caller<'_>,
    request: api::GetNewestGroupMessageRequest,
) -> Result<api::GetNewestGroupMessageResponse, Status> {
    use api::get_newest_group_message_response::Response;
    caller.read(request.group_ids.len()).await?;
    bounded(
        "group ids",
        request.group_ids.len(),
        caller.node.limits.batch,
    )?;
    let responses = caller
        .node
        .view
        .read(move |view| {
            let mut answer = Answer::default();
            let newest = |group_id: &Vec<u8>| {
                // No message is stored for an id of another length.
                let Ok(group_id) = topic::group_id(group_id) else {
                    return Ok(Response::default());
                };
                let found = query::newest_group_message(view, group_id, request.include_content)?;
                answer.add(found.as_ref().map_or(0, |found| found.item.data.len()))?;
                Ok(Response {
                    group_message: found.map(Stored::<GroupMessage>::into_wire),
                })
            };
            request.group_ids.iter().map(newest).collect()
        })
        .await?;
    Ok(api::GetNewestGroupMessageResponse { responses })
}

/// `SubscribeGroupMessages`.
pub async fn subscribe_group_messages(
    caller: Caller<'_>,
    request: api::SubscribeGroupMessagesRequest,
) -> Result<Feed, Status> {
    let topics = request
        .filters
        .iter()
        .map(|filter| {
            Ok((
                Topic::Group(topic::group_id(&filter.group_id)?),
                filter.id_cursor,
            ))
        })
        .collect::<Result<_, Status>>()?;
    subscribe(caller, topics, OnLag::Abort).await
}

/// `SendWelcomeMessages`.
pub async fn send_welcome_messages(
    caller: Caller<'_>,
    request: api::SendWelcomeMessagesRequest,
) -> Result<(), Status> {
    bounded("welcomes", request.messages.len(), caller.node.limits.batch)?;
    caller.write(request.messages.len())?;
    let records = request
        .messages
        .into_iter()
        .map(|input| validate::welcome(input).map(Record::Welcome))
        .collect::<Result<_, _>>()?;
    store(caller, records).await
}

/// `QueryWelcomeMessages`.
pub async fn query_welcome_messages(
    caller: Caller<'_>,
    request: api::QueryWelcomeMessagesRequest,
) -> Result<api::QueryWelcomeMessagesResponse, Status> {
    caller.read(1).await?;
    if request.installation_key.is_empty() {
        return Err(Status::invalid("no installation key"));
    }
    let page = Page::from_wire(request.paging_info.as_ref());
    let (messages, paging_info) = caller
        .node
        .view
        .read(move |view| Ok(query::welcomes(view, &request.installation_key, page)?))
        .await?;
    Ok(api::QueryWelcomeMessagesResponse {
        messages: messages
            .into_iter()
            .map(Stored::<Welcome>::into_wire)
            .collect(),
        paging_info: Some(paging_info),
    })
}

/// `SubscribeWelcomeMessages`. It is never ended for being slow: official clients do not restart
/// a welcome stream that ends alone.
pub async fn subscribe_welcome_messages(
    caller: Caller<'_>,
    request: api::SubscribeWelcomeMessagesRequest,
) -> Result<Feed, Status> {
    let topics = request
        .filters
        .iter()
        .map(|filter| {
            let key = topic::installation_key(&filter.installation_key)?;
            Ok((Topic::Welcome(key), filter.id_cursor))
        })
        .collect::<Result<_, Status>>()?;
    subscribe(caller, topics, OnLag::Reread).await
}

/// `UploadKeyPackage`.
pub async fn upload_key_package(
    caller: Caller<'_>,
    request: api::UploadKeyPackageRequest,
) -> Result<(), Status> {
    upload(caller, request.key_package).await.map(|_| ())
}

/// `RegisterInstallation`, the old name of an upload.
pub async fn register_installation(
    caller: Caller<'_>,
    request: api::RegisterInstallationRequest,
) -> Result<api::RegisterInstallationResponse, Status> {
    let installation_key = upload(caller, request.key_package).await?;
    Ok(api::RegisterInstallationResponse { installation_key })
}

/// `FetchKeyPackages`: one entry for each key, in the request's order, empty for an unknown one.
pub async fn fetch_key_packages(
    caller: Caller<'_>,
    request: api::FetchKeyPackagesRequest,
) -> Result<api::FetchKeyPackagesResponse, Status> {
    use api::fetch_key_packages_response::KeyPackage;
    caller.read(request.installation_keys.len()).await?;
    bounded(
        "installation keys",
        request.installation_keys.len(),
        caller.node.limits.batch,
    )?;
    let key_packages = caller
        .node
        .view
        .read(move |view| {
            let mut answer = Answer::default();
            let fetch = |key: &Vec<u8>| {
                let found = match topic::installation_key(key) {
                    Ok(key) => query::key_package(view, key)?,
                    Err(_) => None,
                };
                let key_package_tls_serialized = found.unwrap_or_default();
                answer.add(key_package_tls_serialized.len())?;
                Ok(KeyPackage {
                    key_package_tls_serialized,
                })
            };
            request.installation_keys.iter().map(fetch).collect()
        })
        .await?;
    Ok(api::FetchKeyPackagesResponse { key_packages })
}

/// `BatchPublishCommitLog`.
pub async fn batch_publish_commit_log(
    caller: Caller<'_>,
    request: api::BatchPublishCommitLogRequest,
) -> Result<(), Status> {
    bounded(
        "commit log entries",
        request.requests.len(),
        MAX_COMMIT_LOG_INSERTS,
    )?;
    caller.write(request.requests.len())?;
    let records = request
        .requests
        .into_iter()
        .map(|input| validate::commit_log_entry(input).map(Record::CommitLog))
        .collect::<Result<_, _>>()?;
    store(caller, records).await
}

/// `BatchQueryCommitLog`: always ascending, answers in the request's order.
pub async fn batch_query_commit_log(
    caller: Caller<'_>,
    request: api::BatchQueryCommitLogRequest,
) -> Result<api::BatchQueryCommitLogResponse, Status> {
    caller.read(request.requests.len()).await?;
    bounded(
        "commit log queries",
        request.requests.len(),
        MAX_COMMIT_LOG_QUERIES,
    )?;
    let queries = request
        .requests
        .into_iter()
        .map(|query| {
            let page = Page::ascending(query.paging_info.as_ref())
                .ok_or_else(|| Status::invalid("the commit log is read in ascending order"))?;
            Ok((query.group_id, page))
        })
        .collect::<Result<Vec<_>, Status>>()?;
    let responses = caller
        .node
        .view
        .read(move |view| {
            let run = |(group_id, page): (Vec<u8>, Page)| {
                let (rows, paging_info) = query::commit_log(view, &group_id, page)?;
                Ok(api::QueryCommitLogResponse {
                    group_id,
                    commit_log_entries: rows.into_iter().map(commit_log_entry).collect(),
                    paging_info: Some(paging_info),
                })
            };
            queries.into_iter().map(run).collect()
        })
        .await?;
    Ok(api::BatchQueryCommitLogResponse { responses })
}

fn commit_log_entry(stored: Stored<CommitLogEntry>) -> api::CommitLogEntry {
    let entry = stored.item;
    api::CommitLogEntry {
        sequence_id: stored.id,
        serialized_commit_log_entry: entry.entry,
        signature: Some(api::CommitLogSignature {
            bytes: entry.signature,
            public_key: entry.public_key,
        }),
    }
}

/// Checks and stores a key package; returns its installation key.
async fn upload(
    caller: Caller<'_>,
    key_package: Option<api::KeyPackageUpload>,
) -> Result<Vec<u8>, Status> {
    caller.write(1)?;
    // Three signatures: not on the threads that serve everybody.
    let checked = tokio::task::spawn_blocking(move || validate::key_package(key_package))
        .await
        .map_err(|_| Status::invalid("invalid identity: the key package cannot be checked"))??;
    let installation_key = checked.installation_key.to_vec();
    store(caller, vec![Record::KeyPackage(checked)]).await?;
    Ok(installation_key)
}

/// Submits records whose outcome is stored or duplicate, which are the same to a publisher.
async fn store(caller: Caller<'_>, records: Vec<Record>) -> Result<(), Status> {
    if records
        .iter()
        .any(|record| record.size() > caller.node.limits.envelope_bytes)
    {
        return Err(Status::exhausted("the message is too large"));
    }
    let outcomes = caller.node.log.submit(records).await?;
    let stored = |outcome: &Outcome| matches!(outcome, Outcome::Stored(_) | Outcome::Duplicate);
    if !outcomes.iter().all(stored) {
        return Err(Status::storage(
            &"an outcome that only identity updates have",
        ));
    }
    Ok(())
}

async fn subscribe(
    caller: Caller<'_>,
    topics: Vec<(Topic, u64)>,
    on_lag: OnLag,
) -> Result<Feed, Status> {
    caller.read(topics.len()).await?;
    bounded("filters", topics.len(), caller.node.limits.topics)?;
    let mut feed = Feed::new(Arc::clone(&caller.node.view), &caller.node.fanout, on_lag);
    feed.add_wave(1, topics, false);
    Ok(feed)
}
