//! The seams of the house. Rooms know each other only through these traits; `app` joins them.
//!
//! Driven side (the rooms that hold the world): [`Buffer`], [`KktDriver`] with [`KktFleet`], [`OfdClient`],
//! [`Clock`], [`Observer`]. Driving side (what `http` may ask for): [`Till`], [`SyncControl`],
//! [`BreakerControl`], [`HeartbeatStatus`].

mod buffer;
mod clock;
mod control;
mod event;
mod heartbeat;
mod kkt;
mod observer;
mod ofd;
mod till;

pub use buffer::{
    Appended, Buffer, BufferError, Counts, ListFilter, ListPage, Lookup, NEXT_BYTES, Pending, Place, Stats,
    StoreHealth,
};
pub use clock::{Clock, Monotonic, SteadyWall};
pub use control::{
    BreakerCommand, BreakerControl, BreakerError, BreakerView, FAILED, LaneHead, LaneView, NetworkStatus,
    STOPPED, SyncBusy, SyncControl, SyncReport, WorkerView,
};
pub use event::Event;
pub use heartbeat::{HeartbeatStatus, HeartbeatView, LinkState, NoHeartbeat};
pub use kkt::{Found, KktDriver, KktError, KktFleet, ShiftState};
pub use observer::{MetricsPage, Observer, Silent};
pub use ofd::{OfdClient, OfdError};
pub use till::{DeviceView, Sale, SaleStatus, Till, TillError, Verdict};
