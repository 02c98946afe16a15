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
//! 3. A lane that waits holds no document: memory is bounded by the lanes that send, not by the backlog, and by bytes
//!    a lane, not only by documents.
//! 4. What a send did is durable before the next page is read, and nothing more is sent before: a buffer that does not
//!    take it stops the lane. Only a crash in between sends again, under the same key, and a stop while the buffer does not
//!    take it; the death of a lane does not.
//! 5. An attempt is charged to a document only if the endpoint accepted another one since its previous try. A `Retry-After`
//!    with it holds that document alone, else everybody.
//! 6. People, metrics and the log hear of a document's end once it is durable, and once.
//!
//! ```text
//!            work                 admitted                 accepted
//!   idle ──────────► queued ────────────────► sending ───────────────► (next document, else idle)
//!    ▲                 │ ▲                       │
//!    │                 │ │ pause over, or cut    │ failure
//!    └── nothing left ─┘ └──────── waiting ◄─────┘        on_rejected = "stop": stopped
//!                                                         a panic: failed, then idle
//! ```
//!
//! A pause is cut short by a forced sync, and by what a person does about what is waited for: a command to a breaker, new
//! numbers for it, a document set aside. A pause that the OFD asked for is not ended so: the one of all lanes ends early only
//! by a command to the endpoint's breaker, the one of a single document only by setting that document aside.
//!
//! | what fails | what happens |
//! |---|---|
//! | the OFD, as a whole | its breaker opens; the lanes queue at the `gate`; probes are heads of lanes |
//! | one document, while others pass | charged, backed off, after `max_attempts` dead |
//! | one document, while nothing else is sent | nobody can tell it from the row above: alarm and health after 10 minutes (`head`); a person may set it aside (`parked`) |
//! | a device's credentials | its breaker opens; only its lane waits |
//! | a send panics | counted as ambiguous, same rules |
//! | a lane panics | alarm and health; made anew after `interval`, what it had sent is kept (`handle`) |
//! | the gate or the safety net panics | [`SyncEngine::ended`]: the process is to be started anew |
//! | the buffer | the lane sends nothing, waits and asks again |
//! | the audit of a person's command | the command holds; an alarm in the log has who and why |

mod breakers;
mod decide;
mod engine;
mod gate;
mod handle;
mod head;
mod lane;
mod options;
mod spread;

pub use breakers::Breakers;
pub use engine::SyncEngine;
pub use options::{OnRejected, SyncOptions};
