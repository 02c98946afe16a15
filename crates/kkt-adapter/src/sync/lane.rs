//! One lane: the documents of one ФН, strictly in ФД order, one at a time.

use super::{
    decide::{Decision, LaneNext, Tries, Verdict, decide},
    engine::Shared,
    gate::Admission,
    handle::{Asked, LaneHandle, LaneState, Outcome},
    head::Head,
    options::{CROWDED_TURN, OnRejected, PAGE},
};
use crate::{
    domain::{
        document::{Confirmation, Outgoing},
        entry::{SendOutcome, Settlement},
        ids::{ReceiptId, RequestId},
        lifecycle::State,
    },
    ports::{BufferError, ListFilter, Monotonic, NEXT_BYTES, OfdError},
};
use circuit_breaker::Permit;
use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Duration,
};
use tokio::time::Instant;

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
    /// What kept it from sending, if it was neither the OFD nor the device: shown as its error until it is over.
    trouble: Option<String>,
}

impl Lane {
    pub fn new(shared: Arc<Shared>, handle: Arc<LaneHandle>) -> Self {
        Self { shared, handle, failed_last: false, last_try: None, trouble: None }
    }

    /// Sends whatever there is, for ever. A lane that dies of a defect is made anew after `interval`: its documents are in
    /// the buffer, and what it had sent is in the handle.
    pub async fn keep(shared: Arc<Shared>, handle: Arc<LaneHandle>) {
        let mut trouble = None;
        loop {
            let lane = Self { trouble, ..Self::new(Arc::clone(&shared), Arc::clone(&handle)) };
            let why = panic_of(lane.run()).await;
            let device = &handle.device;
            tracing::error!(%device, why, alarm = "task_died", "a lane died of a defect of the program and is made anew");
            handle.set(LaneState::Failed);
            trouble = Some(format!("a defect of the program ended this lane: {why}"));
            handle.set_error(trouble.clone());
            shared.progress.notify_waiters();
            tokio::time::sleep(shared.options.interval).await;
            handle.wake();
        }
    }

    async fn run(mut self) {
        loop {
            let asked = self.handle.asked();
            if !self.handle.take_work() {
                self.rest(LaneState::Idle, asked);
                self.handle.woken().await;
                continue;
            }
            let stretch = self.stretch().await;
            if stretch.is_ok() {
                self.recovered();
            }
            match stretch {
                Ok(Stretch::Empty) => self.handle.note_head(|head| *head = None),
                Ok(Stretch::Again) => self.handle.keep_work(),
                Ok(Stretch::Pause(pause)) => self.pause(LaneState::Waiting, asked, pause).await,
                Ok(Stretch::Stop) => {
                    self.rest(LaneState::Stopped, asked);
                    self.handle.woken().await;
                    self.handle.keep_work();
                }
                Err(error) => {
                    // As long as it is the same error it is told once: there may be thousands of lanes.
                    self.trouble = Some(error.to_string());
                    if self.handle.set_error(self.trouble.clone()) {
                        tracing::error!(device = %self.handle.device, %error, "the lane cannot read or write the buffer");
                    }
                    self.pause(LaneState::Waiting, asked, self.shared.options.interval).await;
                }
            }
        }
    }

    /// The buffer answers again, or the lane was made anew.
    fn recovered(&mut self) {
        if let Some(trouble) = self.trouble.take() {
            self.handle.clear_error(&trouble);
        }
    }

    /// Comes to a halt: a forced sync need not wait for this lane any longer.
    fn rest(&self, state: LaneState, asked: Asked) {
        self.handle.set(state);
        self.handle.answer(asked.sync);
        self.shared.progress.notify_waiters();
    }

    async fn pause(&self, state: LaneState, asked: Asked, pause: Duration) {
        self.handle.keep_work();
        self.rest(state, asked);
        let until = Instant::now() + pause;
        while !self.handle.is_asked_since(asked) {
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => return,
                () = self.handle.woken() => {}
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
        // Before anything more is sent: a buffer that does not take it would have the same sent for ever.
        self.handle.settle(&self.shared).await?;
        let store = self.shared.buffer.health();
        if !store.ok {
            return Err(BufferError::Failed(store.error.unwrap_or_else(|| "it is closed".into())));
        }
        if self.shared.options.on_rejected == OnRejected::Stop && self.has_dead().await? {
            return Ok(Stretch::Stop);
        }
        if let Some(left) = self.handle.held_for(self.shared.clock.monotonic()) {
            return Ok(Stretch::Pause(left));
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
                self.recovered();
                self.handle.set(LaneState::Queued);
                self.shared.progress.notify_waiters();
                self.shared.gate.enter(self.failed_last).await
            }
        };
        self.handle.set(LaneState::Sending);
        let began = self.shared.clock.monotonic();
        let stretch = self.turn(admission).await?;
        let has_sent = self.handle.has_outcomes();
        self.handle.settle(&self.shared).await?;
        if has_sent {
            self.shared.observer.sync_round(self.shared.clock.monotonic().since(began));
        }
        Ok(stretch)
    }

    /// A turn with a place among those that send; the place is given back at its end.
    async fn turn(&mut self, Admission { permit, place }: Admission) -> Result<Stretch, BufferError> {
        self.handle.begin_turn();
        let turn = if self.shared.gate.is_crowded() { CROWDED_TURN } else { PAGE };
        let page = match self.page(turn).await {
            Ok(Some(page)) => page,
            other => {
                permit.cancel();
                return other.map(|_| Stretch::Stop);
            }
        };
        let Some(permit) = self.shared.gate.renew(permit) else { return Ok(Stretch::Again) };
        let stretch = self.send_page(page, turn, permit).await;
        drop(place);
        Ok(stretch)
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

    async fn send_page(&mut self, mut page: VecDeque<Outgoing>, turn: usize, permit: Permit) -> Stretch {
        let bytes: usize = page.iter().map(|document| document.wire.len()).sum();
        let is_full = page.len() == turn || bytes >= NEXT_BYTES;
        let mut next_permit = Some(permit);
        let mut sent = 0;
        while let Some(document) = page.pop_front() {
            // Whoever had to wait since this turn began waits no longer than a short turn takes.
            if sent >= CROWDED_TURN && self.shared.gate.is_crowded() {
                return Stretch::Again;
            }
            sent += 1;
            let permit = match next_permit.take() {
                Some(permit) => permit,
                None => match self.shared.gate.try_next() {
                    Some(permit) => permit,
                    None => return Stretch::Again,
                },
            };
            let device_permit = match self.handle.breaker.try_acquire() {
                Ok(device_permit) => device_permit,
                Err(rejected) => {
                    permit.cancel();
                    return Stretch::Pause(rejected.retry_after().max(Duration::from_millis(1)));
                }
            };
            match self.send(document, permit, device_permit).await {
                (LaneNext::Pause(pause), _) => return Stretch::Pause(pause),
                (LaneNext::Stop, _) => return Stretch::Stop,
                // Dead before the next one is sent: a crash in between must not send it again, behind later ones (P5).
                (LaneNext::GoOn, IsDead(true)) => return Stretch::Again,
                (LaneNext::GoOn, IsDead(false)) => {}
            }
        }
        if let Some(permit) = next_permit {
            permit.cancel();
        }
        if is_full { Stretch::Again } else { Stretch::Empty }
    }

    /// One send, from both permits to their outcomes.
    async fn send(
        &mut self,
        document: Outgoing,
        permit: Permit,
        device_permit: Permit,
    ) -> (LaneNext, IsDead) {
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
        let mut decision = decide(&self.shared.options, tries, accepted, &result);
        self.last_try = Some((id, accepted_before));
        self.failed_last = matches!(decision.endpoint, Verdict::Failure { .. });
        self.report(id, request_id.as_ref(), &result, &decision);
        self.note_head(id, fd, &result, &decision);
        if let Verdict::Failure { retry_after: Some(pause) } = &mut decision.endpoint {
            *pause = self.shared.spread.lengthened(*pause);
            self.shared.gate.hold(*pause);
        }
        tell(permit, decision.endpoint, &result);
        tell(device_permit, decision.device, &result);
        let is_dead = matches!(decision.settle, Some(SendOutcome::Dead { .. }));
        if let Some(outcome) = decision.settle {
            self.handle.sent(Outcome { settlement: Settlement { id, outcome }, pos_id, request_id });
        }
        (decision.lane, IsDead(is_dead))
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
        let is_gone = matches!(&decision.settle, Some(SendOutcome::Synced(_) | SendOutcome::Dead { .. }));
        let (Err(error), false) = (result, is_gone) else {
            return self.handle.note_head(|head| *head = None);
        };
        let now = self.shared.clock.monotonic();
        let (view, is_alarm_due) = self.handle.note_head(|head| {
            let (mut failed, is_alarm_due) = Head::failed(head.take(), id, fd, now);
            if let Some(pause) = decision.hold {
                failed.hold(Monotonic(now.0 + pause));
            }
            (head.insert(failed).view(now), is_alarm_due)
        });
        if is_alarm_due {
            let device = &self.handle.device;
            let (minutes, tries) = (view.failing_for.as_secs() / 60, view.tries);
            tracing::error!(
                %device, receipt_id = %id, fd, minutes, tries, %error, alarm = "lane_stuck",
                "a document does not get through and holds up its lane; while no other is delivered either, nobody can \
                 tell whether it is this document or the OFD: ask the OFD about it"
            );
        }
    }

    /// What is told of a send at once; what it did to the document is told when that is durable.
    fn report(
        &self,
        id: ReceiptId,
        request_id: Option<&RequestId>,
        result: &Result<Confirmation, OfdError>,
        decision: &Decision,
    ) {
        let Err(error) = result else {
            self.handle.set_error(None);
            return;
        };
        self.handle.set_error(Some(error.to_string()));
        self.handle.failed.fetch_add(1, Ordering::Relaxed);
        let device = &self.handle.device;
        let request_id = request_id.map(RequestId::as_str);
        match (&decision.settle, error) {
            (Some(SendOutcome::Dead { .. }), _) => {}
            (_, OfdError::Unauthorised(_)) => {
                tracing::error!(%device, receipt_id = %id, request_id, %error, alarm = "unauthorised", "this device's credentials are refused");
            }
            _ => {
                tracing::warn!(%device, receipt_id = %id, request_id, %error, "not delivered, will be tried again")
            }
        }
    }
}

/// Whether a send was the end of its document, for good.
struct IsDead(bool);

/// Runs what never ends; if it panics, with what words.
async fn panic_of(work: impl Future<Output = ()>) -> String {
    let mut work = pin!(work);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(())) => Poll::Ready("it ended".to_owned()),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            Poll::Ready(text.or_else(|| panic.downcast_ref().cloned()).unwrap_or_else(|| "a panic".into()))
        }
    })
    .await
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
