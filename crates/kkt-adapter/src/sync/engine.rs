//! The engine: one lane a device, the gate, forced sync, start and stop.

use super::{
    Breakers,
    gate::Gate,
    lane::{Lane, LaneHandle, LaneState},
    options::SyncOptions,
};
use crate::{
    domain::ids::{DeviceId, ReceiptId},
    ports::{
        Buffer, BufferError, Clock, LaneHead, LaneView, Observer, OfdClient, STOPPED, SyncBusy, SyncControl,
        SyncReport, WorkerView,
    },
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, futures::Notified},
    task::JoinSet,
    time::Instant,
};

/// Longest time a forced sync is waited for; the lanes go on after it.
const FORCED_SYNC_MAX: Duration = Duration::from_secs(25);

/// Lanes that `stuck` names.
const STUCK_SHOWN: usize = 100;

/// Lanes that `worker` names; the count has no bound.
const LANES_SHOWN: usize = 1_000;

/// What all lanes share.
pub(super) struct Shared {
    pub options: SyncOptions,
    pub buffer: Arc<dyn Buffer>,
    pub client: Arc<dyn OfdClient>,
    pub clock: Arc<dyn Clock>,
    pub observer: Arc<dyn Observer>,
    pub gate: Arc<Gate>,
    /// Documents that the endpoint has accepted since the start.
    pub accepted: AtomicU64,
    /// Notified whenever a lane comes to a halt.
    pub progress: Notify,
}

/// Phase 2. Runs from [`SyncEngine::start`] until [`SyncEngine::stop`].
pub struct SyncEngine {
    shared: Arc<Shared>,
    breakers: Arc<Breakers>,
    lanes: Mutex<BTreeMap<DeviceId, Arc<LaneHandle>>>,
    tasks: Mutex<Option<JoinSet<()>>>,
    forced: AtomicBool,
    rounds: AtomicU64,
}

impl SyncEngine {
    /// An engine that does nothing yet.
    #[must_use]
    pub fn new(
        options: SyncOptions,
        buffer: Arc<dyn Buffer>,
        client: Arc<dyn OfdClient>,
        breakers: Arc<Breakers>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Arc<Self> {
        let gate =
            Gate::new(breakers.ofd().clone(), client.clone(), options.lanes_max, breakers.changed().clone());
        let shared = Shared {
            options,
            buffer,
            client,
            clock,
            observer,
            gate: Arc::new(gate),
            accepted: AtomicU64::new(0),
            progress: Notify::new(),
        };
        Arc::new(Self {
            shared: Arc::new(shared),
            breakers,
            lanes: Mutex::default(),
            tasks: Mutex::new(None),
            forced: AtomicBool::new(false),
            rounds: AtomicU64::new(0),
        })
    }

    /// Starts the gate, the safety net and a lane for each device with work.
    pub fn start(self: &Arc<Self>) {
        let mut tasks = JoinSet::new();
        tasks.spawn(self.shared.gate.clone().run());
        let engine = self.clone();
        tasks.spawn(async move {
            loop {
                if let Err(error) = engine.wake_pending().await {
                    tracing::error!(%error, "cannot ask the buffer which devices have work");
                }
                tokio::time::sleep(engine.shared.options.interval).await;
            }
        });
        *self.tasks.lock().unwrap_or_else(PoisonError::into_inner) = Some(tasks);
    }

    /// Stops sending. A send in flight has `grace` to end; its document is safe either way.
    pub async fn stop(&self, grace: Duration) {
        let Some(mut tasks) = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        self.shared.gate.hold(Duration::from_secs(86_400));
        let deadline = Instant::now() + grace;
        while self.any_lane(LaneState::Sending) && Instant::now() < deadline {
            let progress = self.shared.progress.notified();
            let tick = tokio::time::sleep(Duration::from_millis(20));
            wait_either(progress, tick).await;
        }
        tasks.abort_all();
        while tasks.join_next().await.is_some() {}
    }

    async fn wake_pending(self: &Arc<Self>) -> Result<Vec<Arc<LaneHandle>>, BufferError> {
        let devices = self.shared.buffer.devices_pending().await?;
        Ok(devices.iter().filter_map(|device| self.wake_lane(device)).collect())
    }

    /// Wakes the lane of a device, made at first use; `None` when the engine is stopped.
    fn wake_lane(&self, device: &DeviceId) -> Option<Arc<LaneHandle>> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lane) = lanes.get(device) {
            lane.wake();
            return Some(lane.clone());
        }
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let tasks = tasks.as_mut()?;
        let breaker = match self.breakers.device(device) {
            Ok(breaker) => breaker,
            Err(error) => {
                tracing::error!(%device, %error, "this device's documents wait: it can have no lane");
                return None;
            }
        };
        let lane = Arc::new(LaneHandle::new(device.clone(), breaker));
        lanes.insert(device.clone(), lane.clone());
        tasks.spawn(Lane::new(self.shared.clone(), lane.clone()).run());
        Some(lane)
    }

    fn lane_view(&self, lane: &LaneHandle) -> LaneView {
        let (state, last_error) = lane.view();
        let state = match state {
            LaneState::Idle => "idle",
            LaneState::Queued => "queued",
            LaneState::Sending => "sending",
            LaneState::Waiting => "waiting",
            LaneState::Stopped => STOPPED,
        };
        let head = lane.head(self.shared.clock.monotonic());
        LaneView { device: lane.device.clone(), state, last_error, head }
    }

    /// Every lane, however many: `worker` and `stuck` show as many as a person can read.
    #[must_use]
    pub fn all_lanes(&self) -> Vec<LaneView> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.values().map(|lane| self.lane_view(lane)).collect()
    }

    fn any_lane(&self, state: LaneState) -> bool {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).values().any(|lane| lane.view().0 == state)
    }

    /// A lane that is queued at a gate which lets nobody through has come to a halt as well.
    fn has_halted(&self, lane: &LaneHandle, round: u64) -> bool {
        lane.answered.load(Ordering::Acquire) >= round
            || (self.shared.gate.is_shut() && lane.view().0 == LaneState::Queued)
    }

    async fn sync_round(self: &Arc<Self>) -> SyncReport {
        let began = self.shared.clock.monotonic();
        let round = self.rounds.fetch_add(1, Ordering::AcqRel) + 1;
        let lanes = match self.wake_pending().await {
            Ok(lanes) => lanes,
            Err(error) => {
                return SyncReport {
                    message: format!("the buffer cannot be read: {error}"),
                    ..SyncReport::default()
                };
            }
        };
        let before = totals(&lanes);
        for lane in &lanes {
            lane.asked.fetch_max(round, Ordering::AcqRel);
            lane.wake();
        }
        let deadline = Instant::now() + FORCED_SYNC_MAX;
        loop {
            let progress = self.shared.progress.notified();
            let running = lanes.iter().filter(|lane| !self.has_halted(lane, round)).count();
            if running == 0 || Instant::now() >= deadline {
                break;
            }
            wait_either(progress, tokio::time::sleep(Duration::from_millis(50))).await;
        }
        let after = totals(&lanes);
        let skipped = self.shared.buffer.stats().await.map_or(0, |stats| stats.total.pending);
        let (synced, failed) = (after.0 - before.0, after.1 - before.1);
        let message = match (skipped, self.shared.gate.is_shut()) {
            (0, _) => "everything is delivered".to_owned(),
            (left, true) => {
                format!("{left} documents wait: the circuit breaker is open and is not bypassed")
            }
            (left, false) => {
                format!("{left} documents wait; the lanes go on by themselves")
            }
        };
        SyncReport { synced, failed, skipped, duration: self.shared.clock.monotonic().since(began), message }
    }
}

fn totals(lanes: &[Arc<LaneHandle>]) -> (u64, u64) {
    lanes.iter().fold((0, 0), |(synced, failed), lane| {
        (synced + lane.synced.load(Ordering::Relaxed), failed + lane.failed.load(Ordering::Relaxed))
    })
}

async fn wait_either(progress: Notified<'_>, tick: tokio::time::Sleep) {
    tokio::select! {
        biased;
        () = progress => {}
        () = tick => {}
    }
}

struct Running<'a>(&'a AtomicBool);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// The control that `http` holds: the engine behind an `Arc`.
#[async_trait]
impl SyncControl for Arc<SyncEngine> {
    async fn sync_now(&self) -> Result<SyncReport, SyncBusy> {
        if self.forced.swap(true, Ordering::AcqRel) {
            return Err(SyncBusy);
        }
        let _running = Running(&self.forced);
        Ok(self.sync_round().await)
    }

    fn worker(&self) -> WorkerView {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let shown = lanes.values().take(LANES_SHOWN).map(|lane| self.lane_view(lane));
        WorkerView {
            lanes: shown.collect(),
            lane_count: lanes.len(),
            running: self.tasks.lock().unwrap_or_else(PoisonError::into_inner).is_some(),
        }
    }

    fn stuck(&self) -> Vec<LaneView> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let views = lanes.values().map(|lane| self.lane_view(lane));
        views.filter(LaneView::needs_a_person).take(STUCK_SHOWN).collect()
    }

    fn head(&self, device: &DeviceId) -> Option<LaneHead> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.get(device)?.head(self.shared.clock.monotonic())
    }

    fn wake(&self, device: &DeviceId) {
        self.wake_lane(device);
    }

    fn parked(&self, device: &DeviceId, id: ReceiptId) {
        if let Some(lane) = self.wake_lane(device) {
            lane.forget(id);
        }
    }
}
