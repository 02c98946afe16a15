//! The gate in front of the OFD: decides which lane sends next.
//!
//! Invariants:
//! 1. At most `lanes_max` admissions are out at once.
//! 2. An admission carries a permit of the endpoint's breaker, so an OPEN breaker admits nobody and a
//!    HALF_OPEN one no more than its probes.
//! 3. Lanes go in the order of arrival, so that none starves. Only as probes, while HALF_OPEN, those go first whose
//!    last send the endpoint did not fail.
//! 4. When nobody waits, a HALF_OPEN breaker is probed by `ping`, so that it closes without a sale.
//! 5. A place that is given back, however its lane ended, is noticed at once.

use crate::ports::{OfdClient, OfdError};
use circuit_breaker::{CircuitBreaker, Permit, State};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot},
    time::Instant,
};

/// The right to send one document now.
pub(super) struct Admission {
    pub permit: Permit,
    pub place: Place,
}

/// A place among the lanes that send at once; whoever waits for one is told when it is dropped.
pub(super) struct Place {
    place: Option<OwnedSemaphorePermit>,
    changed: Arc<Notify>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // Given back first, or whoever is told finds it taken.
        drop(self.place.take());
        self.changed.notify_one();
    }
}

#[derive(Default)]
struct Queue {
    /// By (failed last, arrival).
    waiting: BTreeMap<(bool, u64), oneshot::Sender<Admission>>,
    arrivals: u64,
    /// Nobody is admitted before: the OFD asked for a pause.
    not_before: Option<Instant>,
    /// Nobody is admitted any more.
    is_closed: bool,
}

impl Queue {
    /// Who is next.
    fn first(&self, is_probing: bool) -> Option<(bool, u64)> {
        let (well, failed) = ((false, 0)..(true, 0), (true, 0)..);
        let well = self.waiting.range(well).next().map(|(key, _)| *key);
        let failed = self.waiting.range(failed).next().map(|(key, _)| *key);
        if is_probing { well.or(failed) } else { well.into_iter().chain(failed).min_by_key(|key| key.1) }
    }

    /// Whether nobody is to be admitted now, whatever the breaker says.
    fn is_held(&self) -> bool {
        self.is_closed || self.not_before.is_some_and(|until| until > Instant::now())
    }
}

/// The gate; cheap to share.
pub(super) struct Gate {
    breaker: CircuitBreaker,
    client: Arc<dyn OfdClient>,
    places: Arc<Semaphore>,
    queue: Mutex<Queue>,
    changed: Arc<Notify>,
}

impl Gate {
    /// `changed` is notified whenever the breaker makes a transition.
    pub fn new(
        breaker: CircuitBreaker,
        client: Arc<dyn OfdClient>,
        lanes_max: usize,
        changed: Arc<Notify>,
    ) -> Self {
        let places = Arc::new(Semaphore::new(lanes_max));
        Self { breaker, client, places, queue: Mutex::default(), changed }
    }

    /// Waits until this lane may send. Dropping the future leaves the queue.
    pub async fn enter(&self, failed_last: bool) -> Admission {
        loop {
            if let Some(admission) = self.try_enter() {
                return admission;
            }
            let (sender, receiver) = oneshot::channel();
            {
                let mut queue = self.lock();
                queue.arrivals += 1;
                let key = (failed_last, queue.arrivals);
                queue.waiting.insert(key, sender);
            }
            self.changed.notify_one();
            if let Ok(admission) = receiver.await {
                return admission;
            }
        }
    }

    /// Admits at once if nobody has to be considered first: the breaker lets everything through and nobody
    /// waits.
    pub fn try_enter(&self) -> Option<Admission> {
        let free = {
            let queue = self.lock();
            queue.waiting.is_empty() && !queue.is_held()
        };
        if !free || !self.lets_all_through() {
            return None;
        }
        self.admit().ok()
    }

    /// A permit for the next document of a lane that has its place already.
    pub fn try_next(&self) -> Option<Permit> {
        if self.lock().is_held() || !self.lets_all_through() {
            return None;
        }
        self.breaker.try_acquire().ok()
    }

    /// Whether lanes wait for a place: then a turn must be short.
    pub fn is_crowded(&self) -> bool {
        !self.lock().waiting.is_empty()
    }

    fn lets_all_through(&self) -> bool {
        matches!(self.breaker.state(), State::Closed | State::ForcedClosed | State::MetricsOnly)
    }

    /// A permit for now in place of one that may be of a state that is past: whoever was admitted has read its page
    /// since. `None`: back to the queue.
    pub fn renew(&self, old: Permit) -> Option<Permit> {
        old.cancel();
        if self.lock().is_held() { None } else { self.breaker.try_acquire().ok() }
    }

    /// Nobody is admitted for so long: the OFD asked for it.
    pub fn hold(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut queue = self.lock();
        if queue.not_before.is_none_or(|now| now < until) {
            queue.not_before = Some(until);
        }
    }

    /// A person wants it tried now: the pause that the OFD asked for is over.
    pub fn release(&self) {
        self.lock().not_before = None;
        self.changed.notify_one();
    }

    /// Nobody is admitted any more.
    pub fn close(&self) {
        self.lock().is_closed = true;
    }

    /// Whether the breaker lets nobody through at present.
    pub fn is_shut(&self) -> bool {
        matches!(self.breaker.state(), State::Open | State::ForcedOpen)
    }

    /// Whether nobody gets through at present because the OFD asked for a pause.
    pub fn is_held(&self) -> bool {
        self.lock().is_held()
    }

    /// Admits those who wait, for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            let wait = self.serve();
            match wait {
                Some(pause) => {
                    tokio::select! {
                        // One order always: the simulation repeats a run exactly.
                        biased;
                        () = self.changed.notified() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                }
                None => self.changed.notified().await,
            }
        }
    }

    /// Admits whom it can; answers how long until it is worth to look again (`None`: when told).
    fn serve(self: &Arc<Self>) -> Option<Duration> {
        loop {
            let mut queue = self.lock();
            queue.waiting.retain(|_, sender| !sender.is_closed());
            if queue.is_closed {
                return None;
            }
            if let Some(until) = queue.not_before {
                let now = Instant::now();
                if until > now {
                    return Some(until - now);
                }
                queue.not_before = None;
            }
            if queue.waiting.is_empty() {
                drop(queue);
                return self.probe_if_idle();
            }
            match self.admit() {
                Ok(admission) => {
                    let is_probing = self.breaker.state() == State::HalfOpen;
                    let first = queue.first(is_probing);
                    if let Some(sender) = first.and_then(|key| queue.waiting.remove(&key))
                        && let Err(unwanted) = sender.send(admission)
                    {
                        unwanted.permit.cancel();
                    }
                }
                Err(again) => return again,
            }
        }
    }

    /// A place and a permit, or how long until that can change (`None`: somebody will tell).
    fn admit(&self) -> Result<Admission, Option<Duration>> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| None)?;
        let permit = self.breaker.try_acquire().map_err(|rejected| Some(rejected.retry_after()))?;
        let place = Place { place: Some(place), changed: Arc::clone(&self.changed) };
        Ok(Admission { permit, place })
    }

    fn probe_if_idle(self: &Arc<Self>) -> Option<Duration> {
        match self.breaker.state() {
            State::HalfOpen => {
                let permit = match self.breaker.try_acquire() {
                    Ok(permit) => permit,
                    Err(rejected) => return Some(rejected.retry_after()),
                };
                let gate = self.clone();
                tokio::spawn(async move {
                    let client = Arc::clone(&gate.client);
                    // In a task of its own, so that a panic is an outcome like any other.
                    let answer = tokio::spawn(async move { client.ping().await }).await;
                    let panicked = |_| Err(OfdError::Ambiguous("the ping ended in a panic".into()));
                    match answer.unwrap_or_else(panicked) {
                        Ok(()) => permit.success(),
                        Err(ref error @ OfdError::Unavailable { retry_after, .. }) => {
                            permit.failure_with(retry_after, error);
                        }
                        Err(OfdError::Ambiguous(reason)) => permit.failure_with(None, reason),
                        Err(OfdError::Unauthorised(_) | OfdError::Rejected { .. }) => permit.success(),
                    }
                    gate.changed.notify_one();
                });
                // The ping's end tells; this is the net below it.
                Some(Duration::from_secs(1))
            }
            // Nobody waits, but the deadline must not pass unprobed.
            State::Open => Some(match self.breaker.try_acquire() {
                Ok(permit) => {
                    permit.cancel();
                    Duration::ZERO
                }
                Err(rejected) => rejected.retry_after().max(Duration::from_millis(1)),
            }),
            _ => None,
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::document::{Confirmation, Outgoing};

    /// Answers a ping, or dies of it.
    struct Silent {
        panics: bool,
    }

    #[async_trait::async_trait]
    impl OfdClient for Silent {
        async fn submit(&self, _: &Outgoing) -> Result<Confirmation, OfdError> {
            std::future::pending().await
        }
        async fn ping(&self) -> Result<(), OfdError> {
            assert!(!self.panics, "a defect that the test wants");
            Ok(())
        }
        fn fiscal(&self) -> bool {
            false
        }
    }

    fn gate() -> Gate {
        let breaker = CircuitBreaker::builder().failure_threshold(1).build().unwrap();
        Gate::new(breaker, Arc::new(Silent { panics: false }), 4, Arc::default())
    }

    // P6
    #[tokio::test]
    async fn who_was_admitted_before_the_circuit_opened_and_read_its_page_since_sends_nothing() {
        let gate = gate();
        let (slow, quick) = (gate.enter(false).await, gate.enter(false).await);
        let slow_permit = gate.renew(slow.permit).unwrap();
        quick.permit.failure();
        assert!(gate.renew(slow_permit).is_none());
        assert_eq!(gate.breaker.snapshot().abandoned, 0, "a permit that is given back counts nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn who_was_admitted_before_the_ofd_asked_for_a_pause_waits_for_its_end() {
        let gate = gate();
        let admitted = gate.enter(false).await;
        gate.hold(Duration::from_secs(30));
        assert!(gate.renew(admitted.permit).is_none());
        tokio::time::advance(Duration::from_secs(31)).await;
        assert!(gate.renew(gate.breaker.try_acquire().unwrap()).is_some());
    }

    /// A gate with one place, which is taken, and two that wait: the first one's last send failed.
    async fn failed_and_well(gate: &Arc<Gate>) -> (Admission, [tokio::task::JoinHandle<Admission>; 2]) {
        let taken = gate.enter(false).await;
        let wait = |failed_last| {
            let gate = Arc::clone(gate);
            tokio::spawn(async move { gate.enter(failed_last).await })
        };
        let failed = wait(true);
        until_waiting(gate, 1).await;
        let well = wait(false);
        until_waiting(gate, 2).await;
        (taken, [failed, well])
    }

    async fn until_waiting(gate: &Gate, count: usize) {
        while gate.lock().waiting.len() < count {
            tokio::task::yield_now().await;
        }
    }

    fn gate_of_one_place() -> (Arc<Gate>, circuit_breaker::ManualClock) {
        gate_that_runs(Silent { panics: false })
    }

    fn gate_that_runs(client: Silent) -> (Arc<Gate>, circuit_breaker::ManualClock) {
        let clock = circuit_breaker::ManualClock::new();
        let breaker = CircuitBreaker::builder().failure_threshold(1).clock(clock.clone()).build().unwrap();
        let gate = Arc::new(Gate::new(breaker, Arc::new(client), 1, Arc::default()));
        tokio::spawn(Arc::clone(&gate).run());
        (gate, clock)
    }

    // P5
    #[tokio::test(start_paused = true)]
    async fn who_failed_last_has_its_turn_in_the_order_of_arrival() {
        let (gate, _) = gate_of_one_place();
        let (taken, [failed, well]) = failed_and_well(&gate).await;
        drop(taken);
        for waits in [failed, well] {
            let admitted = tokio::time::timeout(Duration::from_secs(1), waits).await;
            drop(admitted.expect("its turn").unwrap());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_half_open_who_did_not_fail_last_is_the_probe() {
        let (gate, clock) = gate_of_one_place();
        let (taken, [failed, well]) = failed_and_well(&gate).await;
        taken.permit.failure();
        drop(taken.place);
        clock.advance(Duration::from_secs(60));
        let probe = well.await.unwrap();
        assert!(!failed.is_finished());
        probe.permit.success();
        drop(probe.place);
        drop(failed.await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_ping_that_dies_of_a_defect_has_failed() {
        let (gate, clock) = gate_that_runs(Silent { panics: true });
        gate.breaker.try_acquire().unwrap().failure();
        clock.advance(Duration::from_secs(60));
        assert_eq!(gate.breaker.state(), State::HalfOpen);
        gate.release();
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(gate.breaker.state(), State::Open);
    }
}
