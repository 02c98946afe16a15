//! Configuration: an impossible one is refused at build time, by name.
#![allow(clippy::unwrap_used)]

use circuit_breaker::{Backoff, CircuitBreaker, Config, OnDrop, OverdueAs, Ramp, State, Window};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_impossible_setting_is_refused_with_its_name_and_what_is_allowed() {
    let window = |window: Window| Config::new().window(window);
    let refused: Vec<(&str, Config)> = vec![
        ("failure_threshold", Config::new().failure_threshold(0)),
        ("success_threshold", Config::new().success_threshold(0)),
        ("half_open_max_calls", Config::new().half_open_max_calls(0)),
        ("recovery_timeout", Config::new().recovery_timeout(Duration::ZERO)),
        ("half_open_timeout", Config::new().half_open_timeout(Duration::ZERO)),
        ("retry_hint", Config::new().retry_hint(Duration::ZERO)),
        ("retry_after_max", Config::new().retry_after_max(Duration::ZERO)),
        ("overdue_after", Config::new().overdue_after(Duration::from_nanos(7))),
        ("overdue_as", Config::new().overdue_as(OverdueAs::Slow)),
        ("window.calls", window(Window::count(0))),
        ("window.calls", window(Window::count(1_000_001))),
        ("minimum_calls", window(Window::count(10).minimum_calls(11))),
        ("minimum_calls", window(Window::count(10).minimum_calls(0))),
        ("window.buckets", window(Window::time(0, SECOND))),
        ("window.buckets", window(Window::time(3_601, SECOND))),
        ("window.bucket", window(Window::time(10, Duration::ZERO))),
        ("failure_rate_threshold", window(Window::count(10).failure_rate_threshold(0.0))),
        ("failure_rate_threshold", window(Window::count(10).failure_rate_threshold(100.1))),
        ("failure_rate_threshold", window(Window::count(10).failure_rate_threshold(f64::NAN))),
        ("slow_call_rate_threshold", window(Window::count(10).slow_call_rate_threshold(-1.0))),
        ("slow_call_duration", window(Window::count(10).slow_call_rate_threshold(50.0))),
        ("slow_call_rate_threshold", window(Window::count(10).slow_call_duration(SECOND))),
        ("failure_rate_threshold", window(Window::count(10).without_failure_rate())),
        (
            "slow_call_duration",
            window(Window::count(10).slow_call_duration(Duration::ZERO).slow_call_rate_threshold(50.0)),
        ),
        ("backoff.max", Config::new().backoff(Backoff::exponential(2.0, SECOND))),
        ("backoff.multiplier", Config::new().backoff(Backoff::exponential(0.5, SECOND * 600))),
        ("backoff.multiplier", Config::new().backoff(Backoff::exponential(f64::INFINITY, SECOND * 600))),
        ("backoff.jitter", Config::new().backoff(Backoff::fixed().jitter(1.1))),
        ("backoff.jitter", Config::new().backoff(Backoff::fixed().jitter(f64::NAN))),
        ("ramp.steps", Config::new().ramp(Ramp::new([], 1))),
        ("ramp.steps", Config::new().ramp(Ramp::new([50, 10], 1))),
        ("ramp.steps", Config::new().ramp(Ramp::new([100], 1))),
        ("ramp.hold", Config::new().ramp(Ramp::new([10], 0))),
    ];
    for (field, config) in refused {
        let error = CircuitBreaker::builder().config(config.clone()).build().unwrap_err();
        assert_eq!(error.field(), field, "{config:?}");
        let text = error.to_string();
        assert!(
            text.contains(field) && text.contains(error.allowed()) && text.contains(error.value()),
            "{text}"
        );
    }
}

#[test]
fn the_ends_of_every_range_are_allowed() {
    let window = Window::count(1).minimum_calls(1).failure_rate_threshold(100.0);
    for config in [
        Config::new().failure_threshold(1).success_threshold(1).half_open_max_calls(1),
        Config::new().recovery_timeout(Duration::MAX).half_open_timeout(Duration::MAX),
        Config::new().overdue_after(Duration::from_nanos(8)),
        Config::new().window(window),
        Config::new().window(Window::count(1_000_000)),
        Config::new().window(Window::time(3_600, SECOND)),
        Config::new().backoff(Backoff::exponential(1.0, SECOND * 60).jitter(1.0)),
        Config::new().ramp(Ramp::new([1, 99], 1)).ramp(Ramp::default()),
        Config::new().window(window).without_window(),
    ] {
        config.validate().unwrap();
    }
}

fn first_open_time(config: Config, seed: u64) -> Duration {
    let breaker = CircuitBreaker::builder().config(config.failure_threshold(1)).seed(seed).build().unwrap();
    breaker.try_acquire().unwrap().failure();
    breaker.explain().open_time.unwrap()
}

#[test]
fn jitter_spreads_the_open_time_over_its_range_and_repeats_from_its_seed() {
    let config = Config::new().recovery_timeout(SECOND * 100).backoff(Backoff::fixed().jitter(0.2));
    let times: Vec<_> = (0..1_000).map(|seed| first_open_time(config.clone(), seed)).collect();
    let (shortest, longest) = (times.iter().min().unwrap(), times.iter().max().unwrap());
    assert!(*shortest >= SECOND * 80 && *shortest < SECOND * 82, "{shortest:?}");
    assert!(*longest <= SECOND * 120 && *longest > SECOND * 118, "{longest:?}");
    assert_eq!(first_open_time(config, 7), times[7]);
}

#[test]
fn jitter_does_not_go_over_the_maximum() {
    let backoff = Backoff::exponential(2.0, SECOND * 60).jitter(1.0);
    let config = Config::new().backoff(backoff);
    assert!((0..200).all(|seed| first_open_time(config.clone(), seed) <= SECOND * 60));
}

// Many breakers that opened together do not probe together, also when an outage has lasted.
#[test]
fn jitter_still_spreads_once_the_open_time_has_reached_its_maximum() {
    for ratio in [0.1, 0.5, 1.0] {
        let backoff = Backoff::exponential(2.0, SECOND * 60).jitter(ratio);
        let config = Config::new().backoff(backoff);
        let mut times: Vec<_> = (0..1_000).map(|seed| first_open_time(config.clone(), seed)).collect();
        times.sort_unstable();
        let most = times.chunk_by(PartialEq::eq).map(<[_]>::len).max().unwrap();
        assert!(most <= 3, "{most} of 1,000 breakers wait equally long (ratio {ratio})");
        let (shortest, longest) = (times[0].as_secs_f64(), times[999].as_secs_f64());
        let middle = 60.0 / (1.0 + ratio);
        assert!((longest - 60.0).abs() < 1.0 && longest <= 60.0, "{longest}");
        assert!((shortest - middle * (1.0 - ratio)).abs() < 1.0, "{shortest}");
    }
}

#[test]
fn a_backoff_function_sees_the_opens_in_a_row_and_why_and_may_panic() {
    let backoff = Backoff::custom(|opens, reason| {
        assert_eq!((opens, reason.seen), (1, 1));
        SECOND * 7
    });
    assert_eq!(first_open_time(Config::new().backoff(backoff), 0), SECOND * 7);
    let panicking = Config::new().backoff(Backoff::custom(|_, _| panic!("in the backoff")));
    assert_eq!(first_open_time(panicking, 0), SECOND * 60);
}

#[cfg(feature = "serde")]
mod serde {
    use super::*;
    use circuit_breaker::{Record, replay};

    #[test]
    fn a_configuration_survives_serialisation() {
        let full = Config::new()
            .failure_threshold(3)
            .half_open_timeout(SECOND * 9)
            .window(
                Window::time(10, Duration::from_millis(1_500))
                    .minimum_calls(7)
                    .failure_rate_threshold(33.0)
                    .slow_call_duration(SECOND)
                    .slow_call_rate_threshold(80.0),
            )
            .backoff(Backoff::exponential(2.0, SECOND * 600).jitter(0.2))
            .on_drop(OnDrop::FailureAfter(SECOND))
            .overdue_after(SECOND * 8)
            .overdue_as(OverdueAs::Slow)
            .ramp(Ramp::default());
        let slow = Window::count(50).slow_call_duration(SECOND).slow_call_rate_threshold(80.0);
        for config in [
            Config::new(),
            full,
            Config::new().on_drop(OnDrop::Failure).overdue_as(OverdueAs::Failure),
            Config::new().window(Window::count(50)),
            Config::new().window(slow),
            Config::new().window(slow.without_failure_rate()),
        ] {
            let text = serde_json::to_string(&config).unwrap();
            assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config, "{text}");
        }
    }

    #[test]
    fn absent_fields_are_defaults_and_unknown_or_senseless_ones_are_refused() {
        let read = |text: &str| serde_json::from_str::<Config>(text);
        assert_eq!(read("{}").unwrap(), Config::new());
        let count = read(r#"{"window": {"calls": 50}, "recovery_timeout": 1.5}"#).unwrap();
        assert_eq!(count, Config::new().window(Window::count(50)).recovery_timeout(SECOND * 3 / 2));
        for text in [
            r#"{"failure_treshold": 3}"#,
            r#"{"recovery_timeout": -1}"#,
            r#"{"window": {"calls": 5, "buckets": 3}}"#,
            r#"{"window": {"calls": 5, "failure_rate_threshold": 50, "without_failure_rate": true}}"#,
            r#"{"backoff": {"kind": "custom", "jitter": 0.1}}"#,
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    // B19d: a trace speaks of seconds, as everything else does.
    #[test]
    fn a_trace_and_its_replay_are_written_in_seconds() {
        let text = r#"{"at": 1.5, "outcome": {"failure": {}}, "duration": 0.25}"#;
        let record: Record = serde_json::from_str(text).unwrap();
        assert_eq!((record.at, record.duration), (SECOND * 3 / 2, SECOND / 4));
        assert_eq!(serde_json::to_value(record).unwrap()["duration"], 0.25);
        let timeline = replay(Config::new().failure_threshold(1), [record]).unwrap();
        let data = serde_json::to_value(timeline).unwrap();
        assert_eq!((&data["end"], &data["entries"][0]["at"]), (&1.75.into(), &1.75.into()));
        assert_eq!(data["entries"][0]["open_time"], 60.0);
    }

    #[test]
    fn a_snapshot_is_readable_as_data() {
        let breaker = CircuitBreaker::builder().name("ofd").failure_threshold(1).build().unwrap();
        breaker.try_acquire().unwrap().failure_with(None, "503");
        let data = serde_json::to_value(breaker.snapshot()).unwrap();
        assert_eq!(data["name"], "ofd");
        assert_eq!(data["state"], "OPEN");
        assert_eq!(data["explanation"]["reason"]["rule"], "consecutive_failures");
        assert_eq!(data["explanation"]["cause"], "503");
        assert_eq!(data["config"]["failure_threshold"], 1);
        assert!(data["retry_after"].as_f64().unwrap() > 0.0);
        assert!(data["time_in_state"]["OPEN"].is_number());
        assert_eq!(serde_json::to_value(State::HalfOpen).unwrap(), "HALF_OPEN");
    }
}
