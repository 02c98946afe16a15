//! One breaker a key (B21).
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CircuitBreaker, Config, ManualClock, Registry, RegistryError, State};
use std::sync::{Arc, Barrier, OnceLock};
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

// B21: the bound counts keys, not the threads that ask for one.
#[test]
fn threads_that_ask_for_the_last_key_together_all_get_it() {
    const ROUNDS: usize = 10_000;
    let registries: Vec<_> = (0..ROUNDS).map(|_| registry(&ManualClock::new(), 1)).collect();
    let start = Barrier::new(2);
    let refused = || {
        let asked = registries.iter().filter(|registry| {
            start.wait();
            registry.get_or_create("key").is_err()
        });
        asked.count()
    };
    let refused = std::thread::scope(|scope| {
        let other = scope.spawn(refused);
        refused() + other.join().unwrap()
    });
    assert_eq!(refused, 0);
}

// B21: what a thread evicts makes room for whoever asks meanwhile.
#[test]
fn threads_that_need_the_places_of_idle_breakers_together_get_them() {
    const KEYS: usize = 64;
    for _ in 0..100 {
        let clock = ManualClock::new();
        let registry = registry(&clock, KEYS);
        (0..KEYS).for_each(|key| drop(registry.get_or_create(&format!("old {key}")).unwrap()));
        clock.advance(Duration::from_secs(61));
        let start = Barrier::new(4);
        let (registry, start) = (&registry, &start);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    start.wait();
                    for key in 0..KEYS / 4 {
                        registry.get_or_create(&format!("new {thread} {key}")).unwrap();
                    }
                });
            }
        });
        assert_eq!(registry.len(), KEYS);
    }
}

// B19, B21: whichever came last, the breaker has it too.
#[test]
fn configurations_replaced_by_several_threads_leave_every_breaker_with_the_one_that_holds() {
    for _ in 0..300 {
        let registry = registry(&ManualClock::new(), 100);
        let keys: Vec<_> = (0..8).map(|key| key.to_string()).collect();
        let breakers: Vec<_> = keys.iter().map(|key| registry.get_or_create(key).unwrap()).collect();
        let start = Barrier::new(3);
        std::thread::scope(|scope| {
            for threshold in [10, 20] {
                let (registry, start) = (&registry, &start);
                scope.spawn(move || {
                    start.wait();
                    registry.set_config(Config::new().failure_threshold(threshold)).unwrap();
                });
            }
            start.wait();
            for key in &keys[..4] {
                registry.set_override(key, Config::new().failure_threshold(30)).unwrap();
            }
        });
        let shared = registry.get_or_create("new").unwrap().config();
        for (place, breaker) in breakers.iter().enumerate() {
            let expected = if place < 4 { Config::new().failure_threshold(30) } else { (*shared).clone() };
            assert_eq!(*breaker.config(), expected, "{}", breaker.name());
        }
    }
}

// The memory that README states is of breakers that share a configuration.
#[test]
fn breakers_go_on_sharing_a_replaced_configuration() {
    let registry = registry(&ManualClock::new(), 10);
    let (a, b) = (registry.get_or_create("a").unwrap(), registry.get_or_create("b").unwrap());
    registry.set_config(Config::new().failure_threshold(9)).unwrap();
    assert!(Arc::ptr_eq(&a.config(), &b.config()));
    assert!(Arc::ptr_eq(&a.config(), &registry.get_or_create("new").unwrap().config()));
}

// B21: what is open is kept, so keys of the dead are taken out by hand.
#[test]
fn a_breaker_that_is_removed_makes_room_and_its_key_gets_a_new_one() {
    let registry = registry(&ManualClock::new(), 1);
    fail(&registry.get_or_create("dead").unwrap());
    assert!(registry.get_or_create("new").is_err());
    assert!(registry.remove("new").is_none());
    let removed = registry.remove("dead").unwrap();
    assert_eq!((removed.state(), registry.len()), (State::Open, 0));
    assert!(registry.get_or_create("new").is_ok());
    assert!(registry.get_or_create("dead").is_err());
    registry.remove("new");
    assert_eq!(registry.get_or_create("dead").unwrap().state(), State::Closed);
}

#[test]
fn an_override_can_be_taken_back() {
    let registry = registry(&ManualClock::new(), 10);
    let tolerant = registry.get_or_create("tolerant").unwrap();
    assert!(registry.clear_override("tolerant"));
    assert!(!registry.clear_override("tolerant"));
    assert!(Arc::ptr_eq(&tolerant.config(), &registry.get_or_create("a").unwrap().config()));
    registry.set_config(Config::new().failure_threshold(9)).unwrap();
    assert_eq!(tolerant.config().settings().failure_threshold, 9);
}

// B18, B21: whatever keys come and go, what there is to count stays, in a number of series that is fixed.
#[test]
fn the_totals_include_the_breakers_that_are_gone() {
    let clock = ManualClock::new();
    let registry = registry(&clock, 10);
    registry.get_or_create("a").unwrap().call(|| Ok::<_, ()>(())).unwrap();
    fail(&registry.get_or_create("b").unwrap());
    assert!(registry.get("b").unwrap().try_acquire().is_err());
    let totals = registry.totals();
    assert_eq!((totals.successes, totals.failures, totals.rejected, totals.opens), (1, 1, 1, 1));
    clock.advance(Duration::from_secs(61));
    assert_eq!(registry.evict_idle(), 1);
    registry.remove("b");
    assert_eq!((registry.len(), registry.totals()), (0, totals));
    registry.get_or_create("a").unwrap().call(|| Ok::<_, ()>(())).unwrap();
    assert_eq!(registry.totals().successes, 2);
}

// A flood of new keys must not search all shards for each.
#[test]
fn idle_breakers_are_looked_for_at_most_once_a_second() {
    let clock = ManualClock::new();
    let registry = registry(&clock, 1);
    let held = registry.get_or_create("a").unwrap();
    clock.advance(Duration::from_secs(61));
    assert!(registry.get_or_create("b").is_err());
    drop(held);
    assert!(registry.get_or_create("b").is_err(), "it was looked for just now");
    clock.advance(Duration::from_secs(1));
    assert!(registry.get_or_create("b").is_ok());
}

// B16, B21: nothing a listener does can wedge the registry.
#[test]
fn a_listener_may_replace_the_configuration_of_the_registry_that_tells_it_of_one() {
    let cell: Arc<OnceLock<Registry>> = Arc::default();
    let template = CircuitBreaker::builder().on_event({
        let cell = Arc::clone(&cell);
        move |_| {
            let registry = cell.get().unwrap();
            if registry.get("a").unwrap().config().settings().failure_threshold == 2 {
                registry.set_config(Config::new().failure_threshold(3)).unwrap();
                registry.set_override("b", Config::new().failure_threshold(4)).unwrap();
            }
        }
    });
    let registry = cell.get_or_init(|| Registry::builder(template).build().unwrap());
    let breakers = ["a", "b"].map(|key| registry.get_or_create(key).unwrap());
    registry.set_config(Config::new().failure_threshold(2)).unwrap();
    assert_eq!(breakers.map(|breaker| breaker.config().settings().failure_threshold), [3, 4]);
}

#[test]
fn an_impossible_shared_or_own_configuration_is_refused() {
    let template = || CircuitBreaker::builder();
    assert_eq!(Registry::builder(template()).max_keys(0).build().unwrap_err().field(), "max_keys");
    assert!(Registry::builder(template().failure_threshold(0)).build().is_err());
    let own = Config::new().success_threshold(0);
    assert!(Registry::builder(template()).override_key("a", own).build().is_err());
}
