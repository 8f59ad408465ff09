//! What openmls reads and writes while it works on one group: an in-memory view of the group's
//! stored rows.
//!
//! A view is loaded whole before an operation, hands openmls its values, records what changed,
//! and is written back in one transaction. It does no I/O, knows nothing of the store, and never
//! drops a change on its own: a caller either persists [`View::changes`] or throws the view away.
//!
//! In memory an entity is one value. As rows, a big entity is a list of content-defined chunks
//! (see [`chunks`]), so that a message in a large group rewrites a few kilobytes and not the whole
//! ratchet state.

mod chunks;
mod codec;
mod layout;
mod storage;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

pub(crate) use codec::{decode as decode_value, encode as encode_value};
use layout::Layout;
pub use storage::ViewError;

/// A row to write, or to delete if it has no value.
pub type RowChange = (Vec<u8>, Option<Rc<[u8]>>);

/// A value, one entity of a group, under its key.
type Values = BTreeMap<Vec<u8>, Rc<[u8]>>;

/// The stored rows of one group, as openmls sees them. Clones share the same rows.
#[derive(Clone, Default)]
pub struct View {
    state: Rc<RefCell<State>>,
}

/// What a [`View`] held at some moment.
#[derive(Clone)]
pub struct Savepoint {
    values: Values,
}

#[derive(Default)]
struct State {
    values: Values,
    /// Private key packages that a join may use; they belong to no group and are never written.
    lent: Values,
    layout: Layout,
}

impl View {
    /// A view without rows, for a group that is about to be created or joined.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The view of a stored group, from all of its rows.
    ///
    /// # Errors
    ///
    /// If a row has an unknown format or a chunk is missing: the rows were not all loaded, or are
    /// damaged.
    pub fn from_rows(rows: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Self, ViewError> {
        let (values, layout) = Layout::read(rows)?;
        Ok(Self {
            state: Rc::new(RefCell::new(State {
                values,
                lent: Values::new(),
                layout,
            })),
        })
    }

    /// Whether the view holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state.borrow().values.is_empty()
    }

    /// Remembers the present values. Costs a clone of a map with about a dozen entries.
    #[must_use]
    pub fn savepoint(&self) -> Savepoint {
        Savepoint {
            values: self.state.borrow().values.clone(),
        }
    }

    /// Brings back the values of `savepoint`. Every group object loaded from this view is stale
    /// afterwards.
    pub fn restore(&self, savepoint: &Savepoint) {
        self.state.borrow_mut().values = savepoint.values.clone();
    }

    /// The rows that differ from what was loaded or last marked as saved.
    #[must_use]
    pub fn changes(&self) -> Vec<RowChange> {
        let mut state = self.state.borrow_mut();
        let State { values, layout, .. } = &mut *state;
        layout.changes(values)
    }

    /// Declares that [`Self::changes`] are now stored.
    pub fn mark_saved(&self) {
        let mut state = self.state.borrow_mut();
        let State { values, layout, .. } = &mut *state;
        layout.mark_saved(values);
    }

    /// Drops every row of the group; [`Self::changes`] then deletes them.
    pub fn clear(&self) {
        self.state.borrow_mut().values.clear();
    }

    /// Makes a private key package available for joining.
    pub(crate) fn lend_key_package(&self, hash_reference: &[u8], value: Rc<[u8]>) {
        let key = storage::key_package_key(hash_reference);
        self.state.borrow_mut().lent.insert(key, value);
    }

    /// A row of ours, beside those of openmls.
    pub(super) fn own_row(&self, tag: u8) -> Option<Rc<[u8]>> {
        self.get(&[tag])
    }

    /// Writes or deletes a row of ours.
    pub(super) fn set_own_row(&self, tag: u8, value: Option<Rc<[u8]>>) {
        match value {
            Some(value) => self.put(vec![tag], value),
            None => self.delete(&[tag]),
        }
    }

    fn get(&self, key: &[u8]) -> Option<Rc<[u8]>> {
        let state = self.state.borrow();
        state
            .values
            .get(key)
            .or_else(|| state.lent.get(key))
            .cloned()
    }

    fn put(&self, key: Vec<u8>, value: Rc<[u8]>) {
        self.state.borrow_mut().values.insert(key, value);
    }

    fn delete(&self, key: &[u8]) {
        self.state.borrow_mut().values.remove(key);
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.borrow();
        f.debug_struct("View")
            .field("values", &state.values.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
