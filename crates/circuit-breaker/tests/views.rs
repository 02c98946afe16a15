//! What can be read of a breaker, and that reading changes nothing.
#![allow(clippy::unwrap_used)]

use circuit_breaker::{
    Backoff, CircuitBreaker, Clock, Config, GrowthSettings, ManualClock, OnDrop, OverdueAs, Ramp, Rule,
    Shape, State, Tick, Verdict, Window,
};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn breaker(clock: &ManualClock) -> CircuitBreaker {
    CircuitBreaker::builder().failure_threshold(1).clock(clock.clone()).build().unwrap()
}

// B19c: an operator who comes after the open time is over can still see why there was one.
#[test]
fn why_the_circuit_last_opened_is_known_in_every_later_state() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    assert_eq!(breaker.snapshot().last_opened, None);
    breaker.try_acquire().unwrap().failure_with(None, "503");
    let opening = breaker.explain();
    for (then, state) in [(0, State::Open), (60, State::HalfOpen), (0, State::Closed), (0, State::ForcedOpen)]
    {
        clock.advance(SECOND * then);
        match state {
            State::Closed => (0..2).for_each(|_| breaker.try_acquire().unwrap().success()),
            State::ForcedOpen => breaker.force_open("maintenance"),
            _ => {}
        }
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.last_opened), (state, Some(opening.clone())));
    }
    assert_eq!((opening.reason.rule, opening.cause.as_deref()), (Rule::ConsecutiveFailures, Some("503")));
    breaker.reset();
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.snapshot().last_opened.unwrap().generation, breaker.snapshot().generation);
}

#[test]
fn what_a_configuration_says_can_be_read() {
    let defaults = Config::new().recovery_timeout(SECOND * 7).settings();
    assert_eq!(
        (defaults.failure_threshold, defaults.success_threshold, defaults.half_open_max_calls),
        (5, 2, 2)
    );
    assert_eq!((defaults.recovery_timeout, defaults.half_open_timeout), (SECOND * 7, SECOND * 7));
    assert_eq!((defaults.window, defaults.overdue_after, &defaults.ramp), (None, None, &None));
    assert_eq!((defaults.backoff.growth, defaults.backoff.jitter), (GrowthSettings::Fixed, 0.0));
    let full = Config::new()
        .half_open_timeout(SECOND)
        .window(
            Window::time(3, SECOND)
                .minimum_calls(4)
                .slow_call_duration(SECOND * 2)
                .slow_call_rate_threshold(80.0),
        )
        .backoff(Backoff::exponential(2.0, SECOND * 600).jitter(0.1))
        .on_drop(OnDrop::FailureAfter(SECOND))
        .overdue_after(SECOND * 8)
        .overdue_as(OverdueAs::Slow)
        .retry_hint(SECOND * 3)
        .retry_after_max(SECOND * 30)
        .slow_probe_fails(false)
        .ramp(Ramp::new([20], 3))
        .settings();
    let window = full.window.unwrap();
    assert_eq!(window.shape, Shape::Time { buckets: 3, bucket: SECOND });
    assert_eq!((window.minimum_calls, window.failure_rate_threshold), (4, Some(50.0)));
    let slow = (window.slow_call_duration, window.slow_call_rate_threshold);
    assert_eq!(slow, (Some(SECOND * 2), Some(80.0)));
    assert_eq!(full.backoff.growth, GrowthSettings::Exponential { multiplier: 2.0, max: SECOND * 600 });
    assert_eq!((full.backoff.jitter, full.on_drop), (0.1, OnDrop::FailureAfter(SECOND)));
    assert_eq!((full.overdue_after, full.overdue_as), (Some(SECOND * 8), OverdueAs::Slow));
    assert_eq!((full.half_open_timeout, full.retry_hint), (SECOND, SECOND * 3));
    assert_eq!((full.retry_after_max, full.slow_probe_fails), (SECOND * 30, false));
    let ramp = full.ramp.unwrap();
    assert_eq!((ramp.steps.as_slice(), ramp.hold), ([20].as_slice(), 3));
    let custom = Backoff::custom(|_, _| SECOND).settings();
    assert_eq!(custom.growth, GrowthSettings::Custom);
}

// B5, B7
#[test]
fn whether_a_call_would_be_rejected_can_be_asked_without_making_one() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    assert_eq!(breaker.would_reject(), None);
    breaker.try_acquire().unwrap().failure();
    let rejected = breaker.would_reject().unwrap();
    assert_eq!((rejected.state(), rejected.retry_after()), (State::Open, SECOND * 60));
    clock.advance(SECOND * 60);
    assert_eq!(breaker.would_reject(), None);
    let probes = [breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap()];
    assert_eq!(breaker.would_reject().unwrap().state(), State::HalfOpen);
    probes.into_iter().for_each(|probe| probe.cancel());
    assert_eq!(breaker.would_reject(), None);
    breaker.force_open("test");
    assert_eq!(breaker.would_reject().unwrap().state(), State::ForcedOpen);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.rejected, snapshot.in_flight), (0, 0));
}

#[test]
fn printing_a_breaker_is_no_look() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    let heard = Arc::new(Mutex::new(0));
    breaker.on_event({
        let heard = Arc::clone(&heard);
        move |_| *heard.lock().unwrap() += 1
    });
    breaker.try_acquire().unwrap().failure();
    clock.advance(SECOND * 60);
    assert!(format!("{breaker:?}").contains("Open"));
    assert_eq!(*heard.lock().unwrap(), 1);
    assert_eq!((breaker.state(), *heard.lock().unwrap()), (State::HalfOpen, 2));
    assert!(format!("{breaker:?}").contains("HalfOpen"));
}

// B20: also for what neither `call` nor `call_async` fits.
#[test]
fn a_permit_can_be_ended_by_a_verdict() {
    let breaker = breaker(&ManualClock::new());
    breaker.try_acquire().unwrap().conclude(Verdict::Ignored);
    breaker.try_acquire().unwrap().conclude(Verdict::Success);
    let permit = breaker.try_acquire().unwrap();
    permit.conclude(Verdict::failure().retry_after(SECOND * 90).cause("503"));
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.ignored, snapshot.successes, snapshot.failures), (1, 1, 1));
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), SECOND * 90);
    assert_eq!(breaker.explain().cause.as_deref(), Some("503"));
}

// B11: who holds a permit can tell that its outcome will be late.
#[test]
fn a_permit_names_the_generation_that_granted_it() {
    let breaker = breaker(&ManualClock::new());
    for generation in 0..3 {
        let permit = breaker.try_acquire().unwrap();
        assert_eq!((permit.generation(), breaker.snapshot().generation), (generation, generation));
        breaker.reset();
        assert_eq!(permit.generation(), generation);
        permit.success();
        assert_eq!(breaker.snapshot().late, generation + 1);
    }
}

/// A clock and a backoff function that are not unwind-safe, as most that hold a trait object are.
#[derive(Debug)]
struct Shared(Box<dyn Clock>);

impl Clock for Shared {
    fn now(&self) -> Tick {
        self.0.now()
    }
}

// R1: the breaker is unwind-safe, whatever it is given.
#[test]
fn any_clock_and_any_backoff_function_will_do() {
    let time: Arc<Mutex<Box<dyn Fn() -> Duration + Send>>> = Arc::new(Mutex::new(Box::new(|| SECOND * 7)));
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .clock(Arc::new(Shared(Box::new(ManualClock::new()))))
        .backoff(Backoff::custom(move |_, _| (time.lock().unwrap())()))
        .build()
        .unwrap();
    let opened = catch_unwind(|| breaker.try_acquire().map(|permit| permit.failure()));
    assert!(opened.is_ok());
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), SECOND * 7);
}

/// Ready at once; panics when it is dropped.
struct PanicsAfterwards<'a>(&'a Cell<bool>);

impl Future for PanicsAfterwards<'_> {
    type Output = Result<(), ()>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for PanicsAfterwards<'_> {
    fn drop(&mut self) {
        if self.0.replace(false) {
            panic!("in the drop");
        }
    }
}

// R1: the end of the operation is the operation's too.
#[tokio::test]
async fn a_panic_in_the_drop_of_a_future_that_has_ended_is_a_failure() {
    let breaker = breaker(&ManualClock::new());
    let panics = Cell::new(true);
    let mut call = Box::pin(breaker.call_async(PanicsAfterwards(&panics)));
    let polled = std::future::poll_fn(|context| {
        Poll::Ready(catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(context))).is_err())
    });
    assert!(polled.await);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.failures, snapshot.abandoned, snapshot.state), (1, 0, State::Open));
}

// B17: whatever other threads do, what a snapshot says of state and generation is of one moment.
#[test]
fn a_snapshot_taken_while_others_command_and_fail_is_one_cut() {
    let breaker = breaker(&ManualClock::new());
    let breaker = &breaker;
    std::thread::scope(|scope| {
        for thread in 0..2 {
            scope.spawn(move || {
                for _ in 0..20_000 {
                    match thread {
                        0 => breaker.force_open("test"),
                        _ => drop(breaker.try_acquire().map(|permit| permit.failure())),
                    }
                    breaker.reset();
                }
            });
        }
        let mut last = breaker.snapshot();
        for _ in 0..5_000 {
            let now = breaker.snapshot();
            assert_eq!((now.explanation.to, now.explanation.generation), (now.state, now.generation));
            let (opened, is_open) = (now.last_opened.as_ref(), now.state == State::Open);
            assert!(!is_open || opened == Some(&now.explanation));
            assert!(opened.is_none_or(|opened| opened.generation <= now.generation));
            assert!(now.generation >= last.generation && now.opens >= last.opens);
            assert_eq!(now.retry_after.is_some(), matches!(now.state, State::Open | State::ForcedOpen));
            last = now;
        }
    });
}
