//! The states a breaker has been in, for the strip on the dashboard. In memory only: it begins with the program.

use crate::ports::Event;
use circuit_breaker::State;
use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};

/// Stays kept a breaker: a circuit that probes each minute makes two a minute, so it is at least 17 hours.
const STAYS_MAX: usize = 2_048;
/// Breakers with a history; beyond it the one that has been quiet for longest is forgotten.
const BREAKERS_MAX: usize = 256;

/// From when on a breaker was in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// Since when.
    pub since: Timestamp,
    /// The state.
    pub state: State,
}

/// What is known of a breaker's past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerHistory {
    /// Nothing is known of the time before.
    pub known_since: Timestamp,
    /// In the order of time; none if the breaker has never left its first state.
    pub stays: Vec<Stay>,
}

#[derive(Debug)]
pub(super) struct Histories {
    began: Timestamp,
    of: HashMap<String, VecDeque<Stay>>,
}

impl Histories {
    pub fn new(began: Timestamp) -> Self {
        Self { began, of: HashMap::new() }
    }

    pub fn note(&mut self, at: Timestamp, event: &Event) {
        let Event::Breaker { key, explanation } = event else { return };
        if !self.of.contains_key(&**key) {
            self.make_room();
            let first = Stay { since: self.began, state: explanation.from };
            self.of.insert(key.to_string(), VecDeque::from([first]));
        }
        let Some(stays) = self.of.get_mut(&**key) else { return };
        if stays.back().is_some_and(|last| last.state == explanation.to) {
            return;
        }
        if stays.len() >= STAYS_MAX {
            stays.pop_front();
        }
        stays.push_back(Stay { since: at, state: explanation.to });
    }

    fn make_room(&mut self) {
        if self.of.len() < BREAKERS_MAX {
            return;
        }
        let quiet = self.of.iter().min_by_key(|(_, stays)| stays.back().map(|last| last.since));
        if let Some(key) = quiet.map(|(key, _)| key.clone()) {
            self.of.remove(&key);
        }
    }

    pub fn of(&self, key: &str) -> BreakerHistory {
        let stays: Vec<Stay> = self.of.get(key).into_iter().flatten().copied().collect();
        let known_since = stays.first().map_or(self.began, |first| first.since);
        BreakerHistory { known_since, stays }
    }
}
