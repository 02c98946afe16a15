//! The ready-made listeners.
#![cfg(all(feature = "tracing", feature = "metrics"))]
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CircuitBreaker, Config, ManualClock, Registry, Window, observe};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span;

#[derive(Clone, Default)]
struct Logged(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl tracing::Subscriber for Logged {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(format!("{} ", event.metadata().level()));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[test]
fn events_are_logged_with_their_reasons() {
    let logged = Logged::default();
    tracing::subscriber::with_default(logged.clone(), || {
        let breaker = CircuitBreaker::builder()
            .name("ofd")
            .failure_threshold(1)
            .shadow(Config::new().failure_threshold(1))
            .on_event(observe::trace)
            .build()
            .unwrap();
        breaker.metrics_only("trial");
        breaker.try_acquire().unwrap().failure();
        breaker.release();
        breaker.set_config(Config::new().failure_threshold(1)).unwrap();
        breaker.try_acquire().unwrap().failure_with(None, "503");
        breaker.by("alice").force_open("maintenance");
        breaker.by("bob").force_open("more");
    });
    let lines = logged.0.lock().unwrap();
    let has = |parts: &[&str]| lines.iter().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(has(&["INFO", "METRICS_ONLY", "trial"]), "{lines:#?}");
    assert!(has(&["INFO", "would have opened", "1 failure in a row"]), "{lines:#?}");
    assert!(has(&["INFO", "shadow", "OPEN"]), "{lines:#?}");
    assert!(has(&["INFO", "configuration replaced"]), "{lines:#?}");
    assert!(has(&["WARN", "ofd", "to=\"OPEN\"", "503"]), "{lines:#?}");
    assert!(has(&["WARN", "FORCED_OPEN", "by alice: maintenance"]), "{lines:#?}");
    assert!(has(&["by bob: more"]), "{lines:#?}");
}

#[derive(Clone, Default)]
struct Recorded(Arc<Mutex<BTreeMap<String, f64>>>);

struct Handle(Recorded, String);

impl CounterFn for Handle {
    fn increment(&self, value: u64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += value as f64;
    }
    fn absolute(&self, value: u64) {
        self.0.0.lock().unwrap().insert(self.1.clone(), value as f64);
    }
}

impl GaugeFn for Handle {
    fn increment(&self, _: f64) {}
    fn decrement(&self, _: f64) {}
    fn set(&self, value: f64) {
        self.0.0.lock().unwrap().insert(self.1.clone(), value);
    }
}

impl Recorded {
    fn handle(&self, key: &Key) -> Arc<Handle> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(Handle(self.clone(), format!("{}{{{}}}", key.name(), labels.join(","))))
    }
}

impl Recorder for Recorded {
    fn describe_counter(&self, series: KeyName, _: Option<Unit>, _: SharedString) {
        self.0.lock().unwrap().insert(series.as_str().to_owned(), 0.0);
    }
    fn describe_gauge(&self, series: KeyName, _: Option<Unit>, _: SharedString) {
        self.0.lock().unwrap().insert(series.as_str().to_owned(), 0.0);
    }
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.handle(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.handle(key))
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

fn recorded(record: impl FnOnce()) -> Recorded {
    let recorded = Recorded::default();
    metrics::with_local_recorder(&recorded, record);
    recorded
}

impl Recorded {
    fn assert(&self, expected: &[(&str, f64)]) {
        let recorded = self.0.lock().unwrap();
        for (key, value) in expected {
            assert_eq!(recorded.get(*key), Some(value), "{key} in {recorded:#?}");
        }
    }
}

#[test]
fn transitions_are_counted_and_totals_are_written_as_they_are() {
    let recorded = recorded(|| {
        let breaker = CircuitBreaker::builder()
            .name("ofd")
            .failure_threshold(1)
            .on_event(observe::count)
            .build()
            .unwrap();
        breaker.call(|| Ok::<_, ()>(())).unwrap();
        breaker.try_acquire().unwrap().ignore();
        drop(breaker.try_acquire().unwrap());
        let late = breaker.try_acquire().unwrap();
        breaker.try_acquire().unwrap().failure();
        late.success();
        assert!(breaker.try_acquire().is_err());
        observe::record(&breaker.snapshot());
        observe::record(&breaker.snapshot()); // Nothing is counted twice.
    });
    recorded.assert(&[
        ("circuit_breaker_transitions_total{name=ofd,from=CLOSED,to=OPEN}", 1.0),
        ("circuit_breaker_calls_total{name=ofd,outcome=success}", 1.0),
        ("circuit_breaker_calls_total{name=ofd,outcome=failure}", 1.0),
        ("circuit_breaker_calls_total{name=ofd,outcome=ignored}", 1.0),
        ("circuit_breaker_calls_total{name=ofd,outcome=abandoned}", 1.0),
        ("circuit_breaker_calls_total{name=ofd,outcome=late}", 1.0),
        ("circuit_breaker_rejected_total{name=ofd}", 1.0),
        ("circuit_breaker_opens_total{name=ofd}", 1.0),
        ("circuit_breaker_slow_total{name=ofd}", 0.0),
        ("circuit_breaker_overdue_total{name=ofd}", 0.0),
        ("circuit_breaker_state{name=ofd}", 1.0),
        ("circuit_breaker_generation{name=ofd}", 1.0),
        ("circuit_breaker_consecutive_failures{name=ofd}", 0.0),
        ("circuit_breaker_in_flight{name=ofd}", 0.0),
    ]);
    let recorded = recorded.0.lock().unwrap();
    assert!(recorded.contains_key("circuit_breaker_state_seconds{name=ofd,state=OPEN}"));
    // What the breaker does not have is not shown.
    assert!(!recorded.keys().any(|key| key.contains("window") || key.contains("shadow")));
}

// B1, B19d: what METRICS_ONLY, windows and shadows are for.
#[test]
fn what_a_breaker_would_have_done_and_what_its_window_holds_is_written() {
    let clock = ManualClock::new();
    let window = Window::count(10).minimum_calls(4);
    let slow = window.slow_call_duration(Duration::from_secs(1)).slow_call_rate_threshold(100.0);
    let breaker = CircuitBreaker::builder()
        .name("ofd")
        .failure_threshold(Config::NEVER)
        .window(slow)
        .overdue_after(Duration::from_secs(80))
        .shadow(Config::new().failure_threshold(1))
        .clock(clock.clone())
        .build()
        .unwrap();
    breaker.try_acquire().unwrap().failure();
    let late = breaker.try_acquire().unwrap();
    clock.advance(Duration::from_secs(1));
    late.success();
    breaker.call(|| Ok::<_, ()>(())).unwrap();
    recorded(|| observe::record(&breaker.snapshot())).assert(&[
        ("circuit_breaker_window_calls{name=ofd}", 3.0),
        ("circuit_breaker_failure_rate{name=ofd}", 100.0 / 3.0),
        ("circuit_breaker_slow_rate{name=ofd}", 100.0 / 3.0),
        ("circuit_breaker_slow_total{name=ofd}", 1.0),
        ("circuit_breaker_shadow_state{name=ofd}", 1.0),
        ("circuit_breaker_shadow_opens_total{name=ofd}", 1.0),
        ("circuit_breaker_shadow_rejected_total{name=ofd}", 2.0),
    ]);
    let _hangs = breaker.try_acquire().unwrap();
    clock.advance(Duration::from_secs(90));
    breaker.force_closed("a state without a window");
    recorded(|| observe::record(&breaker.snapshot())).assert(&[
        ("circuit_breaker_overdue_total{name=ofd}", 1.0),
        ("circuit_breaker_window_calls{name=ofd}", 0.0),
        ("circuit_breaker_failure_rate{name=ofd}", 0.0),
    ]);
    breaker.metrics_only("trial");
    breaker.set_config(Config::new().failure_threshold(1)).unwrap();
    breaker.try_acquire().unwrap().failure();
    breaker.call(|| Ok::<_, ()>(())).unwrap();
    recorded(|| observe::record(&breaker.snapshot())).assert(&[
        ("circuit_breaker_state{name=ofd}", 5.0),
        ("circuit_breaker_would_open_total{name=ofd}", 1.0),
        ("circuit_breaker_would_reject_total{name=ofd}", 1.0),
    ]);
}

// B21: as many series as before, whatever keys come and go.
#[test]
fn a_registry_is_written_as_one_breaker_whatever_keys_come_and_go() {
    let registry = Registry::builder(CircuitBreaker::builder()).build().unwrap();
    let written = |expected: &[(&str, f64)]| {
        let recorded = recorded(|| observe::record_registry("hosts", &registry));
        recorded.assert(expected);
        recorded.0.lock().unwrap().len()
    };
    let before = written(&[("circuit_breaker_keys{name=hosts}", 0.0)]);
    for key in 0..20 {
        registry.get_or_create(&key.to_string()).unwrap().call(|| Ok::<_, ()>(())).unwrap();
        registry.remove(&(key - 1).to_string());
    }
    let after = written(&[
        ("circuit_breaker_keys{name=hosts}", 1.0),
        ("circuit_breaker_calls_total{name=hosts,outcome=success}", 20.0),
    ]);
    assert_eq!(before, after);
}

#[test]
fn every_series_is_described() {
    let described = recorded(observe::describe);
    let breaker = CircuitBreaker::builder().window(Window::count(10)).shadow(Config::new());
    let breaker = breaker.on_event(observe::count).build().unwrap();
    let registry = Registry::builder(CircuitBreaker::builder()).build().unwrap();
    breaker.reset();
    let written = recorded(|| {
        breaker.reset();
        observe::record(&breaker.snapshot());
        observe::record_registry("all", &registry);
    });
    let names = |recorded: &Recorded| {
        let recorded = recorded.0.lock().unwrap();
        recorded.keys().map(|key| key.split('{').next().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&described), names(&written));
}
