//! An independent reference model: the rules B1–B19b written down as plainly as possible, with lists instead of
//! counters and no thought of speed. It shares no code with the crate but the names of states, rules and settings.
//!
//! Rules are in milliseconds. Points in time and what is compared are in nanoseconds, since B19a's charges can fall in
//! between.

use circuit_breaker::{Backoff, Command, Config, OnDrop, OverdueAs, Ramp, Rule, State, Window};
use std::time::Duration;

/// One millisecond.
const MS: u64 = 1_000_000;

#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    pub failure_threshold: u32,
    pub recovery_ms: u64,
    pub success_threshold: u32,
    pub half_open_max_calls: u32,
    pub half_open_ms: Option<u64>,
    pub window: Option<WindowRules>,
    pub exponential: Option<(f64, u64)>,
    pub on_drop: OnDrop,
    pub overdue_ms: Option<u64>,
    pub overdue_as: OverdueAs,
    pub retry_after_max_ms: u64,
    pub slow_probe_fails: bool,
    pub ramp: Option<(Vec<u8>, u32)>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct WindowRules {
    pub shape: Shape,
    pub minimum_calls: u32,
    pub failure_rate: f64,
    pub slow: Option<(u64, f64)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    Count(u32),
    Time { buckets: u32, bucket_ms: u64 },
}

const fn ms(time_ms: u64) -> Duration {
    Duration::from_millis(time_ms)
}

impl Rules {
    pub fn to_config(&self) -> Config {
        let mut config = Config::new()
            .failure_threshold(self.failure_threshold)
            .recovery_timeout(ms(self.recovery_ms))
            .success_threshold(self.success_threshold)
            .half_open_max_calls(self.half_open_max_calls)
            .on_drop(self.on_drop)
            .overdue_as(self.overdue_as)
            .retry_after_max(ms(self.retry_after_max_ms))
            .slow_probe_fails(self.slow_probe_fails);
        if let Some(time_ms) = self.half_open_ms {
            config = config.half_open_timeout(ms(time_ms));
        }
        if let Some(time_ms) = self.overdue_ms {
            config = config.overdue_after(ms(time_ms));
        }
        if let Some((multiplier, max_ms)) = self.exponential {
            config = config.backoff(Backoff::exponential(multiplier, ms(max_ms)));
        }
        if let Some((steps, hold)) = &self.ramp {
            config = config.ramp(Ramp::new(steps.clone(), *hold));
        }
        if let Some(rules) = &self.window {
            let mut window = match rules.shape {
                Shape::Count(calls) => Window::count(calls),
                Shape::Time { buckets, bucket_ms } => Window::time(buckets, ms(bucket_ms)),
            };
            window = window.minimum_calls(rules.minimum_calls).failure_rate_threshold(rules.failure_rate);
            if let Some((duration_ms, rate)) = rules.slow {
                window = window.slow_call_duration(ms(duration_ms)).slow_call_rate_threshold(rate);
            }
            config = config.window(window);
        }
        config
    }

    fn half_open(&self) -> u64 {
        self.half_open_ms.unwrap_or(self.recovery_ms) * MS
    }

    fn slow_ms(&self) -> Option<u64> {
        self.window.as_ref().and_then(|window| window.slow).map(|slow| slow.0)
    }
}

/// A defect that is built into the model on purpose, to see that the comparison finds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    LateSuccessCounts,
    DroppedProbeKeepsItsSlot,
    WindowNeverSlides,
    OneProbeTooMany,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outcome {
    Success,
    Failure { retry_after_ms: u64 },
    Ignored,
    Dropped,
}

#[derive(Clone, Debug)]
struct Call {
    generation: u64,
    started: u64,
    epoch: u32,
    /// It and those that share this stretch of start times are taken to have started when the stretch ended, so that
    /// none is charged early; none: it is not watched.
    stretch_end: Option<u64>,
    charged: bool,
    /// A call that started when no setting needed its duration is taken as having no known one.
    timed: bool,
}

impl Call {
    fn is_watched(&self, generation: u64) -> bool {
        self.generation == generation && !self.charged && self.stretch_end.is_some()
    }
}

/// What CLOSED's rules look at: every outcome since the decision state was fresh.
#[derive(Clone, Debug, Default)]
struct History {
    consecutive: u32,
    outcomes: Vec<(u64, bool, bool)>,
    /// Outcomes from here on belong to the window's present shape.
    from: usize,
}

#[derive(Clone, Debug)]
enum Mode {
    Closed(History),
    Open {
        opened: u64,
        until: u64,
        asked: u64,
    },
    HalfOpen {
        successes: u32,
        in_flight: u32,
        real_probes: u32,
        timeout: Option<(u64, u64)>,
        ramp: Option<Climb>,
    },
    ForcedOpen,
    ForcedClosed,
    MetricsOnly {
        history: History,
        until: Option<u64>,
        epoch: u32,
    },
}

#[derive(Clone, Debug)]
struct Climb {
    step: usize,
    held: u32,
    percent_sum: u32,
    history: History,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Totals {
    pub succeeded: u64,
    pub failed: u64,
    pub slow: u64,
    pub ignored: u64,
    pub abandoned: u64,
    pub late: u64,
    pub overdue: u64,
    pub rejected: u64,
    pub opens: u64,
    pub would_open: u64,
    pub would_reject: u64,
}

pub struct Model {
    rules: Rules,
    fault: Option<Fault>,
    now: u64,
    mode: Mode,
    pub generation: u64,
    since: u64,
    opens_in_row: u32,
    calls: Vec<Call>,
    /// When overdue_after was last replaced: what it is now was not known before.
    overdue_since: u64,
    pub totals: Totals,
    pub spent: [u64; 6],
    pub last_rule: Rule,
}

/// What is compared with a snapshot. Times in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub state: State,
    pub generation: u64,
    pub consecutive: u32,
    pub in_flight: u32,
    pub probe_successes: u32,
    pub window: Option<(u32, u32, u32)>,
    pub open_left: Option<u64>,
    pub state_age: u64,
    pub rule: Rule,
    pub spent: [u64; 6],
    pub totals: Totals,
}

impl Model {
    pub fn new(rules: Rules, fault: Option<Fault>) -> Self {
        Model {
            rules,
            fault,
            now: 0,
            mode: Mode::Closed(History::default()),
            generation: 0,
            since: 0,
            opens_in_row: 0,
            calls: Vec::new(),
            overdue_since: 0,
            totals: Totals::default(),
            spent: [0; 6],
            last_rule: Rule::None,
        }
    }

    pub fn advance(&mut self, by_ms: u64) {
        self.now += by_ms * MS;
        self.settle();
    }

    /// A permit's number, or how long to wait.
    pub fn acquire(&mut self) -> Result<usize, Option<u64>> {
        self.settle();
        let mut epoch = 0;
        let rules = &self.rules;
        let permitted = match &mut self.mode {
            Mode::Closed(_) | Mode::ForcedClosed => true,
            Mode::Open { .. } | Mode::ForcedOpen => false,
            Mode::HalfOpen { successes, in_flight, real_probes, timeout, ramp } => {
                let permitted = if let Some(climb) = ramp {
                    climb.percent_sum += percent(rules, climb.step);
                    let full = climb.percent_sum >= 100;
                    climb.percent_sum -= if full { 100 } else { 0 };
                    full
                } else {
                    // B7; and one probe at a time where new rules made the rest of it unreachable.
                    let needed = rules.success_threshold.max(*successes + 1);
                    let extra = u32::from(self.fault == Some(Fault::OneProbeTooMany));
                    *in_flight < rules.half_open_max_calls + extra && *successes + *in_flight < needed + extra
                };
                if permitted {
                    *in_flight += 1;
                    *real_probes += 1;
                    if timeout.is_none() {
                        *timeout = Some((self.now, self.now + rules.half_open()));
                    }
                }
                permitted
            }
            Mode::MetricsOnly { until, epoch: present, .. } => {
                self.totals.would_reject += u64::from(until.is_some());
                epoch = *present;
                true
            }
        };
        if !permitted {
            self.totals.rejected += 1;
            return Err(if let Mode::Open { until, .. } = self.mode { Some(until - self.now) } else { None });
        }
        let stretch_end = self.watch();
        let timed = match self.mode {
            Mode::Closed(_) if stretch_end.is_some() || self.watched().next().is_some() => true,
            Mode::Closed(_) | Mode::ForcedClosed => {
                self.rules.slow_ms().is_some() || matches!(self.rules.on_drop, OnDrop::FailureAfter(_))
            }
            _ => true,
        };
        let (generation, started) = (self.generation, self.now);
        self.calls.push(Call { generation, started, epoch, stretch_end, charged: false, timed });
        Ok(self.calls.len() - 1)
    }

    /// B19a: the end of the stretch of start times that a call starting now belongs to, if it is watched.
    fn watch(&self) -> Option<u64> {
        let eighth = self.rules.overdue_ms? * MS / 8;
        if matches!(self.mode, Mode::ForcedClosed | Mode::MetricsOnly { until: Some(_), .. }) {
            return None;
        }
        let running = self.watched().filter_map(|call| call.stretch_end).find(|&end| self.now < end);
        Some(running.unwrap_or((self.now / eighth + 1) * eighth))
    }

    /// The calls that may yet be charged.
    fn watched(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| call.is_watched(self.generation))
    }

    pub fn finish(&mut self, permit: usize, outcome: Outcome) {
        self.settle();
        let call = self.calls[permit].clone();
        self.calls[permit].stretch_end = None;
        if call.generation != self.generation {
            self.totals.late += 1;
            if self.fault == Some(Fault::LateSuccessCounts)
                && outcome == Outcome::Success
                && let Mode::HalfOpen { successes, .. } = &mut self.mode
            {
                *successes += 1;
            }
            return;
        }
        let elapsed = self.now - call.started;
        let slow = call.timed && self.rules.slow_ms().is_some_and(|slow_ms| elapsed >= slow_ms * MS);
        if let Outcome::Success | Outcome::Failure { .. } = outcome {
            self.totals.slow += u64::from(slow);
        }
        let failed = match outcome {
            Outcome::Success => {
                self.totals.succeeded += 1;
                Some(false)
            }
            Outcome::Failure { .. } => {
                self.totals.failed += 1;
                Some(true)
            }
            Outcome::Ignored => {
                self.totals.ignored += 1;
                None
            }
            Outcome::Dropped => {
                self.totals.abandoned += 1;
                match self.rules.on_drop {
                    OnDrop::Failure => Some(true),
                    OnDrop::FailureAfter(time) if call.timed && Duration::from_nanos(elapsed) >= time => {
                        Some(true)
                    }
                    _ => None,
                }
            }
        };
        if let Mode::HalfOpen { in_flight, .. } = &mut self.mode
            && !(outcome == Outcome::Dropped && self.fault == Some(Fault::DroppedProbeKeepsItsSlot))
        {
            *in_flight -= 1;
        }
        if let (Some(failed), false) = (failed, call.charged) {
            let asked =
                if let Outcome::Failure { retry_after_ms } = outcome { retry_after_ms * MS } else { 0 };
            self.decide(self.now, call.epoch, failed, slow, asked, false);
        }
    }

    pub fn cancel(&mut self, permit: usize) {
        self.settle();
        self.calls[permit].stretch_end = None;
        if self.calls[permit].generation != self.generation {
            return;
        }
        if let Mode::HalfOpen { in_flight, real_probes, timeout, .. } = &mut self.mode {
            *in_flight -= 1;
            *real_probes -= 1;
            if *real_probes == 0 {
                *timeout = None;
            }
        }
    }

    pub fn command(&mut self, command: Command) {
        self.settle();
        let (mode, rule) = match command {
            Command::ForceOpen => (Mode::ForcedOpen, Rule::ForcedOpen),
            Command::ForceClosed => (Mode::ForcedClosed, Rule::ForcedClosed),
            Command::MetricsOnly => {
                (Mode::MetricsOnly { history: History::default(), until: None, epoch: 0 }, Rule::MetricsOnly)
            }
            Command::Release => (Mode::Closed(History::default()), Rule::Released),
            Command::Reset => (Mode::Closed(History::default()), Rule::Reset),
        };
        let manual = self.state().is_manual();
        if command == Command::Release && !manual || manual && state_of(&mode) == self.state() {
            return;
        }
        self.go(self.now, mode, rule);
    }

    pub fn configure(&mut self, rules: Rules) {
        self.settle();
        let shape = |rules: &Rules| rules.window.as_ref().map(|window| window.shape);
        let reshaped = shape(&rules) != shape(&self.rules);
        if rules.overdue_ms != self.rules.overdue_ms {
            // B19: the new value says what is overdue, from now on. Its eighth is another, so the stretch ends here.
            self.overdue_since = self.now;
            let generation = self.generation;
            for call in self.calls.iter_mut().filter(|call| call.is_watched(generation)) {
                call.stretch_end = call.stretch_end.map(|end| end.min(self.now + 1));
            }
        }
        self.rules = rules;
        let (now, rules, opens) = (self.now, &self.rules, self.opens_in_row);
        let reshape = |history: &mut History| {
            if reshaped {
                history.from = history.outcomes.len();
            }
        };
        match &mut self.mode {
            Mode::Closed(history) | Mode::MetricsOnly { history, .. } => reshape(history),
            Mode::Open { opened, until, asked } => {
                *until = (*opened + open_time(rules, opens, *asked)).max(now);
            }
            Mode::HalfOpen { timeout, ramp, .. } => {
                if let Some(climb) = ramp {
                    reshape(&mut climb.history);
                }
                if let Some((from, until)) = timeout {
                    *until = (*from + rules.half_open()).max(now);
                }
            }
            Mode::ForcedOpen | Mode::ForcedClosed => {}
        }
    }

    pub fn look(&mut self) -> Seen {
        self.settle();
        let (mut consecutive, mut window) = (0, None);
        let history = match &self.mode {
            Mode::Closed(history) | Mode::MetricsOnly { history, .. } => Some(history),
            Mode::HalfOpen { ramp: Some(climb), .. } => Some(&climb.history),
            _ => None,
        };
        if let Some(history) = history {
            consecutive = history.consecutive;
            window = self.rules.window.as_ref().map(|rules| sums(rules, history, self.now, None));
        }
        let (in_flight, probe_successes) = match self.mode {
            Mode::HalfOpen { in_flight, successes, .. } => (in_flight, successes),
            _ => (0, 0),
        };
        let mut spent = self.spent;
        spent[self.state() as usize] += self.now - self.since;
        Seen {
            state: self.state(),
            generation: self.generation,
            consecutive,
            in_flight,
            probe_successes,
            window,
            open_left: if let Mode::Open { until, .. } = self.mode { Some(until - self.now) } else { None },
            state_age: self.now - self.since,
            rule: self.last_rule,
            spent,
            totals: self.totals.clone(),
        }
    }

    fn state(&self) -> State {
        state_of(&self.mode)
    }

    /// B6, B9, B19a: everything that was due, in the order of when.
    fn settle(&mut self) {
        loop {
            let timer = match &self.mode {
                Mode::Open { until, .. } => Some(*until),
                Mode::HalfOpen { timeout: Some((_, until)), ramp: None, .. } => Some(*until),
                Mode::MetricsOnly { until, .. } => *until,
                _ => None,
            };
            let timer = timer.filter(|&due| due <= self.now);
            let oldest = self.watched().filter_map(|call| call.stretch_end).min();
            let charge = self.rules.overdue_ms.zip(oldest);
            let charge = charge.map(|(after_ms, end)| (end + after_ms * MS).max(self.overdue_since));
            let charge = charge.filter(|&due| due <= self.now);
            match (timer, charge) {
                (None, None) => return,
                (Some(timer), charge) if charge.is_none_or(|charge| timer <= charge) => self.expire(timer),
                (_, Some(charge)) => self.charge(charge.max(self.since), oldest),
                (Some(_), None) => unreachable!(),
            }
        }
    }

    fn expire(&mut self, at: u64) {
        let at = at.max(self.since);
        match &mut self.mode {
            Mode::Open { .. } => {
                let half_open =
                    Mode::HalfOpen { successes: 0, in_flight: 0, real_probes: 0, timeout: None, ramp: None };
                self.go(at, half_open, Rule::RecoveryElapsed);
            }
            Mode::HalfOpen { .. } => self.open(at, Rule::HalfOpenTimeout, 0),
            Mode::MetricsOnly { history, until, epoch } => {
                *history = History::default();
                *until = None;
                *epoch += 1;
            }
            _ => unreachable!(),
        }
    }

    fn charge(&mut self, at: u64, stretch_end: Option<u64>) {
        let generation = self.generation;
        let after = self.rules.overdue_ms.unwrap_or(0) * MS;
        let mut charged = 0;
        for call in self.calls.iter_mut().filter(|call| call.is_watched(generation)) {
            if call.stretch_end != stretch_end {
                continue;
            }
            // B19a by its letter, whatever the stretches are: in flight for longer, and late by at most an eighth.
            assert!(at > call.started + after, "charged early");
            let is_of_this_value = call.started > self.overdue_since;
            assert!(!is_of_this_value || at <= call.started + after + after / 8, "charged late");
            assert!(at >= self.overdue_since, "charged before the configuration that says so");
            call.charged = true;
            charged += 1;
        }
        for _ in 0..charged {
            self.totals.overdue += 1;
            if self.generation != generation {
                continue;
            }
            let slow_ms = self.rules.slow_ms();
            let as_failure = match self.rules.overdue_as {
                OverdueAs::Failure => true,
                OverdueAs::Slow => false,
                _ => slow_ms.is_none(),
            };
            let also_slow = slow_ms.is_some_and(|slow_ms| Some(slow_ms) <= self.rules.overdue_ms);
            let epoch = if let Mode::MetricsOnly { epoch, .. } = self.mode { epoch } else { 0 };
            if as_failure {
                self.decide(at, epoch, true, also_slow, 0, true);
            } else {
                self.decide_slow(at, epoch);
            }
        }
    }

    /// An overdue call charged as slow: it is in the window as a slow call that has not failed, and nothing else.
    fn decide_slow(&mut self, at: u64, epoch: u32) {
        if let Mode::HalfOpen { ramp: None, .. } = self.mode {
            if self.rules.slow_probe_fails {
                self.open(at, Rule::OverdueProbe, 0);
            }
            return;
        }
        self.record(at, epoch, None, false, true, 0);
    }

    fn decide(&mut self, at: u64, epoch: u32, failed: bool, slow: bool, asked: u64, overdue: bool) {
        if let Mode::HalfOpen { ramp: None, successes, .. } = &mut self.mode {
            if failed {
                let rule = if overdue { Rule::OverdueProbe } else { Rule::ProbeFailed };
                return self.open(at, rule, asked);
            }
            if slow && self.rules.slow_probe_fails {
                return self.open(at, Rule::SlowProbe, asked);
            }
            *successes += 1;
            if *successes >= self.rules.success_threshold {
                if self.rules.ramp.is_some() {
                    let Mode::HalfOpen { ramp, .. } = &mut self.mode else { unreachable!() };
                    *ramp = Some(Climb { step: 0, held: 0, percent_sum: 0, history: History::default() });
                } else {
                    self.go(at, Mode::Closed(History::default()), Rule::ProbesSucceeded);
                }
            }
            return;
        }
        self.record(at, epoch, Some(failed), failed, slow, asked);
    }

    /// CLOSED's trip rules, wherever they hold (B3).
    fn record(&mut self, at: u64, epoch: u32, ended: Option<bool>, failed: bool, slow: bool, asked: u64) {
        let (rules, fault) = (&self.rules, self.fault);
        let fires = |history: &mut History| {
            match ended {
                Some(true) => history.consecutive += 1,
                Some(false) => history.consecutive = 0,
                None => {}
            }
            history.outcomes.push((at, failed, slow));
            if history.consecutive >= rules.failure_threshold {
                return Some(Rule::ConsecutiveFailures);
            }
            let window = rules.window.as_ref()?;
            let (calls, failures, slow) = sums(window, history, at, fault);
            if calls < window.minimum_calls {
                return None;
            }
            if f64::from(failures) / f64::from(calls) * 100.0 >= window.failure_rate {
                return Some(Rule::FailureRate);
            }
            let (_, rate) = window.slow?;
            (f64::from(slow) / f64::from(calls) * 100.0 >= rate).then_some(Rule::SlowCallRate)
        };
        match &mut self.mode {
            Mode::Closed(history) => {
                if let Some(rule) = fires(history) {
                    self.open(at, rule, asked);
                }
            }
            Mode::HalfOpen { ramp: Some(climb), .. } => {
                if let Some(rule) = fires(&mut climb.history) {
                    return self.open(at, rule, asked);
                }
                if ended == Some(false) && climbed(rules, climb) {
                    self.go(at, Mode::Closed(History::default()), Rule::RampCompleted);
                }
            }
            Mode::MetricsOnly { history, until: until @ None, epoch: present } if *present == epoch => {
                if fires(history).is_none() {
                    return;
                }
                *until = Some(at + rules.recovery_ms * MS);
                self.totals.would_open += 1;
                // Nothing of this virtual period is watched any more.
                for call in self.calls.iter_mut().filter(|call| call.generation == self.generation) {
                    call.charged |= call.stretch_end.take().is_some();
                }
            }
            _ => {}
        }
    }

    fn open(&mut self, at: u64, rule: Rule, asked: u64) {
        self.opens_in_row += 1;
        self.totals.opens += 1;
        let until = at + open_time(&self.rules, self.opens_in_row, asked);
        self.go(at, Mode::Open { opened: at, until, asked }, rule);
    }

    fn go(&mut self, at: u64, mode: Mode, rule: Rule) {
        self.spent[self.state() as usize] += at - self.since;
        self.since = at;
        self.mode = mode;
        self.generation += 1;
        self.last_rule = rule;
        if self.state() == State::Closed {
            self.opens_in_row = 0;
        }
    }
}

fn state_of(mode: &Mode) -> State {
    match mode {
        Mode::Closed(_) => State::Closed,
        Mode::Open { .. } => State::Open,
        Mode::HalfOpen { .. } => State::HalfOpen,
        Mode::ForcedOpen => State::ForcedOpen,
        Mode::ForcedClosed => State::ForcedClosed,
        Mode::MetricsOnly { .. } => State::MetricsOnly,
    }
}

fn percent(rules: &Rules, step: usize) -> u32 {
    rules.ramp.as_ref().and_then(|(steps, _)| steps.get(step)).map_or(100, |&step| u32::from(step))
}

fn climbed(rules: &Rules, climb: &mut Climb) -> bool {
    let Some((steps, hold)) = &rules.ramp else { return true };
    climb.held += 1;
    if climb.held >= *hold {
        climb.step += 1;
        climb.held = 0;
    }
    climb.step >= steps.len()
}

fn open_time(rules: &Rules, opens: u32, asked: u64) -> u64 {
    let step = match rules.exponential {
        None => rules.recovery_ms,
        Some((multiplier, max_ms)) => {
            let mut time_ms = rules.recovery_ms as f64;
            for _ in 1..opens {
                time_ms = (time_ms * multiplier).min(max_ms as f64);
            }
            time_ms as u64
        }
    };
    (step * MS).max(asked.min(rules.retry_after_max_ms * MS))
}

fn sums(rules: &WindowRules, history: &History, now: u64, fault: Option<Fault>) -> (u32, u32, u32) {
    let outcomes = &history.outcomes[history.from..];
    let within: Vec<_> = match rules.shape {
        _ if fault == Some(Fault::WindowNeverSlides) => outcomes.iter().collect(),
        Shape::Count(calls) => outcomes.iter().rev().take(calls as usize).collect(),
        Shape::Time { buckets, bucket_ms } => {
            let bucket = bucket_ms * MS;
            let oldest = (now / bucket + 1).saturating_sub(u64::from(buckets));
            outcomes.iter().filter(|outcome| outcome.0 / bucket >= oldest).collect()
        }
    };
    let count = |wanted: fn(&&&(u64, bool, bool)) -> bool| within.iter().filter(wanted).count() as u32;
    (within.len() as u32, count(|outcome| outcome.1), count(|outcome| outcome.2))
}
