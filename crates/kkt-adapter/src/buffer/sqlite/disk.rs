//! Free space of the disk, looked up at most once a second, so that `reserve` may ask each time.

use crate::ports::{BufferError, Clock};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Disks fill and empty slowly: a till need not ask more often.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// The floor of free space under which nothing new is taken.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    floor_bytes: u64,
    free_bytes: AtomicU64,
    /// Monotonic milliseconds; `u64::MAX`: never looked.
    looked_at_ms: AtomicU64,
}

impl Disk {
    pub(super) fn new(folder: &Path, floor_bytes: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            floor_bytes,
            free_bytes: AtomicU64::new(u64::MAX),
            looked_at_ms: AtomicU64::new(u64::MAX),
        }
    }

    /// Refuses while there is less free than the floor.
    pub(super) fn check(&self, clock: &dyn Clock) -> Result<(), BufferError> {
        if self.floor_bytes == 0 {
            return Ok(());
        }
        let now_ms = u64::try_from(clock.monotonic().0.as_millis()).unwrap_or(u64::MAX - 1);
        let looked_at_ms = self.looked_at_ms.load(Ordering::Relaxed);
        let fresh_ms = LOOK_AGAIN.as_millis() as u64;
        if looked_at_ms == u64::MAX || now_ms.saturating_sub(looked_at_ms) >= fresh_ms {
            self.looked_at_ms.store(now_ms, Ordering::Relaxed);
            // A disk that cannot be asked is not a full one; the write itself will tell.
            self.free_bytes.store(free_bytes(&self.folder).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
        let free = self.free_bytes.load(Ordering::Relaxed);
        if free >= self.floor_bytes {
            return Ok(());
        }
        let mib = |bytes: u64| bytes >> 20;
        Err(BufferError::Full {
            reason: format!("{} MiB of disk free, the floor is {} MiB", mib(free), mib(self.floor_bytes)),
            retry_after: RETRY_AFTER,
        })
    }
}

#[cfg(unix)]
fn free_bytes(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_folder: &Path) -> Option<u64> {
    None
}
