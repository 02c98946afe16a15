//! The tables, by numbered migrations: `user_version` is the number of the last one that was applied.

use rusqlite::Connection;
use std::collections::BTreeSet;

/// `KKTA` in `application_id`: a file of ours.
pub(super) const APPLICATION_ID: i64 = 0x4B4B_5441;

/// Applied in this order, each in a transaction of its own. A released one never changes, and each changes a table or an
/// index, for a file to show which were applied.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/0001_documents.sql"),
    include_str!("../../../migrations/0002_lists.sql"),
];

/// Lowest SQLite that does not lose commits when two connections write and checkpoint at once.
pub(super) const SQLITE_MIN: (i32, &str) = (3_051_003, "3.51.3");

/// Whether a SQLite will do, by its version number as `sqlite3_libversion_number` gives it.
pub(super) fn is_recent_enough(version_number: i32) -> bool {
    version_number >= SQLITE_MIN.0
}

/// The number of the last migration applied to the file.
pub(super) fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Tables and indexes as SQLite keeps them: their names and the statements that made them. Its own are none of a migration's.
type Statements = BTreeSet<(String, String, String)>;

fn statements(conn: &Connection) -> rusqlite::Result<Statements> {
    let mut query = conn.prepare(
        "SELECT name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT GLOB 'sqlite_*'",
    )?;
    query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

fn statements_of_today() -> rusqlite::Result<Statements> {
    let mut today = Connection::open_in_memory()?;
    migrate(&mut today, MIGRATIONS)?;
    statements(&today)
}

/// Whether the tables and indexes are exactly those of today's migrations, whatever `user_version` says.
pub(super) fn is_of_today(conn: &Connection) -> rusqlite::Result<bool> {
    Ok(statements(conn)? == statements_of_today()?)
}

/// Whether those of today's migrations are there, beside what a person may have added.
pub(super) fn has_all_of_today(conn: &Connection) -> rusqlite::Result<bool> {
    Ok(statements(conn)?.is_superset(&statements_of_today()?))
}

/// Applies what is missing.
pub(super) fn migrate(conn: &mut Connection, migrations: &[&str]) -> rusqlite::Result<()> {
    let applied = usize::try_from(version(conn)?).unwrap_or(0);
    for (index, sql) in migrations.iter().enumerate().skip(applied) {
        let transaction = conn.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", index as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Promise P1: the refusal of a SQLite that can lose commits.
    #[test]
    fn a_sqlite_older_than_3_51_3_is_refused() {
        assert!(!is_recent_enough(3_051_002));
        assert!(!is_recent_enough(3_050_004));
        assert!(is_recent_enough(3_051_003));
        assert!(is_recent_enough(3_054_001));
        assert!(is_recent_enough(rusqlite::version_number()), "the bundled one will do");
    }

    #[test]
    fn only_the_missing_migrations_are_applied() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, MIGRATIONS).unwrap();
        assert_eq!(version(&conn).unwrap(), MIGRATIONS.len() as i64);
        let mut more = MIGRATIONS.to_vec();
        more.push("ALTER TABLE documents ADD COLUMN extra TEXT;");
        migrate(&mut conn, &more).unwrap();
        assert_eq!(version(&conn).unwrap(), more.len() as i64);
        conn.prepare("SELECT extra FROM documents").unwrap();
    }

    #[test]
    fn a_migration_that_fails_half_way_leaves_nothing_behind() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate(&mut conn, MIGRATIONS).unwrap();
        let mut more = MIGRATIONS.to_vec();
        more.push("CREATE TABLE half (a); CREATE TABLE names (again);");
        migrate(&mut conn, &more).unwrap_err();
        assert_eq!(version(&conn).unwrap(), MIGRATIONS.len() as i64);
        assert!(conn.is_autocommit());
        conn.prepare("SELECT a FROM half").unwrap_err();
    }
}
