//! Named places at which a test lets the process die as suddenly as a crash would: no unwinding, no buffer flushed.
//!
//! `FAIL_POINT=buffer.committed:3` aborts the process the third time it passes that place. Builds without debug
//! assertions, which is what a shop runs, contain none of this; in the others an unset variable costs one load.

/// Every place, in the order in which a receipt passes them.
pub const ALL: &[&str] = &[
    "open.migrated",
    "recover.counted",
    "recover.settled",
    "buffer.begun",
    "buffer.written",
    "buffer.before_commit",
    "buffer.committed",
    "buffer.answered",
    "buffer.before_checkpoint",
    "buffer.checkpointed",
    "sell.appended",
    "print.before_command",
    "print.after_command",
    "print.queued",
    "print.durable",
    "http.before_answer",
    "send.before",
    "send.after",
    "settle.before",
    "settle.after",
];

/// No receipt passes here: a slice of another adapter's buffer has been taken over.
pub const IMPORT_SLICE: &str = "import.slice";

/// A task that runs for ever passes here, and dies alone, by a panic: the process lives on.
pub const TASK: &str = "task.housekeeping";

/// The process passes the place `name`, one of [`ALL`], [`IMPORT_SLICE`] or [`TASK`].
///
/// # Panics
/// At [`TASK`], if the test wants it.
#[cfg(debug_assertions)]
pub fn hit(name: &str) {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    };
    static ARMED: LazyLock<Option<(String, AtomicU64)>> = LazyLock::new(|| {
        let text = std::env::var("FAIL_POINT").ok()?;
        let (name, nth) = text.rsplit_once(':')?;
        Some((name.to_owned(), AtomicU64::new(nth.parse().ok()?)))
    });
    if let Some((armed, left)) = &*ARMED
        && armed == name
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        assert!(name != TASK, "the fail point {name}");
        std::process::abort();
    }
}

/// The process passes the place `name`; nothing happens here in this build.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn hit(_name: &str) {}
