//! The adapter in a world of its own: the real phase 1, phase 2, breakers and rules of the buffer, beside simulated tills,
//! KKTs, a network, an OFD and people, on a virtual clock, in one thread, from one seed. A run of minutes to days takes a
//! tenth of a second, and the same seed gives the same run, byte for byte.
//!
//! `cargo xtask sim --seed N` prints a run as a readable trace; `--seeds A..B` and `--count N` run many and name the
//! first bad one. The shape is that of TigerBeetle's VOPR.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod adapter;
mod control;
mod disk;
mod flapping;
mod kkt;
mod life;
mod notes;
mod ofd;
#[path = "../crash/oracle.rs"]
#[allow(dead_code, reason = "shared with the crash tests")]
mod oracle;
mod people;
#[path = "../crash/rng.rs"]
#[allow(dead_code, reason = "shared with the crash tests")]
mod rng;
mod run;
mod scenario;
mod seeds;
mod single_till;
mod tills;
mod world;
