//! Rows in and out of a transaction: ranges read, batches written.
//!
//! Keys are bytes, which IndexedDB orders as we do; those of a log are numbers, which its key generator makes.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use js_sys::{ArrayBuffer, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IdbCursorDirection, IdbCursorWithValue, IdbDatabase, IdbKeyRange, IdbRequest};

use super::failure::Failure;
use super::schema::object_store;
use super::transaction::{Mode, Transaction};
use crate::store::raw::revision;
use crate::store::{Applied, Batch, Range, Rows, StoreError, Table};

/// Reads `ranges` in one transaction.
pub(super) async fn read(database: &IdbDatabase, ranges: &[Range]) -> Result<Vec<Rows>, Failure> {
    let tables: BTreeSet<_> = ranges.iter().map(|range| range.table).collect();
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let mut transaction = begin(database, &tables, Mode::ReadOnly)?;
    let pending: Vec<_> = ranges
        .iter()
        .map(|range| Pending::ask(&mut transaction, range))
        .collect::<Result<_, _>>()?;
    transaction.complete().await?;
    ranges
        .iter()
        .zip(pending)
        .map(|(range, pending)| pending.rows(range))
        .collect()
}

/// Applies `batch` in one transaction.
pub(super) async fn apply(database: &IdbDatabase, batch: &Batch) -> Result<Applied, Failure> {
    if !batch.is_well_formed() {
        return Err(StoreError::Unavailable {
            retryable: false,
            reason: "malformed batch".into(),
        }
        .into());
    }
    let tables = tables_of(batch);
    if tables.is_empty() {
        return Ok(Applied::default());
    }
    let mut transaction = begin(database, &tables, Mode::ReadWrite(batch.durability))?;
    expect(&mut transaction, batch)?;
    for range in &batch.delete_ranges {
        if let Some(keys) = key_range(range)? {
            transaction
                .object_store(object_store(range.table))?
                .delete(&keys)?;
        }
    }
    for (table, key) in &batch.deletes {
        if let Some(key) = key_range(&Range::key(*table, key))? {
            transaction
                .object_store(object_store(*table))?
                .delete(&key)?;
        }
    }
    for (table, key, value) in &batch.puts {
        transaction
            .object_store(object_store(*table))?
            .put_with_key(&bytes(value), &bytes(key))?;
    }
    let mut appends = Vec::with_capacity(batch.appends.len());
    for (table, value) in &batch.appends {
        appends.push(
            transaction
                .object_store(object_store(*table))?
                .put(&bytes(value))?,
        );
    }
    transaction.complete().await?;
    Ok(Applied {
        appended: appends.iter().map(position).collect::<Result<_, _>>()?,
        revisions: batch
            .expect
            .iter()
            .map(|(_, revision)| revision.saturating_add(1))
            .collect(),
        bytes: batch.bytes_written(),
    })
}

/// Checks every expected revision and raises it. The writes that follow are issued before the answers are there: an
/// answer that is not as expected aborts them all.
fn expect(transaction: &mut Transaction, batch: &Batch) -> Result<(), Failure> {
    if batch.expect.is_empty() {
        return Ok(());
    }
    let revisions = transaction.object_store(object_store(Table::Revisions))?;
    for (key, expected) in &batch.expect {
        let (key, expected) = (key.clone(), *expected);
        transaction.on_success(&revisions.get(&bytes(&key))?, move |stored| {
            let stored = if stored.is_undefined() {
                Some(None)
            } else {
                value(stored).map(Some)
            };
            match stored.and_then(|row| revision(row.as_deref())) {
                Some(revision) if revision == expected => Ok(()),
                Some(_) => Err(StoreError::Conflict.into()),
                None => Err(corrupt(Table::Revisions, key.clone())),
            }
        });
    }
    for (key, expected) in &batch.expect {
        revisions.put_with_key(
            &bytes(&expected.saturating_add(1).to_be_bytes()),
            &bytes(key),
        )?;
    }
    Ok(())
}

/// One range being read.
enum Pending {
    /// No key can be in it.
    Nothing,
    /// All keys, and all values.
    Bulk(IdbRequest, IdbRequest),
    /// Row by row from the end, for that is the only way to the last few.
    Walk(Rc<RefCell<Vec<(JsValue, JsValue)>>>),
}

impl Pending {
    fn ask(transaction: &mut Transaction, range: &Range) -> Result<Self, Failure> {
        let store = transaction.object_store(object_store(range.table))?;
        let Some(keys) = key_range(range)? else {
            return Ok(Self::Nothing);
        };
        match range.limit {
            Some(limit) if range.reverse => {
                let request =
                    store.open_cursor_with_range_and_direction(&keys, IdbCursorDirection::Prev)?;
                let rows = Rc::new(RefCell::new(Vec::new()));
                let found = Rc::clone(&rows);
                transaction.on_success(&request, move |cursor| {
                    let Ok(cursor) = cursor.dyn_into::<IdbCursorWithValue>() else {
                        return Ok(());
                    };
                    let count = {
                        let mut found = found.borrow_mut();
                        found.push((cursor.key()?, cursor.value()?));
                        found.len()
                    };
                    if count < limit as usize {
                        Ok(cursor.continue_()?)
                    } else {
                        Ok(())
                    }
                });
                Ok(Self::Walk(rows))
            }
            Some(limit) => Ok(Self::Bulk(
                store.get_all_keys_with_key_and_limit(&keys, limit)?,
                store.get_all_with_key_and_limit(&keys, limit)?,
            )),
            None => Ok(Self::Bulk(
                store.get_all_keys_with_key(&keys)?,
                store.get_all_with_key(&keys)?,
            )),
        }
    }

    fn rows(self, range: &Range) -> Result<Rows, Failure> {
        let row = |key: JsValue, stored: JsValue| {
            let key = stored_key(range.table, &key)?;
            match value(stored) {
                Some(value) => Ok((key, value)),
                None => Err(corrupt(range.table, key)),
            }
        };
        match self {
            Self::Nothing => Ok(Rows::new()),
            Self::Bulk(keys, values) => {
                let (keys, values) = (
                    js_sys::Array::from(&keys.result()?),
                    js_sys::Array::from(&values.result()?),
                );
                let mut rows: Rows = keys
                    .iter()
                    .zip(values.iter())
                    .map(|(key, value)| row(key, value))
                    .collect::<Result<_, _>>()?;
                if range.reverse {
                    rows.reverse();
                }
                Ok(rows)
            }
            Self::Walk(rows) => rows
                .take()
                .into_iter()
                .map(|(key, value)| row(key, value))
                .collect(),
        }
    }
}

fn begin(
    database: &IdbDatabase,
    tables: &BTreeSet<Table>,
    mode: Mode,
) -> Result<Transaction, Failure> {
    let names: Vec<_> = tables.iter().map(|table| object_store(*table)).collect();
    Transaction::begin(database, &names, mode)
}

fn tables_of(batch: &Batch) -> BTreeSet<Table> {
    let puts = batch.puts.iter().map(|(table, ..)| *table);
    let deletes = batch.deletes.iter().map(|(table, _)| *table);
    let ranges = batch.delete_ranges.iter().map(|range| range.table);
    let appends = batch.appends.iter().map(|(table, _)| *table);
    let revisions = batch.expect.iter().map(|_| Table::Revisions);
    puts.chain(deletes)
        .chain(ranges)
        .chain(appends)
        .chain(revisions)
        .collect()
}

/// The keys of a range, or `None` if there can be none.
fn key_range(range: &Range) -> Result<Option<IdbKeyRange>, JsValue> {
    if range.is_empty() {
        return Ok(None);
    }
    let keys = if range.table.is_log() {
        let (from, to) = (log_bound(&range.from), range.to.as_deref().map(log_bound));
        if to.is_some_and(|to| to <= from) {
            return Ok(None);
        }
        (from.into(), to.map(JsValue::from))
    } else {
        (bytes(&range.from), range.to.as_deref().map(bytes))
    };
    let range = match keys {
        (from, Some(to)) => {
            IdbKeyRange::bound_with_lower_open_and_upper_open(&from, &to, false, true)?
        }
        (from, None) => IdbKeyRange::lower_bound(&from)?,
    };
    Ok(Some(range))
}

/// The number that bounds the positions of a log where `bound` bounds their eight-byte keys.
fn log_bound(bound: &[u8]) -> f64 {
    let mut padded = [0; 8];
    for (out, byte) in padded.iter_mut().zip(bound) {
        *out = *byte;
    }
    // A longer bound lies just behind the key it begins with.
    u64::from_be_bytes(padded).saturating_add(u64::from(bound.len() > 8)) as f64
}

fn position(append: &IdbRequest) -> Result<u64, Failure> {
    match append.result()?.as_f64() {
        Some(position) => Ok(position as u64),
        None => Err(corrupt(Table::Feed, Vec::new())),
    }
}

fn bytes(bytes: &[u8]) -> JsValue {
    Uint8Array::from(bytes).into()
}

/// A stored value as bytes, if that is what it is.
fn value(stored: JsValue) -> Option<Vec<u8>> {
    stored
        .dyn_into::<Uint8Array>()
        .ok()
        .map(|bytes| bytes.to_vec())
}

fn stored_key(table: Table, key: &JsValue) -> Result<Vec<u8>, Failure> {
    if let Some(position) = key.as_f64() {
        return Ok((position as u64).to_be_bytes().to_vec());
    }
    match key.dyn_ref::<ArrayBuffer>() {
        Some(buffer) => Ok(Uint8Array::new(buffer).to_vec()),
        None => Err(corrupt(table, Vec::new())),
    }
}

fn corrupt(table: Table, key: Vec<u8>) -> Failure {
    StoreError::Corrupt {
        table,
        scope: Vec::new(),
        key,
    }
    .into()
}
