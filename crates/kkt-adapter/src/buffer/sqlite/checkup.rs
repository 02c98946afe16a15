//! The look at the file when it is opened: bounded in time, so that a large buffer starts as fast as promised.
//! A store that ran into damage asks for a look without a bound at the next start. Whatever cuts that look (a service
//! manager's patience, a crash of the machine), it is begun [`FULL_CHECKS_MAX`] times and no more.

use super::folder::beside;
use rusqlite::{Connection, ErrorCode};
use std::{fs, io::Write, path::Path, sync::mpsc, thread, time::Duration};

/// How long the look may take: a quarter of the two seconds that a start with 1 M rows may.
const BUDGET: Duration = Duration::from_millis(500);
const FULL_CHECK: &str = ".check";
/// Starts that one note makes look at the whole file: a look that never ends must not keep the tills waiting for ever.
const FULL_CHECKS_MAX: usize = 3;
/// What each of them adds to the note.
const BEGUN: &str = "begun";

/// Leaves a note for the next start.
pub(super) fn ask_for_full_check(path: &Path) {
    // Without the note the next start makes the bounded look only.
    let _ = fs::write(beside(path, FULL_CHECK), "the next start checks the whole file\n");
}

/// Whether the note asks for the full look, which is then counted as begun: once a start.
pub(super) fn is_full_check_due(path: &Path) -> bool {
    let note = beside(path, FULL_CHECK);
    // A folder of that name, in which no start could be counted, is no note.
    if !note.is_file() {
        return false;
    }
    // One that cannot be read, or not be written on a full disk, counts as a fresh one.
    let begun = fs::read_to_string(&note).unwrap_or_default().lines().filter(|line| *line == BEGUN).count();
    if begun >= FULL_CHECKS_MAX {
        tracing::error!(
            note = %note.display(), begun,
            "the check of the whole buffer was begun and did not end: it is left out; run `kkt-adapter buffer verify`"
        );
        return false;
    }
    let _ = fs::OpenOptions::new()
        .append(true)
        .open(&note)
        .and_then(|mut file| writeln!(file, "{BEGUN}").and_then(|()| file.sync_all()));
    true
}

/// Looks at the structure of the file; `Ok(Some(_))` says what is wrong with it.
pub(super) fn look(conn: &Connection, path: &Path, whole: bool) -> rusqlite::Result<Option<String>> {
    let found = if whole {
        tracing::warn!("the buffer had a fault of storage: its whole file is checked before it serves");
        full_check(conn)?
    } else {
        bounded(conn, BUDGET)?
    };
    if found.is_none() {
        // It stays if it cannot be removed: the next start looks again.
        let _ = fs::remove_file(beside(path, FULL_CHECK));
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
