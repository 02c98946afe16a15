use super::phase::Timeout;
use super::{Core, Effects, Note, Phase, Trip};
use crate::clock::Tick;
use crate::config::{Config, Shape};
use crate::window::Sliding;
use std::sync::Arc;

impl Core {
    /// Replaces the configuration (B19). What the new one puts into the past, a deadline or the charge of an overdue
    /// call, is due now, not then.
    pub(super) fn reconfigure(&mut self, now: Tick, config: Arc<Config>, effects: &mut Effects) {
        let shape = |config: &Config| config.window.as_ref().map(|window| window.shape());
        let old_shape = shape(&self.config);
        if let Some(calls) = &mut self.in_flight
            && self.config.overdue_after_ns != config.overdue_after_ns
        {
            calls.replace_limit(now);
        }
        let old = std::mem::replace(&mut self.config, config);
        let config = &self.config;
        let reshape = |trip: &mut Trip, new_shape: Option<Shape>| {
            if new_shape != old_shape {
                trip.window = new_shape.map(|shape| Box::new(Sliding::new(shape)));
            }
        };
        match &mut self.phase {
            Phase::Closed(trip) => reshape(trip, shape(config)),
            Phase::MetricsOnly(virtually) => reshape(&mut virtually.trip, shape(config)),
            Phase::Open(open) => {
                // Not otherwise: a custom backoff function need not say the same when it is asked again.
                if !config.opens_like(&old) {
                    open.until = open.deadline(config, self.opens_in_row, self.opened_by).max(now);
                }
            }
            Phase::HalfOpen(probes) => {
                if let Some(ramp) = &mut probes.ramp {
                    reshape(&mut ramp.trip, shape(config));
                }
                if let Some(Timeout { from, until }) = &mut probes.timeout {
                    *until = from.plus(config.half_open_ns()).max(now);
                }
            }
            Phase::ForcedOpen | Phase::ForcedClosed => {}
        }
        effects.notes.push(Note::Configured { at: now });
        effects.replaced = Some(old);
    }
}
