//! The command line: what there is to say, and how it is answered. `main` carries the commands out.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | the adapter said no, or could not do it |
//! | 2 | the command line or the configuration is wrong |
//! | 3 | the adapter cannot be reached |
//!
//! Errors go to the standard error as `error: …` with what to do; results to the standard output, with colours only on a
//! terminal.

mod args;
mod colour;
pub mod commands;
mod failure;
mod remote;
mod table;

pub use args::{
    BreakerCommand, BufferCommand, Cli, Command, ConfigCommand, DemoOptions, DlqCommand, Files, Remote,
    Stopped,
};
pub use failure::Failure;

use std::io::Write as _;

/// Writes a result. That nobody reads it (a closed pipe) is no error.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Writes a warning or an error.
pub fn warn(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
