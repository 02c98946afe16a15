//! One breaker a key (B21).
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CircuitBreaker, Config, ManualClock, Registry, RegistryError, State};
use std::time::Duration;

fn registry(clock: &ManualClock, max_keys: usize) -> Registry {
    Registry::builder(CircuitBreaker::builder().failure_threshold(1).clock(clock.clone()))
        .override_key("tolerant", Config::new().failure_threshold(3))
        .max_keys(max_keys)
        .idle_after(Duration::from_secs(60))
        .build()
        .unwrap()
}

fn fail(breaker: &CircuitBreaker) {
    breaker.try_acquire().unwrap().failure();
}

#[test]
fn a_key_has_one_breaker_of_its_own() {
    let registry = registry(&ManualClock::new(), 10);
    fail(&registry.get_or_create("a").unwrap());
    assert_eq!(registry.get_or_create("a").unwrap().state(), State::Open);
    assert_eq!(registry.get_or_create("b").unwrap().state(), State::Closed);
    assert_eq!(registry.get("a").unwrap().name(), "a");
    assert!(registry.get("c").is_none());
    let keys: Vec<_> = registry.breakers().into_iter().map(|(key, _)| key.to_string()).collect();
    assert_eq!(keys, ["a", "b"]);
}

#[test]
fn a_key_can_have_a_configuration_of_its_own() {
    let registry = registry(&ManualClock::new(), 10);
    let tolerant = registry.get_or_create("tolerant").unwrap();
    fail(&tolerant);
    assert_eq!(tolerant.state(), State::Closed);
    registry.set_override("tolerant", Config::new().failure_threshold(2)).unwrap();
    fail(&tolerant);
    assert_eq!(tolerant.state(), State::Open);
    assert!(registry.set_override("x", Config::new().failure_threshold(0)).is_err());
}

#[test]
fn the_shared_configuration_can_be_replaced_and_overrides_stay() {
    let registry = registry(&ManualClock::new(), 10);
    let (shared, tolerant) =
        (registry.get_or_create("a").unwrap(), registry.get_or_create("tolerant").unwrap());
    registry.set_config(Config::new().failure_threshold(9)).unwrap();
    assert_eq!(*shared.config(), Config::new().failure_threshold(9));
    assert_eq!(*tolerant.config(), Config::new().failure_threshold(3));
    assert_eq!(*registry.get_or_create("new").unwrap().config(), Config::new().failure_threshold(9));
}

#[test]
fn going_over_the_bound_is_an_error_that_names_it() {
    let registry = registry(&ManualClock::new(), 2);
    let _held = [registry.get_or_create("a").unwrap(), registry.get_or_create("b").unwrap()];
    let error = registry.get_or_create("c").unwrap_err();
    assert_eq!(error, RegistryError::TooManyKeys { key: "c".into(), max_keys: 2 });
    assert!(error.to_string().contains("max_keys = 2"));
    assert_eq!(registry.len(), 2);
    assert!(registry.get_or_create("a").is_ok());
}

#[test]
fn only_an_idle_closed_breaker_that_nobody_holds_is_evicted() {
    let clock = ManualClock::new();
    let registry = registry(&clock, 10);
    for key in ["open", "held", "in flight", "idle", "manual"] {
        registry.get_or_create(key).unwrap();
    }
    fail(&registry.get("open").unwrap());
    registry.get("manual").unwrap().force_closed("test");
    let held = registry.get("held").unwrap();
    let permit = registry.get("in flight").unwrap().try_acquire().unwrap();
    clock.advance(Duration::from_secs(59));
    assert_eq!(registry.evict_idle(), 0);
    clock.advance(Duration::from_secs(1));
    registry.get_or_create("recent").unwrap();
    assert_eq!(registry.evict_idle(), 1);
    assert!(registry.get("idle").is_none());
    drop((held, permit));
    clock.advance(Duration::from_secs(60));
    assert_eq!(registry.evict_idle(), 3);
    assert_eq!(registry.len(), 2);
}

// B21: nothing in flight, whichever thread took the permit.
#[test]
fn a_breaker_with_a_permit_of_a_second_thread_in_flight_is_not_evicted() {
    let clock = ManualClock::new();
    let registry = registry(&clock, 10);
    registry.get_or_create("key").unwrap().call(|| Ok::<_, ()>(())).unwrap();
    let acquire = || {
        let breaker = registry.get("key").unwrap();
        breaker.call(|| Ok::<_, ()>(())).unwrap();
        breaker.try_acquire().unwrap()
    };
    let permit = std::thread::scope(|scope| scope.spawn(acquire).join().unwrap());
    clock.advance(Duration::from_secs(61));
    assert_eq!(registry.evict_idle(), 0);
    permit.success();
    assert_eq!(registry.evict_idle(), 1);
}

#[test]
fn a_new_key_over_the_bound_takes_the_place_of_an_idle_one() {
    let clock = ManualClock::new();
    let registry = registry(&clock, 1);
    registry.get_or_create("a").unwrap();
    assert!(registry.get_or_create("b").is_err());
    clock.advance(Duration::from_secs(61));
    assert!(registry.get_or_create("b").is_ok());
    assert!(registry.get("a").is_none());
}

#[test]
fn threads_that_ask_for_a_new_key_together_get_the_same_breaker() {
    let registry = registry(&ManualClock::new(), 3);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for key in ["a", "b", "c"] {
                    registry.get_or_create(key).unwrap().call(|| Ok::<_, ()>(())).unwrap();
                }
            });
        }
    });
    assert!(registry.breakers().iter().all(|(_, breaker)| breaker.snapshot().successes == 16));
}

#[test]
fn an_impossible_shared_or_own_configuration_is_refused() {
    let template = || CircuitBreaker::builder();
    assert_eq!(Registry::builder(template()).max_keys(0).build().unwrap_err().field(), "max_keys");
    assert!(Registry::builder(template().failure_threshold(0)).build().is_err());
    let own = Config::new().success_threshold(0);
    assert!(Registry::builder(template()).override_key("a", own).build().is_err());
}
