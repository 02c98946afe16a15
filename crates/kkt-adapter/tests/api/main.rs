//! What the API says of itself, held against what it does: its document by validators that others wrote, its examples
//! by running them, all of it by schemathesis, which makes thousands of requests from the document alone. The adapter is
//! a process with tokens, a real buffer and the OFD simulator.

#![allow(clippy::unwrap_used)]

mod document;
mod examples;
mod fuzz;
#[allow(dead_code)]
#[path = "../e2e/harness.rs"]
mod harness;
mod shop;
