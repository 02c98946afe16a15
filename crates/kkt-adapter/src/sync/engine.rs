//! The engine: one lane a device, the gate, forced sync, start and stop.

use super::{
    Breakers,
    breakers::Freed,
    gate::Gate,
    handle::{LaneHandle, LaneState},
    lane::Lane,
    options::SyncOptions,
    spread::Spread,
};
use crate::{
    domain::ids::{DeviceId, ReceiptId},
    ports::{
        Buffer, BufferError, Clock, FAILED, LaneHead, LaneView, Observer, OfdClient, STOPPED, SyncBusy,
        SyncControl, SyncReport, WorkerView,
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
    sync::{Notify, futures::Notified, watch},
    task::JoinSet,
    time::Instant,
};

/// Longest time that what the sends did before a stop is waited for, at the end of its grace; it is queued, and the buffer's
/// own stop commits it.
const LAST_SETTLE_MAX: Duration = Duration::from_millis(500);

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
    pub spread: Spread,
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
    /// Devices with work that can have no lane, and why.
    laneless: Mutex<BTreeMap<DeviceId, String>>,
    tasks: Mutex<Option<JoinSet<()>>>,
    /// The task without which nothing is sent any more, once it has ended.
    ended: Arc<watch::Sender<Option<&'static str>>>,
    forced: AtomicBool,
    rounds: AtomicU64,
}

/// Tells, when it is dropped, that its task has ended, by a panic too.
struct Ends(&'static str, Arc<watch::Sender<Option<&'static str>>>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.1.send_replace(Some(self.0));
    }
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
            spread: Spread::new(options.seed),
            options,
            buffer,
            client,
            clock,
            observer,
            gate: Arc::new(gate),
            accepted: AtomicU64::new(0),
            progress: Notify::new(),
        };
        let engine = Arc::new(Self {
            shared: Arc::new(shared),
            breakers,
            lanes: Mutex::default(),
            laneless: Mutex::default(),
            tasks: Mutex::new(None),
            ended: Arc::default(),
            forced: AtomicBool::new(false),
            rounds: AtomicU64::new(0),
        });
        let told = Arc::downgrade(&engine);
        engine.breakers.on_freed(Box::new(move |freed| {
            if let Some(engine) = told.upgrade() {
                engine.freed(freed);
            }
        }));
        engine
    }

    /// Starts the gate, the safety net and a lane for each device with work.
    pub fn start(self: &Arc<Self>) {
        let mut tasks = JoinSet::new();
        let (gate, ends) = (self.shared.gate.clone(), Ends("gate", self.ended.clone()));
        tasks.spawn(async move {
            let _ends = ends;
            gate.run().await;
        });
        let (engine, ends) = (self.clone(), Ends("sync interval", self.ended.clone()));
        tasks.spawn(async move {
            let _ends = ends;
            loop {
                if let Err(error) = engine.wake_pending().await {
                    tracing::error!(%error, "cannot ask the buffer which devices have work");
                }
                tokio::time::sleep(engine.shared.options.interval).await;
            }
        });
        *self.tasks.lock().unwrap_or_else(PoisonError::into_inner) = Some(tasks);
    }

    /// Completes once a task without which nothing is sent any more has ended, and names it: there is a defect, and only a
    /// new start helps. (A lane that dies is made anew.)
    pub async fn ended(&self) -> &'static str {
        let mut ended = self.ended.subscribe();
        let name = ended.wait_for(Option::is_some).await.ok().and_then(|name| *name);
        match name {
            Some(name) => name,
            // The sender is the engine's own.
            None => std::future::pending().await,
        }
    }

    /// Stops sending, within `grace` or half a second, whichever is longer. A send in flight may end until half a second of
    /// it is left; its document is safe either way. What the sends before it did is handed to the buffer.
    pub async fn stop(&self, grace: Duration) {
        let Some(mut tasks) = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return;
        };
        self.shared.gate.close();
        let deadline = Instant::now() + grace.saturating_sub(LAST_SETTLE_MAX);
        while self.any_lane(LaneState::Sending) && Instant::now() < deadline {
            let progress = self.shared.progress.notified();
            let tick = tokio::time::sleep(Duration::from_millis(20));
            wait_either(progress, tick).await;
        }
        tasks.abort_all();
        while tasks.join_next().await.is_some() {}
        let mut last = JoinSet::new();
        for lane in self.all_lanes().into_iter().filter(|lane| lane.has_outcomes()) {
            let shared = self.shared.clone();
            last.spawn(async move {
                if let Err(error) = lane.settle(&shared).await {
                    tracing::warn!(device = %lane.device, %error, "what the OFD confirmed last is sent again after the start");
                }
            });
        }
        let _ =
            tokio::time::timeout(LAST_SETTLE_MAX, async { while last.join_next().await.is_some() {} }).await;
    }

    /// A person has changed something about a breaker: what waits for it looks again.
    fn freed(&self, freed: &Freed) {
        match freed {
            Freed::Endpoint => self.shared.gate.release(),
            Freed::Device(device) => {
                let lane = self.lanes.lock().unwrap_or_else(PoisonError::into_inner).get(device).cloned();
                if let Some(lane) = lane {
                    lane.cut_pause();
                }
            }
            Freed::All => self.all_lanes().iter().for_each(|lane| lane.cut_pause()),
        }
    }

    fn all_lanes(&self) -> Vec<Arc<LaneHandle>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
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
        let mut laneless = self.laneless.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = match self.breakers.device(device) {
            Ok(breaker) => breaker,
            Err(error) => {
                if laneless.insert(device.clone(), error.to_string()).is_none() {
                    tracing::error!(%device, %error, alarm = "lane_stuck", "this device's documents wait: it can have no lane");
                }
                return None;
            }
        };
        laneless.remove(device);
        let lane = Arc::new(LaneHandle::new(device.clone(), breaker));
        lanes.insert(device.clone(), lane.clone());
        tasks.spawn(Lane::keep(self.shared.clone(), lane.clone()));
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
            LaneState::Failed => FAILED,
        };
        let head = lane.head(self.shared.clock.monotonic());
        LaneView { device: lane.device.clone(), state, last_error, head }
    }

    /// Every lane, however many: `worker` and `stuck` show as many as a person can read.
    #[must_use]
    pub fn lane_views(&self) -> Vec<LaneView> {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let views = lanes.values().map(|lane| self.lane_view(lane));
        let laneless = self.laneless.lock().unwrap_or_else(PoisonError::into_inner);
        views.chain(laneless.iter().map(without_lane)).collect()
    }

    fn any_lane(&self, state: LaneState) -> bool {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).values().any(|lane| lane.view().0 == state)
    }

    /// A lane that is queued at a gate which lets nobody through has come to a halt as well, and one that is dead.
    fn has_halted(&self, lane: &LaneHandle, round: u64) -> bool {
        let gate = &self.shared.gate;
        lane.has_answered(round)
            || match lane.view().0 {
                LaneState::Queued => gate.is_shut() || gate.is_held(),
                LaneState::Failed => true,
                _ => false,
            }
    }

    async fn sync_round(self: &Arc<Self>) -> SyncReport {
        let began = self.shared.clock.monotonic();
        let round = self.rounds.fetch_add(1, Ordering::AcqRel) + 1;
        // Before any lane is woken: what it delivers at once counts too.
        let before = totals(&self.all_lanes());
        let lanes = match self.wake_pending().await {
            Ok(lanes) => lanes,
            Err(error) => {
                return SyncReport {
                    message: format!("the buffer cannot be read: {error}"),
                    ..SyncReport::default()
                };
            }
        };
        lanes.iter().for_each(|lane| lane.ask(round));
        let deadline = Instant::now() + FORCED_SYNC_MAX;
        loop {
            let progress = self.shared.progress.notified();
            let running = lanes.iter().filter(|lane| !self.has_halted(lane, round)).count();
            if running == 0 || Instant::now() >= deadline {
                break;
            }
            wait_either(progress, tokio::time::sleep(Duration::from_millis(50))).await;
        }
        let after = totals(&self.all_lanes());
        let skipped = self.shared.buffer.stats().await.map_or(0, |stats| stats.total.pending);
        let (synced, failed) = (after.0 - before.0, after.1 - before.1);
        let gate = &self.shared.gate;
        let message = match (skipped, gate.is_shut(), gate.is_held()) {
            (0, ..) => "everything is delivered".to_owned(),
            (left, true, _) => {
                format!("{left} documents wait: the circuit breaker is open and is not bypassed")
            }
            (left, false, true) => {
                format!("{left} documents wait: the OFD asked for a pause, which is not cut short")
            }
            (left, false, false) => {
                format!("{left} documents wait; the lanes go on by themselves")
            }
        };
        SyncReport { synced, failed, skipped, duration: self.shared.clock.monotonic().since(began), message }
    }
}

/// A device whose documents wait although it has no lane.
fn without_lane((device, error): (&DeviceId, &String)) -> LaneView {
    LaneView { device: device.clone(), state: FAILED, last_error: Some(error.clone()), head: None }
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
        let views = lanes.values().map(|lane| self.lane_view(lane)).filter(LaneView::needs_a_person);
        let laneless = self.laneless.lock().unwrap_or_else(PoisonError::into_inner);
        views.chain(laneless.iter().map(without_lane)).take(STUCK_SHOWN).collect()
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
            lane.parked(id);
            // It may be this document's own pause that the lane waits out.
            lane.cut_pause();
        }
    }
}
