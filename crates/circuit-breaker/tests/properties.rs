//! Random histories against the reference model.
//!
//! 10,000 histories by default; `BREAKER_CASES=1000000` for more. The seed is printed; `BREAKER_SEED=…` repeats a run.
//! A failure is shrunk and printed as the shortest history that still differs.
#![allow(clippy::unwrap_used)]

mod model;

use circuit_breaker::{CircuitBreaker, Command, ManualClock, OnDrop, OverdueAs, Permit, State};
use model::{Fault, Model, Outcome, Rules, Seen, Shape, Totals, WindowRules};
use proptest::prelude::*;
use proptest::test_runner::{
    Config as RunnerConfig, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner,
};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

#[derive(Clone, Debug)]
enum Action {
    Acquire,
    /// The n-th open permit, modulo their number.
    Finish(usize, Outcome),
    Cancel(usize),
    /// So many calls at once, each successful at once.
    Calls(u32),
    AdvanceMs(u64),
    Command(Command),
    Configure(Box<Rules>),
    Look,
}

fn window() -> impl Strategy<Value = WindowRules> {
    let shape = prop_oneof![
        (1u32..12).prop_map(Shape::Count),
        (1u32..5, prop_oneof![Just(100u64), Just(1_000)])
            .prop_map(|(buckets, bucket_ms)| Shape::Time { buckets, bucket_ms }),
    ];
    let rate = || prop_oneof![Just(100.0), Just(50.0), Just(30.0), Just(0.1)];
    (shape, 1u32..8, rate(), proptest::option::of((prop_oneof![Just(500u64), Just(5_000)], rate()))).prop_map(
        |(shape, minimum_calls, failure_rate, slow)| {
            let most = if let Shape::Count(calls) = shape { calls } else { u32::MAX };
            WindowRules { shape, minimum_calls: minimum_calls.min(most), failure_rate, slow }
        },
    )
}

fn rules() -> impl Strategy<Value = Rules> {
    let opens = (
        prop_oneof![4 => 1u32..5, 1 => Just(1_000u32)],
        prop_oneof![Just(1_000u64), Just(10_000)],
        proptest::option::of(prop_oneof![Just((2.0, 35_000u64)), Just((3.0, 10_000))]),
        prop_oneof![Just(5_000u64), Just(60_000)],
    );
    let probes =
        (1u32..4, 1u32..4, proptest::option::of(prop_oneof![Just(500u64), Just(20_000)]), any::<bool>());
    let calls = (
        proptest::option::of(window()),
        prop_oneof![
            Just(OnDrop::Neutral),
            Just(OnDrop::Failure),
            Just(OnDrop::FailureAfter(Duration::from_millis(1_000)))
        ],
        prop_oneof![3 => Just(None), 1 => Just(Some(800u64)), 1 => Just(Some(8_000))],
        prop_oneof![Just(OverdueAs::Auto), Just(OverdueAs::Slow), Just(OverdueAs::Failure)],
        prop_oneof![
            3 => Just(None),
            1 => (prop_oneof![Just(vec![50u8]), Just(vec![10, 50])], 1u32..4).prop_map(Some)
        ],
    );
    (opens, probes, calls).prop_map(|(opens, probes, calls)| {
        let has_slow_rule = calls.0.as_ref().is_some_and(|window| window.slow.is_some());
        Rules {
            failure_threshold: opens.0,
            recovery_ms: opens.1,
            exponential: opens.2,
            retry_after_max_ms: opens.3,
            success_threshold: probes.0,
            half_open_max_calls: probes.1,
            half_open_ms: probes.2,
            slow_probe_fails: probes.3,
            window: calls.0,
            on_drop: calls.1,
            overdue_ms: calls.2,
            overdue_as: if calls.3 == OverdueAs::Slow && !has_slow_rule { OverdueAs::Auto } else { calls.3 },
            ramp: calls.4,
        }
    })
}

fn action() -> impl Strategy<Value = Action> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Success),
        4 => Just(Outcome::Failure { retry_after_ms: 0 }),
        1 => prop_oneof![Just(3_000u64), Just(100_000)].prop_map(|retry_after_ms| Outcome::Failure { retry_after_ms }),
        1 => Just(Outcome::Ignored),
        2 => Just(Outcome::Dropped),
    ];
    let command = prop_oneof![
        1 => Just(Command::ForceOpen),
        1 => Just(Command::ForceClosed),
        1 => Just(Command::MetricsOnly),
        2 => Just(Command::Release),
        1 => Just(Command::Reset),
    ];
    let time = prop_oneof![
        Just(0u64),
        Just(1),
        Just(99),
        Just(100),
        Just(500),
        Just(999),
        Just(1_000),
        Just(5_000),
        Just(10_000),
        0u64..30_000,
    ];
    prop_oneof![
        8 => Just(Action::Acquire),
        10 => (0usize..8, outcome).prop_map(|(permit, outcome)| Action::Finish(permit, outcome)),
        1 => (0usize..8).prop_map(Action::Cancel),
        2 => (1u32..20).prop_map(Action::Calls),
        6 => time.prop_map(Action::AdvanceMs),
        1 => command.prop_map(Action::Command),
        1 => rules().prop_map(|rules| Action::Configure(Box::new(rules))),
        2 => Just(Action::Look),
    ]
}

/// The breaker and the model side by side.
struct Pair {
    clock: ManualClock,
    breaker: CircuitBreaker,
    model: Model,
    permits: Vec<(Permit, usize)>,
}

impl Pair {
    fn new(rules: &Rules, fault: Option<Fault>) -> Self {
        let clock = ManualClock::new();
        let breaker =
            CircuitBreaker::builder().config(rules.to_config()).clock(clock.clone()).build().unwrap();
        Pair { clock, breaker, model: Model::new(rules.clone(), fault), permits: Vec::new() }
    }

    fn acquire(&mut self) -> Result<(), TestCaseError> {
        match (self.breaker.try_acquire(), self.model.acquire()) {
            (Ok(permit), Ok(number)) => self.permits.push((permit, number)),
            (Err(rejected), Err(left)) => {
                let expected = left.map_or(Duration::from_secs(1), Duration::from_nanos);
                prop_assert_eq!(rejected.retry_after(), expected, "retry_after");
            }
            (ours, model) => prop_assert!(false, "admission: breaker {:?}, model {:?}", ours, model),
        }
        Ok(())
    }

    fn run(&mut self, action: Action) -> Result<(), TestCaseError> {
        let pick =
            |permits: &Vec<(Permit, usize)>, n: usize| (!permits.is_empty()).then(|| n % permits.len());
        match action {
            Action::Acquire => self.acquire()?,
            Action::Calls(calls) => {
                for _ in 0..calls {
                    let permitted = self.model.acquire();
                    if let Ok(number) = permitted {
                        self.model.finish(number, Outcome::Success);
                    }
                    prop_assert_eq!(self.breaker.call(|| Ok::<_, ()>(())).is_ok(), permitted.is_ok(), "call");
                }
            }
            Action::Finish(n, outcome) => {
                let Some(place) = pick(&self.permits, n) else { return Ok(()) };
                let (permit, number) = self.permits.remove(place);
                match outcome {
                    Outcome::Success => permit.success(),
                    Outcome::Failure { retry_after_ms: 0 } => permit.failure(),
                    Outcome::Failure { retry_after_ms } => {
                        permit.failure_with(Duration::from_millis(retry_after_ms), "cause");
                    }
                    Outcome::Ignored => permit.ignore(),
                    Outcome::Dropped => drop(permit),
                }
                self.model.finish(number, outcome);
            }
            Action::Cancel(n) => {
                let Some(place) = pick(&self.permits, n) else { return Ok(()) };
                let (permit, number) = self.permits.remove(place);
                permit.cancel();
                self.model.cancel(number);
            }
            Action::AdvanceMs(time_ms) => {
                self.clock.advance(Duration::from_millis(time_ms));
                self.model.advance(time_ms);
            }
            Action::Command(command) => {
                match command {
                    Command::ForceOpen => self.breaker.force_open("test"),
                    Command::ForceClosed => self.breaker.force_closed("test"),
                    Command::MetricsOnly => self.breaker.metrics_only("test"),
                    Command::Release => drop(self.breaker.release()),
                    Command::Reset => self.breaker.reset(),
                }
                self.model.command(command);
            }
            Action::Configure(rules) => {
                self.breaker.set_config(rules.to_config()).unwrap();
                self.model.configure(*rules);
            }
            Action::Look => self.compare()?,
        }
        Ok(())
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        let snapshot = self.breaker.snapshot();
        let ns = |time: Duration| time.as_nanos() as u64;
        let ours = Seen {
            state: snapshot.state,
            generation: snapshot.generation,
            consecutive: snapshot.consecutive_failures,
            in_flight: snapshot.in_flight,
            probe_successes: snapshot.probe_successes,
            window: snapshot.window.map(|window| (window.calls, window.failures, window.slow)),
            open_left: if snapshot.state == State::Open { snapshot.retry_after.map(ns) } else { None },
            state_age: ns(snapshot.state_age),
            rule: snapshot.explanation.reason.rule,
            spent: State::ALL.map(|state| ns(snapshot.time_in_state.of(state))),
            totals: Totals {
                succeeded: snapshot.successes,
                failed: snapshot.failures,
                slow: snapshot.slow,
                ignored: snapshot.ignored,
                abandoned: snapshot.abandoned,
                late: snapshot.late,
                overdue: snapshot.overdue,
                rejected: snapshot.rejected,
                opens: snapshot.opens,
                would_open: snapshot.would_open,
                would_reject: snapshot.would_reject,
            },
        };
        prop_assert_eq!(ours, self.model.look(), "left: breaker, right: model");
        Ok(())
    }
}

fn seed() -> u64 {
    let given =
        std::env::var("BREAKER_SEED").ok().map(|text| text.parse().expect("BREAKER_SEED is a number"));
    given.unwrap_or_else(|| RandomState::new().build_hasher().finish())
}

type Counterexample = Box<TestError<(Rules, Vec<Action>)>>;

/// Runs random histories; the shortest that differs, if one does.
fn check(seed: u64, cases: u32, fault: Option<Fault>) -> Result<(), Counterexample> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config =
        RunnerConfig { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Default::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let run = runner.run(&(rules(), proptest::collection::vec(action(), 1..80)), |(rules, actions)| {
        let mut pair = Pair::new(&rules, fault);
        for action in actions {
            pair.run(action)?;
        }
        pair.compare()
    });
    run.map_err(Box::new)
}

// B1–B4, B6–B13, B15, B17–B19b
#[test]
fn every_random_history_goes_as_the_rules_say() {
    let seed = seed();
    let cases = std::env::var("BREAKER_CASES")
        .map_or(10_000, |text| text.parse().expect("BREAKER_CASES is a number"));
    println!("BREAKER_SEED={seed} BREAKER_CASES={cases}");
    if let Err(found) = check(seed, cases, None) {
        panic!("BREAKER_SEED={seed}\n{}", shown(&found));
    }
}

/// The rules, the shortest history that differs, and where it does.
fn shown(found: &Counterexample) -> String {
    let TestError::Fail(reason, (rules, actions)) = &**found else { return found.to_string() };
    let history: String = actions.iter().map(|action| format!("    {action:?}\n")).collect();
    format!("{rules:#?}\n{history}\n{reason}")
}

/// The control: each fault that is built into the model is found.
#[test]
fn the_comparison_finds_a_fault_that_is_there() {
    let seed = seed();
    println!("BREAKER_SEED={seed}");
    for fault in [
        Fault::LateSuccessCounts,
        Fault::DroppedProbeKeepsItsSlot,
        Fault::WindowNeverSlides,
        Fault::OneProbeTooMany,
    ] {
        let Err(found) = check(seed, 20_000, Some(fault)) else {
            panic!("BREAKER_SEED={seed}: {fault:?} was not found");
        };
        println!("{fault:?}: {}", shown(&found));
    }
}
