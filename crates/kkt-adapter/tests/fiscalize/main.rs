//! Phase 1 over the real SQLite buffer and the virtual KKT: keys, trouble with the device, shifts, people's
//! decisions, crashes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod crashes;
mod full;
mod keys;
mod panics;
mod people;
mod shifts;
mod shop;
mod trouble;
