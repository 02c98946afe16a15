//! Why a command failed, sorted by its exit code.

use crate::config::ConfigError;
use std::{fmt, process::ExitCode};

/// Why a command failed, in words that say what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The adapter said no, or could not do it.
    #[error("{0}")]
    Refused(String),
    /// The command line or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// The adapter cannot be reached.
    #[error("{0}")]
    Unreachable(String),
}

impl Failure {
    /// A failure at work, with its causes on one line.
    pub fn of(error: impl Into<anyhow::Error>) -> Self {
        let error = error.into();
        match error.downcast_ref::<ConfigError>() {
            Some(config) => Self::Usage(config.to_string()),
            None => Self::Refused(Causes(&error).to_string()),
        }
    }

    /// The exit code by the table of `cli`.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
        })
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::Usage(error.to_string())
    }
}

/// An error and its causes; a cause that the text before it has told already is left out.
struct Causes<'a>(&'a anyhow::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = String::new();
        for cause in self.0.chain().map(ToString::to_string) {
            if told.is_empty() {
                told = cause;
            } else if !told.contains(&cause) {
                told = format!("{told}: {cause}");
            }
        }
        f.write_str(&told)
    }
}
