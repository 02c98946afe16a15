//! The ready-made listeners.
#![cfg(all(feature = "tracing", feature = "metrics"))]
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CircuitBreaker, Config, observe};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};
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
    assert!(has(&["INFO", "would have opened", "1 failures in a row"]), "{lines:#?}");
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
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
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

#[test]
fn transitions_are_counted_and_totals_are_written_as_they_are() {
    let recorded = Recorded::default();
    metrics::with_local_recorder(&recorded, || {
        let breaker = CircuitBreaker::builder()
            .name("ofd")
            .failure_threshold(1)
            .on_event(observe::count)
            .build()
            .unwrap();
        breaker.call(|| Ok::<_, ()>(())).unwrap();
        breaker.try_acquire().unwrap().failure();
        assert!(breaker.try_acquire().is_err());
        observe::record(&breaker.snapshot());
        observe::record(&breaker.snapshot()); // Nothing is counted twice.
    });
    let recorded = recorded.0.lock().unwrap();
    for (key, value) in [
        ("circuit_breaker_transitions_total{name=ofd,from=CLOSED,to=OPEN}", 1.0),
        ("circuit_breaker_calls_total{name=ofd,outcome=success}", 1.0),
        ("circuit_breaker_calls_total{name=ofd,outcome=failure}", 1.0),
        ("circuit_breaker_rejected_total{name=ofd}", 1.0),
        ("circuit_breaker_opens_total{name=ofd}", 1.0),
        ("circuit_breaker_state{name=ofd}", 1.0),
        ("circuit_breaker_in_flight{name=ofd}", 0.0),
    ] {
        assert_eq!(recorded.get(key), Some(&value), "{key} in {recorded:#?}");
    }
    assert!(recorded.contains_key("circuit_breaker_state_seconds{name=ofd,state=OPEN}"));
}
