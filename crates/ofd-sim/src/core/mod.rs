//! What to do with a call, without any I/O: `step(now, call) -> action`.
//!
//! # Promises
//! 1. With `dedup` on, a key is counted at most once, whatever comes when and how often.
//! 2. Whatever counts or is seen appears in the [`Sighting`] of the action, and replaying the sightings in order
//!    rebuilds the same ledger. The caller writes it down before it lets the answer out.
//! 3. The same plan and the same calls in the same order give the same actions. What is random depends only on the
//!    seed, the rule and the call, so even calls that race meet the same fate (conditions that count, `times`, `nth`
//!    and `every`, go by arrival).
//!
//! ```text
//!  call ──► seen: ledger, violations ──► first rule that matches ──┬─ fault ────────────────────────► action
//!                                                                  └─ none, ok, slow, store… ─► serve ─┘
//! ```
//!
//! | what goes wrong | what the caller of `step` gets |
//! |---|---|
//! | missing or foreign token | 401, nothing in the ledger |
//! | a document that cannot be read | 422 `rejected` naming the field, a violation |
//! | the same key with other bytes | 409 `conflict`, a violation, nothing counted |
//! | the same ФН and ФД under another key | accepted, a violation: the duplicate is the sender's and must show |
//! | the ledger is full | 507, nothing counted |

pub mod action;
pub mod call;
mod chance;
mod faults;
mod key;
pub mod ledger;
pub mod stats;

use crate::plan::{Fault, GarbageForm, Plan};
use action::{Action, Answer, Delivery};
use call::{Call, Invalid, Submission};
use faults::{FaultState, Subject, Verdict};
use ledger::{Ledger, Sighting};
use stats::{Stats, Tally, ViolationKind};
use std::time::Duration;

/// An instant as the core knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time since any fixed start: everything that lasts is measured by it.
    pub since_start: Duration,
    /// Wall clock, ms since the Unix epoch: only for stamps.
    pub unix_ms: i64,
}

/// The simulated operator.
#[derive(Debug)]
pub struct Core {
    ledger: Ledger,
    tally: Tally,
    faults: FaultState,
}

impl Core {
    /// A healthy operator with an empty ledger of at most `max_documents`.
    #[must_use]
    pub fn new(max_documents: usize) -> Self {
        Self {
            ledger: Ledger::new(max_documents),
            tally: Tally::default(),
            faults: FaultState::new(Plan::ok(), Duration::ZERO),
        }
    }

    /// Decides about a call that has arrived in full. Each step counts as in flight until [`Core::finish`].
    pub fn step(&mut self, now: Now, call: &Call) -> Action {
        let stats = &mut self.tally.stats;
        stats.in_flight += 1;
        stats.most_in_flight = stats.most_in_flight.max(stats.in_flight);
        match call {
            Call::Ping { authorised } => {
                stats.pings += 1;
                let arrivals = stats.pings;
                let verdict = self.faults.choose(now.since_start, &Subject::Ping { arrivals });
                self.act(now, &verdict, *authorised, &Work::Ping).0
            }
            Call::Receipt { authorised, document: Err(invalid) } => {
                stats.calls += 1;
                let verdict = self.faults.choose(now.since_start, &Subject::Unreadable);
                self.act(now, &verdict, *authorised, &Work::Unreadable(invalid)).0
            }
            Call::Receipt { authorised, document: Ok(document) } => {
                stats.calls += 1;
                let seen = if *authorised { self.see(now, document) } else { None };
                let attempt = seen.map_or(1, |s| s.attempt);
                let verdict = self.faults.choose(now.since_start, &Subject::Receipt { document, attempt });
                let (mut action, stored) =
                    self.act(now, &verdict, *authorised, &Work::Receipt(document, seen));
                let dedup = self.faults.plan().dedup;
                action.sighting = seen.map(|_| Sighting::new(document, stored, dedup, now));
                action
            }
        }
    }

    /// A step's answer is out, or its caller has gone.
    pub fn finish(&mut self) {
        self.tally.stats.in_flight = self.tally.stats.in_flight.saturating_sub(1);
    }

    /// Repeats what a journal says.
    pub fn replay(&mut self, sighting: &Sighting) {
        let document = sighting.submission();
        let now = Now { since_start: Duration::ZERO, unix_ms: sighting.at };
        if let Some(seen) = self.see(now, &document)
            && sighting.stored
        {
            self.ledger.accept(seen.index, sighting.at, sighting.dedup);
        }
    }

    /// Sets the plan; its clocks and counters begin at `now`.
    pub fn set_plan(&mut self, now: Now, plan: Plan) {
        self.faults = FaultState::new(plan, now.since_start);
    }

    /// The plan in force and, for each rule, how many calls it has been applied to.
    #[must_use]
    pub fn plan(&self) -> (&Plan, Vec<u64>) {
        (self.faults.plan(), self.faults.applied())
    }

    /// What came and what was counted.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Counters as they stand.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.tally.snapshot(&self.ledger)
    }

    /// Forgets ledger and counters and heals all faults. Calls in flight stay in flight.
    pub fn reset(&mut self, now: Now) {
        let in_flight = self.tally.stats.in_flight;
        self.ledger = Ledger::new(self.ledger.limit());
        self.tally = Tally::default();
        self.tally.stats.in_flight = in_flight;
        self.tally.stats.most_in_flight = in_flight;
        self.set_plan(now, Plan::ok());
    }

    /// Enters an arrival in the ledger and tells on what is wrong with it. `None`: the ledger is full.
    fn see(&mut self, now: Now, document: &Submission) -> Option<ledger::Seen> {
        let seen = self.ledger.see(document)?;
        if seen.other_bytes {
            let detail = "this key came before with other bytes".to_owned();
            self.tally.violation(ViolationKind::KeyConflict, document, detail, now);
        }
        if let Some(other) = seen.same_document_as {
            let detail = format!("this ФН and ФД came before under key {}", self.ledger.key(other));
            self.tally.violation(ViolationKind::DocumentUnderTwoKeys, document, detail, now);
        }
        if document.receipt_id.as_ref().is_some_and(|id| *id != document.key) {
            let detail = "receipt_id differs from the Idempotency-Key".to_owned();
            self.tally.violation(ViolationKind::KeyMismatch, document, detail, now);
        }
        Some(seen)
    }

    /// Carries out a verdict; also says whether the document was stored.
    fn act(&mut self, now: Now, verdict: &Verdict, authorised: bool, work: &Work<'_>) -> (Action, bool) {
        let store = match &verdict.fault {
            Fault::Ok | Fault::Slow { .. } | Fault::StoreThenCut => true,
            Fault::Hang { store }
            | Fault::Reset { store }
            | Fault::Garbage { store, .. }
            | Fault::Endless { store } => *store,
            _ => false,
        };
        let answer = store.then(|| self.serve(now, authorised, work));
        let stored = answer.as_ref().is_some_and(|a| a.counts);
        let delivery = deliver(&verdict.fault, answer);
        self.tally.answered(delivery.label());
        (Action { delay: verdict.delay, delivery, sighting: None }, stored)
    }

    /// What a healthy operator does and answers.
    fn serve(&mut self, now: Now, authorised: bool, work: &Work<'_>) -> Answer {
        if !authorised {
            return Answer::unauthorised();
        }
        match work {
            Work::Ping => Answer::pong(),
            Work::Unreadable(invalid) => {
                self.tally.invalid(invalid, now);
                Answer::invalid(invalid)
            }
            Work::Receipt(_, None) => Answer::ledger_full(self.ledger.limit()),
            Work::Receipt(document, Some(seen)) => {
                let dedup = self.faults.plan().dedup;
                if seen.other_bytes && dedup {
                    return Answer::conflict(&document.key);
                }
                Answer::accepted(self.ledger.accept(seen.index, now.unix_ms, dedup))
            }
        }
    }
}

/// What a call is about.
enum Work<'a> {
    Ping,
    Unreadable(&'a Invalid),
    Receipt(&'a Submission, Option<ledger::Seen>),
}

/// Shapes the healthy answer (if the fault lets it be served) as the fault says.
fn deliver(fault: &Fault, answer: Option<Answer>) -> Delivery {
    match fault {
        Fault::Ok => Delivery::Answer(answer.unwrap_or_else(Answer::pong)),
        Fault::Slow { byte_interval } => {
            Delivery::Drip { answer: answer.unwrap_or_else(Answer::pong), byte_interval: *byte_interval }
        }
        Fault::Fail { status, retry_after, detail } => {
            Delivery::Answer(Answer::failed(*status, retry_after.as_ref(), detail.as_deref()))
        }
        Fault::Reject { status, code, detail } => {
            Delivery::Answer(Answer::rejected(*status, *code, detail.as_deref()))
        }
        Fault::Hang { .. } => Delivery::Hang,
        Fault::Reset { .. } => Delivery::Reset,
        Fault::StoreThenCut => Delivery::Cut,
        Fault::Endless { .. } => Delivery::Endless,
        Fault::Garbage { form: GarbageForm::Wire, .. } => Delivery::NotHttp,
        Fault::Garbage { form, .. } => Delivery::Answer(Answer::garbage(*form)),
        Fault::Flap { .. } => unreachable!("FaultState::choose turns a flap into its phase"),
    }
}
