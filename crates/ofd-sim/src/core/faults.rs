use super::call::Submission;
use super::chance::{hits, roll, within};
use crate::plan::{Calls, DownMode, Fault, Plan, Rule, When};
use std::time::Duration;

/// A plan at work: its rules with how often each has matched and been applied.
#[derive(Debug)]
pub(super) struct FaultState {
    plan: Plan,
    since: Duration,
    rules: Vec<RuleState>,
}

#[derive(Debug, Default)]
struct RuleState {
    /// Calls that met the conditions before `nth`, `every` and `probability`.
    matched: u64,
    applied: u64,
    phase: Phase,
}

/// Where a flap with random lengths stands.
#[derive(Debug, Default)]
struct Phase {
    /// Phases begun; odd: up, even (and not 0): down.
    number: u64,
    ends: Duration,
}

/// What a rule looks at.
pub(super) enum Subject<'a> {
    Ping { arrivals: u64 },
    Receipt { document: &'a Submission, attempt: u64 },
    Unreadable,
}

/// The outcome: a fault (never a flap, which becomes what its phase says) and the pause before it.
#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) delay: Duration,
    pub(super) fault: Fault,
}

impl FaultState {
    pub(super) fn new(plan: Plan, since: Duration) -> Self {
        let rules = plan.rules.iter().map(|_| RuleState::default()).collect();
        Self { plan, since, rules }
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn applied(&self) -> Vec<u64> {
        self.rules.iter().map(|r| r.applied).collect()
    }

    /// The first rule that matches decides; none: served.
    pub(super) fn choose(&mut self, now: Duration, subject: &Subject<'_>) -> Verdict {
        let age = now.saturating_sub(self.since);
        for (number, (rule, state)) in self.plan.rules.iter().zip(&mut self.rules).enumerate() {
            let dice = Dice { seed: self.plan.seed, rule: number as u64, subject };
            if !matches(rule, state, age, &dice) {
                continue;
            }
            let fault = match &rule.fault {
                Fault::Flap { up, down, mode } => match flap(&mut state.phase, age, *up, *down, &dice) {
                    true => Fault::Ok,
                    false => down_fault(*mode),
                },
                other => other.clone(),
            };
            state.applied += 1;
            let jitter = micros(rule.delay_jitter);
            let jitter = Duration::from_micros(within(dice.roll(1), jitter));
            return Verdict { delay: rule.delay.saturating_add(jitter), fault };
        }
        Verdict { delay: Duration::ZERO, fault: Fault::Ok }
    }
}

fn matches(rule: &Rule, state: &mut RuleState, age: Duration, dice: &Dice<'_>) -> bool {
    let when = &rule.when;
    if rule.times.is_some_and(|times| state.applied >= times)
        || !concerns(when, &rule.fault, dice.subject)
        || when.from.is_some_and(|from| age < from)
        || when.until.is_some_and(|until| age >= until)
    {
        return false;
    }
    state.matched += 1;
    when.nth.is_none_or(|nth| state.matched == nth)
        && when.every.is_none_or(|every| state.matched.is_multiple_of(every))
        && when.probability.is_none_or(|p| hits(dice.roll(0), p))
}

fn concerns(when: &When, fault: &Fault, subject: &Subject<'_>) -> bool {
    let about_documents = when.key.is_some()
        || when.pos_id.is_some()
        || when.fn_number.is_some()
        || when.fd.is_some()
        || when.document.is_some()
        || when.attempt.is_some();
    match subject {
        Subject::Ping { .. } => {
            when.calls != Calls::Receipts && !about_documents && !matches!(fault, Fault::Reject { .. })
        }
        Subject::Unreadable => when.calls != Calls::Pings && !about_documents,
        Subject::Receipt { document, attempt } => {
            let is = |want: &Option<String>, have: &str| want.as_ref().is_none_or(|w| w == have);
            when.calls != Calls::Pings
                && is(&when.key, &document.key)
                && is(&when.pos_id, &document.pos_id)
                && is(&when.fn_number, &document.fn_number)
                && is(&when.document, &document.document)
                && when.fd.is_none_or(|fd| fd == document.fd)
                && when.attempt.is_none_or(|n| n == *attempt)
        }
    }
}

/// Phases that nobody saw are walked through at most this many at a time, then skipped.
const PHASES_MAX: u64 = 1_000_000;

/// Whether the flap is up at `age`. Each phase's length comes from the seed and the phase's number alone.
fn flap(
    phase: &mut Phase,
    age: Duration,
    up: (Duration, Duration),
    down: (Duration, Duration),
    dice: &Dice<'_>,
) -> bool {
    while age >= phase.ends {
        let (low, high) = if phase.number.is_multiple_of(2) { up } else { down };
        if low == high && up.0 == up.1 && down.0 == down.1 {
            // Fixed lengths need no walk through the phases that nobody saw.
            let round = micros(up.0.saturating_add(down.0)).max(1);
            return micros(age) % round < micros(up.0);
        }
        let extra =
            within(roll(dice.seed, dice.rule, "flap", phase.number), micros(high.saturating_sub(low)));
        phase.number += 1;
        if phase.number.is_multiple_of(PHASES_MAX) {
            phase.ends = age;
        }
        phase.ends = phase.ends.saturating_add(low).saturating_add(Duration::from_micros(extra.max(1)));
    }
    !phase.number.is_multiple_of(2)
}

fn down_fault(mode: DownMode) -> Fault {
    match mode {
        DownMode::Fail(status) => Fault::Fail { status, retry_after: None, detail: None },
        DownMode::Reset => Fault::Reset { store: false },
        DownMode::Hang => Fault::Hang { store: false },
    }
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

/// Chance for one rule and one call.
struct Dice<'a> {
    seed: u64,
    rule: u64,
    subject: &'a Subject<'a>,
}

impl Dice<'_> {
    fn roll(&self, purpose: u64) -> u64 {
        let (about, count) = match self.subject {
            Subject::Ping { arrivals } => ("", *arrivals),
            Subject::Receipt { document, attempt } => (document.key.as_str(), *attempt),
            Subject::Unreadable => ("?", 0),
        };
        roll(self.seed, self.rule * 2 + purpose, about, count)
    }
}
