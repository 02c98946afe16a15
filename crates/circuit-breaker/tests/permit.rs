//! Permits: each ends exactly once, and can never leave the breaker stuck.
#![allow(clippy::unwrap_used)]

use circuit_breaker::{
    CallError, CircuitBreaker, ConfigError, ManualClock, OnDrop, Permit, Registry, Rejected, State, Verdict,
};
use std::panic::{AssertUnwindSafe, RefUnwindSafe, UnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

fn breaker(clock: &ManualClock, on_drop: OnDrop) -> CircuitBreaker {
    CircuitBreaker::builder().failure_threshold(1).on_drop(on_drop).clock(clock.clone()).build().unwrap()
}

// R1, R5
#[test]
fn the_types_can_be_sent_shared_and_carried_through_unwinds() {
    fn all<T: Send + Sync + UnwindSafe + RefUnwindSafe + 'static>() {}
    fn error<T: std::error::Error + Send + Sync + 'static>() {}
    fn copy<T: Copy>() {}
    fn send<T: Send + 'static>() {}
    all::<CircuitBreaker>();
    send::<Permit>();
    send::<Registry>();
    error::<Rejected>();
    error::<ConfigError>();
    error::<CallError<std::io::Error>>();
    copy::<Rejected>();
    assert!(size_of::<Rejected>() <= 40, "Rejected is small");
}

// B10
#[test]
fn a_dropped_permit_counts_as_abandoned_and_by_default_decides_nothing() {
    let breaker = breaker(&ManualClock::new(), OnDrop::Neutral);
    drop(breaker.try_acquire().unwrap());
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.abandoned, snapshot.failures, snapshot.state), (1, 0, State::Closed));
}

// B10
#[test]
fn a_dropped_permit_is_a_failure_where_so_configured() {
    let breaker = breaker(&ManualClock::new(), OnDrop::Failure);
    drop(breaker.try_acquire().unwrap());
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.abandoned, snapshot.failures, snapshot.state), (1, 0, State::Open));
}

// B10: the setting the docs recommend.
#[test]
fn a_permit_dropped_after_a_while_is_a_failure_and_one_dropped_at_once_is_not() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock, OnDrop::FailureAfter(Duration::from_secs(1)));
    let permit = breaker.try_acquire().unwrap();
    clock.advance(Duration::from_millis(999));
    drop(permit);
    assert_eq!(breaker.state(), State::Closed);
    let permit = breaker.try_acquire().unwrap();
    clock.advance(Duration::from_secs(1));
    drop(permit);
    assert_eq!(breaker.state(), State::Open);
}

// R1
#[test]
fn a_panic_in_a_call_is_a_failure_and_goes_on_to_the_caller() {
    let breaker = breaker(&ManualClock::new(), OnDrop::Neutral);
    let not_unwind_safe = &mut 0;
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        breaker.call(|| -> Result<(), ()> {
            *not_unwind_safe += 1;
            panic!("in the operation")
        })
    }));
    assert_eq!(*unwound.unwrap_err().downcast::<&str>().unwrap(), "in the operation");
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.failures, snapshot.abandoned, snapshot.state), (1, 0, State::Open));
}

// R1
#[test]
fn a_panic_in_a_poll_is_a_failure_whatever_on_drop_says() {
    let breaker = breaker(&ManualClock::new(), OnDrop::Neutral);
    let call = async {
        let op = async {
            if true {
                panic!("in a poll")
            }
            Ok::<(), ()>(())
        };
        breaker.call_async(op).await
    };
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let mut call = pin!(call);
        let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    }));
    assert!(unwound.is_err());
    assert_eq!((breaker.snapshot().failures, breaker.state()), (1, State::Open));
}

// R1: a bare permit dropped in an unwind follows on_drop.
#[test]
fn a_permit_dropped_by_an_unwind_is_a_dropped_permit() {
    let breaker = breaker(&ManualClock::new(), OnDrop::Neutral);
    let permit = breaker.try_acquire().unwrap();
    let _ = catch_unwind(AssertUnwindSafe(move || {
        let _permit = permit;
        panic!("elsewhere");
    }));
    assert_eq!((breaker.snapshot().abandoned, breaker.state()), (1, State::Closed));
}

// R2
#[test]
fn an_async_call_takes_its_permit_at_the_first_poll_and_a_drop_before_counts_nothing() {
    let breaker = breaker(&ManualClock::new(), OnDrop::Failure);
    drop(breaker.call_async(async { Ok::<_, ()>(()) }));
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.abandoned, snapshot.successes, snapshot.state), (0, 0, State::Closed));

    let call = breaker.call_async(std::future::pending::<Result<(), ()>>());
    {
        let mut call = pin!(call);
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!((breaker.snapshot().abandoned, breaker.state()), (1, State::Open));
}

// R2
#[test]
fn a_rejected_future_is_never_polled() {
    let breaker = breaker(&ManualClock::new(), OnDrop::Neutral);
    breaker.try_acquire().unwrap().failure();
    let op = std::future::poll_fn(|_| -> Poll<Result<(), ()>> { panic!("polled") });
    let mut call = pin!(breaker.call_async(op));
    let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(CallError::Rejected(_)))));
}

#[tokio::test]
async fn async_calls_succeed_and_fail_on_an_executor() {
    let breaker = CircuitBreaker::builder().build().unwrap();
    assert_eq!(breaker.call_async(async { Ok::<_, ()>(3) }).await, Ok(3));
    let failing = async {
        tokio::task::yield_now().await;
        Err::<(), _>("down")
    };
    assert_eq!(breaker.call_async(failing).await, Err(CallError::Inner("down")));
    let spawned = tokio::spawn({
        let breaker = breaker.clone();
        async move { breaker.call_async(async { Ok::<_, ()>(()) }).await }
    });
    assert!(spawned.await.unwrap().is_ok());
    assert_eq!((breaker.snapshot().successes, breaker.snapshot().failures), (2, 1));
}

// R4
#[test]
fn of_two_breakers_the_first_is_not_charged_when_the_second_rejects() {
    let clock = ManualClock::new();
    let (endpoint, device) = (breaker(&clock, OnDrop::Failure), breaker(&clock, OnDrop::Failure));
    device.try_acquire().unwrap().failure();
    let permit = endpoint.try_acquire().unwrap();
    assert!(device.try_acquire().is_err());
    permit.cancel();
    let snapshot = endpoint.snapshot();
    assert_eq!(snapshot.state, State::Closed);
    assert_eq!([snapshot.successes, snapshot.failures, snapshot.ignored, snapshot.abandoned], [0; 4]);
}

// B11: what a log needs to tell a late call from others.
#[test]
fn a_permit_shows_the_generation_that_granted_it() {
    let breaker = breaker(&ManualClock::new(), OnDrop::Neutral);
    breaker.reset();
    let permit = breaker.try_acquire().unwrap();
    assert_eq!(format!("{permit:?}"), "Permit { generation: 1, .. }");
}

// B20
#[test]
fn a_classifier_sees_the_result_and_the_elapsed_time_and_decides() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder().failure_threshold(2).clock(clock.clone()).build().unwrap();
    let http = breaker.with_classifier(|result: &Result<u16, &str>, elapsed| match result {
        Ok(500..) => Verdict::failure().retry_after(Duration::from_secs(120)).cause("server error"),
        Ok(_) if elapsed > Duration::from_secs(3) => Verdict::failure().cause(format!("took {elapsed:?}")),
        Ok(_) => Verdict::Success,
        Err(_) => Verdict::Ignored,
    });
    assert_eq!(http.call(|| Ok(200)), Ok(200));
    assert_eq!(http.call(|| Err("bad request")), Err(CallError::Inner("bad request")));
    let slow = http.call(|| {
        clock.advance(Duration::from_secs(4));
        Ok(200)
    });
    assert_eq!(slow, Ok(200));
    assert_eq!(http.call(|| Ok(503)), Ok(503));
    let snapshot = http.breaker().snapshot();
    assert_eq!((snapshot.successes, snapshot.failures, snapshot.ignored), (1, 2, 1));
    assert_eq!(snapshot.explanation.cause.as_deref(), Some("server error"));
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), Duration::from_secs(120)); // B13
}

// B20, R1
#[tokio::test]
async fn a_classified_async_call_decides_too_and_its_panicking_classifier_is_a_failure() {
    let breaker = breaker(&ManualClock::new(), OnDrop::Neutral);
    let all_well = breaker.with_classifier(|_: &Result<(), ()>, _| Verdict::Success);
    assert!(all_well.call_async(async { Err(()) }).await.is_err());
    assert_eq!((breaker.snapshot().successes, breaker.state()), (1, State::Closed));
    let bad = breaker.with_classifier(|_: &Result<(), ()>, _| panic!("in the classifier"));
    let task = tokio::spawn(async move { bad.call_async(async { Ok(()) }).await });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!((breaker.snapshot().failures, breaker.state()), (1, State::Open));
}

// B19c: formatted only when it makes a transition, bounded, and harmless.
#[test]
fn a_cause_is_formatted_only_when_it_makes_a_transition() {
    struct Counted<'a>(&'a std::cell::Cell<u32>);
    impl std::fmt::Display for Counted<'_> {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            self.0.set(self.0.get() + 1);
            (0..1_000).try_for_each(|_| f.write_str("ж"))
        }
    }
    let breaker = CircuitBreaker::builder().failure_threshold(3).build().unwrap();
    let formatted = std::cell::Cell::new(0);
    for _ in 0..3 {
        breaker.try_acquire().unwrap().failure_with(None, Counted(&formatted));
    }
    assert_eq!(formatted.get(), 1);
    assert_eq!(breaker.explain().cause.unwrap().as_ref(), "ж".repeat(128));
}

// B16, B19c
#[test]
fn a_cause_that_panics_or_calls_the_breaker_back_does_no_harm() {
    struct Bad<'a>(&'a CircuitBreaker);
    impl std::fmt::Display for Bad<'_> {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            assert_eq!(self.0.state(), State::Open);
            panic!("in Display")
        }
    }
    let breaker = breaker(&ManualClock::new(), OnDrop::Neutral);
    let mut events = breaker.subscribe(4);
    breaker.try_acquire().unwrap().failure_with(None, Bad(&breaker));
    assert!(breaker.explain().cause.unwrap().contains("panicked"));
    assert!(events.try_recv().is_some());
}

/// Runs `run` on a thread that is not the first to call the breaker, so that its permits stand in a place of their own.
fn on_a_second_thread<T: Send>(breaker: &CircuitBreaker, run: impl FnOnce() -> T + Send) -> T {
    breaker.call(|| Ok::<_, ()>(())).unwrap();
    let second = || {
        breaker.call(|| Ok::<_, ()>(())).unwrap();
        run()
    };
    std::thread::scope(|scope| scope.spawn(second).join().unwrap())
}

// B10, B11: whichever thread took it, and whoever is gone by then.
#[test]
fn a_permit_outlives_every_handle_and_its_thread_and_then_nothing_is_left() {
    let (sender, gone) = std::sync::mpsc::channel::<()>();
    let breaker = breaker(&ManualClock::new(), OnDrop::Neutral);
    breaker.on_event(move |_| drop(sender.clone())); // Lives as long as the breaker.
    let mut permits: Vec<Permit> =
        on_a_second_thread(&breaker, || (0..3).map(|_| breaker.try_acquire().unwrap()).collect());
    permits.push(breaker.try_acquire().unwrap());
    let last = permits.pop().unwrap();
    let clone = breaker.clone();
    drop(breaker);
    permits.pop().unwrap().success();
    assert_eq!(clone.snapshot().successes, 3);
    drop(clone);
    permits.into_iter().for_each(Permit::failure);
    assert_eq!(gone.try_recv(), Err(std::sync::mpsc::TryRecvError::Empty));
    drop(last);
    assert_eq!(gone.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
}

#[test]
fn a_breaker_that_many_threads_took_permits_from_is_freed_with_its_last_handle() {
    let (sender, gone) = std::sync::mpsc::channel::<()>();
    let breaker = breaker(&ManualClock::new(), OnDrop::Neutral);
    breaker.on_event(move |_| drop(sender.clone()));
    std::thread::scope(|scope| {
        for _ in 0..50 {
            let breaker = breaker.clone();
            scope.spawn(move || (0..100).for_each(|_| breaker.try_acquire().unwrap().success()));
        }
    });
    assert_eq!(breaker.snapshot().successes, 5_000);
    drop(breaker);
    assert_eq!(gone.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
}
