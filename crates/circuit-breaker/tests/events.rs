//! Events: in order, bounded, and harmless (B16).
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CircuitBreaker, EventKind, ManualClock, State};
use std::sync::{Arc, Mutex};
use std::time::Duration;

fn breaker(clock: &ManualClock) -> CircuitBreaker {
    CircuitBreaker::builder().name("ofd").failure_threshold(1).clock(clock.clone()).build().unwrap()
}

fn to_state(kind: &EventKind) -> State {
    match kind {
        EventKind::Transition(explanation) => explanation.to,
        other => panic!("no transition: {other:?}"),
    }
}

#[test]
fn a_subscriber_reads_every_transition_in_order() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    let mut events = breaker.subscribe(8);
    breaker.try_acquire().unwrap().failure_with(None, "503");
    clock.advance(Duration::from_secs(60));
    assert_eq!(breaker.state(), State::HalfOpen);
    let opened = events.try_recv().unwrap();
    assert_eq!(to_state(&opened.event.kind), State::Open);
    assert_eq!((opened.event.sequence, opened.event.generation, opened.lost), (1, 1, 0));
    let EventKind::Transition(explanation) = &opened.event.kind else { unreachable!() };
    assert_eq!(explanation.cause.as_deref(), Some("503"));
    assert_eq!(to_state(&events.try_recv().unwrap().event.kind), State::HalfOpen);
    assert!(events.try_recv().is_none());
}

#[test]
fn a_slow_subscriber_is_told_how_many_events_it_lost() {
    let breaker = breaker(&ManualClock::new());
    let mut events = breaker.subscribe(2);
    for _ in 0..5 {
        breaker.reset();
    }
    let delivery = events.try_recv().unwrap();
    assert_eq!((delivery.lost, delivery.event.sequence), (3, 4));
    assert_eq!(events.try_recv().unwrap().lost, 0);
    assert!(events.try_recv().is_none());
}

#[test]
fn a_listener_may_panic_and_may_call_the_breaker_back() {
    let breaker = breaker(&ManualClock::new());
    let seen = Arc::new(Mutex::new(Vec::new()));
    breaker.on_event(|_| panic!("a bad listener"));
    breaker.on_event({
        let (breaker, seen) = (breaker.clone(), Arc::clone(&seen));
        move |event| {
            seen.lock().unwrap().push(to_state(&event.kind));
            if to_state(&event.kind) == State::Open {
                breaker.force_closed("called back");
                assert_eq!(breaker.state(), State::ForcedClosed);
            }
        }
    });
    breaker.try_acquire().unwrap().failure();
    assert_eq!(*seen.lock().unwrap(), [State::Open, State::ForcedClosed]);
    assert!(breaker.try_acquire().is_ok());
}
