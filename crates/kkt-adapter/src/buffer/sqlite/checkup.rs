//! The look at the file when it is opened: bounded in time, so that a large buffer starts as fast as promised.
//! A store that ran into damage asks for a look without a bound at the next start.

use super::folder::beside;
use rusqlite::{Connection, ErrorCode};
use std::{path::Path, sync::mpsc, thread, time::Duration};

/// How long the look may take: a quarter of the two seconds that a start with 1 M rows may.
const BUDGET: Duration = Duration::from_millis(500);
const FULL_CHECK: &str = ".check";

/// Leaves a note for the next start.
pub(super) fn ask_for_full_check(path: &Path) {
    // Without the note the next start makes the bounded look only.
    let _ = std::fs::write(beside(path, FULL_CHECK), "the next start checks the whole file\n");
}

/// Looks at the structure of the file; `Ok(Some(_))` says what is wrong with it.
pub(super) fn look(conn: &Connection, path: &Path) -> rusqlite::Result<Option<String>> {
    let note = beside(path, FULL_CHECK);
    let budget = if note.exists() { None } else { Some(BUDGET) };
    let found = match budget {
        Some(budget) => bounded(conn, budget)?,
        None => full_check(conn)?,
    };
    if found.is_none() {
        // It stays if it cannot be removed: the next start looks again.
        let _ = std::fs::remove_file(note);
    }
    Ok(found)
}

fn bounded(conn: &Connection, budget: Duration) -> rusqlite::Result<Option<String>> {
    let handle = conn.get_interrupt_handle();
    let (finished, wait) = mpsc::channel::<()>();
    thread::scope(|scope| {
        scope.spawn(move || {
            if wait.recv_timeout(budget) == Err(mpsc::RecvTimeoutError::Timeout) {
                handle.interrupt();
            }
        });
        let result = quick_check(conn);
        drop(finished);
        match result {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                tracing::info!("the buffer is large: its structure was checked in part");
                Ok(None)
            }
            other => other,
        }
    })
}

/// SQLite's own check of the structure, the first fault only.
fn quick_check(conn: &Connection) -> rusqlite::Result<Option<String>> {
    verdict(conn, "PRAGMA quick_check(1)")
}

/// The same, and each index against its table.
pub(super) fn full_check(conn: &Connection) -> rusqlite::Result<Option<String>> {
    verdict(conn, "PRAGMA integrity_check(1)")
}

fn verdict(conn: &Connection, pragma: &str) -> rusqlite::Result<Option<String>> {
    let verdict: String = conn.query_row(pragma, [], |row| row.get(0))?;
    Ok((verdict != "ok").then_some(verdict))
}
