//! What is wrong with a configuration: all of it at once, each with its place, its value and what is allowed.

use std::{fmt, path::PathBuf, sync::Arc};

/// Where a setting came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// The file, at this line (from 1).
    File {
        /// As it was named on the command line.
        path: Arc<PathBuf>,
        /// From 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which setting: `section.key`; empty if it is the file as a whole.
    pub key: String,
    /// Where it was said.
    pub origin: Origin,
    /// What was said, bounded; `None` where that would be a secret or says nothing.
    pub value: Option<String>,
    /// What is allowed, or what to do.
    pub rule: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            f.write_str(&self.key)?;
            if let Some(value) = &self.value {
                write!(f, " = {value}")?;
            }
            write!(f, " ({}): ", self.origin)?;
        }
        f.write_str(&self.rule)
    }
}

/// Everything that is wrong; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// In the order of the documentation, unknown keys first.
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(f, "the configuration is wrong: {only}"),
            problems => {
                write!(f, "the configuration is wrong in {} places:", problems.len())?;
                problems.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

const SHOWN_MAX: usize = 120;

/// A value fit to be shown: bounded, on one line, and of an address neither the user and password nor the query,
/// since people put secrets there.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut text = text.replace(|c: char| c.is_control(), "\u{fffd}");
    if let Some(start) = text.find("://").map(|at| at + 3) {
        let end = text[start..].find(['/', '?', '#']).map_or(text.len(), |at| start + at);
        if let Some(at) = text[start..end].rfind('@') {
            text.replace_range(start..start + at, "***");
        }
        if let Some(query) = text.find('?') {
            text.replace_range(query + 1.., "***");
        }
    }
    if text.chars().count() > SHOWN_MAX {
        text = text.chars().take(SHOWN_MAX).chain("…".chars()).collect();
    }
    text
}
