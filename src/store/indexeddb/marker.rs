//! What remembers that a store was here: a small database of its own, beside the store's.
//!
//! It holds the id of the installation and nothing else. It is set and cleared by explicit calls only.

use std::time::Duration;

use futures::future::{Either, select};
use js_sys::JsString;
use rexie::{ObjectStore, Rexie, TransactionMode};
use wasm_bindgen::{JsCast, JsValue};

use super::open::factory;
use super::schema::marker_name;
use super::timer::sleep;
use crate::store::StoreError;

const STORE: &str = "marker";
const KEY: &str = "installation";

/// The installation that the store called `name` was marked with.
pub(super) async fn read(name: &str, deadline: Duration) -> Result<Option<String>, StoreError> {
    within(deadline, async {
        let database = open(name).await?;
        let transaction = database.transaction(&[STORE], TransactionMode::ReadOnly)?;
        let value = transaction.store(STORE)?.get(KEY.into()).await?;
        database.close();
        Ok(value.as_ref().and_then(JsValue::as_string))
    })
    .await
}

/// Marks the store called `name` with an installation.
pub(super) async fn set(
    name: &str,
    installation: &str,
    deadline: Duration,
) -> Result<(), StoreError> {
    let installation: JsString = installation.into();
    write(name, deadline, async |store| {
        store
            .put(installation.unchecked_ref(), Some(&KEY.into()))
            .await
            .map(drop)
    })
    .await
}

/// Removes the mark of the store called `name`.
pub(super) async fn clear(name: &str, deadline: Duration) -> Result<(), StoreError> {
    write(name, deadline, async |store| store.delete(KEY.into()).await).await
}

async fn write(
    name: &str,
    deadline: Duration,
    change: impl AsyncFnOnce(rexie::Store) -> rexie::Result<()>,
) -> Result<(), StoreError> {
    within(deadline, async {
        let database = open(name).await?;
        let transaction = database.transaction(&[STORE], TransactionMode::ReadWrite)?;
        change(transaction.store(STORE)?).await?;
        let result = transaction.done().await;
        database.close();
        if result?.is_committed() {
            Ok(())
        } else {
            Err(rexie::Error::TransactioncommitFailed)
        }
    })
    .await
}

async fn open(name: &str) -> rexie::Result<Rexie> {
    Rexie::builder(&marker_name(name))
        .version(1)
        .add_object_store(ObjectStore::new(STORE))
        .build()
        .await
}

async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = rexie::Result<T>>,
) -> Result<T, StoreError> {
    factory()?;
    let unavailable = |reason: String| StoreError::Unavailable {
        retryable: true,
        reason,
    };
    match select(std::pin::pin!(work), std::pin::pin!(sleep(deadline))).await {
        Either::Left((result, _)) => {
            result.map_err(|error| unavailable(format!("marker: {error}")))
        }
        Either::Right(_) => Err(unavailable("marker: no answer".into())),
    }
}
