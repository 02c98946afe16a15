//! The ledger's journal: an append-only file of one JSON line a sighting.
//!
//! # Promises
//! 1. A line is with the operating system before the answer goes out, so what was counted survives SIGKILL. There is no
//!    fsync: a power loss may cost the last seconds.
//! 2. Opening never fails because of what stands in the file: a torn last line is cut off, a line that cannot be read is
//!    left out and counted in the log.
//! 3. After a failed write nothing more is accepted; the next start cuts the torn end off.
//!
//! One process at a time has the file (an OS lock, not a pid file).

use crate::Error;
use crate::core::ledger::Sighting;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Longest line read; the longest written is below 2 KiB. What is longer is damage.
const LINE_MAX: u64 = 16 * 1024;

pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    broken: bool,
}

impl Journal {
    /// Opens or creates the file and replays it.
    pub(crate) fn open(path: &Path, mut replay: impl FnMut(&Sighting)) -> Result<Self, Error> {
        let failed = |source| Error::State { path: path.to_owned(), source };
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "is not a regular file")));
        }
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::StateInUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut journal = Self { path: path.to_owned(), file, broken: false };
        journal.recover(&mut replay).map_err(failed)?;
        Ok(journal)
    }

    /// Appends a line; after an error every further call fails, too.
    pub(crate) fn append(&mut self, sighting: &Sighting) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("an earlier write failed; restart the simulator"));
        }
        let mut line = serde_json::to_vec(sighting)?;
        line.push(b'\n');
        self.file.write_all(&line).inspect_err(|error| {
            self.broken = true;
            tracing::error!(path = %self.path.display(), %error, "state file: nothing more is accepted");
        })
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.broken = false;
        Ok(())
    }

    fn recover(&mut self, replay: &mut impl FnMut(&Sighting)) -> io::Result<()> {
        let (mut position, mut whole, mut unreadable) = (0, 0, 0_u64);
        let mut reader = BufReader::with_capacity(1 << 16, &self.file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
            position += read as u64;
            if read == 0 {
                break;
            }
            if line.last() == Some(&b'\n') {
                whole = position;
                match serde_json::from_slice(&line) {
                    Ok(sighting) => replay(&sighting),
                    Err(_) => unreadable += 1,
                }
            }
        }
        let torn = position - whole;
        if torn > 0 || unreadable > 0 {
            tracing::warn!(path = %self.path.display(), torn, unreadable, "state file: damaged parts left out");
        }
        self.file.set_len(whole)?;
        self.file.seek(SeekFrom::Start(whole))?;
        Ok(())
    }
}
