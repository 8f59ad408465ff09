//! sotto-node
