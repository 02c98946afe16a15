//! Bounded labels: however many tills there are, the number of time series has a limit.

use std::{
    collections::HashSet,
    sync::{PoisonError, RwLock},
};

/// Tills (and devices) with a label of their own.
pub const TILLS_MAX: usize = 1_000;

/// The label of all others together, so that sums stay right.
pub const OTHER: &str = "other";

/// The first so many different labels keep their name, later ones become [`OTHER`]. A name that got in stays in, so
/// that a counter never goes down.
#[derive(Debug)]
pub(super) struct Bounded {
    max: usize,
    known: RwLock<HashSet<String>>,
}

impl Bounded {
    pub fn new(max: usize) -> Self {
        Self { max, known: RwLock::default() }
    }

    /// The label for a name.
    pub fn label<'a>(&self, name: &'a str) -> &'a str {
        if self.known.read().unwrap_or_else(PoisonError::into_inner).contains(name) {
            return name;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.contains(name) || known.len() < self.max {
            known.insert(name.to_owned());
            return name;
        }
        OTHER
    }
}
