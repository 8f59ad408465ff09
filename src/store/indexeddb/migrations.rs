//! How a database gets from one version to the next: one step for each, run once, within the upgrade transaction.
//!
//! A released step is never changed; a new one is added behind it. The version is the number of steps. A step issues
//! its requests at once; one that rewrites rows does so in the callbacks of its own requests.

use wasm_bindgen::JsValue;
use web_sys::{IdbDatabase, IdbObjectStoreParameters, IdbTransaction};

use super::schema::WRAPPING_KEYS;

/// A database within its upgrade transaction.
pub struct Upgrade {
    /// The database.
    pub database: IdbDatabase,
    /// The upgrade transaction, over all object stores.
    pub transaction: IdbTransaction,
}

/// One step: from the version before it to the next. An error undoes the whole upgrade.
pub type Step = fn(&Upgrade) -> Result<(), JsValue>;

/// All steps; the first makes an empty database.
pub(super) const STEPS: &[Step] = &[version_1];

/// The version that `steps` lead to.
pub(super) fn version(steps: &[Step]) -> u32 {
    u32::try_from(steps.len()).unwrap_or(u32::MAX)
}

/// Runs the steps that a database of version `from` lacks.
pub(super) fn run(steps: &[Step], from: u32, upgrade: &Upgrade) -> Result<(), JsValue> {
    steps
        .iter()
        .skip(from as usize)
        .try_for_each(|step| step(upgrade))
}

fn version_1(upgrade: &Upgrade) -> Result<(), JsValue> {
    let tables = [
        "header",
        "meta",
        "revisions",
        "identity",
        "identity-logs",
        "associations",
        "key-packages",
        "conversations",
        "mls",
        "messages",
        "message-ids",
        "relations",
        "intents",
        "roles",
        "consent",
        "expiry",
        "outbox",
    ];
    for name in tables.into_iter().chain([WRAPPING_KEYS]) {
        upgrade.database.create_object_store(name)?;
    }
    // The key generator gives every append a position, in the order of commits, and never the same twice.
    let generated = IdbObjectStoreParameters::new();
    generated.set_auto_increment(true);
    upgrade
        .database
        .create_object_store_with_optional_parameters("feed", &generated)?;
    Ok(())
}
