//! sotto-node
fn main() {}
