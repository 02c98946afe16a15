//! What outlives a lane's task: where it is, what others ask of it, and what its sends did until that is durable.

use super::{engine::Shared, head::Head};
use crate::{
    domain::{
        entry::{Actor, SendOutcome, Settlement},
        ids::{DeviceId, PosId, ReceiptId, RequestId},
        lifecycle::State,
    },
    ports::{BufferError, Event, LaneHead, Monotonic, Pending},
};
use circuit_breaker::CircuitBreaker;
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// Where a lane is, for people and for a forced sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LaneState {
    /// Nothing to send.
    Idle,
    /// Has work and waits for its turn at the gate.
    Queued,
    /// Sends.
    Sending,
    /// Waits after a failure, or for its device's breaker.
    Waiting,
    /// Waits for a person's decision on a dead document.
    Stopped,
    /// Died of a defect of the program, and is about to be made anew.
    Failed,
}

/// What a send did to a document, until the buffer has it.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub settlement: Settlement,
    pub pos_id: PosId,
    pub request_id: Option<RequestId>,
}

/// What was handed to the buffer, and its answer.
type Settling = Option<(Vec<Outcome>, Pending<()>)>;

/// What others had asked of a lane when it looked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// The last forced sync.
    pub sync: u64,
    cuts: u64,
}

/// What others may see and do to a lane.
pub(super) struct LaneHandle {
    pub device: DeviceId,
    pub breaker: CircuitBreaker,
    state: Mutex<(LaneState, Option<String>)>,
    /// The first document, from its first failure until it is delivered or dead.
    head: Mutex<Option<Head>>,
    outcomes: Mutex<Vec<Outcome>>,
    /// It stays here while somebody waits for the answer, who may go away.
    settling: tokio::sync::Mutex<Settling>,
    /// Documents that a person took out of the lane since its turn began; `None`: all that was sent is settled.
    parked: Mutex<Option<Vec<ReceiptId>>>,
    /// Something may be there to send.
    work: AtomicBool,
    woken: Notify,
    /// Forced syncs asked for, and the last one this lane has finished its work for.
    asked: AtomicU64,
    answered: AtomicU64,
    /// How often people did something that makes a pause pointless.
    cuts: AtomicU64,
    pub synced: AtomicU64,
    pub failed: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl LaneHandle {
    pub fn new(device: DeviceId, breaker: CircuitBreaker) -> Self {
        Self {
            device,
            breaker,
            state: Mutex::new((LaneState::Idle, None)),
            head: Mutex::default(),
            outcomes: Mutex::default(),
            settling: tokio::sync::Mutex::default(),
            parked: Mutex::default(),
            work: AtomicBool::new(true),
            woken: Notify::new(),
            asked: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// There is work. Does not shorten a pause.
    pub fn wake(&self) {
        self.work.store(true, Ordering::Release);
        self.woken.notify_one();
    }

    /// There is work, and what the lane waits for may be over: a person has seen to it.
    pub fn cut_pause(&self) {
        self.cuts.fetch_add(1, Ordering::AcqRel);
        self.wake();
    }

    /// Asks for forced sync number `round`.
    pub fn ask(&self, round: u64) {
        self.asked.fetch_max(round, Ordering::AcqRel);
        self.wake();
    }

    /// What has been asked until now.
    pub fn asked(&self) -> Asked {
        Asked { sync: self.asked.load(Ordering::Acquire), cuts: self.cuts.load(Ordering::Acquire) }
    }

    /// Whether something was asked since that cuts a pause short: a forced sync, a person's decision. New work does not.
    pub fn is_asked_since(&self, before: Asked) -> bool {
        let now = self.asked();
        now.sync > before.sync || now.cuts != before.cuts
    }

    /// The lane has come to a halt: forced syncs up to this one need not wait for it any longer.
    pub fn answer(&self, round: u64) {
        self.answered.fetch_max(round, Ordering::AcqRel);
    }

    pub fn has_answered(&self, round: u64) -> bool {
        self.answered.load(Ordering::Acquire) >= round
    }

    /// Takes note that there is work; whether there was.
    pub fn take_work(&self) -> bool {
        self.work.swap(false, Ordering::AcqRel)
    }

    /// Work is left.
    pub fn keep_work(&self) {
        self.work.store(true, Ordering::Release);
    }

    pub async fn woken(&self) {
        self.woken.notified().await;
    }

    pub fn view(&self) -> (LaneState, Option<String>) {
        locked(&self.state).clone()
    }

    pub fn set(&self, state: LaneState) {
        locked(&self.state).0 = state;
    }

    /// This error is over; another one stays.
    pub fn clear_error(&self, error: &str) {
        locked(&self.state).1.take_if(|shown| shown == error);
    }

    /// Whether it was another one before.
    pub fn set_error(&self, error: Option<String>) -> bool {
        let mut state = locked(&self.state);
        let is_new = state.1 != error;
        state.1 = error;
        is_new
    }

    pub fn head(&self, now: Monotonic) -> Option<LaneHead> {
        locked(&self.head).as_ref().map(|head| head.view(now))
    }

    /// For how long the OFD asked not to be sent the first document again.
    pub fn held_for(&self, now: Monotonic) -> Option<Duration> {
        locked(&self.head).as_ref().and_then(|head| head.held_for(now))
    }

    /// Changes what is known of the first document.
    pub fn note_head<T>(&self, note: impl FnOnce(&mut Option<Head>) -> T) -> T {
        note(&mut locked(&self.head))
    }

    /// A new turn begins: who was parked before is not in its page.
    pub fn begin_turn(&self) {
        *locked(&self.parked) = Some(Vec::new());
    }

    /// A person took this document out of the lane.
    pub fn parked(&self, id: ReceiptId) {
        if let Some(parked) = &mut *locked(&self.parked) {
            parked.push(id);
        }
        self.note_head(|head| *head = head.take().filter(|head| !head.is_of(id)));
    }

    /// A send has ended.
    pub fn sent(&self, outcome: Outcome) {
        locked(&self.outcomes).push(outcome);
    }

    pub fn has_outcomes(&self) -> bool {
        !locked(&self.outcomes).is_empty()
            || self.settling.try_lock().is_ok_and(|settling| settling.is_some())
    }

    /// Makes durable what the sends did, and tells it once it is. What the buffer refuses is kept for the next time; whoever
    /// waits here may be ended at any moment.
    ///
    /// # Errors
    /// The buffer's.
    pub async fn settle(&self, shared: &Shared) -> Result<(), BufferError> {
        let mut settling = self.settling.lock().await;
        // Of a task that was ended while it waited. What was refused then is asked for again here.
        let _ = self.settled(&mut settling, shared).await;
        let settlements: Vec<_> =
            locked(&self.outcomes).iter().map(|outcome| outcome.settlement.clone()).collect();
        if !settlements.is_empty() {
            crate::fail_point::hit("settle.before");
            let answer = shared.buffer.settle(settlements);
            *settling = Some((std::mem::take(&mut *locked(&self.outcomes)), answer));
            self.settled(&mut settling, shared).await?;
        }
        *locked(&self.parked) = None;
        Ok(())
    }

    /// Waits for the buffer's answer to what was handed to it.
    async fn settled(&self, settling: &mut Settling, shared: &Shared) -> Result<(), BufferError> {
        let Some((_, answer)) = settling else { return Ok(()) };
        let answer = answer.await;
        let outcomes = settling.take().map(|(outcomes, _)| outcomes).unwrap_or_default();
        if let Err(error) = answer {
            locked(&self.outcomes).splice(0..0, outcomes);
            return Err(error);
        }
        crate::fail_point::hit("settle.after");
        outcomes.iter().for_each(|outcome| self.tell(shared, outcome));
        Ok(())
    }

    /// What people, metrics and the log are told of a settled document.
    fn tell(&self, shared: &Shared, outcome: &Outcome) {
        let Outcome { settlement: Settlement { id, outcome }, pos_id, request_id } = outcome;
        let (id, device) = (*id, self.device.clone());
        // It stayed where the person put it; the audit has what became of its send.
        if locked(&self.parked).as_ref().is_some_and(|parked| parked.contains(&id)) {
            return;
        }
        let request_id = request_id.as_ref().map(RequestId::as_str);
        match outcome {
            SendOutcome::Synced(_) => {
                self.synced.fetch_add(1, Ordering::Relaxed);
                tracing::info!(%device, receipt_id = %id, request_id, from = "printed", to = "synced", "delivered");
                shared.observer.settled(pos_id, "synced");
                shared.observer.event(Event::Document { id, pos_id: None, device, state: State::Synced });
            }
            SendOutcome::Dead { error } => {
                tracing::error!(
                    %device, receipt_id = %id, request_id, %error, from = "printed", to = "dead", alarm = "dead_letter",
                    "into the dead letters"
                );
                shared.observer.settled(pos_id, "dead");
                let (by, why) = (Actor::system(), error.clone());
                shared.observer.event(Event::DeadLetter { id, device, action: "died", by, why });
            }
            SendOutcome::AttemptFailed { .. } => {}
        }
    }
}
