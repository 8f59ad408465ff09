//! The store as the rest of the client uses it: values sealed, scopes hidden, one data key for each store.
//!
//! A vault never writes before the data key is known to be right, never replaces a header, and never reports a row it
//! could not open as absent.

use std::rc::Rc;

use zeroize::Zeroizing;

use super::StoreError;
use super::changes::{Changes, Key, Query, Row};
use super::header::{self, KeyWrapper};
use super::raw::{self, Applied, Batch, Range, Store, Table};
use super::seal::{Place, Sealer};

/// The key of the header in its table, and of the revision that lets only one context make it.
const HEADER: &[u8] = b"header";

/// A source of random bytes: fills the slice, or fails.
pub type Random = Rc<dyn Fn(&mut [u8]) -> Result<(), StoreError>>;

/// Random bytes from the system.
pub fn system_random() -> Random {
    Rc::new(|bytes| {
        getrandom::fill(bytes).map_err(|error| StoreError::Unavailable {
            retryable: true,
            reason: format!("no randomness: {error}"),
        })
    })
}

/// A store whose values are sealed under a data key of its own.
pub struct Vault<S> {
    store: S,
    sealer: Sealer,
    random: Random,
}

impl<S> std::fmt::Debug for Vault<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault([redacted])")
    }
}

impl<S: Store> Vault<S> {
    /// Opens the vault in `store`, or makes one if the store is empty.
    ///
    /// Contexts that make one at the same moment end up with the same.
    ///
    /// # Errors
    /// [`StoreError::WrongKey`] if `wrapper` does not open it; [`StoreError::Corrupt`] if there are rows but no
    /// readable header; [`StoreError::NewerVersion`]; what the store and the wrapper report. Nothing has been written
    /// then.
    pub async fn open<W: KeyWrapper>(
        store: S,
        wrapper: &W,
        random: Random,
    ) -> Result<Self, StoreError> {
        let header = match stored_header(&store).await? {
            Some(header) => header,
            None => make_header(&store, wrapper, &random).await?,
        };
        let Some(data_key) = header::open(wrapper, &header).await? else {
            return Err(corrupt(Table::Header, &[], HEADER));
        };
        Ok(Self {
            store,
            sealer: Sealer::new(&data_key),
            random,
        })
    }

    /// The store below, which holds only what is sealed.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// A stand-in for `name` in the order of keys: the same each time, and telling nothing about it.
    pub fn blind(&self, table: Table, name: &[u8]) -> [u8; 16] {
        self.sealer.blind(table, name)
    }

    /// Reads one row.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it does not open; as [`Store::read`].
    pub async fn get(&self, key: &Key) -> Result<Option<Vec<u8>>, StoreError> {
        let rows = self.read(&[Query::key(key)]).await?;
        Ok(rows.into_iter().flatten().next().map(|row| row.value))
    }

    /// Reads all `queries` at one point in time.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if any row of them does not open; as [`Store::read`].
    pub async fn read(&self, queries: &[Query]) -> Result<Vec<Vec<Row>>, StoreError> {
        let ranges: Vec<_> = queries.iter().map(|query| self.range(query)).collect();
        let results = self.store.read(&ranges).await?;
        queries
            .iter()
            .zip(results)
            .map(|(query, rows)| self.open_rows(query, rows).collect())
            .collect()
    }

    /// Reads the revision of `scope` and all `queries` at one point in time.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn load(
        &self,
        scope: &[u8],
        queries: &[Query],
    ) -> Result<(u64, Vec<Vec<Row>>), StoreError> {
        let revision_key = self.sealer.hide(Table::Revisions, scope);
        let mut ranges = vec![Range::key(Table::Revisions, &revision_key)];
        ranges.extend(queries.iter().map(|query| self.range(query)));
        let mut results = self.store.read(&ranges).await?.into_iter();
        let stored = results.next().unwrap_or_default();
        let revision = raw::revision(stored.first().map(|(_, value)| value.as_slice()))
            .ok_or_else(|| corrupt(Table::Revisions, scope, &revision_key))?;
        let rows = queries
            .iter()
            .zip(results)
            .map(|(query, rows)| self.open_rows(query, rows).collect());
        Ok((revision, rows.collect::<Result<_, _>>()?))
    }

    /// The revision of `scope`; 0 if it was never expected.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn revision(&self, scope: &[u8]) -> Result<u64, StoreError> {
        Ok(self.load(scope, &[]).await?.0)
    }

    /// Reads `query`, with a row that does not open as its own [`StoreError::Corrupt`], so that the others are not
    /// lost with it.
    ///
    /// # Errors
    /// As [`Store::read`].
    pub async fn scan(&self, query: &Query) -> Result<Vec<Result<Row, StoreError>>, StoreError> {
        let results = self.store.read(&[self.range(query)]).await?;
        Ok(results
            .into_iter()
            .flat_map(|rows| self.open_rows(query, rows))
            .collect())
    }

    /// Applies `changes` together or not at all.
    ///
    /// # Errors
    /// As [`Store::apply`]. Nothing has been written then, unless the medium lost touch while it committed.
    pub async fn apply(&self, changes: Changes) -> Result<Applied, StoreError> {
        let batch = self.seal(changes)?;
        self.store.apply(batch).await
    }

    /// Closes the store.
    pub async fn close(&self) {
        self.store.close().await;
    }

    fn seal(&self, changes: Changes) -> Result<Batch, StoreError> {
        let Changes {
            puts,
            deletes,
            delete_ranges,
            appends,
            expect,
            durability,
        } = changes;
        let mut nonces = vec![[0; 24]; puts.len() + appends.len()];
        (self.random)(nonces.as_flattened_mut())?;
        let mut nonces = nonces.into_iter();
        let mut next_nonce = || nonces.next().ok_or_else(malformed);

        let mut batch = Batch {
            durability,
            ..Batch::default()
        };
        for (key, value) in puts {
            let stored = self.stored_key(&key);
            let sealed = self
                .sealer
                .seal(&Place::of(key.table, &stored), next_nonce()?, value);
            batch.puts.push((key.table, stored, sealed));
        }
        for (table, value) in appends {
            batch.appends.push((
                table,
                self.sealer.seal(&Place::Log(table), next_nonce()?, value),
            ));
        }
        batch.deletes = deletes
            .iter()
            .map(|key| (key.table, self.stored_key(key)))
            .collect();
        batch.delete_ranges = delete_ranges
            .iter()
            .map(|query| self.range(query))
            .collect();
        batch.expect = expect
            .into_iter()
            .map(|(scope, revision)| (self.sealer.hide(Table::Revisions, &scope), revision))
            .collect();

        let header = batch.puts.iter().any(|(table, ..)| *table == Table::Header)
            || batch
                .deletes
                .iter()
                .any(|(table, _)| *table == Table::Header)
            || batch
                .delete_ranges
                .iter()
                .any(|range| range.table == Table::Header);
        if header || !batch.is_well_formed() {
            Err(malformed())
        } else {
            Ok(batch)
        }
    }

    fn stored_key(&self, key: &Key) -> Vec<u8> {
        let mut stored = self.sealer.hide(key.table, &key.scope);
        stored.extend_from_slice(&key.order);
        stored
    }

    fn range(&self, query: &Query) -> Range {
        let prefix = self.sealer.hide(query.table, &query.scope);
        Range {
            table: query.table,
            from: [prefix.as_slice(), &query.from].concat(),
            to: match &query.to {
                Some(to) => Some([prefix.as_slice(), to].concat()),
                None => raw::after_prefix(&prefix),
            },
            reverse: query.reverse,
            limit: query.limit,
        }
    }

    fn open_rows(
        &self,
        query: &Query,
        rows: raw::Rows,
    ) -> impl Iterator<Item = Result<Row, StoreError>> {
        let hidden = if query.scope.is_empty() {
            0
        } else {
            super::seal::SCOPE_LENGTH
        };
        rows.into_iter().map(move |(mut key, value)| {
            match self.sealer.open(&Place::of(query.table, &key), value) {
                Ok(value) => {
                    key.drain(..hidden.min(key.len()));
                    Ok(Row { order: key, value })
                }
                Err(_) => Err(corrupt(query.table, &query.scope, &key)),
            }
        })
    }
}

/// The header, or `None` if the store is empty.
async fn stored_header<S: Store>(store: &S) -> Result<Option<Vec<u8>>, StoreError> {
    let mut ranges = vec![Range::key(Table::Header, HEADER)];
    ranges.extend(Table::ALL.map(|table| Range::all(table).limited(1)));
    let mut results = store.read(&ranges).await?.into_iter();
    if let Some((_, header)) = results.next().unwrap_or_default().pop() {
        return Ok(Some(header));
    }
    if results.any(|rows| !rows.is_empty()) {
        Err(corrupt(Table::Header, &[], HEADER))
    } else {
        Ok(None)
    }
}

/// Makes a header with a new data key, unless another context is faster: then returns its header.
async fn make_header<S: Store, W: KeyWrapper>(
    store: &S,
    wrapper: &W,
    random: &Random,
) -> Result<Vec<u8>, StoreError> {
    let mut data_key = Zeroizing::new([0; 32]);
    random(data_key.as_mut_slice())?;
    let mut salt = [0; 32];
    random(&mut salt)?;
    let header = header::make(wrapper, &data_key, salt).await?;
    let batch = Batch {
        puts: vec![(Table::Header, HEADER.to_vec(), header.clone())],
        expect: vec![(HEADER.to_vec(), 0)],
        ..Batch::default()
    };
    match store.apply(batch).await {
        Ok(_) => Ok(header),
        Err(StoreError::Conflict) => stored_header(store)
            .await?
            .ok_or_else(|| corrupt(Table::Header, &[], HEADER)),
        Err(error) => Err(error),
    }
}

fn corrupt(table: Table, scope: &[u8], key: &[u8]) -> StoreError {
    StoreError::Corrupt {
        table,
        scope: scope.to_vec(),
        key: key.to_vec(),
    }
}

/// Changes that name a table which is not the client's to change, or a log that is not appended to.
fn malformed() -> StoreError {
    StoreError::Unavailable {
        retryable: false,
        reason: "malformed changes".into(),
    }
}

#[cfg(test)]
#[path = "vault_tests.rs"]
mod tests;
