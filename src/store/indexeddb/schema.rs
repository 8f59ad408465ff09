//! The names in the database. They are part of the stored format: a change needs a new step in
//! [`migrations`](super::migrations).

use crate::store::Table;

/// Where the key that wraps the data key is kept, if the browser keeps it.
pub(super) const WRAPPING_KEYS: &str = "wrapping-keys";

/// The object store of a table.
pub(super) const fn object_store(table: Table) -> &'static str {
    table.name()
}

/// The small database that remembers that `name` was made.
pub(super) fn marker_name(name: &str) -> String {
    format!("{name}.marker")
}
