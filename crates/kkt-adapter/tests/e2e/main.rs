//! The adapter as a process, over real HTTP, beside the real simulator: what a shop would see.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod breakers;
mod clock;
mod harness;
mod original_cases;
mod outage;
mod poison;
mod python;
mod restart;
mod start;
