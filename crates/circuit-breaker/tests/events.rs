//! Events: in order, bounded, and harmless (B16).
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CircuitBreaker, EventKind, ManualClock, State};
use std::sync::{Arc, Mutex, mpsc};
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

// B16: a listener that never returns takes its own thread, and nobody else's.
#[test]
fn while_a_listener_does_not_return_calls_go_on_and_the_newest_1024_events_wait() {
    let breaker = breaker(&ManualClock::new());
    let (entered, is_inside) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let (released, seen) = (Mutex::new(released), Arc::new(Mutex::new(Vec::new())));
    breaker.on_event({
        let seen = Arc::clone(&seen);
        move |event| {
            seen.lock().unwrap().push(event.sequence);
            if event.sequence == 1 {
                entered.send(()).unwrap();
                released.lock().unwrap().recv().unwrap();
            }
        }
    });
    std::thread::scope(|scope| {
        scope.spawn(|| breaker.force_open("the first event"));
        is_inside.recv().unwrap();
        (0..2_000).for_each(|_| breaker.reset());
        assert!(breaker.call(|| Ok::<_, ()>(())).is_ok());
        assert_eq!(*seen.lock().unwrap(), [1]);
        release.send(()).unwrap();
    });
    let expected: Vec<u64> = std::iter::once(1).chain(2_001 - 1_023..=2_001).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
}

/// Is shown once it is let go.
struct Slow(mpsc::Sender<()>, Mutex<mpsc::Receiver<()>>);

impl std::fmt::Display for Slow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.send(()).unwrap();
        self.1.lock().unwrap().recv().unwrap();
        f.write_str("slow to say")
    }
}

// B16, B19c: a cause is formatted outside every lock; events keep their order, in a line with a bound.
#[test]
fn while_a_cause_is_being_formatted_calls_go_on_and_at_most_1024_events_wait_for_it() {
    for (meanwhile, cause) in [(10, Some("slow to say")), (1_024, None)] {
        let breaker = breaker(&ManualClock::new());
        let mut events = breaker.subscribe(65_536);
        let (entered, is_inside) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let slow = Slow(entered, Mutex::new(released));
        std::thread::scope(|scope| {
            scope.spawn(|| breaker.try_acquire().unwrap().failure_with(None, slow));
            is_inside.recv().unwrap();
            assert_eq!(breaker.state(), State::Open);
            (0..meanwhile).for_each(|_| breaker.reset());
            assert_eq!(events.try_recv().is_none(), cause.is_some(), "{meanwhile} events behind it");
            release.send(()).unwrap();
        });
        let rest = std::iter::from_fn(|| events.try_recv()).collect::<Vec<_>>();
        let delivered = if cause.is_some() { meanwhile + 1 } else { meanwhile };
        assert_eq!(rest.len() as u64, delivered);
        assert!(rest.windows(2).all(|pair| pair[0].event.sequence + 1 == pair[1].event.sequence));
        if let EventKind::Transition(first) = &rest[0].event.kind {
            assert_eq!(first.cause.as_deref(), cause);
        }
        // Whoever asks why it last opened is told in either case.
        assert_eq!(breaker.snapshot().last_opened.unwrap().cause.as_deref(), Some("slow to say"));
    }
}

/// Panics when what it panicked with is dropped, too.
struct Twice;

impl Drop for Twice {
    fn drop(&mut self) {
        panic!("again")
    }
}

#[test]
fn a_listener_that_panics_with_something_that_panics_when_it_is_dropped_wedges_nothing() {
    let breaker = breaker(&ManualClock::new());
    let heard = Arc::new(Mutex::new(0));
    breaker.on_event(|_| std::panic::panic_any(Twice));
    breaker.on_event({
        let heard = Arc::clone(&heard);
        move |_| *heard.lock().unwrap() += 1
    });
    breaker.reset();
    breaker.reset();
    assert_eq!(*heard.lock().unwrap(), 2);
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

#[tokio::test]
async fn a_waiting_subscriber_is_woken_and_told_when_the_breaker_is_gone() {
    let breaker = breaker(&ManualClock::new());
    let mut events = breaker.subscribe(8);
    let waiting = tokio::spawn(async move {
        let first = events.recv().await;
        (first, events.recv().await)
    });
    tokio::task::yield_now().await;
    breaker.force_open("test");
    tokio::task::yield_now().await;
    drop(breaker);
    let (first, last) = waiting.await.unwrap();
    assert_eq!(to_state(&first.unwrap().event.kind), State::ForcedOpen);
    assert!(last.is_none());
}

#[test]
fn a_thread_can_wait_for_an_event_with_a_time_out() {
    let breaker = breaker(&ManualClock::new());
    let mut events = breaker.subscribe(8);
    assert!(events.recv_timeout(Duration::from_millis(1)).is_none());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| events.recv_timeout(Duration::from_secs(60)));
        breaker.reset();
        assert!(waiting.join().unwrap().is_some());
    });
    drop(breaker);
    assert!(events.recv_timeout(Duration::MAX).is_none());
}

#[test]
fn a_dropped_subscription_and_a_breaker_without_listeners_cost_nothing_more() {
    let breaker = breaker(&ManualClock::new());
    drop(breaker.subscribe(2));
    (0..10).for_each(|_| breaker.reset());
    let mut events = breaker.subscribe(0); // at least one
    breaker.reset();
    breaker.reset();
    let delivery = events.try_recv().unwrap();
    assert_eq!((delivery.event.sequence, delivery.lost), (12, 1));
}

// Whatever the threads do, each subscriber sees ascending sequence numbers and generations.
#[test]
fn events_stay_in_order_under_load() {
    let breaker = breaker(&ManualClock::new());
    let last = Arc::new(Mutex::new((0, 0)));
    breaker.on_event({
        let last = Arc::clone(&last);
        move |event| {
            let mut last = last.lock().unwrap();
            assert!(*last < (event.sequence, event.generation));
            *last = (event.sequence, event.generation);
        }
    });
    let mut events = breaker.subscribe(65_536);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    if let Ok(permit) = breaker.try_acquire() {
                        permit.failure_with(None, "down");
                    }
                    breaker.reset();
                }
            });
        }
    });
    let mut expected = 0;
    while let Some(delivery) = events.try_recv() {
        expected += 1;
        assert_eq!((delivery.event.sequence, delivery.lost), (expected, 0));
    }
    assert_eq!(last.lock().unwrap().0, expected);
    assert_eq!(breaker.snapshot().generation, expected);
}

// The builder's listeners hear a configuration replaced, and of a breaker's name.
#[test]
fn a_replaced_configuration_is_an_event_without_a_new_generation() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let heard = Arc::clone(&heard);
        move |event: &circuit_breaker::Event| {
            heard.lock().unwrap().push((event.breaker.to_string(), event.generation, event.kind.clone()));
        }
    };
    let breaker = CircuitBreaker::builder().name("ofd").on_event(listener).build().unwrap();
    breaker.set_config(circuit_breaker::Config::new()).unwrap();
    assert_eq!(*heard.lock().unwrap(), [("ofd".to_owned(), 0, EventKind::ConfigReplaced)]);
}
