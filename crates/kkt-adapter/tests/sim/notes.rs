//! What the simulation writes down beside the run, to judge the adapter by: each document's state as the buffer made it
//! durable, what the OFD was sent and when, what a breaker did.

use circuit_breaker::{Explanation, State as BreakerState};
use kkt_adapter::domain::{
    document::DocumentKind,
    ids::{DeviceId, ReceiptId},
    lifecycle::{self, State, Step},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// The state that ends a sale before it was printed.
pub const CANCELLED: State = State::Cancelled;

/// One document.
#[derive(Debug, Clone)]
pub struct Document {
    /// Its number in the order of appearance; UUIDs differ from run to run.
    pub number: usize,
    pub key: String,
    pub device: Option<DeviceId>,
    pub kind: DocumentKind,
    pub state: Option<State>,
    pub taken_at: Duration,
    /// The OFD refuses it for good, or fails at it always, until a person has had it mended.
    pub curse: Option<Curse>,
    /// The curse was cast already.
    pub was_tried: bool,
    /// Failures that count against it by the rule: while others passed.
    pub charged: u32,
    /// How many documents had been accepted when it was last tried in this life.
    pub accepted_at_last_try: Option<u64>,
    /// The same as the lane may have counted it.
    pub accepted_before_last_try: u64,
    /// It may be dead.
    pub may_be_dead: bool,
    /// It was dead once, so no order is promised of it.
    pub unordered: bool,
    /// A person cancelled it.
    pub cancelled: bool,
}

/// What is wrong with a document in the OFD's eyes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curse {
    Refused,
    Fails,
}

/// Everything that is known.
#[derive(Debug, Default)]
pub struct Notes {
    documents: BTreeMap<ReceiptId, Document>,
    pub watch: Watch,
    /// Acceptances that the adapter has heard of in this life.
    pub accepted: u64,
    /// The latest instant at which it heard of one, and how many it had heard of before that.
    accepted_at: (Duration, u64),
    /// What each lane sent last: of a document before it, it does not know any more when it was tried.
    pub last_sent: BTreeMap<DeviceId, ReceiptId>,
    /// A person has undone every curse: no new one is cast.
    pub is_healed: bool,
    /// How often what happened.
    pub tally: BTreeMap<&'static str, u64>,
}

/// What is watched of the endpoint.
#[derive(Debug, Default)]
pub struct Watch {
    /// Not before this may a call be made: the breaker is open until then.
    pub open_until: Option<Duration>,
    /// The pauses that the OFD asked for.
    pub pauses: Vec<Pause>,
    /// Calls in flight, each with the state and the generation in which it began.
    pub calls: BTreeMap<u64, (BreakerState, u64)>,
    pub calls_made: u64,
}

/// A pause that the OFD asked for.
#[derive(Debug, Clone, Copy)]
pub struct Pause {
    pub heard: Duration,
    pub until: Duration,
    /// It is for this document alone, since others passed meanwhile; `None`: for all.
    pub of: Option<ReceiptId>,
    /// Others passed at the same instant: the lane may have heard of them or not, and taken it to be for all.
    pub may_be_of_all: bool,
}

impl Watch {
    /// A person has decided that the OFD is tried now.
    pub fn lift_pauses(&mut self) {
        self.pauses.retain(|pause| pause.of.is_some() && !pause.may_be_of_all);
    }

    pub fn transition(&mut self, now: Duration, explanation: &Explanation) {
        self.open_until = match explanation.to {
            BreakerState::Open => explanation.open_time.map(|time| now + time),
            BreakerState::ForcedOpen => Some(Duration::MAX),
            _ => self.open_until.filter(|_| explanation.to == BreakerState::HalfOpen),
        };
    }
}

impl Notes {
    pub fn of(&mut self, id: ReceiptId) -> &mut Document {
        let number = self.documents.len() + 1;
        self.documents.entry(id).or_insert_with(|| Document {
            number,
            key: String::new(),
            device: None,
            kind: DocumentKind::Receipt,
            state: None,
            taken_at: Duration::ZERO,
            curse: None,
            was_tried: false,
            charged: 0,
            accepted_at_last_try: None,
            accepted_before_last_try: 0,
            may_be_dead: false,
            unordered: false,
            cancelled: false,
        })
    }

    pub fn name(&mut self, id: ReceiptId) -> String {
        let document = self.of(id);
        let letter = match document.kind {
            DocumentKind::Receipt => "r",
            DocumentKind::ShiftOpen => "open",
            DocumentKind::ShiftClose => "close",
        };
        format!("{letter}{}", document.number)
    }

    pub fn all(&self) -> impl Iterator<Item = (&ReceiptId, &Document)> {
        self.documents.iter()
    }

    /// The step takes effect; old and new state, or `None` if the life cycle does not allow it.
    pub fn step(&mut self, id: ReceiptId, step: Step) -> Option<(State, State)> {
        let document = self.of(id);
        let old = document.state?;
        let new = lifecycle::after(old, step)?;
        document.state = Some(new);
        if new == State::Dead {
            document.unordered = true;
        }
        if step == Step::Requeue {
            document.charged = 0;
            self.watch.pauses.retain(|pause| pause.of != Some(id));
        }
        Some((old, new))
    }

    pub fn ids(&self, of: impl Fn(&Document) -> bool) -> BTreeSet<String> {
        self.documents.iter().filter(|(_, document)| of(document)).map(|(id, _)| id.to_string()).collect()
    }

    /// The adapter hears of an acceptance.
    pub fn accept(&mut self, now: Duration) {
        if self.accepted_at.0 != now {
            self.accepted_at = (now, self.accepted);
        }
        self.accepted += 1;
    }

    /// Of how many it had heard before this instant: in which order a lane hears of what happens at once is not known here.
    pub fn accepted_before(&self, now: Duration) -> u64 {
        if self.accepted_at.0 == now { self.accepted_at.1 } else { self.accepted }
    }

    /// What a process knew is gone with it.
    pub fn forget_life(&mut self) {
        self.watch = Watch { calls_made: self.watch.calls_made, ..Watch::default() };
        self.accepted = 0;
        self.accepted_at = Default::default();
        self.last_sent.clear();
        for document in self.documents.values_mut() {
            document.accepted_at_last_try = None;
        }
    }

    /// People have everything mended.
    pub fn heal(&mut self) {
        self.is_healed = true;
        for document in self.documents.values_mut() {
            document.curse = None;
        }
    }
}
