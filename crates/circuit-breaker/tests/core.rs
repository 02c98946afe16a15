//! The pure core, driven without a shell: the seam for whatever else wants to decide by the same rules (B19d, B22).
#![allow(clippy::unwrap_used)]

use circuit_breaker::state::{Core, Effects, Grant, Input};
use circuit_breaker::{Backoff, Command, Config, Outcome, Rule, State, Tick, Window};
use std::sync::Arc;
use std::time::Duration;

const SEED: u64 = 7;

fn config() -> Arc<Config> {
    let window = Window::count(10).minimum_calls(4).failure_rate_threshold(60.0);
    let backoff = Backoff::exponential(2.0, Duration::from_secs(600)).jitter(0.5);
    Arc::new(Config::new().failure_threshold(3).window(window).backoff(backoff))
}

/// An input as a log shared between processes would hold it: a permit is the number of the entry that granted it.
#[derive(Clone, Copy)]
enum Entry {
    Acquire,
    Finish(usize, Outcome),
    Command(Command),
    Look,
}

/// One replica: its core, and the grant of every entry that it has read.
struct Replica {
    core: Core,
    grants: Vec<Option<Grant>>,
}

impl Replica {
    fn new() -> Self {
        Replica { core: Core::new(config(), Tick::from_nanos(0), SEED), grants: Vec::new() }
    }

    fn read(&mut self, at: Tick, entry: Entry) -> Effects {
        let input = match entry {
            Entry::Acquire => Input::Acquire,
            Entry::Finish(granted_by, outcome) => match self.grants[granted_by] {
                Some(grant) => Input::Finish(grant, outcome, None),
                None => Input::Look,
            },
            Entry::Command(command) => Input::Command(command),
            Entry::Look => Input::Look,
        };
        let effects = self.core.step(at, input);
        self.grants.push(effects.admission.and_then(Result::ok));
        effects
    }
}

/// Two outages with a person's command in between; the times are the log's own (B26).
fn log() -> Vec<(Tick, Entry)> {
    let mut log = Vec::new();
    for second in 0..400u64 {
        let at = Tick::from_nanos(second * 1_000_000_000);
        let call = log.len();
        let fails = (20..90).contains(&second) || (200..260).contains(&second) || second % 7 == 0;
        log.push((at, Entry::Acquire));
        log.push((at, Entry::Finish(call, if fails { Outcome::FAILURE } else { Outcome::Success })));
        match second {
            120 => log.push((at, Entry::Command(Command::ForceOpen))),
            140 => log.push((at, Entry::Command(Command::Release))),
            _ => log.push((at, Entry::Look)),
        }
    }
    log
}

// B12, B19d: what makes a decision is all in the inputs and the seed, so whoever reads the same log decides the same.
#[test]
fn two_replicas_that_read_one_log_make_the_same_transitions() {
    let (mut one, mut other) = (Replica::new(), Replica::new());
    let mut opens = 0;
    for (at, entry) in log() {
        let (ours, theirs) = (one.read(at, entry), other.read(at, entry));
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
        assert_eq!(one.core.view(), other.core.view());
        opens = one.core.view().counts.opens;
    }
    assert!(opens > 1, "the log must contain outages");
}

// A replica that joins later takes over a copy and goes on from there.
#[test]
fn a_copy_of_the_state_goes_on_as_the_original_does() {
    let log = log();
    let mut original = Replica::new();
    let (before, after) = log.split_at(log.len() / 2);
    before.iter().for_each(|&(at, entry)| drop(original.read(at, entry)));
    let mut copy = Replica { core: original.core.clone(), grants: original.grants.clone() };
    for &(at, entry) in after {
        original.read(at, entry);
        copy.read(at, entry);
        assert_eq!(original.core.view(), copy.core.view());
    }
}

// Invariant 1 of the core: entries of a store whose clock was set back are taken at the latest time seen.
#[test]
fn an_input_from_the_past_is_taken_at_the_latest_time_seen() {
    let mut core = Core::new(Arc::new(Config::new().failure_threshold(1)), Tick::from_nanos(0), SEED);
    let grant = core.step(Tick::from_nanos(100), Input::Acquire).admission.unwrap().unwrap();
    core.step(Tick::from_nanos(40), Input::Finish(grant, Outcome::FAILURE, None));
    let view = core.view();
    assert_eq!((view.state, view.since), (State::Open, Tick::from_nanos(100)));
    assert_eq!(view.opened_by.rule, Rule::ConsecutiveFailures);
    assert_eq!(core.generation(), 1);
    assert_eq!(core.since(), view.since);
}
