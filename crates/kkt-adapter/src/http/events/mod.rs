//! The log of what happens, for people who watch: `GET /v1/kkt/events` and the breakers' histories.
//!
//! What it promises: nobody who tells it something waits for those who listen; everybody who listens gets the events in
//! the order in which they were told, or is told that some were lost.
//!
//! Invariants:
//! 1. Numbers grow by one an event and are never reused within a run of the program; the run is part of an event's id.
//! 2. The ring holds the latest [`Limits::ring`] events; it is the only store, whatever the number of readers.
//! 3. A reader that fell behind the ring is told how many events it has missed, then goes on at the oldest one.
//! 4. At most [`Limits::readers`] read at a time.
//! 5. An event is formatted when a reader takes it, never before.
//!
//! ```text
//!  rooms ─ Observer::event ─► ring (numbered) ─► reader ─► socket      a reader that waits for its socket holds nothing
//!                        └──► histories of the breakers                but its place in the numbers
//! ```
//!
//! | what goes wrong | what happens |
//! |---|---|
//! | a reader is slow | its events fall out of the ring; it gets `lost` with their count |
//! | it reconnects with the id of an earlier run, or one that never was | `lost` without a count: it must look anew |
//! | one reader too many | 503 with `Retry-After` |
//! | nothing happens | a comment each [`Limits::heartbeat`], so that both ends notice a dead connection |
//! | the token or session of a reader ends | its stream ends, [`Limits::heartbeat`] later at most |
//! | the adapter stops | the streams end; the readers come back with `Last-Event-ID` |

mod history;
mod stream;
mod view;

pub use stream::events;
pub use view::Data;

use crate::ports::{Clock, Event, Observer};
use history::Histories;
use jiff::Timestamp;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::{Semaphore, watch};

pub use history::BreakerHistory;

/// How much of what happened is kept, and for how many.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Events in the ring; default 1,024.
    pub ring: usize,
    /// Readers at a time; default 64.
    pub readers: usize,
    /// Longest silence of a stream; default 15 s.
    pub heartbeat: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { ring: 1_024, readers: 64, heartbeat: Duration::from_secs(15) }
    }
}

/// One event as it was told.
#[derive(Debug, Clone)]
struct Told {
    number: u64,
    at: Timestamp,
    event: Event,
}

#[derive(Debug)]
struct Ring {
    told: VecDeque<Told>,
    /// The number of the latest event; 0: none yet.
    last: u64,
    histories: Histories,
}

/// The ring and its readers.
pub struct EventLog {
    clock: Arc<dyn Clock>,
    limits: Limits,
    /// Names this run of the program in the ids.
    run: String,
    ring: Mutex<Ring>,
    /// The number of the latest event, for those who wait; `u64::MAX`: the end.
    latest: watch::Sender<u64>,
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for EventLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EventLog({} events)", self.ring().last)
    }
}

/// What a reader takes from the ring in one go.
struct Taken {
    /// Events it has missed before these.
    lost: u64,
    told: Vec<Told>,
}

impl EventLog {
    /// An empty log.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limits: Limits) -> Self {
        let began = clock.wall();
        Self {
            run: format!("{:x}", began.as_millisecond()),
            ring: Mutex::new(Ring {
                told: VecDeque::with_capacity(limits.ring),
                last: 0,
                histories: Histories::new(began),
            }),
            latest: watch::Sender::new(0),
            places: Arc::new(Semaphore::new(limits.readers)),
            clock,
            limits,
        }
    }

    /// Ends all streams, so that a stop need not wait for them.
    pub fn close(&self) {
        self.latest.send_replace(u64::MAX);
    }

    /// The states a breaker has been in.
    #[must_use]
    pub fn history(&self, key: &str) -> BreakerHistory {
        self.ring().histories.of(key)
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At most `max` events after number `after`.
    fn take(&self, after: u64, max: usize) -> Taken {
        let ring = self.ring();
        let before_oldest = ring.told.front().map_or(ring.last, |oldest| oldest.number - 1);
        let lost = before_oldest.saturating_sub(after);
        let skip = usize::try_from(after.saturating_sub(before_oldest)).unwrap_or(usize::MAX);
        Taken { lost, told: ring.told.iter().skip(skip).take(max).cloned().collect() }
    }
}

impl Observer for EventLog {
    fn event(&self, event: Event) {
        let at = self.clock.wall();
        let number = {
            let mut ring = self.ring();
            ring.histories.note(at, &event);
            ring.last += 1;
            let number = ring.last;
            if ring.told.len() >= self.limits.ring {
                ring.told.pop_front();
            }
            ring.told.push_back(Told { number, at, event });
            number
        };
        self.latest.send_if_modified(|latest| {
            // Two that tell at once may come here in either order; after the end nothing is told.
            let grows = *latest < number;
            if grows {
                *latest = number;
            }
            grows
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{ids::ReceiptId, lifecycle::State},
        ports::Monotonic,
    };

    struct Still;

    impl Clock for Still {
        fn monotonic(&self) -> Monotonic {
            Monotonic(Duration::ZERO)
        }
        fn wall(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
    }

    fn log(ring: usize) -> EventLog {
        EventLog::new(Arc::new(Still), Limits { ring, ..Limits::default() })
    }

    fn tell(log: &EventLog, times: u64) {
        for _ in 0..times {
            let (id, device) = (ReceiptId::new(), "P1".parse().unwrap());
            log.event(Event::Document { id, pos_id: None, device, state: State::Printed });
        }
    }

    fn numbers(taken: &Taken) -> Vec<u64> {
        taken.told.iter().map(|told| told.number).collect()
    }

    #[test]
    fn a_reader_gets_what_came_after_its_last_event_in_order() {
        let log = log(8);
        tell(&log, 5);
        let taken = log.take(2, 100);
        assert_eq!((taken.lost, numbers(&taken)), (0, vec![3, 4, 5]));
        assert_eq!(numbers(&log.take(2, 2)), [3, 4], "a piece at a time");
        assert!(log.take(5, 100).told.is_empty());
    }

    #[test]
    fn a_slow_reader_loses_the_oldest_and_is_told_how_many() {
        let log = log(4);
        tell(&log, 10);
        let taken = log.take(2, 100);
        assert_eq!((taken.lost, numbers(&taken)), (4, vec![7, 8, 9, 10]));
        let taken = log.take(6, 100);
        assert_eq!((taken.lost, numbers(&taken)), (0, vec![7, 8, 9, 10]), "just in time");
    }

    #[test]
    fn the_ring_takes_no_more_memory_whatever_happens() {
        let log = log(4);
        tell(&log, 1_000);
        assert_eq!(log.ring().told.len(), 4);
        assert!(log.ring().told.capacity() <= 8);
    }
}
