//! The API over HTTP/1.1.
//!
//! What it promises: every answer has the contract's form, errors and panics included, and an `X-Request-Id`; nobody
//! gets further than his role (P10); a request that is slow, broken or huge costs others nothing; work that was begun
//! goes on although its client has gone.
//!
//! ```text
//!  socket ─► server (connections, TLS, time-outs) ─► gate (id, host, role, origin, deadline, panics) ─► handler ─► port
//!                                                 └─ error ─► the form of the contract
//! ```
//!
//! | what fails | what the client sees |
//! |---|---|
//! | a TLS handshake dripped or broken | the connection is closed, after `header_timeout` at the latest |
//! | plain HTTP where TLS is spoken | 400 that says so, then the connection is closed |
//! | what is no HTTP request, or its head over the limits | 400 or 431 from hyper, before there is a request: no body, no `X-Request-Id` |
//! | headers dripped | the connection is closed after `header_timeout` |
//! | body dripped | 408 after `body_timeout` |
//! | body over 2 MiB | 413, read to a limit and thrown away so that the answer arrives |
//! | more connections than allowed | the oldest one without work is closed for the new one, else the new one waits |
//! | a handler panics | 500 in the form of the contract; the service goes on |
//! | `request_timeout` | 503; what was begun goes on, the same Idempotency-Key finds it |
//! | wrong tokens | 401, then 429 for the address; what was right from there before stays right |
//! | shutdown | no new connection; requests in work are finished until `shutdown_deadline` |

mod audit;
mod auth;
mod body;
mod breakers;
mod buffer;
mod codes;
mod connections;
mod dashboard;
mod decide;
mod dlq;
mod documents;
mod door;
mod error;
mod events;
mod gate;
mod health;
mod heartbeat;
mod openapi;
mod origin;
mod pages;
mod query;
mod receipts;
mod router;
mod server;
mod session;
mod shift;
mod throttle;
mod tls;
mod view;

pub use self::{
    auth::{Role, TokenEntry, Tokens},
    events::{EventLog, Limits as EventLimits},
    origin::AllowedHosts,
    router::router,
    server::{ServerLimits, serve},
    tls::Tls,
};

use crate::ports::{
    BreakerControl, Buffer, Clock, HeartbeatStatus, MetricsPage, Observer, SyncControl, Till,
};
use jiff::tz::TimeZone;
use std::{sync::Arc, time::Duration};

/// What the API needs of the rest of the program.
#[derive(Clone)]
pub struct HttpPorts {
    /// Phase 1.
    pub till: Arc<dyn Till>,
    /// Look-ups, figures, dead letters.
    pub buffer: Arc<dyn Buffer>,
    /// Phase 2.
    pub sync: Arc<dyn SyncControl>,
    /// The breakers.
    pub breakers: Arc<dyn BreakerControl>,
    /// The sign of life to the ERP.
    pub heartbeat: Arc<dyn HeartbeatStatus>,
    /// The page of metrics.
    pub metrics: Arc<dyn MetricsPage>,
    /// What happens, for people who watch; `observer` must pass events on to it.
    pub events: Arc<EventLog>,
    /// Both clocks.
    pub clock: Arc<dyn Clock>,
    /// Who counts requests.
    pub observer: Arc<dyn Observer>,
    /// Numbers and names.
    pub options: Arc<HttpOptions>,
}

impl HttpPorts {
    /// Whether what is sold here is legally fiscal: neither the KKT nor the OFD is emulated.
    #[must_use]
    pub fn fiscal(&self) -> bool {
        self.options.ofd_fiscal && self.till.fiscal()
    }
}

/// Numbers and names of the API.
#[derive(Debug)]
pub struct HttpOptions {
    /// Names besides the loopback ones that the `Host` header may have.
    pub allowed_hosts: AllowedHosts,
    /// Who may what; replaceable while it runs.
    pub tokens: Tokens,
    /// A request that takes longer is answered 503; default 30 s.
    pub request_timeout: Duration,
    /// A body that takes longer to arrive is answered 408; default 10 s.
    pub body_timeout: Duration,
    /// Largest body in bytes; default 2 MiB.
    pub body_bytes_max: usize,
    /// Wrong tokens an address may send in a row before it must wait; one is forgiven each 3 s. Default 20.
    pub wrong_tokens_max: u32,
    /// The API is reached by TLS only, so cookies and origins may insist on it; default `false`.
    pub tls: bool,
    /// Whether the OFD is a real one; together with the till's word it makes `fiscal` in every answer. Default: no.
    pub ofd_fiscal: bool,
    /// The time zone of the shop: which day it is for VAT rates, and the local time of documents.
    pub zone: TimeZone,
    /// The version to show.
    pub version: &'static str,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            allowed_hosts: AllowedHosts::default(),
            tokens: Tokens::new(Vec::new()),
            request_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(10),
            body_bytes_max: 2 * 1024 * 1024,
            wrong_tokens_max: 20,
            tls: false,
            ofd_fiscal: false,
            zone: TimeZone::system(),
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}
