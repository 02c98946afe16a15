use crate::events::{Event, EventKind};
use crate::{Registry, RegistryTotals, Snapshot, State};
use metrics::{counter, describe_counter, describe_gauge, gauge};

/// Counts transitions in `circuit_breaker_transitions_total{name, from, to}`.
pub fn count(event: &Event) {
    if let EventKind::Transition(explanation) = &event.kind {
        let (from, to) = (explanation.from.as_str(), explanation.to.as_str());
        counter!("circuit_breaker_transitions_total", "name" => event.breaker.to_string(), "from" => from, "to" => to)
            .increment(1);
    }
}

/// Writes a snapshot's totals and gauges to the `metrics` recorder; call it at every scrape. The totals are written as
/// absolute values, so nothing is counted twice.
///
/// Each breaker needs a name of its own: two of one name, or without one, write the same series by turns. What is in it:
///
/// | series | what |
/// |---|---|
/// | `circuit_breaker_calls_total{name, outcome}` | calls by `success`, `failure`, `ignored`, `abandoned` or `late` |
/// | `circuit_breaker_rejected_total{name}`, `…_opens_total`, `…_slow_total`, `…_overdue_total` | the totals of [`Snapshot`] |
/// | `circuit_breaker_would_open_total{name}`, `…_would_reject_total` | METRICS_ONLY: what it would have done |
/// | `circuit_breaker_state{name}` | the number of the [`State`] |
/// | `circuit_breaker_state_seconds{name, state}` | time spent in it |
/// | `circuit_breaker_generation{name}`, `…_consecutive_failures`, `…_in_flight` | as in [`Snapshot`] |
/// | `circuit_breaker_window_calls{name}`, `…_failure_rate`, `…_slow_rate` | with a window: what it holds, rates in percent; zero in a state without one |
/// | `circuit_breaker_shadow_state{name}`, `…_shadow_opens_total`, `…_shadow_rejected_total` | with a shadow: what it would have done |
///
/// A recorder keeps every name that it has seen. Where names come and go, see [`record_registry`].
pub fn record(snapshot: &Snapshot) {
    let name = &*snapshot.name;
    let totals = RegistryTotals {
        successes: snapshot.successes,
        failures: snapshot.failures,
        slow: snapshot.slow,
        ignored: snapshot.ignored,
        abandoned: snapshot.abandoned,
        late: snapshot.late,
        overdue: snapshot.overdue,
        rejected: snapshot.rejected,
        opens: snapshot.opens,
        would_open: snapshot.would_open,
        would_reject: snapshot.would_reject,
    };
    record_totals(name, &totals);
    for state in State::ALL {
        let seconds = snapshot.time_in_state.of(state).as_secs_f64();
        gauge!("circuit_breaker_state_seconds", "name" => name.to_owned(), "state" => state.as_str())
            .set(seconds);
    }
    set("circuit_breaker_state", name, f64::from(snapshot.state as u8));
    set("circuit_breaker_generation", name, snapshot.generation as f64);
    set("circuit_breaker_consecutive_failures", name, f64::from(snapshot.consecutive_failures));
    set("circuit_breaker_in_flight", name, f64::from(snapshot.in_flight));
    if snapshot.window.is_some() || snapshot.config.window.is_some() {
        let window = snapshot.window;
        let rates = window.map_or((0.0, 0.0), |window| (window.failure_rate, window.slow_rate));
        set("circuit_breaker_window_calls", name, window.map_or(0.0, |window| f64::from(window.calls)));
        set("circuit_breaker_failure_rate", name, rates.0);
        set("circuit_breaker_slow_rate", name, rates.1);
    }
    if let Some(shadow) = &snapshot.shadow {
        set("circuit_breaker_shadow_state", name, f64::from(shadow.state as u8));
        add("circuit_breaker_shadow_opens_total", name, shadow.opens);
        add("circuit_breaker_shadow_rejected_total", name, shadow.rejected);
    }
}

/// Writes the totals over all keys of a registry, evicted and removed ones included, as those of one breaker called
/// `name`, and how many keys there are in `circuit_breaker_keys{name}`. The number of series is fixed, whatever keys come
/// and go.
pub fn record_registry(name: &str, registry: &Registry) {
    record_totals(name, &registry.totals());
    set("circuit_breaker_keys", name, registry.len() as f64);
}

/// Tells the recorder what the series mean; call it once.
pub fn describe() {
    for (series, text) in [
        ("circuit_breaker_transitions_total", "Transitions from one state to another"),
        ("circuit_breaker_calls_total", "Calls that were let through, by how they ended"),
        ("circuit_breaker_rejected_total", "Calls that were not let through"),
        ("circuit_breaker_opens_total", "Times the circuit opened"),
        ("circuit_breaker_slow_total", "Calls that succeeded or failed slowly"),
        ("circuit_breaker_overdue_total", "Calls that were charged before they ended"),
        ("circuit_breaker_would_open_total", "METRICS_ONLY: times the circuit would have opened"),
        ("circuit_breaker_would_reject_total", "METRICS_ONLY: calls that would have been rejected"),
        ("circuit_breaker_shadow_opens_total", "Times the shadow configuration's circuit would have opened"),
        ("circuit_breaker_shadow_rejected_total", "Calls that the shadow configuration would have rejected"),
    ] {
        describe_counter!(series, text);
    }
    const STATES: &str = "0 CLOSED, 1 OPEN, 2 HALF_OPEN, 3 FORCED_OPEN, 4 FORCED_CLOSED, 5 METRICS_ONLY";
    for (series, text) in [
        ("circuit_breaker_state", STATES),
        ("circuit_breaker_shadow_state", STATES),
        ("circuit_breaker_state_seconds", "Seconds spent in each state"),
        ("circuit_breaker_generation", "Transitions and manual commands so far"),
        ("circuit_breaker_consecutive_failures", "Failures in a row"),
        ("circuit_breaker_in_flight", "Probes in flight"),
        ("circuit_breaker_window_calls", "Calls in the sliding window"),
        ("circuit_breaker_failure_rate", "Percent of the calls in the sliding window that failed"),
        ("circuit_breaker_slow_rate", "Percent of the calls in the sliding window that were slow"),
        ("circuit_breaker_keys", "Breakers in the registry"),
    ] {
        describe_gauge!(series, text);
    }
}

fn record_totals(name: &str, totals: &RegistryTotals) {
    for (outcome, total) in [
        ("success", totals.successes),
        ("failure", totals.failures),
        ("ignored", totals.ignored),
        ("abandoned", totals.abandoned),
        ("late", totals.late),
    ] {
        counter!("circuit_breaker_calls_total", "name" => name.to_owned(), "outcome" => outcome)
            .absolute(total);
    }
    add("circuit_breaker_rejected_total", name, totals.rejected);
    add("circuit_breaker_opens_total", name, totals.opens);
    add("circuit_breaker_slow_total", name, totals.slow);
    add("circuit_breaker_overdue_total", name, totals.overdue);
    add("circuit_breaker_would_open_total", name, totals.would_open);
    add("circuit_breaker_would_reject_total", name, totals.would_reject);
}

fn add(series: &'static str, name: &str, total: u64) {
    counter!(series, "name" => name.to_owned()).absolute(total);
}

fn set(series: &'static str, name: &str, value: f64) {
    gauge!(series, "name" => name.to_owned()).set(value);
}
