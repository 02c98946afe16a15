use super::overdue::InFlight;
use super::phase::{Climb, Timeout};
use super::trip::Sign;
use super::{Core, Denial, Effects, GENERATION_MASK, Grant, Note, Outcome, Phase, Reason, Rule, Tally, Trip};
use crate::clock::Tick;
use crate::config::OnDrop;

impl Core {
    /// Grants a permit or says why not (B5, B7).
    pub(super) fn admit(&mut self, now: Tick) -> Result<Grant, Denial> {
        let config = &self.config;
        let mut epoch = 0;
        let permitted = match &mut self.phase {
            Phase::Closed(_) | Phase::ForcedClosed => true,
            Phase::Open(_) | Phase::ForcedOpen => false,
            Phase::HalfOpen(probes) => {
                let admitted = match &mut probes.ramp {
                    Some(ramp) => ramp.admit(config),
                    None => probes.has_room(config),
                };
                if admitted {
                    probes.in_flight = probes.in_flight.saturating_add(1);
                    probes.started = probes.started.saturating_add(1);
                    let until = now.plus(config.half_open_ns());
                    probes.timeout.get_or_insert(Timeout { from: now, until });
                }
                admitted
            }
            Phase::MetricsOnly(virtually) => {
                if virtually.until.is_some() {
                    self.counts.get_or_insert_default().would_reject += 1;
                }
                epoch = virtually.epoch;
                true
            }
        };
        if !permitted {
            return Err(self.denial());
        }
        let watches = match &self.phase {
            Phase::Closed(_) | Phase::HalfOpen(_) => true,
            Phase::MetricsOnly(virtually) => virtually.until.is_none(),
            Phase::Open(_) | Phase::ForcedOpen | Phase::ForcedClosed => false,
        };
        let watched_ns = self.config.overdue_after_ns.filter(|_| watches);
        if let Some(after_ns) = watched_ns {
            self.in_flight.get_or_insert_with(|| Box::new(InFlight::default())).start(now, after_ns);
        }
        Ok(Grant::told(self.generation & GENERATION_MASK, now, epoch, watched_ns.is_some()))
    }

    /// How the next request would be rejected. In a ramp it is not known: asking is what moves it on.
    pub(crate) fn would_deny(&self) -> Option<Denial> {
        let rejects = match &self.phase {
            Phase::Open(_) | Phase::ForcedOpen => true,
            Phase::HalfOpen(probes) => probes.ramp.is_none() && !probes.has_room(&self.config),
            Phase::Closed(_) | Phase::ForcedClosed | Phase::MetricsOnly(_) => false,
        };
        rejects.then(|| self.denial())
    }

    fn denial(&self) -> Denial {
        let deadline = if let Phase::Open(open) = &self.phase { Some(open.until) } else { None };
        Denial {
            state: self.state(),
            generation: self.generation,
            reason: self.opened_by,
            since: self.since,
            deadline,
        }
    }

    /// The call was never started: its slot is free again, and nothing is counted (R4).
    pub(super) fn cancel(&mut self, grant: Grant) {
        if !self.is_current(grant) {
            return;
        }
        self.end_tracking(grant);
        if let Phase::HalfOpen(probes) = &mut self.phase {
            probes.in_flight = probes.in_flight.saturating_sub(1);
            probes.started = probes.started.saturating_sub(1);
            if probes.started == 0 {
                // No probe has been made yet: half_open_timeout waits for the first.
                probes.timeout = None;
            }
        }
    }

    /// A call ended.
    pub(super) fn finish(
        &mut self,
        now: Tick,
        grant: Grant,
        outcome: Outcome,
        elapsed_ns: Option<u64>,
        effects: &mut Effects,
    ) {
        if !self.is_current(grant) {
            effects.tally = Some(Tally::Late); // B11
            return;
        }
        let is_slow = match (self.config.slow_call_ns(), elapsed_ns) {
            (Some(slow_ns), Some(elapsed_ns)) => elapsed_ns >= slow_ns,
            _ => false,
        };
        let (tally, sign) = self.classify(outcome, elapsed_ns, is_slow);
        effects.tally = Some(tally);
        effects.slow = is_slow && matches!(outcome, Outcome::Success | Outcome::Failure { .. });
        if matches!(sign, Some(Sign::Failure { .. })) {
            self.last_failure = now;
        }
        let charged = !self.end_tracking(grant);
        let free_slot = |phase: &mut Phase| {
            if let Phase::HalfOpen(probes) = phase {
                probes.in_flight = probes.in_flight.saturating_sub(1);
            }
        };
        free_slot(&mut self.phase);
        // A call that was charged while it ran has had its say (B19a).
        if let Some(sign) = sign
            && !charged
        {
            let asked_ns = if let Outcome::Failure { retry_after_ns } = outcome { retry_after_ns } else { 0 };
            self.decide(now, grant.epoch(), sign, asked_ns, effects);
        }
    }

    fn classify(&self, outcome: Outcome, elapsed_ns: Option<u64>, slow: bool) -> (Tally, Option<Sign>) {
        match outcome {
            Outcome::Success => (Tally::Succeeded, Some(Sign::Success { slow })),
            Outcome::Failure { .. } => (Tally::Failed, Some(Sign::Failure { slow })),
            Outcome::Ignored => (Tally::Ignored, None),
            Outcome::Dropped => {
                let fails = match self.config.on_drop {
                    OnDrop::Neutral => false,
                    OnDrop::Failure => true,
                    OnDrop::FailureAfter(time) => {
                        elapsed_ns.is_some_and(|ran_ns| ran_ns >= crate::clock::nanos(time))
                    }
                };
                (Tally::Abandoned, fails.then_some(Sign::Failure { slow }))
            }
        }
    }

    /// Lets one outcome of this generation decide (B3, B8, B9, B12).
    fn decide(&mut self, now: Tick, epoch: u32, sign: Sign, asked_ns: u64, effects: &mut Effects) {
        let config = &self.config;
        match &mut self.phase {
            Phase::Closed(trip) => {
                if let Some(reason) = trip.record(config, now, sign) {
                    self.open(now, reason, asked_ns, effects);
                }
            }
            Phase::HalfOpen(probes) => {
                let Some(ramp) = &mut probes.ramp else {
                    return self.decide_probe(now, sign, asked_ns, effects);
                };
                if let Some(reason) = ramp.trip.record(config, now, sign) {
                    self.open(now, reason, asked_ns, effects);
                } else if matches!(sign, Sign::Success { .. }) && ramp.advance(config) {
                    let closed = Phase::Closed(Trip::new(config));
                    self.change(now, closed, Reason::new(Rule::RampCompleted, 0, 0), effects);
                }
            }
            Phase::MetricsOnly(virtually) => {
                if virtually.until.is_none()
                    && virtually.epoch == epoch
                    && let Some(reason) = virtually.trip.record(config, now, sign)
                {
                    virtually.until = Some(now.plus(config.recovery_timeout_ns));
                    self.counts.get_or_insert_default().would_open += 1;
                    self.in_flight = None;
                    effects.notes.push(Note::WouldOpen { reason, at: now });
                }
            }
            Phase::Open(_) | Phase::ForcedOpen | Phase::ForcedClosed => {}
        }
    }

    /// B8, B9.
    fn decide_probe(&mut self, now: Tick, sign: Sign, asked_ns: u64, effects: &mut Effects) {
        let Phase::HalfOpen(probes) = &mut self.phase else { return };
        let config = &self.config;
        let failed_by = match sign {
            Sign::Failure { .. } => Some(Rule::ProbeFailed),
            Sign::Success { slow: true } if config.slow_probe_fails => Some(Rule::SlowProbe),
            Sign::Slow if config.slow_probe_fails => Some(Rule::OverdueProbe),
            Sign::Success { .. } | Sign::Slow => None,
        };
        if let Some(rule) = failed_by {
            let reason = Reason::new(rule, probes.successes, config.success_threshold);
            return self.open(now, reason, asked_ns, effects);
        }
        if sign == Sign::Slow {
            return;
        }
        probes.successes = probes.successes.saturating_add(1);
        if probes.successes < config.success_threshold {
            return;
        }
        if config.ramp.is_some() {
            probes.ramp = Some(Box::new(Climb::new(config)));
        } else {
            let reason = Reason::new(Rule::ProbesSucceeded, probes.successes, config.success_threshold);
            let closed = Phase::Closed(Trip::new(config));
            self.change(now, closed, reason, effects);
        }
    }

    /// Charges a call that is still in flight (B19a).
    pub(super) fn charge_one(&mut self, at: Tick, effects: &mut Effects) {
        let probing = matches!(&self.phase, Phase::HalfOpen(probes) if probes.ramp.is_none());
        let slow = self.config.slow_call_ns() <= self.config.overdue_after_ns
            && self.config.slow_call_ns().is_some();
        let sign = if self.config.overdue_fails() { Sign::Failure { slow } } else { Sign::Slow };
        if let Sign::Failure { .. } = sign {
            self.last_failure = at;
        }
        if probing && let (Sign::Failure { .. }, Phase::HalfOpen(probes)) = (sign, &self.phase) {
            let reason = Reason::new(Rule::OverdueProbe, probes.successes, self.config.success_threshold);
            self.open(at, reason, 0, effects);
        } else {
            let epoch = if let Phase::MetricsOnly(virtually) = &self.phase { virtually.epoch } else { 0 };
            self.decide(at, epoch, sign, 0, effects);
        }
    }

    /// False: the call has been charged as overdue already.
    fn end_tracking(&mut self, grant: Grant) -> bool {
        if let Phase::MetricsOnly(virtually) = &self.phase
            && virtually.epoch != grant.epoch()
        {
            return false;
        }
        !grant.is_tracked() || self.in_flight.as_mut().is_some_and(|calls| calls.end(grant.started))
    }
}
