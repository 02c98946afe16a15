//! What the writer, the readers and the callers share.

use super::disk::Disk;
use crate::{
    buffer::gate::Gate,
    ports::{BufferError, Clock, Observer},
};
use rusqlite::{ErrorCode, ffi};
use std::{
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};
use tokio::sync::Notify;

pub(super) struct Shared {
    pub path: PathBuf,
    pub clock: Arc<dyn Clock>,
    pub observer: Arc<dyn Observer>,
    pub gate: Arc<Gate>,
    pub disk: Disk,
    /// Set once and for all by the first failure of the storage.
    pub failed: OnceLock<String>,
    /// Told when `failed` is set.
    pub stopped: Notify,
    pub closed: AtomicBool,
    /// The first damage of the file's structure that a reader ran into.
    pub suspect: OnceLock<String>,
    /// Rows of `damaged`.
    pub damaged: AtomicU64,
    /// Damaged databases that the start found set aside.
    pub left_aside: Vec<PathBuf>,
}

impl Shared {
    /// Fail-stop: nothing is acknowledged from here on.
    pub(super) fn fail(&self, error: &rusqlite::Error) -> BufferError {
        // After an I/O error, a failed sync above all, nobody knows what is on the disk. A name that an index has and its
        // table has not fails a write too, and no look that is bounded in time finds it.
        let check =
            !is_of_the_machine(error) || error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure);
        self.fail_text(error.to_string(), check)
    }

    /// `check`: the next start looks at the whole file.
    pub(super) fn fail_text(&self, text: String, check: bool) -> BufferError {
        if self.failed.set(text.clone()).is_ok() {
            tracing::error!(
                path = %self.path.display(),
                error = %text,
                "the buffer's storage has failed: nothing more is acknowledged until a restart has checked it"
            );
            // First: the disk that has failed may hang under the note.
            self.stopped.notify_waiters();
            if check {
                super::checkup::ask_for_full_check(&self.path);
            }
        }
        BufferError::Failed(text)
    }

    /// A write was dropped without an answer: the store was closed before its turn came, or the writer panicked.
    pub(super) fn writer_is_gone(&self) -> BufferError {
        if self.closed.load(Ordering::SeqCst) {
            return BufferError::Failed("the store is closed".into());
        }
        self.fail_text("the writer ended without an answer".into(), false)
    }

    /// A reader ran into a damaged page. What the writer needs may be whole, so the till goes on; the next start
    /// checks all of the file and repairs it.
    pub(super) fn suspect(&self, error: &rusqlite::Error) {
        if self.suspect.set(format!(
            "файл базы повреждён ({error}): перезапустите адаптер, он его исправит / the database file is damaged ({error}): \
             restart the adapter, which repairs it"
        )).is_ok() {
            tracing::error!(
                path = %self.path.display(),
                %error,
                "the buffer's database is damaged: the next start checks and repairs it"
            );
            super::checkup::ask_for_full_check(&self.path);
        }
    }

    /// What a person should look at although the store works, until it has been moved away.
    pub(super) fn notice(&self) -> Option<String> {
        let left: Vec<_> = self.left_aside.iter().filter(|path| path.exists()).collect();
        if left.is_empty() {
            return None;
        }
        let names: Vec<_> = left.iter().map(|path| path.display().to_string()).collect();
        let names = names.join(", ");
        Some(format!(
            "повреждённая база отложена: {names}; изучите её и уберите отсюда / a damaged database was set aside: {names}; \
             look at it and move it away"
        ))
    }

    /// The failure, if there was one.
    pub(super) fn check(&self) -> Result<(), BufferError> {
        match self.failed.get() {
            Some(error) => Err(BufferError::Failed(error.clone())),
            None => Ok(()),
        }
    }
}

/// Whether the file is not what was written: SQLite says so, a part of it cannot be read, or a column holds what
/// its type does not allow.
pub(super) fn is_corrupt(error: &rusqlite::Error) -> bool {
    use rusqlite::{
        Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error},
        ErrorCode::{DatabaseCorrupt, NotADatabase},
    };
    const UNREADABLE: [i32; 4] = [
        ffi::SQLITE_IOERR_READ,
        ffi::SQLITE_IOERR_SHORT_READ,
        ffi::SQLITE_IOERR_CORRUPTFS,
        ffi::SQLITE_IOERR_DATA,
    ];
    matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase))
        || error.sqlite_error().is_some_and(|error| UNREADABLE.contains(&error.extended_code))
        || matches!(
            error,
            FromSqlConversionFailure(..)
                | IntegralValueOutOfRange(..)
                | InvalidColumnType(..)
                | Utf8Error(..)
        )
}

/// Whether an error tells of the machine and not of the file: who may open it, a full disk or memory, somebody else's
/// lock. Mending the file would not mend it.
pub(super) fn is_of_the_machine(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode as Code;
    let Some(failure) = error.sqlite_error() else { return false };
    match failure.code {
        Code::SystemIoFailure => !is_corrupt(error),
        // The file was opened for writing: that SQLite then finds it read-only is a number in its header.
        Code::ReadOnly => failure.extended_code != ffi::SQLITE_READONLY,
        code => matches!(
            code,
            Code::PermissionDenied
                | Code::DatabaseBusy
                | Code::DatabaseLocked
                | Code::OutOfMemory
                | Code::OperationInterrupted
                | Code::DiskFull
                | Code::CannotOpen
                | Code::FileLockingProtocolFailed
                | Code::NoLargeFileSupport
                | Code::AuthorizationForStatementDenied
        ),
    }
}
