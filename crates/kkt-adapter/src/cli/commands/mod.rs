//! What each command does.

mod breaker;
mod buffer;
mod config;
mod dlq;
mod shell;

pub use breaker::breaker;
pub use buffer::buffer;
pub use config::config;
pub use dlq::dlq;
pub use shell::{completions, man};

use super::{Remote, say};
use serde_json::Value;

/// Prints an answer: as JSON if asked so, else as people read it.
fn print(remote: &Remote, answer: &Value, people: impl FnOnce(&Value) -> String) {
    if remote.json { say(&format!("{answer:#}")) } else { say(&people(answer)) }
}
