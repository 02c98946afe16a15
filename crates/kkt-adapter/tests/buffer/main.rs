//! The buffer by its port: one conformance suite over both implementations, and what only a disk can do wrong.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bytes;
mod commits;
mod conformance;
mod crash;
mod damage;
mod fixture;
mod model;
mod opening;
mod released;
mod rot;
mod storage;
