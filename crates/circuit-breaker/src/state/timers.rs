use super::overdue::InFlight;
use super::phase::Virtual;
use super::{Core, Effects, Phase, Reason, Rule, Trip};
use crate::clock::Tick;

impl Core {
    /// Does what was due by `now`, in the order in which it was due (B6, B9, B19a).
    pub(super) fn settle(&mut self, now: Tick, effects: &mut Effects) {
        // Ends: OPEN → HALF_OPEN has no timer before its first permit, and every overdue charge takes a bucket away.
        loop {
            let state_due = self.state_deadline().unwrap_or(Tick::MAX);
            let overdue_due = self.overdue_deadline().unwrap_or(Tick::MAX);
            let due = state_due.min(overdue_due);
            if due > now || due == Tick::MAX {
                break;
            }
            let at = due.max(self.since);
            if state_due <= overdue_due { self.expire(at, effects) } else { self.charge_overdue(at, effects) }
        }
        self.last = now;
        effects.caused_from = effects.notes.len();
    }

    fn state_deadline(&self) -> Option<Tick> {
        match &self.phase {
            Phase::Open(open) => Some(open.until),
            Phase::HalfOpen(probes) => probes.deadline(),
            Phase::MetricsOnly(virtually) => virtually.until,
            Phase::Closed(_) | Phase::ForcedOpen | Phase::ForcedClosed => None,
        }
    }

    fn overdue_deadline(&self) -> Option<Tick> {
        let after_ns = self.config.overdue_after_ns?;
        self.in_flight.as_ref().and_then(|calls| calls.next_due(after_ns))
    }

    fn expire(&mut self, at: Tick, effects: &mut Effects) {
        match &mut self.phase {
            Phase::Open(_) => self.half_open(at, effects),
            Phase::HalfOpen(probes) => {
                let reason =
                    Reason::new(Rule::HalfOpenTimeout, probes.successes, self.config.success_threshold);
                self.open(at, reason, 0, effects);
            }
            Phase::MetricsOnly(virtually) => {
                let epoch = virtually.epoch.wrapping_add(1);
                **virtually = Virtual { trip: Trip::new(&self.config), until: None, epoch };
            }
            Phase::Closed(_) | Phase::ForcedOpen | Phase::ForcedClosed => {}
        }
    }

    /// Charges the calls of one bucket that are still in flight (B19a).
    fn charge_overdue(&mut self, at: Tick, effects: &mut Effects) {
        let Some(calls) = self.in_flight.as_mut().and_then(|calls: &mut Box<InFlight>| calls.take_oldest())
        else {
            return;
        };
        let generation = self.generation;
        for _ in 0..calls {
            self.counts_mut().overdue += 1;
            if self.generation == generation {
                self.charge_one(at, effects);
            }
        }
    }
}
