//! How the store is opened, and why it was not.

use std::{path::PathBuf, sync::Arc};

/// The defaults of the contract.
const CAPACITY: u64 = 300_000;
const MIN_FREE_DISK_BYTES: u64 = 1 << 30;
/// Idle, busy: docs/performance.md says what they rest on.
const CHECKPOINT_PAGES: (i64, i64) = (1_000, 4_000);

/// How to open a store.
#[derive(Clone)]
pub struct SqliteOptions {
    /// The database file; its folder is made if it is not there. Beside it lie `-wal`, `-shm` and `.lock`.
    pub path: PathBuf,
    /// Rows that may be unsettled at once; from then on `reserve` answers `Full`.
    pub capacity: u64,
    /// `reserve` answers `Full` while the disk has less free than this; 0 switches it off.
    pub min_free_disk_bytes: u64,
    /// Commands that may wait for the writer; from then on a write answers `Full`. At least 1.
    pub queue: usize,
    /// Connections for reading, so many reads run at once. At least 1.
    pub readers: usize,
    /// WAL pages from which a checkpoint is made by a writer that has nothing else to do, and by a busy one.
    pub checkpoint_pages: (i64, i64),
    /// The SQLite VFS to use; `None` is the system's.
    pub vfs: Option<String>,
    /// Told of each step of the writer; for tests of crashes and of failing disks.
    pub probe: Option<Arc<dyn Probe>>,
}

impl SqliteOptions {
    /// The defaults, for this file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            capacity: CAPACITY,
            min_free_disk_bytes: MIN_FREE_DISK_BYTES,
            queue: 65_536,
            readers: 4,
            checkpoint_pages: CHECKPOINT_PAGES,
            vfs: None,
            probe: None,
        }
    }
}

impl std::fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteOptions")
            .field("path", &self.path)
            .field("capacity", &self.capacity)
            .field("min_free_disk_bytes", &self.min_free_disk_bytes)
            .finish_non_exhaustive()
    }
}

/// A step of the writer, in the order in which a batch takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Point {
    /// The transaction has begun.
    Begun,
    /// One write of the batch was carried out.
    Written,
    /// All were; the commit comes next.
    BeforeCommit,
    /// The commit is on stable storage; nobody was answered yet.
    Committed,
    /// Everybody was answered.
    Answered,
    /// A checkpoint comes next.
    BeforeCheckpoint,
    /// It was made.
    Checkpointed,
}

impl Point {
    /// Its name as a [`crate::fail_point`].
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Begun => "buffer.begun",
            Self::Written => "buffer.written",
            Self::BeforeCommit => "buffer.before_commit",
            Self::Committed => "buffer.committed",
            Self::Answered => "buffer.answered",
            Self::BeforeCheckpoint => "buffer.before_checkpoint",
            Self::Checkpointed => "buffer.checkpointed",
        }
    }
}

/// Watches the writer and may make a step fail. In production there is none.
pub trait Probe: Send + Sync {
    /// Called on the writer's thread at each step.
    ///
    /// # Errors
    /// Makes the step fail as an I/O error would.
    fn at(&self, point: Point) -> Result<(), String>;
}

/// Why the store was not opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "{} is in use by another kkt-adapter ({holder}); stop that one first, or give this one another folder",
        path.display()
    )]
    InUse {
        /// The database file.
        path: PathBuf,
        /// What the other one wrote about itself.
        holder: String,
    },
    /// The folder or a file in it cannot be made, read or written.
    #[error(
        "cannot use {}: {source}; make it readable and writable for the user that runs kkt-adapter, \
         or set buffer.url to another path",
        path.display()
    )]
    Unusable {
        /// What could not be used.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// There is something else at the path.
    #[error("{} {what}; move it away, or set buffer.url to another path", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// A newer program wrote it.
    #[error(
        "{} was written by a newer kkt-adapter (schema {found}, this one knows up to {known}); \
         install that version or a later one",
        path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The SQLite in use can lose commits.
    #[error(
        "SQLite {found} is too old: before {wanted} it can lose commits; build kkt-adapter with its bundled SQLite"
    )]
    OldSqlite {
        /// The version in use.
        found: String,
        /// The lowest that will do.
        wanted: &'static str,
    },
    /// SQLite did not take a setting that a promise rests on.
    #[error(
        "{} did not take {setting} = {wanted} but says {got}; use a local file system that supports it",
        path.display()
    )]
    Refused {
        /// The database file.
        path: PathBuf,
        /// Which setting.
        setting: &'static str,
        /// What was asked.
        wanted: &'static str,
        /// What it answered.
        got: String,
    },
    /// Any other failure of SQLite.
    #[error("cannot open {}: {message}; check the disk and the file, a copy of it first", path.display())]
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        message: String,
    },
}
