//! The folder of the store: made for us alone, guarded by a lock of the operating system (never a pid file: a
//! lock goes with its process, whatever ended it).

use super::options::OpenError;
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

/// The lock; released when dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
    /// The lock file was there before: a store of ours was at this path.
    pub known_path: bool,
}

/// `path` with something appended to its file name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn unusable(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    let path = path.to_owned();
    move |source| OpenError::Unusable { path, source }
}

/// The folder of a file.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the folder and takes the lock.
pub(super) fn lock(path: &Path) -> Result<Lock, OpenError> {
    let folder = parent(path);
    if !folder.is_dir() {
        make_folder(folder).map_err(unusable(folder))?;
        // Its own name must outlive a power cut as what is in it does.
        sync_folder(parent(folder)).map_err(unusable(folder))?;
    }
    if path.is_dir() {
        return Err(OpenError::Foreign { path: path.to_owned(), what: "is a folder, not a file" });
    }
    let lock_path = beside(path, ".lock");
    let known_path = lock_path.exists();
    let mut file = private(OpenOptions::new().read(true).write(true).create(true).truncate(false))
        .open(&lock_path)
        .map_err(unusable(&lock_path))?;
    hand_over(&file, folder).map_err(unusable(&lock_path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Best effort: the text is for people.
            let _ = file.take(100).read_to_string(&mut holder);
            let holder = if holder.trim().is_empty() { "unknown process" } else { holder.trim() }.to_owned();
            return Err(OpenError::InUse { path: path.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(OpenError::Unusable { path: lock_path, source }),
    }
    // For whoever finds it locked; the lock itself is what counts, also on a disk without room for a note.
    let note = format!("process {}\n", std::process::id());
    let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(note.as_bytes()));
    Ok(Lock { _file: file, known_path })
}

/// Makes the database file for us alone, if it is not there; SQLite gives its `-wal` and `-shm` the same mode.
pub(super) fn make_file(path: &Path) -> Result<(), OpenError> {
    private(OpenOptions::new().read(true).write(true).create(true).truncate(false))
        .open(path)
        .and_then(|file| hand_over(&file, parent(path)))
        .map_err(unusable(path))
}

/// A file that root makes in the service's folder (`buffer import`, `buffer verify`) is the service's, which could not
/// start otherwise. SQLite gives its `-wal` and `-shm` the same owner.
#[cfg(unix)]
fn hand_over(file: &File, folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let (owner, own) = (fs::metadata(folder)?, file.metadata()?);
    if own.uid() == 0 && owner.uid() != 0 {
        fchown(file, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

#[cfg(not(unix))]
fn hand_over(_: &File, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Being copied from; once that is done it is renamed to [`DAMAGED`].
const SALVAGING: &str = ".salvaging-";
const DAMAGED: &str = ".damaged-";

/// Moves a damaged database out of the way, with its WAL; a crash at any point is finished by
/// [`to_be_salvaged`].
pub(super) fn begin_salvage(path: &Path, stamp: &str) -> Result<(), OpenError> {
    let target = beside(path, &format!("{SALVAGING}{stamp}"));
    fs::rename(path, &target).map_err(unusable(path))?;
    sync_folder(parent(path)).map_err(unusable(path))
}

/// The databases that were moved out of the way and not yet copied from, with their WALs beside them.
pub(super) fn to_be_salvaged(path: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let found = siblings(path, SALVAGING);
    let is_gone = fs::metadata(path).map_or(true, |meta| meta.len() == 0);
    if is_gone && let Some(last) = found.last() {
        // SQLite would delete a WAL without its database.
        let wal = beside(path, "-wal");
        if wal.exists() {
            fs::rename(&wal, beside(last, "-wal")).map_err(unusable(&wal))?;
        }
        let shm = beside(path, "-shm");
        if shm.exists() {
            fs::remove_file(&shm).map_err(unusable(&shm))?;
        }
        sync_folder(parent(path)).map_err(unusable(path))?;
    }
    Ok(found)
}

/// SQLite reads nothing of a database whose WAL it cannot read to its end. What can be read of the WAL before the first fault
/// takes its place; the whole one stays beside it.
pub(super) fn cut_unreadable_wal(path: &Path, salvaged: &Path) {
    let wal = beside(salvaged, "-wal");
    let Some(bytes) = readable_bytes(&wal) else { return };
    let text = salvaged.to_string_lossy();
    let stamp = text.rsplit(SALVAGING).next().unwrap_or_default();
    let whole = beside(path, &format!(".unreadable-{stamp}-wal"));
    let part = beside(path, &format!(".readable-{stamp}-wal"));
    // A name of its own for the whole one is for people; where a file system has no second names, the part will do.
    let _ = fs::hard_link(&wal, &whole);
    let replaced = private(OpenOptions::new().write(true).create(true).truncate(true))
        .open(&part)
        .and_then(|mut file| {
            io::copy(&mut File::open(&wal)?.take(bytes), &mut file)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&part, &wal));
    match replaced {
        Ok(()) => {
            tracing::error!(wal = %whole.display(), bytes, "the WAL can be read in part only")
        }
        Err(error) => tracing::error!(%error, "the WAL cannot be read, and not be replaced by what can"),
    }
}

/// How many bytes a file has before the first place that cannot be read; `None` if all of it can be.
fn readable_bytes(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let (mut bytes, mut block) = (0, [0; 4_096]);
    loop {
        match file.read(&mut block) {
            Ok(0) => return None,
            Ok(count) => bytes += count as u64,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Some(bytes),
        }
    }
}

/// Marks a database as copied from; says where it lies for a person to look at.
pub(super) fn end_salvage(path: &Path, salvaged: &Path) -> Result<PathBuf, OpenError> {
    let text = salvaged.to_string_lossy();
    let stamp = text.rsplit(SALVAGING).next().unwrap_or_default();
    let target = beside(path, &format!("{DAMAGED}{stamp}"));
    for suffix in ["", "-wal", "-shm"] {
        let from = beside(salvaged, suffix);
        if from.exists() {
            fs::rename(&from, beside(&target, suffix)).map_err(unusable(&from))?;
        }
    }
    sync_folder(parent(path)).map_err(unusable(path))?;
    Ok(target)
}

/// Damaged databases that lie beside the store and that nobody has moved away yet.
pub(super) fn damaged_databases(path: &Path) -> Vec<PathBuf> {
    siblings(path, DAMAGED)
}

fn siblings(path: &Path, infix: &str) -> Vec<PathBuf> {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let prefix = format!("{name}{infix}");
    let Ok(entries) = fs::read_dir(parent(path)) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|found| {
            found.file_name().and_then(|name| name.to_str()).is_some_and(|name| {
                name.starts_with(&prefix) && !name.ends_with("-wal") && !name.ends_with("-shm")
            })
        })
        .collect();
    found.sort();
    found
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(unix)]
fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn make_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

#[cfg(not(unix))]
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}
