//! Phase 2 with the buffer's model and an OFD of the test's own: who is sent when. Time stands still unless everybody
//! waits, so nothing here depends on the machine's speed.

#![allow(clippy::unwrap_used)]

mod commands;
mod defects;
mod fairness;
mod herd;
mod poison;
mod shop;
mod storage;
