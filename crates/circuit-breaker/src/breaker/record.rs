use super::shell::{Cell, Context, Shell};
use crate::clock::Tick;
use crate::events::{Event, EventKind, Pending};
use crate::snapshot::Explanation;
use crate::state::{Change, Command, Effects, Note, Reason, State};
use crate::sync::caught;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::SystemTime;

/// Texts of causes and of people are cut at this many bytes.
const TEXT_MAX_BYTES: usize = 256;

/// Why the breaker is in its state.
pub(super) struct Record {
    pub(super) change: Change,
    pub(super) wall: SystemTime,
    pub(super) cause: Option<Arc<str>>,
    pub(super) order: Option<Order>,
}

/// A manual command: what, by whom, why (B15).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) command: Command,
    pub(super) who: Option<Arc<str>>,
    pub(super) why: Option<Arc<str>>,
}

impl Shell {
    /// Keeps the last transition and puts the events in line. Called under the lock, so that lines are in order.
    pub(super) fn note(&self, cell: &mut Cell, effects: &Effects, now: Tick, context: Context) {
        let Context { cause_follows, order, .. } = context;
        for (place, note) in effects.notes.iter().enumerate() {
            let caused = place >= effects.caused_from;
            let order = order.clone().filter(|_| caused);
            let (at, kind) = match *note {
                Note::Change(change) => {
                    let wall = self.clock.wall_at(change.at, now);
                    let record = Record { change, wall, cause: None, order };
                    let kind = EventKind::Transition(record.explain());
                    cell.keep(record);
                    (change.at, kind)
                }
                Note::ReasonUpdated => {
                    let Some(record) = &mut cell.record else { continue };
                    record.order = order;
                    (now, EventKind::ReasonUpdated(record.explain()))
                }
                Note::NothingToRelease => continue,
                Note::WouldOpen { reason, at } => (at, EventKind::WouldOpen { reason }),
                Note::Shadow(Change { from, to, reason, at, .. }) => {
                    (at, EventKind::ShadowTransition { from, to, reason })
                }
                Note::Configured { at } => (at, EventKind::ConfigReplaced),
            };
            let generation = match &kind {
                EventKind::Transition(explanation) => explanation.generation,
                _ => cell.core.generation(),
            };
            cell.sequence += 1;
            let Some(bus) = self.bus.get() else { continue };
            let is_change = matches!(note, Note::Change(_));
            let event = Event {
                sequence: cell.sequence,
                generation,
                breaker: Arc::clone(&self.name),
                at,
                wall: self.clock.wall_at(at, now),
                kind,
            };
            bus.line_up(Pending { event, awaits_cause: cause_follows && caused && is_change });
        }
    }

    /// Formats the cause of a transition, outside the lock, and gives it to whoever explains or waits for it.
    pub(super) fn attach_cause(&self, generation: u64, cause: &dyn fmt::Display) {
        let text = bounded_display(cause);
        let mut cell = self.lock_cell();
        if let Some(record) = cell.record_of(generation) {
            record.cause = Some(Arc::clone(&text));
        }
        drop(cell);
        if let Some(bus) = self.bus.get() {
            bus.fill_cause(generation, text);
            bus.pump();
        }
    }
}

impl Record {
    pub(super) fn explain(&self) -> Explanation {
        let Change { from, to, generation, reason, deadline, at } = self.change;
        Explanation {
            from,
            to,
            generation,
            reason,
            since: self.wall,
            open_time: deadline.map(|deadline| deadline.since(at)),
            cause: self.cause.clone(),
            command: self.order.as_ref().map(|order| order.command),
            who: self.order.as_ref().and_then(|order| order.who.clone()),
            why: self.order.as_ref().and_then(|order| order.why.clone()),
        }
    }

    /// What there is to say of a breaker that has never changed.
    pub(super) fn explain_new(made: SystemTime) -> Explanation {
        Explanation {
            from: State::Closed,
            to: State::Closed,
            generation: 0,
            reason: Reason::NONE,
            since: made,
            open_time: None,
            cause: None,
            command: None,
            who: None,
            why: None,
        }
    }
}

/// A person's text, cut to its bound; none if it is empty.
pub(super) fn bounded_text(text: String) -> Option<Arc<str>> {
    let end = floor_char_boundary(&text, TEXT_MAX_BYTES);
    (end > 0).then(|| Arc::from(&text[..end]))
}

fn bounded_display(value: &dyn fmt::Display) -> Arc<str> {
    let mut text = Bounded(String::new());
    match caught(|| write!(text, "{value}")) {
        Some(_) => Arc::from(text.0),
        None => Arc::from("(the cause panicked while it was formatted)"),
    }
}

struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let room = TEXT_MAX_BYTES - self.0.len();
        self.0.push_str(&part[..floor_char_boundary(part, room)]);
        if part.len() > room { Err(fmt::Error) } else { Ok(()) }
    }
}

fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&place| text.is_char_boundary(place)).unwrap_or(0)
}
