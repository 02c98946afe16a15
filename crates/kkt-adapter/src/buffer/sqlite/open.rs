//! From a path to a store that may be trusted: the lock, the file, its settings, its schema, its structure.
//!
//! No state of the disk makes the start fail again and again (promise P8): a database that is damaged is moved
//! aside, what can be read of it is copied into a new one, and the rest serves. What is not ours is refused.

use super::{
    checkup,
    folder::{self, Lock},
    header::MAGIC,
    options::{OpenError, SqliteOptions},
    salvage, schema,
    shared::{is_corrupt, is_of_the_machine},
    store::Store,
};
use crate::ports::Clock;
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// Bytes of a page: the block of the usual file system, and of 1, 2, 4 and 8 KiB the least CPU time for a receipt at
/// 64 connections, if by little.
const PAGE_BYTES: u32 = 4_096;
/// Page cache of the writer, of one reader (KiB).
const WRITER_CACHE_KIB: i64 = 8_192;
const READER_CACHE_KIB: i64 = 1_024;
/// Statements kept prepared on a connection.
const STATEMENTS: usize = 64;
/// A WAL that grew beyond this while a read held it back is cut to it.
const WAL_LIMIT_BYTES: i64 = 64 << 20;

/// What opening found.
pub(super) struct Opened {
    pub store: Store,
    pub lock: Lock,
    /// Damaged databases that lie beside it: a person should look at them.
    pub left_aside: Vec<PathBuf>,
}

/// Why a file was not opened.
pub(super) enum Trouble {
    /// It is ours and damaged.
    Corrupt(String),
    Refused(OpenError),
}

impl From<OpenError> for Trouble {
    fn from(error: OpenError) -> Self {
        Self::Refused(error)
    }
}

/// Opens the store for writing.
pub(super) fn store(options: &SqliteOptions, clock: &dyn Clock) -> Result<Opened, OpenError> {
    let version = rusqlite::version_number();
    if !schema::is_recent_enough(version) {
        let found = rusqlite::version().to_owned();
        return Err(OpenError::OldSqlite { found, wanted: schema::SQLITE_MIN.1 });
    }
    let path = options.path.as_path();
    let lock = folder::lock(path)?;
    folder::to_be_salvaged(path)?;
    // What could not be read once may be read the second time: nothing is moved before that.
    let whole = checkup::is_full_check_due(path);
    let opened = file(options, lock.known_path, whole).or_else(|trouble| match trouble {
        Trouble::Corrupt(_) => file(options, lock.known_path, whole),
        Trouble::Refused(_) => Err(trouble),
    });
    let store = match opened {
        Ok(store) => store,
        Err(Trouble::Refused(error)) => return Err(error),
        Err(Trouble::Corrupt(what)) => {
            tracing::error!(path = %path.display(), %what, "the buffer's database is damaged: it is set aside");
            let stamp = clock.wall().strftime("%Y%m%dT%H%M%S%.6fZ").to_string();
            folder::begin_salvage(path, &stamp)?;
            folder::to_be_salvaged(path)?;
            file(options, false, false).map_err(|trouble| match trouble {
                Trouble::Refused(error) => error,
                Trouble::Corrupt(message) => OpenError::Sqlite { path: path.to_owned(), message },
            })?
        }
    };
    let store = salvage::all(options, store, clock)?;
    Ok(Opened { store, lock, left_aside: folder::damaged_databases(path) })
}

/// Opens the file, or says what is wrong with it; looks for that in all of it or not.
fn file(options: &SqliteOptions, known_path: bool, whole: bool) -> Result<Store, Trouble> {
    let path = options.path.as_path();
    look_at_header(path, known_path)?;
    folder::make_file(path)?;
    let sqlite = |error: rusqlite::Error| {
        // Our statements are right and so was the file: what else SQLite says of one of ours comes of a changed byte.
        if is_corrupt(&error) || (known_path && !is_of_the_machine(&error)) {
            Trouble::Corrupt(error.to_string())
        } else {
            Trouble::Refused(OpenError::Sqlite { path: path.to_owned(), message: error.to_string() })
        }
    };
    let mut conn = connect(options, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
    if conn.is_readonly("main").map_err(sqlite)? {
        let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        return Err(OpenError::Unusable { path: path.to_owned(), source }.into());
    }
    check_owner(&conn, path, known_path).map_err(sqlite)??;
    // SQLite reads a file whose header names a format of a later time, and would refuse the first write.
    if conn.is_readonly("main").map_err(sqlite)? {
        return Err(Trouble::Corrupt("the header names a format that is only read".into()));
    }
    settings(&conn, path).map_err(sqlite)??;
    // A statement counts as interrupted or not; only what was found counts here.
    if let Some(what) = checkup::look(&conn, path, whole).map_err(sqlite)? {
        return Err(Trouble::Corrupt(what));
    }
    schema::migrate(&mut conn, schema::MIGRATIONS).map_err(sqlite)?;
    if !schema::has_all_of_today(&conn).map_err(sqlite)? {
        return Err(Trouble::Corrupt("a table or an index is not the one that was made".into()));
    }
    crate::fail_point::hit("open.migrated");
    folder::sync_folder(folder::parent(path))
        .map_err(|source| OpenError::Unusable { path: path.to_owned(), source })?;
    let mut store = Store::load(conn).map_err(sqlite)?;
    store.verify_figures().map_err(sqlite)?;
    Ok(store)
}

/// A connection for reading.
pub(super) fn reader(options: &SqliteOptions) -> Result<Connection, OpenError> {
    let open = || {
        let conn = connect(options, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        conn.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
        Ok(conn)
    };
    open().map_err(|error: rusqlite::Error| OpenError::Sqlite {
        path: options.path.clone(),
        message: error.to_string(),
    })
}

/// A connection with what holds for all of ours.
pub(super) fn connect(options: &SqliteOptions, mode: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = mode | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = match &options.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(&options.path, flags, vfs.as_str())?,
        None => Connection::open_with_flags(&options.path, flags)?,
    };
    conn.set_prepared_statement_cache_capacity(STATEMENTS);
    // The writer makes the checkpoints; and a WAL that stays need not grow again.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.busy_timeout(std::time::Duration::from_secs(5))?;
    Ok(conn)
}

/// Tells a file that is not a database before SQLite touches it: at a path where a store of ours has been it is
/// a damaged one, elsewhere it is somebody else's.
fn look_at_header(path: &Path, known_path: bool) -> Result<(), Trouble> {
    let unusable = |source| OpenError::Unusable { path: path.to_owned(), source };
    let mut header = Vec::new();
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unusable(error).into()),
    };
    match file.take(16).read_to_end(&mut header) {
        Ok(_) => {}
        Err(error) if known_path => {
            return Err(Trouble::Corrupt(format!("the header cannot be read: {error}")));
        }
        Err(error) => return Err(unusable(error).into()),
    }
    let journal = folder::beside(path, "-journal");
    if header.is_empty() || header == MAGIC {
        Ok(())
    } else if known_path && fs::metadata(journal).is_ok_and(|journal| journal.len() > 0) {
        // The power went while the first page of a new database was written: SQLite takes it back.
        Ok(())
    } else if known_path {
        Err(Trouble::Corrupt("the header is not that of a database".into()))
    } else {
        Err(OpenError::Foreign { path: path.to_owned(), what: "is not a database file" }.into())
    }
}

/// Whose file it is. Where a store of ours has been, one that does not say so is ours and damaged: what it holds is saved.
fn check_owner(conn: &Connection, path: &Path, known_path: bool) -> rusqlite::Result<Result<(), Trouble>> {
    let owner: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if owner != schema::APPLICATION_ID && tables > 0 {
        if known_path {
            return Ok(Err(Trouble::Corrupt("the header does not name this program".into())));
        }
        let what = "is a database of another program";
        return Ok(Err(OpenError::Foreign { path: path.to_owned(), what }.into()));
    }
    let (found, known) = (schema::version(conn)?, schema::MIGRATIONS.len() as i64);
    if found > known && known_path && schema::is_of_today(conn)? {
        return Ok(Err(Trouble::Corrupt(
            "the header names a version that does not belong to its tables".into(),
        )));
    }
    if found > known {
        return Ok(Err(OpenError::Newer { path: path.to_owned(), found, known }.into()));
    }
    Ok(Ok(()))
}

/// What the promises rest on, set and read back.
fn settings(conn: &Connection, path: &Path) -> rusqlite::Result<Result<(), OpenError>> {
    conn.pragma_update(None, "page_size", PAGE_BYTES)?;
    let refused = |setting, wanted, got: String| {
        Ok(Err(OpenError::Refused { path: path.to_owned(), setting, wanted, got }))
    };
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return refused("journal_mode", "WAL", mode);
    }
    conn.pragma_update(None, "synchronous", "FULL")?;
    let synchronous: i64 = conn.query_row("PRAGMA synchronous", [], |row| row.get(0))?;
    if synchronous != 2 {
        return refused("synchronous", "FULL", synchronous.to_string());
    }
    // Where the system tells a flush of the drive from a write to it (macOS).
    conn.pragma_update(None, "fullfsync", true)?;
    conn.pragma_update(None, "checkpoint_fullfsync", true)?;
    conn.query_row("PRAGMA wal_autocheckpoint = 0", [], |_| Ok(()))?;
    conn.query_row(&format!("PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}"), [], |_| Ok(()))?;
    conn.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    conn.pragma_update(None, "cell_size_check", true)?;
    Ok(Ok(()))
}
