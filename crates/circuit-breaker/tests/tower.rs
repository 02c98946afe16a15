//! The tower layer keeps tower's contract (R3).
#![cfg(feature = "tower")]
#![allow(clippy::unwrap_used)]

use circuit_breaker::{
    CallError, CircuitBreaker, CircuitBreakerLayer, ManualClock, OnDrop, Ramp, Rejected, State, Verdict,
};
use std::convert::Infallible;
use std::future::{Pending, pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, service_fn};

fn breaker(clock: &ManualClock, on_drop: OnDrop) -> CircuitBreaker {
    CircuitBreaker::builder()
        .failure_threshold(1)
        .success_threshold(1)
        .half_open_max_calls(1)
        .on_drop(on_drop)
        .clock(clock.clone())
        .build()
        .unwrap()
}

async fn echo(answer: Result<u32, &'static str>) -> Result<u32, &'static str> {
    answer
}

#[tokio::test]
async fn responses_go_through_and_failures_open_the_circuit() {
    let breaker = breaker(&ManualClock::new(), OnDrop::Neutral);
    let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(service_fn(echo));
    assert_eq!(service.ready().await.unwrap().call(Ok(7)).await, Ok(7));
    assert_eq!(service.ready().await.unwrap().call(Err("down")).await, Err(CallError::Inner("down")));
    assert_eq!(breaker.state(), State::Open);
    // OPEN is ready, then an error.
    let rejected = service.ready().await.unwrap().call(Ok(7)).await.unwrap_err();
    assert!(matches!(rejected, CallError::Rejected(rejected) if rejected.state() == State::Open));
    assert_eq!(breaker.snapshot().rejected, 1);
    assert_eq!(service.breaker().snapshot().successes, 1);
}

// R3
#[tokio::test]
async fn a_service_that_is_ready_holds_no_probe_slot() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock, OnDrop::Neutral);
    let layer = CircuitBreakerLayer::new(breaker.clone());
    let (mut first, mut second) = (layer.layer(service_fn(echo)), layer.layer(service_fn(echo)));
    breaker.try_acquire().unwrap().failure();
    clock.advance(Duration::from_secs(60));
    first.ready().await.unwrap();
    second.ready().await.unwrap();
    assert_eq!(breaker.snapshot().in_flight, 0);
    // Both are ready; there is one slot.
    let probe = first.call(Ok(1));
    assert!(matches!(second.call(Ok(2)).await, Err(CallError::Rejected(_))));
    assert_eq!(probe.await, Ok(1));
    assert_eq!(breaker.state(), State::Closed);
}

/// Never ready, and must not be called.
struct NotReady;

impl Service<()> for NotReady {
    type Response = ();
    type Error = Infallible;
    type Future = Pending<Result<(), Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }

    fn call(&mut self, (): ()) -> Self::Future {
        panic!("called without being ready")
    }
}

// The inner service is never called without having been ready, though the circuit let calls through meanwhile.
#[tokio::test]
async fn an_inner_service_that_is_not_ready_is_not_called() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock, OnDrop::Neutral);
    breaker.try_acquire().unwrap().failure();
    let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(NotReady);
    service.ready().await.unwrap();
    clock.advance(Duration::from_secs(60));
    assert!(matches!(service.call(()).await, Err(CallError::Rejected(_))));
    assert_eq!(breaker.snapshot().rejected, 1);
    let polled = poll_fn(|context| Poll::Ready(service.poll_ready(context))).await;
    assert!(polled.is_pending());
}

// B10
#[tokio::test]
async fn a_cancelled_response_frees_its_slot_and_follows_on_drop() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock, OnDrop::FailureAfter(Duration::from_secs(1)));
    breaker.try_acquire().unwrap().failure();
    clock.advance(Duration::from_secs(60));
    let hang = service_fn(|()| pending::<Result<(), Infallible>>());
    let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(hang);
    let response = service.ready().await.unwrap().call(());
    assert_eq!(breaker.snapshot().in_flight, 1);
    drop(response);
    assert_eq!((breaker.snapshot().in_flight, breaker.state()), (0, State::HalfOpen));
    let response = service.ready().await.unwrap().call(());
    clock.advance(Duration::from_secs(1));
    drop(response);
    assert_eq!((breaker.snapshot().abandoned, breaker.state()), (2, State::Open));
}

// R1
#[tokio::test]
async fn a_panic_in_the_response_or_in_the_call_is_a_failure() {
    for panics_in_call in [true, false] {
        let breaker = breaker(&ManualClock::new(), OnDrop::Neutral);
        let service = service_fn(move |()| {
            assert!(!panics_in_call, "in the call");
            async move {
                if !panics_in_call {
                    panic!("in the response");
                }
                Ok::<(), Infallible>(())
            }
        });
        let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(service);
        let task = tokio::spawn(async move { service.ready().await.unwrap().call(()).await });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!((breaker.snapshot().failures, breaker.state()), (1, State::Open));
    }
}

// B20
#[tokio::test]
async fn a_classifier_says_what_responses_mean() {
    let breaker = breaker(&ManualClock::new(), OnDrop::Neutral);
    let layer =
        CircuitBreakerLayer::new(breaker.clone()).classifier(|result: &Result<u32, &str>, _| match result {
            Ok(500..) => Verdict::failure().cause("server error"),
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Ignored,
        });
    let mut service = layer.layer(service_fn(echo));
    let _ = service.ready().await.unwrap().call(Err("bad request")).await;
    assert_eq!((breaker.snapshot().ignored, breaker.state()), (1, State::Closed));
    assert_eq!(service.clone().ready().await.unwrap().call(Ok(503)).await, Ok(503));
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.explain().cause.as_deref(), Some("server error"));
}

// B20: also where nothing else needs the call to be timed.
#[tokio::test]
async fn a_classifier_sees_how_long_the_response_took() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock, OnDrop::Neutral);
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(|_: &Result<(), &str>, took| {
        if took >= Duration::from_secs(3) { Verdict::failure() } else { Verdict::Success }
    });
    let mut service = layer.layer(service_fn(|took| {
        clock.advance(took);
        std::future::ready(Ok(()))
    }));
    service.ready().await.unwrap().call(Duration::from_secs(2)).await.unwrap();
    assert_eq!(breaker.state(), State::Closed);
    service.ready().await.unwrap().call(Duration::from_secs(3)).await.unwrap();
    assert_eq!((breaker.snapshot().successes, breaker.state()), (1, State::Open));
}

// R3
#[tokio::test(start_paused = true)]
async fn with_back_pressure_readiness_waits_until_probing_is_allowed() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock, OnDrop::Neutral);
    breaker.try_acquire().unwrap().failure();
    let slept = Arc::new(AtomicU32::new(0));
    let sleep = {
        let slept = Arc::clone(&slept);
        move |time: Duration| {
            slept.fetch_add(1, Ordering::Relaxed);
            clock.advance(time);
            tokio::time::sleep(time)
        }
    };
    let layer = CircuitBreakerLayer::new(breaker.clone()).back_pressure(sleep);
    let mut service = layer.clone().layer(service_fn(echo));
    assert_eq!(service.ready().await.unwrap().call(Ok(1)).await, Ok(1));
    assert_eq!(slept.load(Ordering::Relaxed), 1);
    assert_eq!((breaker.state(), breaker.snapshot().rejected), (State::Closed, 0));
    assert!(format!("{layer:?}").contains("BackPressure"));
}

/// A service with back-pressure, whose sleeps move the clock.
fn waiting(
    breaker: &CircuitBreaker,
    clock: &ManualClock,
) -> impl Service<Result<u32, &'static str>, Response = u32, Error = CallError<&'static str>> + Clone {
    let clock = clock.clone();
    let sleep = move |time: Duration| {
        clock.advance(time);
        tokio::time::sleep(time)
    };
    CircuitBreakerLayer::new(breaker.clone()).back_pressure(sleep).layer(service_fn(echo))
}

// R3, B7: readiness is no permit, so of several that waited only as many as there are slots get through.
#[tokio::test(start_paused = true)]
async fn with_back_pressure_those_that_wake_too_many_are_rejected() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock, OnDrop::Neutral);
    breaker.try_acquire().unwrap().failure();
    let (mut first, mut second) = (waiting(&breaker, &clock), waiting(&breaker, &clock));
    first.ready().await.unwrap();
    second.ready().await.unwrap();
    let probe = first.call(Ok(1));
    let rejected = second.call(Ok(2)).await.unwrap_err().rejected().unwrap();
    assert_eq!((rejected.state(), breaker.snapshot().in_flight), (State::HalfOpen, 1));
    assert_eq!(probe.await, Ok(1));
}

// R3: also where the published word does not say that HALF_OPEN is full, for overdue_after asks the core each time.
#[tokio::test(start_paused = true)]
async fn with_back_pressure_a_full_half_open_is_waited_for() {
    for overdue in [false, true] {
        let clock = ManualClock::new();
        let breaker = breaker(&clock, OnDrop::Neutral);
        let mut config = (*breaker.config()).clone().retry_hint(Duration::from_secs(1));
        if overdue {
            config = config.overdue_after(Duration::from_secs(3_600));
        }
        breaker.set_config(config).unwrap();
        breaker.try_acquire().unwrap().failure();
        clock.advance(Duration::from_secs(60));
        let probe = breaker.try_acquire().unwrap();
        let mut service = waiting(&breaker, &clock);
        let mut ready = Box::pin(service.ready());
        let polled = poll_fn(|context| Poll::Ready(ready.as_mut().poll(context))).await;
        assert!(polled.is_pending(), "overdue_after set: {overdue}");
        probe.success();
        ready.await.unwrap();
        assert_eq!(breaker.snapshot().rejected, 0);
    }
}

// B19b: asking is what moves a ramp on, so nobody waits in it.
#[tokio::test(start_paused = true)]
async fn with_back_pressure_a_ramp_rejects_what_is_over_its_share_and_goes_on() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock, OnDrop::Neutral);
    breaker.set_config((*breaker.config()).clone().ramp(Ramp::new([50], 2))).unwrap();
    breaker.try_acquire().unwrap().failure();
    clock.advance(Duration::from_secs(60));
    breaker.try_acquire().unwrap().success();
    let mut service = waiting(&breaker, &clock);
    let mut through = 0;
    while breaker.state() == State::HalfOpen {
        through += u32::from(service.ready().await.unwrap().call(Ok(1)).await.is_ok());
    }
    assert_eq!((through, breaker.state(), breaker.snapshot().rejected), (2, State::Closed, 2));
}

// R3: what was found at `poll_ready` may be old at `call`.
#[tokio::test]
async fn a_rejection_says_how_long_to_wait_from_the_call_on() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock, OnDrop::Neutral);
    breaker.try_acquire().unwrap().failure();
    let mut service = CircuitBreakerLayer::new(breaker.clone()).layer(service_fn(echo));
    for (waited, left) in [(40, 20), (60, 0)] {
        service.ready().await.unwrap();
        clock.advance(Duration::from_secs(waited));
        let rejected = service.call(Ok(1)).await.unwrap_err().rejected().unwrap();
        assert_eq!(rejected.retry_after(), Duration::from_secs(left));
    }
    assert_eq!(service.ready().await.unwrap().call(Ok(1)).await, Ok(1));
}

// Its error is one that tower's own layers take, whichever of them is inside.
#[tokio::test(start_paused = true)]
async fn the_breaker_stands_in_a_stack_of_towers_own_layers() {
    let breaker = breaker(&ManualClock::new(), OnDrop::Neutral);
    let mut stack = ServiceBuilder::new()
        .load_shed()
        .map_err(CallError::<BoxError>::into_boxed)
        .layer(CircuitBreakerLayer::new(breaker.clone()))
        .timeout(Duration::from_secs(2))
        .service(service_fn(|hangs: bool| async move {
            if hangs {
                pending::<()>().await;
            }
            Ok::<_, Infallible>(7)
        }));
    assert_eq!(stack.ready().await.unwrap().call(false).await.unwrap(), 7);
    let late = stack.ready().await.unwrap().call(true).await.unwrap_err();
    assert!(late.is::<tower::timeout::error::Elapsed>());
    let rejected = stack.ready().await.unwrap().call(false).await.unwrap_err();
    assert_eq!(rejected.downcast_ref::<Rejected>().unwrap().state(), State::Open);
    assert_eq!((breaker.snapshot().failures, breaker.snapshot().rejected), (1, 1));
}

#[tokio::test]
async fn an_inner_service_that_fails_to_become_ready_says_so() {
    struct Broken;
    impl Service<()> for Broken {
        type Response = ();
        type Error = &'static str;
        type Future = Pending<Result<(), &'static str>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
            Poll::Ready(Err("broken"))
        }
        fn call(&mut self, (): ()) -> Self::Future {
            pending()
        }
    }
    let mut service = CircuitBreakerLayer::new(breaker(&ManualClock::new(), OnDrop::Neutral)).layer(Broken);
    assert!(matches!(service.ready().await, Err(CallError::Inner("broken"))));
}
