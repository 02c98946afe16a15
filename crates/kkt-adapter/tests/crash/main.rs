//! The adapter as a process that dies at every place, under load, beside a simulator that misbehaves; an oracle then
//! compares what the tills were told, what the buffer holds, what the KKT printed and what the OFD counted.
//!
//! Each test prints its seed; `CRASH_SEED=n` runs it again from there. `CRASH_CYCLES=n` and `CRASH_SEEDS=n` make it longer.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod control;
mod keys;
mod kills;
mod life;
mod load;
mod oracle;
mod points;
mod rng;
mod shop;
mod soak;
