//! What the buffer makes of disks that lose, tear, flip, fill up or fail: power loss, torn WAL, bad sectors, ENOSPC and EIO.
//!
//! Each test prints its seed; `CRASH_SEED=n` runs it again. The power-loss model and the I/O errors need `strace`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "../support/bad_disk.rs"]
mod bad_disk;
mod child;
mod disk;
#[allow(dead_code, reason = "shared with the tests of the buffer, which use all of it")]
#[path = "../buffer/fixture.rs"]
mod fixture;
mod io_errors;
mod look;
mod power_loss;
#[allow(dead_code, reason = "shared with the crash tests, which use all of it")]
#[path = "../crash/rng.rs"]
mod rng;
mod torn_wal;
mod trace;
mod unreadable;
