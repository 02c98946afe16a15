//! The concurrent shell around the pure core: what can be answered from one published word is, without a lock; the
//! rest takes the lock and asks the core.
//!
//! Invariants:
//! 1. The shell decides nothing. [`Published`](crate::state::Published) says what may be done unasked: how many plain
//!    successes decide nothing ("slack"), until when a rejection holds, whether a call has to be timed or told.
//! 2. A plain success with slack, and a failure that is counted in the word, is one compare-and-swap of the word, which
//!    fails if anything changed in between; whoever holds the lock takes the word away and tells the core first.
//! 3. The word is BUSY while the details beside it change, and is another one afterwards: a transition changes its
//!    generation, a replaced configuration its revision (unless sixteen configurations were replaced in between). A reader
//!    that finds the same word before and after it read the details has read one cut; any other reader reads again or
//!    takes the lock. What moves under one word is the end of a time window's bucket alone: a success that was compared
//!    with the one before goes to the next bucket.
//! 4. Nothing of the user's runs under the lock, except the clock and a custom backoff function.
//!
//! | what goes wrong | what happens |
//! |---|---|
//! | a thread is held up between reading the word and counting | its success was before whatever came since |
//! | the word is BUSY | the lock is taken |
//! | a listener, a cause's Display or a waker panics | caught; the breaker is as it was |

use super::hold::Handles;
use super::record::{Order, Record};
use super::word::Word;
use crate::clock::{Source, SystemClock, Tick};
use crate::counters::{Counters, Directory, First, Total};
use crate::events::Bus;
use crate::rejected::Rejected;
use crate::shadow::Shadow;
use crate::state::{Core, Denial, Effects, Grant, Input, Outcome, Published, Reason, Rule, State, Tally};
use crate::sync::{AtomicU64, Mutex, MutexGuard, Ordering, lock};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Laid out so that what changes with every call of a thread (the reference counts in front, the first cell behind) is
/// a cache line or more away from what every thread reads (the word and the directory of the cells).
#[repr(C)]
pub(crate) struct Shell {
    pub(super) handles: Handles,
    pub(super) clock: Source,
    pub(super) name: Arc<str>,
    pub(super) bus: OnceLock<Box<Bus>>,
    hot: Hot,
    directory: Directory,
    cell: Mutex<Cell>,
    first: First,
}

/// Written under the lock alone, but for the slack in `word`.
#[derive(Default)]
struct Hot {
    word: AtomicU64,
    deadline: AtomicU64,
    since: AtomicU64,
    /// `seen` in the high half, `of` in the low one.
    seen_of: AtomicU64,
    slow_ns: AtomicU64,
    retry_hint_ns: AtomicU64,
    /// The number of the rule that opened it in the high half, the limit of failures in a row in the low one.
    rule_limit: AtomicU64,
    /// When a failure was last counted in the word, by the coarse clock, plus 1; zero: never. For people.
    last_failure: AtomicU64,
}

/// What the lock guards.
pub(super) struct Cell {
    pub(super) core: Core,
    /// The word that was published last; calls have changed it since, if [`Word::can_change`].
    published: Word,
    /// Events made so far.
    pub(super) sequence: u64,
    /// Why it is in its state.
    pub(super) record: Option<Box<Record>>,
    /// Why it last opened, once it is open no more.
    opened: Option<Box<Record>>,
    pub(super) shadow: Option<Box<Shadow>>,
}

/// What comes with a step and is not the core's.
#[derive(Default)]
pub(super) struct Context {
    /// The event of a transition that the step itself makes waits for its cause's text.
    pub(super) cause_follows: bool,
    /// The step is a person's command.
    pub(super) order: Option<Order>,
}

impl Shell {
    pub(super) fn new(name: Arc<str>, clock: Source, core: Core, shadow: Option<Shadow>) -> Self {
        let cell = Mutex::new(Cell {
            core,
            published: Word::BUSY,
            sequence: 0,
            record: None,
            opened: None,
            shadow: shadow.map(Box::new),
        });
        let shell = Shell {
            handles: Handles::one(),
            clock,
            name,
            bus: OnceLock::new(),
            hot: Hot::default(),
            directory: Directory::new(),
            cell,
            first: First::default(),
        };
        shell.publish(&mut lock(&shell.cell), false);
        shell
    }

    /// The totals.
    #[inline]
    pub(super) fn counters(&self) -> Counters<'_> {
        Counters { directory: &self.directory, first: &self.first }
    }

    #[inline]
    fn word(&self) -> Word {
        Word(self.hot.word.load(Ordering::Acquire))
    }

    /// Grants a permit of this generation, if it is CLOSED and a permit costs nothing.
    #[inline]
    pub(crate) fn acquire_plain(&self) -> Option<u64> {
        let word = self.word();
        word.is_plain_closed().then(|| word.generation())
    }

    /// Grants a permit or rejects (B5, B7).
    #[inline]
    pub(crate) fn acquire(&self) -> Result<Grant, Rejected> {
        let word = self.word();
        if word.is_plain_closed() {
            return Ok(Grant::untimed(word.generation()));
        }
        self.acquire_otherwise(word)
    }

    fn acquire_otherwise(&self, word: Word) -> Result<Grant, Rejected> {
        if let Some(rejected) = self.reject_far(word) {
            self.counters().add(Total::Rejected);
            return Err(rejected);
        }
        self.acquire_slowly(word)
    }

    #[cold]
    fn acquire_slowly(&self, word: Word) -> Result<Grant, Rejected> {
        if word.permits_untold() {
            let mut grant = Grant::untimed(word.generation());
            if word.is_timed() {
                grant.started = self.clock.now();
            }
            return Ok(grant);
        }
        if let Some(rejected) = self.reject_untold(word) {
            self.counters().add(Total::Rejected);
            return Err(rejected);
        }
        let (effects, (now, retry_hint_ns)) = self.enter(
            Context::default(),
            |_| Input::Acquire,
            |cell, _, now| (now, cell.core.config().retry_hint_ns),
        );
        match effects.admission {
            Some(Ok(grant)) => Ok(grant),
            Some(Err(denial)) => {
                self.counters().add(Total::Rejected);
                Err(Rejected::new(denial, now, retry_hint_ns))
            }
            // `step` answers every acquire.
            None => Ok(Grant::untimed(u64::MAX)),
        }
    }

    /// The rejection of an OPEN whose end is not near: one look at the machine's coarse clock, nothing else.
    #[inline(always)]
    fn reject_far(&self, word: Word) -> Option<Rejected> {
        if !word.is_open_by_coarse() {
            return None;
        }
        let deadline = Tick::from_nanos(self.hot.deadline.load(Ordering::Acquire));
        let now = SystemClock::coarse_before(deadline)?;
        self.reject_at(word, State::Open, now)
    }

    /// The rejection that the published word allows to give without the core.
    pub(super) fn reject_untold(&self, word: Word) -> Option<Rejected> {
        let is_full = word.is(State::HalfOpen) && word.slack() == 0;
        let state = match word.mode() {
            mode if mode == State::Open as u64 => State::Open,
            mode if mode == State::ForcedOpen as u64 => State::ForcedOpen,
            _ if is_full => State::HalfOpen,
            _ => return None,
        };
        let deadline = Tick::from_nanos(self.hot.deadline.load(Ordering::Acquire));
        let now = self.clock.now_against(deadline);
        if now >= deadline && deadline != Tick::MAX {
            return None;
        }
        self.reject_at(word, state, now)
    }

    /// The details of a rejection, if the word stands still while they are read.
    #[inline(always)]
    fn reject_at(&self, word: Word, state: State, now: Tick) -> Option<Rejected> {
        let deadline = Tick::from_nanos(self.hot.deadline.load(Ordering::Acquire));
        let seen_of = self.hot.seen_of.load(Ordering::Acquire);
        let rule = Rule::from_number(self.hot.rule_limit.load(Ordering::Acquire) >> 32);
        let since = Tick::from_nanos(self.hot.since.load(Ordering::Acquire));
        let retry_hint_ns = self.hot.retry_hint_ns.load(Ordering::Acquire);
        if self.hot.word.load(Ordering::Relaxed) != word.0 {
            return None;
        }
        let denial = Denial {
            state,
            generation: word.generation(),
            reason: Reason::new(rule, (seen_of >> 32) as u32, seen_of as u32),
            since,
            deadline: (state == State::Open).then_some(deadline),
        };
        Some(Rejected::new(denial, now, retry_hint_ns))
    }

    /// The rejection of an OPEN whose end is not near, counted.
    #[inline(always)]
    pub(super) fn rejected_far(&self) -> Option<Rejected> {
        let rejected = self.reject_far(self.word())?;
        self.counters().add(Total::Rejected);
        Some(rejected)
    }

    /// How a permit would be rejected right now, without asking for one.
    pub(super) fn would_reject(&self) -> Option<Rejected> {
        let word = self.word();
        if word.permits_untold() {
            return None;
        }
        if let Some(rejected) = self.reject_untold(word) {
            return Some(rejected);
        }
        let read = |cell: &Cell, _: &Effects, now| {
            let denial = cell.core.would_deny()?;
            Some(Rejected::new(denial, now, cell.core.config().retry_hint_ns))
        };
        self.enter(Context::default(), |_| Input::Look, read).1
    }

    /// The call of an untimed permit worked.
    #[inline]
    pub(crate) fn success_plain(&self, generation: u64) {
        let word = self.word();
        if word.generation() == generation && word.absorbs_everything() {
            return self.counters().add(Total::Succeeded);
        }
        self.success_otherwise(&Grant::untimed(generation), word);
    }

    /// The call worked.
    #[inline]
    pub(crate) fn success(&self, grant: &Grant) {
        let word = self.word();
        if word.generation() == grant.generation && word.absorbs_everything() {
            return self.counters().add(Total::Succeeded);
        }
        self.success_otherwise(grant, word);
    }

    fn success_otherwise(&self, grant: &Grant, mut word: Word) {
        // The time, and the deadline that it is good enough for.
        let mut looked: Option<(Tick, Tick)> = None;
        loop {
            // Of a call that was watched the core knows whether it has had its say.
            if word.generation() != grant.generation || !word.permits_untold() || grant.is_tracked() {
                break;
            }
            if word.is_checked() {
                let deadline = Tick::from_nanos(self.hot.deadline.load(Ordering::Acquire));
                let now = match looked {
                    Some((now, against)) if against == deadline => now,
                    _ if grant.started != Tick::MAX => self.clock.now(),
                    _ => self.clock.now_against(deadline),
                };
                looked = Some((now, deadline));
                let slow_ns = self.hot.slow_ns.load(Ordering::Acquire);
                let is_slow = grant.elapsed_ns(now).is_some_and(|elapsed_ns| elapsed_ns >= slow_ns);
                if is_slow || now >= deadline && deadline != Tick::MAX {
                    break;
                }
            }
            if word.is_unlimited() {
                return self.counters().add(Total::Succeeded);
            }
            let Some(next) = word.one_more_success() else { break };
            let order = (Ordering::AcqRel, Ordering::Acquire);
            match self.hot.word.compare_exchange_weak(word.0, next.0, order.0, order.1) {
                Ok(_) => return self.counters().add(Total::Succeeded),
                Err(other) => word = Word(other),
            }
        }
        self.finish(grant, Outcome::Success, None);
    }

    /// The call failed and has no more to say.
    pub(crate) fn failure(&self, grant: &Grant) {
        let mut word = self.word();
        // The limit of this very word: were it another configuration's, the word would no longer be there to exchange.
        while word.generation() == grant.generation
            && !grant.is_tracked()
            && let Some(next) = word.one_more_failure(self.hot.rule_limit.load(Ordering::Acquire) as u32)
        {
            let order = (Ordering::AcqRel, Ordering::Acquire);
            match self.hot.word.compare_exchange_weak(word.0, next.0, order.0, order.1) {
                Ok(_) => {
                    self.saw_failure();
                    return self.counters().add(Total::Failed);
                }
                Err(other) => word = Word(other),
            }
        }
        self.finish(grant, Outcome::FAILURE, None);
    }

    /// Writes the time of a failure, once a tick of the clock: readers of the word share its cache line.
    fn saw_failure(&self) {
        let stamp = self.clock.coarse().as_nanos().saturating_add(1);
        if self.hot.last_failure.load(Ordering::Relaxed) < stamp {
            self.hot.last_failure.fetch_max(stamp, Ordering::Relaxed);
        }
    }

    /// When a failure was last counted without the core.
    pub(super) fn last_untold_failure(&self) -> Option<Tick> {
        self.hot.last_failure.load(Ordering::Relaxed).checked_sub(1).map(Tick::from_nanos)
    }

    /// The call says nothing.
    pub(crate) fn ignore(&self, grant: Grant) {
        let word = self.word();
        if word.generation() == grant.generation && word.permits_untold() {
            return self.counters().add(Total::Ignored);
        }
        self.finish(&grant, Outcome::Ignored, None);
    }

    /// The call was never started (R4).
    pub(crate) fn cancel(&self, grant: Grant) {
        let word = self.word();
        if word.generation() == grant.generation && word.permits_untold() {
            return;
        }
        self.step(|_| Input::Cancel(grant));
    }

    /// The call ended: tells the core, and formats `cause` if it makes a transition (B19c).
    pub(crate) fn finish(&self, grant: &Grant, outcome: Outcome, cause: Option<&dyn fmt::Display>) {
        let (effects, caused) = self.enter(
            Context { cause_follows: cause.is_some(), order: None },
            |now| Input::Finish(*grant, outcome, grant.elapsed_ns(now)),
            |_, effects, _| effects.caused_change().map(|change| change.generation),
        );
        self.counters().add(match effects.tally {
            Some(Tally::Succeeded) => Total::Succeeded,
            Some(Tally::Failed) => Total::Failed,
            Some(Tally::Ignored) => Total::Ignored,
            Some(Tally::Abandoned) => Total::Abandoned,
            Some(Tally::Late) | None => Total::Late,
        });
        if effects.slow {
            self.counters().add(Total::Slow);
        }
        if let (Some(generation), Some(cause)) = (caused, cause) {
            self.attach_cause(generation, cause);
        }
    }

    /// CLOSED as last published.
    pub(super) fn reads_closed(&self) -> bool {
        self.word().is(State::Closed)
    }

    /// The state as last published; none while it is being written.
    pub(super) fn published_state(&self) -> Option<State> {
        State::ALL.get(self.word().mode() as usize).copied()
    }

    /// The state, by a look; without the lock where nothing can be due.
    pub(crate) fn state(&self) -> State {
        let word = self.word();
        if word.permits_untold() && word.is(State::Closed) {
            return State::Closed;
        }
        if word.is(State::Open) && self.reject_untold(word).is_some() {
            return State::Open;
        }
        self.enter(Context::default(), |_| Input::Look, |cell, _, _| cell.core.state()).1
    }

    /// Runs one step under the lock.
    fn step(&self, input: impl FnOnce(Tick) -> Input) -> Effects {
        self.enter(Context::default(), input, |_, _, _| ()).0
    }

    /// Runs one step under the lock, publishes, keeps and lines up what happened, and reads the result in the same
    /// cut; then, without the lock, tells the listeners.
    pub(super) fn enter<R>(
        &self,
        context: Context,
        input: impl FnOnce(Tick) -> Input,
        read: impl FnOnce(&Cell, &Effects, Tick) -> R,
    ) -> (Effects, R) {
        let mut cell = lock(&self.cell);
        self.absorb(&mut cell);
        let now = self.clock.now();
        let cell_now = &mut *cell;
        let effects = match &mut cell_now.shadow {
            None => cell_now.core.step(now, input(now)),
            Some(shadow) => shadow.step(&mut cell_now.core, now, input(now)),
        };
        self.publish(&mut cell, effects.replaced.is_some());
        if effects.notes.is_empty() {
            let result = read(&cell, &effects, now);
            return (effects, result);
        }
        self.note(&mut cell, &effects, now, context);
        let result = read(&cell, &effects, now);
        drop(cell);
        if let Some(bus) = self.bus.get() {
            bus.pump();
        }
        (effects, result)
    }

    /// Locks without a step: for what is not the core's.
    pub(super) fn lock_cell(&self) -> MutexGuard<'_, Cell> {
        lock(&self.cell)
    }

    /// Tells the core of the plain successes since the last step.
    fn absorb(&self, cell: &mut Cell) {
        // Where nothing can be taken off the word, it stands still while the lock is held.
        let published = cell.published;
        if published.can_change() {
            let word = Word(self.hot.word.swap(Word::BUSY.0, Ordering::AcqRel));
            if word != Word::BUSY {
                match word.failures_in_row() {
                    Some(failures) => cell.core.absorb_failures(failures),
                    None => cell.core.absorb(published.slack().saturating_sub(word.slack())),
                }
            }
        }
    }

    fn publish(&self, cell: &mut Cell, is_reconfigured: bool) {
        let mut published: Published = cell.core.published();
        if cell.shadow.is_some() {
            // The shadow hears of every call that is made.
            published.told = true;
            published.failures = None;
        }
        if published.state == State::Open && self.clock.has_coarse() {
            published.slack = Word::BY_COARSE;
        }
        let revision = cell.published.revision().wrapping_add(u64::from(is_reconfigured));
        let word = Word::new(&published, revision);
        cell.published = word;
        let hot = &self.hot;
        let seen_of = u64::from(published.reason.seen) << 32 | u64::from(published.reason.of);
        let rule_limit = (published.reason.rule as u64) << 32 | u64::from(published.failure_limit);
        let details = [
            (&hot.deadline, published.deadline.as_nanos()),
            (&hot.since, published.since.as_nanos()),
            (&hot.seen_of, seen_of),
            (&hot.slow_ns, published.slow_ns),
            (&hot.retry_hint_ns, published.retry_hint_ns),
            (&hot.rule_limit, rule_limit),
        ];
        if details.iter().any(|(place, value)| place.load(Ordering::Relaxed) != *value) {
            hot.word.store(Word::BUSY.0, Ordering::Relaxed);
            for (place, value) in details {
                // Release: whoever reads a new detail then finds the word BUSY or newer.
                place.store(value, Ordering::Release);
            }
        }
        if hot.word.load(Ordering::Relaxed) != word.0 {
            hot.word.store(word.0, Ordering::Release);
        }
    }
}

impl Cell {
    /// Keeps why the present state began, and why the circuit opened if that was the state before.
    pub(super) fn keep(&mut self, record: Record) {
        let before = self.record.replace(Box::new(record));
        if before.as_ref().is_some_and(|before| before.change.to == State::Open) {
            self.opened = before;
        }
    }

    /// Why the circuit last opened by its rules.
    pub(super) fn last_opened(&self) -> Option<&Record> {
        let present = self.record.as_ref().filter(|record| record.change.to == State::Open);
        present.or(self.opened.as_ref()).map(|record| &**record)
    }

    /// The record of the transition that began `generation`, if it is still kept.
    pub(super) fn record_of(&mut self, generation: u64) -> Option<&mut Record> {
        let kept = [&mut self.record, &mut self.opened].into_iter().flatten();
        kept.map(|record| &mut **record).find(|record| record.change.generation == generation)
    }
}

impl Effects {
    /// The transition that the finished call itself made.
    fn caused_change(&self) -> Option<&crate::state::Change> {
        self.notes[self.caused_from.min(self.notes.len())..].iter().find_map(|note| match note {
            crate::state::Note::Change(change) => Some(change),
            _ => None,
        })
    }
}
