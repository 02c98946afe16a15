//! The wiring: the only place that knows the concrete types, and the order in which they start and stop.
//!
//! Start: port, buffer (with its lock), devices, OFD, breakers, recovery of phase 1, lanes, HTTP. The port comes first, so
//! that a taken one is noticed before anything is touched; HTTP comes last, so that nobody is served by half a house.
//!
//! Stop (P11), each step within its share of `STOP_MAX`, of which 1 s is left for the end of the process: no new requests, those in flight
//! end, and no new prints, the one in flight ends (4 s for both at once); no new sends, those in flight end or are dropped
//! (2 s); the buffer commits what is queued and closes (2 s); the embedded simulator ends (1 s).
//!
//! | what dies of a defect | what happens |
//! |---|---|
//! | a lane | it is made anew (`sync::lane`) |
//! | any other task that is to run for ever | an alarm in the log (`task_died`), the same stop, an exit code other than 0: the service manager starts it anew, and the start settles what was under way |

mod certificates;
mod clock;
mod convert;
mod demo;
mod housekeeping;
mod import;
mod observer;
mod parts;
mod phases;
mod serve;
mod supervisor;
mod tasks;
mod terminal;

pub use demo::demo;
pub use import::import;
pub use parts::App;
pub use serve::serve;

use std::time::Duration;

/// SIGTERM to exit (P11).
const STOP_MAX: Duration = Duration::from_secs(10);
