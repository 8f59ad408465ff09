//! Turning records into rows: deterministic, and idempotent by content.
//!
//! What comes out depends on the rows and the record alone, never on the clock or on who asks.

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use crate::record::{CommitLogEntry, GroupMessage, IdentityUpdate, KeyPackage, Record, Welcome};

/// Identity updates that one inbox may ever have.
pub const MAX_IDENTITY_UPDATES: i64 = 256;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is a new row, with this id.
    Stored(u64),
    /// The same bytes are already there; nothing changed.
    Duplicate,
    /// The identity log has grown since the update was verified; nothing changed.
    Conflict,
    /// The identity log has no room; nothing changed.
    Full,
}

/// The end of a shard of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last id that was given out.
    pub last_id: u64,
    /// The last time stamp that was given out, Unix nanoseconds.
    pub last_ns: u64,
}

/// Reads how far the view has come.
///
/// # Errors
/// When SQLite fails.
pub fn load_position(connection: &Connection, shard: u8) -> rusqlite::Result<Position> {
    let found = connection
        .prepare_cached("SELECT last_id, last_ns FROM position WHERE shard = ?1")?
        .query_row([shard], |row| {
            Ok(Position {
                last_id: row.get(0)?,
                last_ns: row.get(1)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Writes how far the view has come, in the transaction of the rows themselves.
///
/// # Errors
/// When SQLite fails.
pub fn save_position(
    connection: &Connection,
    shard: u8,
    position: Position,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO position VALUES (?1, ?2, ?3)")?
        .execute(params![shard, position.last_id, position.last_ns])?;
    Ok(())
}

/// Applies `record` at `id`.
///
/// # Errors
/// When SQLite fails; the caller rolls back.
pub fn apply(
    connection: &Connection,
    id: u64,
    created_ns: u64,
    record: &Record,
) -> rusqlite::Result<Outcome> {
    let at = At {
        connection,
        id,
        created_ns,
    };
    match record {
        Record::GroupMessage(message) => at.group_message(message),
        Record::Welcome(welcome) => at.welcome(welcome),
        Record::KeyPackage(key_package) => at.key_package(key_package),
        Record::IdentityUpdate(update) => at.identity_update(update),
        Record::CommitLog(entry) => at.commit_log(entry),
    }
}

struct At<'a> {
    connection: &'a Connection,
    id: u64,
    created_ns: u64,
}

impl At<'_> {
    fn group_message(&self, message: &GroupMessage) -> rusqlite::Result<Outcome> {
        let digest = digest(&message.group_id, &message.data);
        let known = self
            .connection
            .prepare_cached(
                "SELECT 1 FROM group_messages WHERE group_id = ?1 AND digest = ?2 AND data = ?3",
            )?
            .exists(params![message.group_id, digest, message.data])?;
        if known {
            return Ok(Outcome::Duplicate);
        }
        self.connection
            .prepare_cached("INSERT INTO group_messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
            .execute(params![
                self.id,
                self.created_ns,
                message.group_id,
                digest,
                message.is_commit,
                message.should_push,
                message.sender_hmac,
                message.data,
            ])?;
        Ok(Outcome::Stored(self.id))
    }

    fn welcome(&self, welcome: &Welcome) -> rusqlite::Result<Outcome> {
        let digest = digest(&welcome.installation_key, &welcome.data);
        let known = self
            .connection
            .prepare_cached(
                "SELECT 1 FROM welcomes WHERE installation_key = ?1 AND digest = ?2 AND data = ?3
                 AND is_pointer = ?4 AND algorithm = ?5 AND hpke_public_key = ?6 AND metadata = ?7",
            )?
            .exists(params![
                welcome.installation_key,
                digest,
                welcome.data,
                welcome.is_pointer,
                welcome.wrapper_algorithm,
                welcome.hpke_public_key,
                welcome.welcome_metadata,
            ])?;
        if known {
            return Ok(Outcome::Duplicate);
        }
        self.connection
            .prepare_cached("INSERT INTO welcomes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
            .execute(params![
                self.id,
                self.created_ns,
                welcome.installation_key,
                digest,
                welcome.is_pointer,
                welcome.wrapper_algorithm,
                welcome.welcome_metadata,
                welcome.hpke_public_key,
                welcome.data,
            ])?;
        Ok(Outcome::Stored(self.id))
    }

    fn key_package(&self, key_package: &KeyPackage) -> rusqlite::Result<Outcome> {
        let known = self
            .connection
            .prepare_cached("SELECT 1 FROM key_packages WHERE installation_key = ?1 AND data = ?2")?
            .exists(params![key_package.installation_key, key_package.data])?;
        if known {
            return Ok(Outcome::Duplicate);
        }
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO key_packages VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                key_package.installation_key,
                self.id,
                self.created_ns,
                key_package.data,
            ])?;
        Ok(Outcome::Stored(self.id))
    }

    fn identity_update(&self, update: &IdentityUpdate) -> rusqlite::Result<Outcome> {
        let known = self
            .connection
            .prepare_cached("SELECT 1 FROM identity_updates WHERE inbox_id = ?1 AND data = ?2")?
            .exists(params![update.inbox_id, update.update])?;
        if known {
            return Ok(Outcome::Duplicate);
        }
        let (last, entries): (u64, i64) = self
            .connection
            .prepare_cached(
                "SELECT coalesce(max(id), 0), count(*) FROM identity_updates WHERE inbox_id = ?1",
            )?
            .query_row([update.inbox_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if entries >= MAX_IDENTITY_UPDATES {
            return Ok(Outcome::Full);
        }
        if last != update.based_on {
            return Ok(Outcome::Conflict);
        }
        self.connection
            .prepare_cached("INSERT INTO identity_updates VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                self.id,
                self.created_ns,
                update.inbox_id,
                update.update,
            ])?;
        // A revocation marks the newest association of this identifier with this inbox.
        let mut revoke = self.connection.prepare_cached(
            "UPDATE identifiers SET revocation_id = ?1
             WHERE identifier = ?2 AND kind = ?3 AND association_id =
               (SELECT max(association_id) FROM identifiers
                WHERE identifier = ?2 AND kind = ?3 AND inbox_id = ?4)",
        )?;
        for gone in &update.left {
            revoke.execute(params![self.id, gone.text, gone.kind, update.inbox_id])?;
        }
        let mut associate = self
            .connection
            .prepare_cached("INSERT OR REPLACE INTO identifiers VALUES (?1, ?2, ?3, ?4, NULL)")?;
        for new in &update.joined {
            associate.execute(params![new.text, new.kind, self.id, update.inbox_id])?;
        }
        Ok(Outcome::Stored(self.id))
    }

    fn commit_log(&self, entry: &CommitLogEntry) -> rusqlite::Result<Outcome> {
        let digest = digest(&entry.group_id, &entry.entry);
        let known = self
            .connection
            .prepare_cached(
                "SELECT 1 FROM commit_log WHERE group_id = ?1 AND digest = ?2 AND entry = ?3
                 AND signature = ?4 AND public_key = ?5",
            )?
            .exists(params![
                entry.group_id,
                digest,
                entry.entry,
                entry.signature,
                entry.public_key,
            ])?;
        if known {
            return Ok(Outcome::Duplicate);
        }
        self.connection
            .prepare_cached("INSERT INTO commit_log VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![
                self.id,
                self.created_ns,
                entry.group_id,
                digest,
                entry.public_key,
                entry.signature,
                entry.entry,
            ])?;
        Ok(Outcome::Stored(self.id))
    }
}

/// Eight bytes of SHA-256(topic ‖ payload). They only find candidates: the payloads themselves
/// are compared, so a collision cannot suppress a message.
fn digest(topic: &[u8], payload: &[u8]) -> i64 {
    let hash = Sha256::new()
        .chain_update(topic)
        .chain_update(payload)
        .finalize();
    let mut short = [0; 8];
    short.copy_from_slice(&hash[..8]);
    i64::from_be_bytes(short)
}
