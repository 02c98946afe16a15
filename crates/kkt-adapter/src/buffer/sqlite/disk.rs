//! Free space of the disk, looked up at most once a second, so that `reserve` may ask each time.

use crate::ports::{BufferError, Clock, DiskSpace};
use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
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
    /// What the log was told last.
    was_low: AtomicBool,
}

impl Disk {
    pub(super) fn new(folder: &Path, floor_bytes: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            floor_bytes,
            free_bytes: AtomicU64::new(u64::MAX),
            looked_at_ms: AtomicU64::new(u64::MAX),
            was_low: AtomicBool::new(false),
        }
    }

    /// Refuses while there is less free than the floor.
    pub(super) fn check(&self, clock: &dyn Clock) -> Result<(), BufferError> {
        if self.floor_bytes == 0 {
            return Ok(());
        }
        match self.space(clock) {
            Some(space) if space.is_low() => {
                Err(BufferError::Full { reason: told(space), retry_after: RETRY_AFTER })
            }
            // A disk that cannot be asked is not a full one; the write itself will tell.
            _ => Ok(()),
        }
    }

    /// The space as it was at most a second ago; `None` if the disk cannot be asked.
    pub(super) fn space(&self, clock: &dyn Clock) -> Option<DiskSpace> {
        let now_ms = u64::try_from(clock.monotonic().0.as_millis()).unwrap_or(u64::MAX - 1);
        let looked_at_ms = self.looked_at_ms.load(Ordering::Relaxed);
        let fresh_ms = LOOK_AGAIN.as_millis() as u64;
        if looked_at_ms == u64::MAX || now_ms.saturating_sub(looked_at_ms) >= fresh_ms {
            self.looked_at_ms.store(now_ms, Ordering::Relaxed);
            self.free_bytes.store(free_bytes(&self.folder).unwrap_or(u64::MAX), Ordering::Relaxed);
            self.tell_the_log();
        }
        self.known()
    }

    fn known(&self) -> Option<DiskSpace> {
        let free_bytes = self.free_bytes.load(Ordering::Relaxed);
        (free_bytes != u64::MAX).then_some(DiskSpace { free_bytes, floor_bytes: self.floor_bytes })
    }

    /// Once when it becomes low, once when it is no longer.
    fn tell_the_log(&self) {
        let Some(space) = self.known() else { return };
        let DiskSpace { free_bytes, floor_bytes } = space;
        match (self.was_low.swap(space.is_low(), Ordering::Relaxed), space.is_low()) {
            (false, true) => tracing::error!(
                folder = %self.folder.display(),
                free_bytes,
                floor_bytes,
                "too little free disk space: no new receipts are taken until there is room"
            ),
            (true, false) => tracing::info!(free_bytes, "the disk has room again: receipts are taken"),
            _ => {}
        }
    }
}

fn told(space: DiskSpace) -> String {
    let mib = |bytes: u64| bytes >> 20;
    let (free, floor) = (mib(space.free_bytes), mib(space.floor_bytes));
    format!(
        "на диске мало места (свободно {free} МиБ, нужно не меньше {floor} МиБ): новые чеки не принимаются / too little \
         free disk space ({free} MiB free, at least {floor} MiB are needed): no new receipts are taken"
    )
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
