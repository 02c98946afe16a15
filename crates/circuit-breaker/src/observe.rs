//! Ready-made listeners (features `tracing` and `metrics`), to be given to `on_event`.

use crate::events::{Event, EventKind};
#[cfg(feature = "metrics")]
use crate::{Snapshot, State};

/// Logs an event: transitions to OPEN and FORCED_OPEN as warnings, the rest as information.
///
/// ```
/// # use circuit_breaker::CircuitBreaker;
/// let breaker = CircuitBreaker::builder().name("ofd").on_event(circuit_breaker::observe::trace).build()?;
/// # Ok::<(), circuit_breaker::ConfigError>(())
/// ```
#[cfg(feature = "tracing")]
pub fn trace(event: &Event) {
    let (breaker, generation) = (&*event.breaker, event.generation);
    match &event.kind {
        EventKind::Transition(explanation) | EventKind::ReasonUpdated(explanation) => {
            let (from, to) = (explanation.from.as_str(), explanation.to.as_str());
            let reason = tracing::field::display(explanation);
            if matches!(explanation.to, crate::State::Open | crate::State::ForcedOpen) {
                tracing::warn!(breaker, generation, from, to, reason, "circuit opened");
            } else {
                tracing::info!(breaker, generation, from, to, reason, "circuit changed");
            }
        }
        EventKind::WouldOpen { reason } => {
            let reason = tracing::field::display(reason);
            tracing::info!(breaker, generation, reason, "circuit would have opened");
        }
        EventKind::ShadowTransition { from, to, reason } => {
            let (from, to, reason) = (from.as_str(), to.as_str(), tracing::field::display(reason));
            tracing::info!(
                breaker,
                generation,
                from,
                to,
                reason,
                "the shadow configuration's circuit changed"
            );
        }
        EventKind::ConfigReplaced => tracing::info!(breaker, generation, "configuration replaced"),
    }
}

/// Counts transitions in `circuit_breaker_transitions_total{name, from, to}`.
#[cfg(feature = "metrics")]
pub fn count(event: &Event) {
    if let EventKind::Transition(explanation) = &event.kind {
        let (from, to) = (explanation.from.as_str(), explanation.to.as_str());
        metrics::counter!("circuit_breaker_transitions_total", "name" => event.breaker.to_string(), "from" => from, "to" => to)
            .increment(1);
    }
}

/// Writes a snapshot's totals and gauges to the `metrics` recorder; call it at every scrape. The totals are written as
/// absolute values, so nothing is counted twice.
///
/// `circuit_breaker_calls_total{name, outcome}`, `circuit_breaker_rejected_total{name}`,
/// `circuit_breaker_opens_total{name}`, `circuit_breaker_slow_total{name}`, `circuit_breaker_overdue_total{name}`,
/// `circuit_breaker_state{name}` (the number of the [`State`]), `circuit_breaker_state_seconds{name, state}`,
/// `circuit_breaker_consecutive_failures{name}`, `circuit_breaker_in_flight{name}`.
#[cfg(feature = "metrics")]
pub fn record(snapshot: &Snapshot) {
    use metrics::{counter, gauge};
    let name = snapshot.name.to_string();
    for (outcome, total) in [
        ("success", snapshot.successes),
        ("failure", snapshot.failures),
        ("ignored", snapshot.ignored),
        ("abandoned", snapshot.abandoned),
        ("late", snapshot.late),
    ] {
        counter!("circuit_breaker_calls_total", "name" => name.clone(), "outcome" => outcome).absolute(total);
    }
    counter!("circuit_breaker_rejected_total", "name" => name.clone()).absolute(snapshot.rejected);
    counter!("circuit_breaker_opens_total", "name" => name.clone()).absolute(snapshot.opens);
    counter!("circuit_breaker_slow_total", "name" => name.clone()).absolute(snapshot.slow);
    counter!("circuit_breaker_overdue_total", "name" => name.clone()).absolute(snapshot.overdue);
    gauge!("circuit_breaker_state", "name" => name.clone()).set(f64::from(snapshot.state as u8));
    for state in State::ALL {
        let seconds = snapshot.time_in_state.of(state).as_secs_f64();
        gauge!("circuit_breaker_state_seconds", "name" => name.clone(), "state" => state.as_str())
            .set(seconds);
    }
    let failures = f64::from(snapshot.consecutive_failures);
    gauge!("circuit_breaker_consecutive_failures", "name" => name.clone()).set(failures);
    gauge!("circuit_breaker_in_flight", "name" => name).set(f64::from(snapshot.in_flight));
}
