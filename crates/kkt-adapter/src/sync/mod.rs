//! Phase 2: from the buffer to the OFD.
//!
//! Promises: P3 (same key, same bytes), P5 (ФД order within a device, no device delays another), P6 (no call
//! while OPEN, no more than the probes while HALF_OPEN).
//!
//! Invariants:
//! 1. One lane a device, one send at a time in a lane, always the document with the lowest ФД number that is
//!    still `printed`.
//! 2. A send happens only with a permit of the endpoint's breaker and one of the device's; if the second
//!    rejects, the first is cancelled.
//! 3. A lane that waits holds no document: memory is bounded by the lanes that send, not by the backlog.
//! 4. What a send did is durable before the next page is read; a crash in between sends again under the same
//!    key.
//! 5. An attempt is charged to a document only if the endpoint accepted another one since its previous try.
//!
//! ```text
//!            work                 admitted                 accepted
//!   idle ──────────► queued ────────────────► sending ───────────────► (next document, else idle)
//!    ▲                 │ ▲                       │
//!    │                 │ │ pause over            │ failure
//!    └── nothing left ─┘ └──────── waiting ◄─────┘        on_rejected = "stop": stopped
//! ```
//!
//! | what fails | what happens |
//! |---|---|
//! | the OFD, as a whole | its breaker opens; the lanes queue at the `gate`; probes are heads of lanes |
//! | one document, while others pass | charged, backed off, after `max_attempts` dead |
//! | one document, while nothing else is sent | nobody can tell it from the row above: alarm and health after 10 minutes (`head`); a person may set it aside (`parked`) |
//! | a device's credentials | its breaker opens; only its lane waits |
//! | a send panics | counted as ambiguous, same rules |
//! | the buffer | the lane waits and asks again |

mod breakers;
mod decide;
mod engine;
mod gate;
mod head;
mod lane;
mod options;

pub use breakers::Breakers;
pub use engine::SyncEngine;
pub use options::{OnRejected, SyncOptions};
