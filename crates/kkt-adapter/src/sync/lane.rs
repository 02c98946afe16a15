//! One lane: the documents of one ФН, strictly in ФД order, one at a time.

use super::{
    decide::{Decision, LaneNext, Tries, Verdict, decide},
    engine::Shared,
    gate::Admission,
    head::Head,
    options::{CROWDED_TURN, OnRejected, PAGE},
};
use crate::{
    domain::{
        document::{Confirmation, Outgoing},
        entry::{Actor, SendOutcome, Settlement},
        ids::{DeviceId, ReceiptId, RequestId},
        lifecycle::{State, Step},
    },
    ports::{BufferError, Event, LaneHead, ListFilter, Monotonic, OfdError},
};
use circuit_breaker::{CircuitBreaker, Permit};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

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
}

/// What others may see and do to a lane.
pub(super) struct LaneHandle {
    pub device: DeviceId,
    pub breaker: CircuitBreaker,
    state: Mutex<(LaneState, Option<String>)>,
    /// The first document, from its first failure until it is delivered or dead.
    head: Mutex<Option<Head>>,
    /// Something may be there to send.
    work: AtomicBool,
    woken: Notify,
    /// Forced syncs asked for, and the last one this lane has finished its work for.
    pub asked: AtomicU64,
    pub answered: AtomicU64,
    pub synced: AtomicU64,
    pub failed: AtomicU64,
}

impl LaneHandle {
    pub fn new(device: DeviceId, breaker: CircuitBreaker) -> Self {
        Self {
            device,
            breaker,
            state: Mutex::new((LaneState::Idle, None)),
            head: Mutex::default(),
            work: AtomicBool::new(true),
            woken: Notify::new(),
            asked: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            synced: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// There is work. Does not shorten a pause.
    pub fn wake(&self) {
        self.work.store(true, Ordering::Release);
        self.woken.notify_one();
    }

    pub fn view(&self) -> (LaneState, Option<String>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn head(&self, now: Monotonic) -> Option<LaneHead> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|head| head.view(now))
    }

    /// This document is no longer in the lane.
    pub fn forget(&self, id: ReceiptId) {
        let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        if head.as_ref().is_some_and(|head| head.is_of(id)) {
            *head = None;
        }
    }

    /// Nothing is in the lane.
    fn forget_all(&self) {
        *self.head.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn set(&self, state: LaneState) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).0 = state;
    }

    fn set_error(&self, error: Option<String>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).1 = error;
    }
}

/// How a stretch of sending ended.
enum Stretch {
    /// Nothing is left.
    Empty,
    /// A full page was sent, or the gate must be passed anew: to the end of the queue.
    Again,
    /// Wait first.
    Pause(Duration),
    /// Until a person decides.
    Stop,
}

/// The lane's own state.
pub(super) struct Lane {
    shared: Arc<Shared>,
    handle: Arc<LaneHandle>,
    failed_last: bool,
    /// The head that failed last and how much the endpoint had accepted then.
    last_try: Option<(ReceiptId, u64)>,
}

impl Lane {
    pub fn new(shared: Arc<Shared>, handle: Arc<LaneHandle>) -> Self {
        Self { shared, handle, failed_last: false, last_try: None }
    }

    /// Sends whatever there is, for ever.
    pub async fn run(mut self) {
        loop {
            let asked = self.handle.asked.load(Ordering::Acquire);
            if !self.handle.work.swap(false, Ordering::AcqRel) {
                self.rest(LaneState::Idle, asked);
                self.handle.woken.notified().await;
                continue;
            }
            match self.stretch().await {
                Ok(Stretch::Empty) => self.handle.forget_all(),
                Ok(Stretch::Again) => self.handle.work.store(true, Ordering::Release),
                Ok(Stretch::Pause(pause)) => self.pause(LaneState::Waiting, asked, pause).await,
                Ok(Stretch::Stop) => {
                    self.rest(LaneState::Stopped, asked);
                    self.handle.woken.notified().await;
                    self.handle.work.store(true, Ordering::Release);
                }
                Err(error) => {
                    tracing::error!(device = %self.handle.device, %error, "the lane cannot read or write the buffer");
                    self.handle.set_error(Some(error.to_string()));
                    self.pause(LaneState::Waiting, asked, self.shared.options.interval).await;
                }
            }
        }
    }

    /// Comes to a halt: a forced sync need not wait for this lane any longer.
    fn rest(&self, state: LaneState, asked: u64) {
        self.handle.set(state);
        self.handle.answered.fetch_max(asked, Ordering::AcqRel);
        self.shared.progress.notify_waiters();
    }

    async fn pause(&self, state: LaneState, asked: u64, pause: Duration) {
        self.handle.work.store(true, Ordering::Release);
        self.rest(state, asked);
        let until = Instant::now() + pause;
        loop {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => return,
                () = self.handle.woken.notified() => {
                    // Only a forced sync cuts a pause short; new work does not.
                    if self.handle.asked.load(Ordering::Acquire) > asked {
                        return;
                    }
                }
            }
        }
    }

    /// The next documents; `None`: the lane is to stop. Asked behind the gate too, since a person may have set a document
    /// aside while the lane waited there.
    async fn page(&self, turn: usize) -> Result<Option<VecDeque<Outgoing>>, BufferError> {
        if self.shared.options.on_rejected == OnRejected::Stop && self.has_dead().await? {
            return Ok(None);
        }
        Ok(Some(self.shared.buffer.next(&self.handle.device, None, turn).await?.into()))
    }

    /// From the gate through at most one page of documents.
    async fn stretch(&mut self) -> Result<Stretch, BufferError> {
        if self.shared.options.on_rejected == OnRejected::Stop && self.has_dead().await? {
            return Ok(Stretch::Stop);
        }
        // A device whose breaker is open stays away from the gate, where its turn would be wasted.
        match self.handle.breaker.try_acquire() {
            Ok(permit) => permit.cancel(),
            Err(rejected) => return Ok(Stretch::Pause(rejected.retry_after().max(Duration::from_millis(1)))),
        }
        let admission = match self.shared.gate.try_enter() {
            Some(admission) => admission,
            None => {
                if self.shared.buffer.next(&self.handle.device, None, 1).await?.is_empty() {
                    return Ok(Stretch::Empty);
                }
                self.handle.set(LaneState::Queued);
                self.shared.progress.notify_waiters();
                self.shared.gate.enter(self.failed_last).await
            }
        };
        self.handle.set(LaneState::Sending);
        let began = self.shared.clock.monotonic();
        let turn = if self.shared.gate.is_crowded() { CROWDED_TURN } else { PAGE };
        let page = match self.page(turn).await {
            Ok(Some(page)) => page,
            other => {
                admission.permit.cancel();
                drop(admission.place);
                self.shared.gate.notify();
                return other.map(|_| Stretch::Stop);
            }
        };
        let Some(permit) = self.shared.gate.renew(admission.permit) else {
            drop(admission.place);
            self.shared.gate.notify();
            return Ok(Stretch::Again);
        };
        let admission = Admission { permit, place: admission.place };
        let mut settled = Vec::new();
        let (stretch, place) = self.send_page(page, turn, admission, &mut settled).await;
        drop(place);
        self.shared.gate.notify();
        if !settled.is_empty() {
            let events: Vec<Event> = settled.iter().filter_map(|one| self.event(one)).collect();
            crate::fail_point::hit("settle.before");
            self.shared.buffer.settle(settled).await?;
            crate::fail_point::hit("settle.after");
            events.into_iter().for_each(|event| self.shared.observer.event(event));
            self.shared.observer.sync_round(self.shared.clock.monotonic().since(began));
        }
        Ok(stretch)
    }

    /// What people who watch are told of a settled document.
    fn event(&self, settled: &Settlement) -> Option<Event> {
        let (id, device) = (settled.id, self.handle.device.clone());
        match &settled.outcome {
            SendOutcome::Synced(_) => {
                Some(Event::Document { id, pos_id: None, device, state: State::Synced })
            }
            SendOutcome::Dead { error } => {
                let (by, why) = (Actor::system(), error.clone());
                Some(Event::DeadLetter { id, device, action: "died", by, why })
            }
            SendOutcome::AttemptFailed { .. } => None,
        }
    }

    async fn has_dead(&self) -> Result<bool, BufferError> {
        let filter = ListFilter {
            device: Some(self.handle.device.clone()),
            state: Some(State::Dead),
            limit: 1,
            ..ListFilter::default()
        };
        Ok(!self.shared.buffer.list(filter).await?.entries.is_empty())
    }

    async fn send_page(
        &mut self,
        mut page: VecDeque<Outgoing>,
        turn: usize,
        admission: Admission,
        settled: &mut Vec<Settlement>,
    ) -> (Stretch, tokio::sync::OwnedSemaphorePermit) {
        let full = page.len() == turn;
        let Admission { permit, place } = admission;
        let mut next_permit = Some(permit);
        let mut sent = 0;
        while let Some(document) = page.pop_front() {
            // Whoever had to wait since this turn began waits no longer than a short turn takes.
            if sent >= CROWDED_TURN && self.shared.gate.is_crowded() {
                return (Stretch::Again, place);
            }
            sent += 1;
            let permit = match next_permit.take() {
                Some(permit) => permit,
                None => match self.shared.gate.try_next() {
                    Some(permit) => permit,
                    None => return (Stretch::Again, place),
                },
            };
            let device_permit = match self.handle.breaker.try_acquire() {
                Ok(device_permit) => device_permit,
                Err(rejected) => {
                    permit.cancel();
                    return (Stretch::Pause(rejected.retry_after().max(Duration::from_millis(1))), place);
                }
            };
            match self.send(document, permit, device_permit, settled).await {
                // Dead before the next one is sent: a crash in between must not send it again, behind later ones (P5).
                LaneNext::GoOn if matches!(settled.last(), Some(last) if last.outcome.step() == Step::Die) => {
                    return (Stretch::Again, place);
                }
                LaneNext::GoOn => {}
                LaneNext::Pause(pause) => return (Stretch::Pause(pause), place),
                LaneNext::Stop => return (Stretch::Stop, place),
            }
        }
        if let Some(permit) = next_permit {
            permit.cancel();
        }
        (if full { Stretch::Again } else { Stretch::Empty }, place)
    }

    /// One send, from both permits to their outcomes.
    async fn send(
        &mut self,
        document: Outgoing,
        permit: Permit,
        device_permit: Permit,
        settled: &mut Vec<Settlement>,
    ) -> LaneNext {
        let (id, fd) = (document.id, document.fd);
        let pos_id = document.pos_id.clone();
        let accepted_before = self.shared.accepted.load(Ordering::Acquire);
        let tries = Tries {
            charged: document.attempts,
            accepted_at_last_try: self.last_try.filter(|(last, _)| *last == id).map(|(_, accepted)| accepted),
        };
        crate::fail_point::hit("send.before");
        let request_id = document.request_id.clone();
        let result = self.call(document).await;
        crate::fail_point::hit("send.after");
        let accepted = match &result {
            Ok(_) => self.shared.accepted.fetch_add(1, Ordering::AcqRel) + 1,
            Err(_) => self.shared.accepted.load(Ordering::Acquire),
        };
        let decision = decide(&self.shared.options, tries, accepted, &result);
        self.last_try = Some((id, accepted_before));
        self.report(id, request_id.as_ref(), &result, &decision);
        self.note_head(id, fd, &result, &decision);
        if let Verdict::Failure { retry_after: Some(pause) } = decision.endpoint {
            self.shared.gate.hold(pause);
        }
        tell(permit, decision.endpoint, &result);
        tell(device_permit, decision.device, &result);
        if let Some(outcome) = decision.settle {
            match &outcome {
                SendOutcome::Synced(_) => self.shared.observer.settled(&pos_id, "synced"),
                SendOutcome::Dead { .. } => self.shared.observer.settled(&pos_id, "dead"),
                SendOutcome::AttemptFailed { .. } => {}
            }
            settled.push(Settlement { id, outcome });
        }
        decision.lane
    }

    /// In a task of its own, so that a panic is an outcome like any other.
    async fn call(&self, document: Outgoing) -> Result<Confirmation, OfdError> {
        let client = self.shared.client.clone();
        let task = AbortOnDrop(tokio::spawn(async move { client.submit(&document).await }));
        task.await.unwrap_or_else(|_| Err(OfdError::Ambiguous("the send ended in a panic".into())))
    }

    /// Keeps what is known of the head, and raises the alarm when it has been stuck for too long.
    fn note_head(
        &self,
        id: ReceiptId,
        fd: u32,
        result: &Result<Confirmation, OfdError>,
        decision: &Decision,
    ) {
        let mut head = self.handle.head.lock().unwrap_or_else(PoisonError::into_inner);
        let is_gone = matches!(&decision.settle, Some(SendOutcome::Synced(_) | SendOutcome::Dead { .. }));
        let (Err(error), false) = (result, is_gone) else {
            *head = None;
            return;
        };
        let now = self.shared.clock.monotonic();
        let (failed, is_alarm_due) = Head::failed(head.take(), id, fd, now);
        if is_alarm_due {
            let (device, view) = (&self.handle.device, failed.view(now));
            let (minutes, tries) = (view.failing_for.as_secs() / 60, view.tries);
            tracing::error!(
                %device, receipt_id = %id, fd, minutes, tries, %error, alarm = "lane_stuck",
                "a document does not get through and holds up its lane; while no other is delivered either, nobody can \
                 tell whether it is this document or the OFD: ask the OFD about it"
            );
        }
        *head = Some(failed);
    }

    fn report(
        &mut self,
        id: ReceiptId,
        request_id: Option<&RequestId>,
        result: &Result<Confirmation, OfdError>,
        decision: &Decision,
    ) {
        self.failed_last = result.is_err();
        let device = &self.handle.device;
        let request_id = request_id.map(RequestId::as_str);
        match result {
            Ok(_) => {
                self.handle.synced.fetch_add(1, Ordering::Relaxed);
                self.handle.set_error(None);
                tracing::info!(%device, receipt_id = %id, request_id, from = "printed", to = "synced", "delivered");
                return;
            }
            Err(error) => self.handle.set_error(Some(error.to_string())),
        }
        self.handle.failed.fetch_add(1, Ordering::Relaxed);
        let error = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
        match (&decision.settle, result) {
            (Some(SendOutcome::Dead { .. }), _) => {
                tracing::error!(%device, receipt_id = %id, request_id, %error, from = "printed", to = "dead", alarm = "dead_letter", "into the dead letters");
            }
            (_, Err(OfdError::Unauthorised(_))) => {
                tracing::error!(%device, receipt_id = %id, request_id, %error, alarm = "unauthorised", "this device's credentials are refused");
            }
            _ => {
                tracing::warn!(%device, receipt_id = %id, request_id, %error, "not delivered, will be tried again")
            }
        }
    }
}

fn tell(permit: Permit, verdict: Verdict, result: &Result<Confirmation, OfdError>) {
    match verdict {
        Verdict::Success => permit.success(),
        Verdict::Ignored => permit.ignore(),
        Verdict::Failure { retry_after } => {
            let cause = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
            permit.failure_with(retry_after, cause);
        }
    }
}

/// A send whose lane goes away goes away too.
struct AbortOnDrop<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl<T> std::future::Future for AbortOnDrop<T> {
    type Output = Result<T, tokio::task::JoinError>;
    fn poll(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        std::pin::Pin::new(&mut self.0).poll(context)
    }
}
