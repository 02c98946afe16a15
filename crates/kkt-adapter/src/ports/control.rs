//! What people may ask of phase 2.

use crate::domain::{
    entry::Actor,
    ids::{DeviceId, ReceiptId},
};
use async_trait::async_trait;
use circuit_breaker::State;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

/// What a forced sync did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// Documents confirmed.
    pub synced: u64,
    /// Sends that failed, and documents that died.
    pub failed: u64,
    /// Documents left waiting (breaker open, lane paused).
    pub skipped: u64,
    /// How long it took.
    pub duration: Duration,
    /// In words.
    pub message: String,
}

/// A forced sync is running already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sync is already running; wait for it to end")]
pub struct SyncBusy;

/// The state of a lane that waits for a person's decision on a dead document.
pub const STOPPED: &str = "stopped";

/// The state of a lane that a defect of the program keeps from sending; its last error says which.
pub const FAILED: &str = "failed";

/// One lane, for people.
#[derive(Debug, Clone)]
pub struct LaneView {
    /// The device whose documents travel in it.
    pub device: DeviceId,
    /// `idle`, `queued`, `sending`, `waiting` (for the breaker or after a failure), `stopped`, `failed`.
    pub state: &'static str,
    /// The last failure.
    pub last_error: Option<String>,
    /// Its first document, if that was tried and did not get through.
    pub head: Option<LaneHead>,
}

impl LaneView {
    /// Whether a person must look: it is stopped, has failed, or its head is stuck.
    #[must_use]
    pub fn needs_a_person(&self) -> bool {
        self.state == STOPPED || self.state == FAILED || self.head.is_some_and(|head| head.is_stuck)
    }
}

/// A document at the head of its lane that does not get through; nothing behind it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneHead {
    /// Our key of it.
    pub id: ReceiptId,
    /// Its ФД number.
    pub fd: u32,
    /// Since its first failure in this run of the program.
    pub failing_for: Duration,
    /// How often it was tried since.
    pub tries: u32,
    /// For so long that a person must look: ten minutes.
    pub is_stuck: bool,
}

/// The background work, for `GET /v1/kkt/worker/status`.
#[derive(Debug, Clone)]
pub struct WorkerView {
    /// Phase 2 is at work.
    pub running: bool,
    /// Lanes in use, at most 1,000 of them.
    pub lanes: Vec<LaneView>,
    /// How many lanes there are in all.
    pub lane_count: usize,
}

/// Forced sync and the state of the lanes.
#[async_trait]
pub trait SyncControl: Send + Sync + 'static {
    /// Wakes every lane and waits until each has emptied or come to a halt. Does not bypass an OPEN breaker.
    ///
    /// # Errors
    /// [`SyncBusy`].
    async fn sync_now(&self) -> Result<SyncReport, SyncBusy>;

    /// The lanes.
    fn worker(&self) -> WorkerView;

    /// Lanes that need a person: stopped, or with a head that is stuck; at most 100 of them.
    fn stuck(&self) -> Vec<LaneView>;

    /// What is known of the first document of a device's lane, if that was tried and did not get through.
    fn head(&self, device: &DeviceId) -> Option<LaneHead>;

    /// New work for a device: a printed or a requeued document.
    fn wake(&self, device: &DeviceId);

    /// A person took this document out of its lane: the lane forgets it and goes on.
    fn parked(&self, device: &DeviceId, id: ReceiptId);
}

/// One breaker, for people.
#[derive(Debug, Clone)]
pub struct BreakerView {
    /// `ofd`, `device:<id>`.
    pub key: String,
    /// The till's name where the device is one till's own; empty for the endpoint.
    pub pos_id: String,
    /// The atomic cut of its state and totals, configuration included.
    pub snapshot: circuit_breaker::Snapshot,
    /// When it came into this state, wall time.
    pub since: Timestamp,
    /// The last failure it saw, wall time.
    pub last_failure: Option<Timestamp>,
    /// Why it is in this state, in words.
    pub reason: Option<String>,
    /// Time until probing is allowed.
    pub retry_after: Option<Duration>,
    /// When a force-open with an end will be released.
    pub forced_until: Option<Timestamp>,
}

impl BreakerView {
    /// What it means for the tills' indicator, if it is the endpoint's.
    #[must_use]
    pub fn network_status(&self) -> NetworkStatus {
        match self.snapshot.state {
            State::Open | State::ForcedOpen => NetworkStatus::Offline,
            State::HalfOpen => NetworkStatus::Degraded,
            _ => NetworkStatus::Online,
        }
    }
}

/// What the endpoint's breaker means for the tills' indicator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum NetworkStatus {
    /// The OFD is called.
    Online,
    /// It is being probed.
    Degraded,
    /// It is left alone.
    Offline,
}

/// A manual command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BreakerCommand {
    /// Reject everything, for so long or until released.
    ForceOpen {
        /// Released by itself after this.
        for_how_long: Option<Duration>,
    },
    /// Permit everything.
    ForceClosed,
    /// Back from a manual state to CLOSED.
    Release,
    /// To CLOSED from any state.
    Reset,
}

impl BreakerCommand {
    /// The name in the audit.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ForceOpen { .. } => "force_open",
            Self::ForceClosed => "force_closed",
            Self::Release => "release",
            Self::Reset => "reset",
        }
    }
}

/// Why a command was not carried out.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BreakerError {
    /// No breaker of this key.
    #[error("no breaker {0:?}; the keys are ofd and device:<id>")]
    NotFound(String),
}

/// The breakers, for people.
#[async_trait]
pub trait BreakerControl: Send + Sync + 'static {
    /// The endpoint's breaker.
    fn endpoint(&self) -> BreakerView;

    /// All breakers, the endpoint's first.
    fn breakers(&self) -> Vec<BreakerView>;

    /// One by its key.
    fn breaker(&self, key: &str) -> Option<BreakerView>;

    /// Carries out a command and writes it to the audit. If the buffer does not take that, the command holds all the same,
    /// and the log has who and why: else a buffer in trouble would keep people from leaving the OFD alone.
    ///
    /// # Errors
    /// [`BreakerError`].
    async fn command(
        &self,
        key: &str,
        command: BreakerCommand,
        by: Actor,
        why: String,
    ) -> Result<BreakerView, BreakerError>;
}
