use std::fmt;

/// A setting that cannot work: which field, what it was, and what it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigError {
    field: &'static str,
    value: String,
    allowed: &'static str,
}

impl ConfigError {
    pub(crate) fn new(field: &'static str, value: impl fmt::Display, allowed: &'static str) -> Self {
        ConfigError { field, value: value.to_string(), allowed }
    }

    /// The name of the field, as the builder spells it.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// The value that was refused.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// What the field may be.
    pub fn allowed(&self) -> &'static str {
        self.allowed
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} is impossible: allowed is {}", self.field, self.value, self.allowed)
    }
}

impl std::error::Error for ConfigError {}
