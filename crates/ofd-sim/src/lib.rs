//! A simulator of a fiscal data operator (OFD) for tests, demonstrations and development.
//!
//! It takes fiscal documents over HTTP, counts each idempotency key once as a real operator would, keeps a ledger of
//! everything that came, and misbehaves on request: see [`Plan`]. Nothing here is fiscal.
//!
//! ```no_run
//! # async fn example() -> Result<(), ofd_sim::Error> {
//! use ofd_sim::{Options, Plan, Simulator};
//! let ofd = Simulator::start(Options::default())?;
//! ofd.set_faults(Plan::fail_times(5, 503));
//! println!("send documents to {}/ofd/v1/receipt", ofd.base_url());
//! assert_eq!(ofd.stats().calls, 0);
//! ofd.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! - [`core`]: what to do with a call, pure: `step(now, call) -> action`. Drive it with a virtual clock if you like.
//! - [`plan`]: the faults, typed and as JSON.
//! - [`Simulator`]: the same core behind a real socket.
//! - [`cli`]: the `ofd-sim` command, for the binary and for whoever embeds it.

pub mod cli;
pub mod core;
mod error;
mod journal;
mod options;
pub mod plan;
mod server;

pub use crate::core::ledger::Document;
pub use crate::core::stats::{Stats, Violation, ViolationKind};
pub use error::Error;
pub use options::Options;
pub use plan::{Fault, Plan, Rule};
pub use server::Simulator;
