//! How the way to the ERP is.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

/// Whether the ERP takes the adapter's signs of life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum LinkState {
    /// Too few posts yet to say.
    #[default]
    Unknown,
    /// It does.
    Online,
    /// It does not.
    Offline,
}

impl LinkState {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }
}

/// The heartbeat, for `GET /v1/kkt/heartbeat/status`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeartbeatView {
    /// A heartbeat is configured and at work.
    pub running: bool,
    /// Whether the ERP takes it.
    pub state: LinkState,
    /// Posts in a row that the ERP took; 0 after one that it did not.
    pub consecutive_successes: u32,
    /// Posts in a row that it did not take; 0 after one that it did.
    pub consecutive_failures: u32,
    /// When it last took one.
    pub last_success: Option<Timestamp>,
    /// Why the latest post failed; `None` if it did not.
    pub last_error: Option<String>,
}

/// Gives the state of the heartbeat.
pub trait HeartbeatStatus: Send + Sync + 'static {
    /// As it stands.
    fn heartbeat(&self) -> HeartbeatView;
}

/// No heartbeat is configured.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHeartbeat;

impl HeartbeatStatus for NoHeartbeat {
    fn heartbeat(&self) -> HeartbeatView {
        HeartbeatView::default()
    }
}
