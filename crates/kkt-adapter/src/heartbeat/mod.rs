//! The sign of life to the ERP: the state of buffer and breakers, posted at a steady pace (contract, «Buffer»).
//!
//! Promises: nobody waits for it, whatever the ERP does; each post ends by `timeout`; at most one is on its way; its
//! token is in no log, error or `Debug`; it carries figures and states, nothing of receipts or buyers.
//!
//! Invariants:
//! 1. [`LinkState`] changes by [`Link::step`] alone, after [`SUCCESSES`] posts in a row that were taken or [`FAILURES`]
//!    that were not.
//! 2. A post that is late delays the next one, it is never sent twice in a burst.
//!
//! ```text
//!            2 taken in a row                3 failed in a row
//!  unknown ───────────────────► online ◄───────────────────────► offline
//!     └────────────── 3 failed in a row ─────2 taken in a row─────►┘
//! ```
//!
//! | what fails | what happens |
//! |---|---|
//! | the ERP cannot be reached, answers too late, or anything but 2xx | a failure, counted; the next post goes out at its time |
//! | a redirect | a failure: the token goes to the configured address and nowhere else |
//! | the buffer cannot give its figures | the post goes out all the same, `buffer` is null; `refuses` stands beside it |
//! | the adapter stops | the post on its way is dropped |

mod link;
mod post;
mod report;

pub use link::{FAILURES, Link, SUCCESSES, Transition};
pub use post::{HeartbeatError, HeartbeatOptions};

use crate::ports::{BreakerControl, Buffer, Clock, HeartbeatStatus, HeartbeatView, LinkState};
use jiff::Timestamp;
use post::Post;
use report::Report;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{MissedTickBehavior, interval};

/// What it reports on.
#[derive(Clone)]
pub struct HeartbeatPorts {
    /// Figures.
    pub buffer: Arc<dyn Buffer>,
    /// States.
    pub breakers: Arc<dyn BreakerControl>,
    /// Wall time, for people.
    pub clock: Arc<dyn Clock>,
    /// Neither KKT nor OFD is emulated.
    pub fiscal: bool,
}

#[derive(Debug, Default)]
struct Seen {
    link: Link,
    last_success: Option<Timestamp>,
    last_error: Option<String>,
}

/// The heartbeat of one adapter.
pub struct Heartbeat {
    post: Post,
    name: String,
    interval: Duration,
    ports: HeartbeatPorts,
    seen: Mutex<Seen>,
}

impl std::fmt::Debug for Heartbeat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Heartbeat({:?})", self.seen())
    }
}

impl Heartbeat {
    /// Makes it; it posts nothing before [`run`](Self::run).
    ///
    /// # Errors
    /// [`HeartbeatError`].
    pub fn new(options: HeartbeatOptions, ports: HeartbeatPorts) -> Result<Self, HeartbeatError> {
        let post = Post::new(&options)?;
        let HeartbeatOptions { name, interval, .. } = options;
        Ok(Self { post, name, interval, ports, seen: Mutex::default() })
    }

    /// Puts another token into force, from the next post on.
    ///
    /// # Errors
    /// [`HeartbeatError::Token`]; then the former one stays.
    pub fn set_token(&self, token: Option<&str>) -> Result<(), HeartbeatError> {
        self.post.set_token(token)
    }

    /// Posts at once, then each interval, for ever. To stop it, drop it.
    pub async fn run(self: Arc<Self>) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let outcome = self.post.send(&self.report().await).await;
            self.note(outcome);
        }
    }

    async fn report(&self) -> Vec<u8> {
        let stats = self.ports.buffer.stats().await.ok();
        let refuses = self.ports.buffer.health().refuses;
        let report = Report {
            name: &self.name,
            now: self.ports.clock.wall(),
            interval: self.interval,
            fiscal: self.ports.fiscal,
            refuses: refuses.as_deref(),
            stats: stats.as_ref(),
            endpoint: &self.ports.breakers.endpoint(),
            breakers: &self.ports.breakers.breakers(),
        };
        report.body()
    }

    fn note(&self, outcome: Result<(), String>) {
        let transition = {
            let mut seen = self.seen();
            match &outcome {
                Ok(()) => (seen.last_success, seen.last_error) = (Some(self.ports.clock.wall()), None),
                Err(why) => seen.last_error = Some(why.clone()),
            }
            seen.link.step(outcome.is_ok())
        };
        let why = outcome.err();
        match transition {
            Some(Transition { from, to: LinkState::Offline }) => tracing::warn!(
                from = from.as_str(),
                to = "offline",
                why,
                "the ERP does not take the heartbeat: {FAILURES} posts in a row failed"
            ),
            Some(Transition { from, to }) => tracing::info!(
                from = from.as_str(),
                to = to.as_str(),
                "the ERP takes the heartbeat: {SUCCESSES} posts in a row arrived"
            ),
            None => tracing::debug!(why, "heartbeat"),
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HeartbeatStatus for Heartbeat {
    fn heartbeat(&self) -> HeartbeatView {
        let seen = self.seen();
        HeartbeatView {
            running: true,
            state: seen.link.state(),
            consecutive_successes: seen.link.successes(),
            consecutive_failures: seen.link.failures(),
            last_success: seen.last_success,
            last_error: seen.last_error.clone(),
        }
    }
}
