//! The adapter as a process, over real HTTP, beside the real simulator: what a shop would see.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod breakers;
mod clock;
mod damage;
mod disk;
mod harness;
mod heartbeat;
mod import;
mod original_cases;
mod outage;
mod poison;
mod privacy;
mod python;
mod reads;
mod reload;
mod restart;
mod start;
mod tls;

#[path = "../support/bad_disk.rs"]
mod bad_disk;
#[path = "../support/ca.rs"]
#[allow(dead_code)]
mod ca;
