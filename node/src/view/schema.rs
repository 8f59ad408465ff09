//! The tables and their versions. A version, once released, is never edited: a change is a new
//! step at the end of `STEPS`.

use rusqlite::Connection;

use super::OpenError;

/// "SOTO": marks our files.
const APPLICATION_ID: i32 = 0x534f_544f;

/// `STEPS[n]` takes a file from version n to n + 1.
const STEPS: &[&str] = &[r"
    -- The end of each part of the log that the tables below include.
    CREATE TABLE position (
        shard   INTEGER PRIMARY KEY,
        last_id INTEGER NOT NULL,
        last_ns INTEGER NOT NULL
    );

    -- Large columns last, so that headers are read without them.
    CREATE TABLE group_messages (
        id          INTEGER PRIMARY KEY,
        created_ns  INTEGER NOT NULL,
        group_id    BLOB NOT NULL,
        digest      INTEGER NOT NULL,
        is_commit   INTEGER NOT NULL,
        should_push INTEGER NOT NULL,
        sender_hmac BLOB NOT NULL,
        data        BLOB NOT NULL
    );
    -- The row id is part of every index: these also order by id.
    CREATE INDEX group_messages_by_group ON group_messages (group_id);
    CREATE INDEX group_messages_by_digest ON group_messages (group_id, digest);

    CREATE TABLE welcomes (
        id               INTEGER PRIMARY KEY,
        created_ns       INTEGER NOT NULL,
        installation_key BLOB NOT NULL,
        digest           INTEGER NOT NULL,
        is_pointer       INTEGER NOT NULL,
        algorithm        INTEGER NOT NULL,
        metadata         BLOB NOT NULL,
        hpke_public_key  BLOB NOT NULL,
        data             BLOB NOT NULL
    );
    CREATE INDEX welcomes_by_installation ON welcomes (installation_key);
    CREATE INDEX welcomes_by_digest ON welcomes (installation_key, digest);

    CREATE TABLE key_packages (
        installation_key BLOB PRIMARY KEY,
        id               INTEGER NOT NULL,
        created_ns       INTEGER NOT NULL,
        data             BLOB NOT NULL
    );

    CREATE TABLE identity_updates (
        id         INTEGER PRIMARY KEY,
        created_ns INTEGER NOT NULL,
        inbox_id   BLOB NOT NULL,
        data       BLOB NOT NULL
    );
    CREATE INDEX identity_updates_by_inbox ON identity_updates (inbox_id);

    CREATE TABLE identifiers (
        identifier     TEXT NOT NULL,
        kind           INTEGER NOT NULL,
        association_id INTEGER NOT NULL,
        inbox_id       BLOB NOT NULL,
        revocation_id  INTEGER,
        PRIMARY KEY (identifier, kind, association_id)
    ) WITHOUT ROWID;

    CREATE TABLE commit_log (
        id         INTEGER PRIMARY KEY,
        created_ns INTEGER NOT NULL,
        group_id   BLOB NOT NULL,
        digest     INTEGER NOT NULL,
        public_key BLOB NOT NULL,
        signature  BLOB NOT NULL,
        entry      BLOB NOT NULL
    );
    CREATE INDEX commit_log_by_group ON commit_log (group_id);
    CREATE INDEX commit_log_by_digest ON commit_log (group_id, digest);
"];

/// Brings the file to the newest version, each step in its own transaction.
pub fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    let pragma = |connection: &Connection, name| {
        connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0))
    };
    let version = pragma(connection, "user_version")?;
    let application = pragma(connection, "application_id")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        return Err(OpenError::Foreign);
    }
    let known = i32::try_from(STEPS.len()).unwrap_or(i32::MAX);
    if version > known {
        return Err(OpenError::TooNew {
            found: version,
            known,
        });
    }
    for (done, step) in (0..).zip(STEPS).skip(usize::try_from(version).unwrap_or(0)) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", done + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrating_twice_changes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        let tables: i64 = connection
            .query_row(
                "SELECT count(*) FROM sqlite_schema WHERE type = 'table'",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(tables, 7);
    }

    #[test]
    fn the_database_of_another_program_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE theirs (x)").unwrap();
        assert!(matches!(migrate(&mut connection), Err(OpenError::Foreign)));
    }

    #[test]
    fn a_file_of_a_newer_node_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(
            migrate(&mut connection),
            Err(OpenError::TooNew { found: 99, .. })
        ));
    }
}
