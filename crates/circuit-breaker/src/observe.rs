//! Ready-made listeners (features `tracing` and `metrics`), to be given to `on_event`.

#[cfg(feature = "metrics")]
mod series;

#[cfg(feature = "metrics")]
pub use series::{count, describe, record, record_registry};

#[cfg(feature = "tracing")]
use crate::events::{Event, EventKind};

/// Logs an event: transitions to OPEN and FORCED_OPEN as warnings, the rest, new reasons included, as information.
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
        EventKind::ReasonUpdated(explanation) => {
            let (state, reason) = (explanation.to.as_str(), tracing::field::display(explanation));
            tracing::info!(breaker, generation, state, reason, "new reason for a manual state");
        }
        EventKind::Transition(explanation) => {
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
