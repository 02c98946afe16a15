//! A shop in memory for the target `http`: the real router over the real phase 1, and stand-ins for what takes no
//! outside bytes.

use async_trait::async_trait;
use circuit_breaker::CircuitBreaker;
use jiff::{Timestamp, tz::TimeZone};
use kkt_adapter::{
    buffer::MemoryBuffer,
    domain::{
        document::Identity,
        entry::Actor,
        ids::{DeviceId, ReceiptId},
        receipt::Taxation,
    },
    fiscalize::{Fiscalizer, Options},
    http::{AllowedHosts, EventLimits, EventLog, HttpOptions, HttpPorts, Role, TokenEntry, Tokens, router},
    kkt::virtual_kkt::{VirtualFleet, VirtualOptions},
    ports::{
        BreakerCommand, BreakerControl, BreakerError, BreakerView, BufferError, Clock, LaneHead, LaneView,
        MetricsPage, Monotonic, NoHeartbeat, Silent, SyncBusy, SyncControl, SyncReport, WorkerView,
    },
};
use std::{sync::Arc, time::Duration};

/// Time stands, so that one input always does the same.
pub struct Still;

impl Clock for Still {
    fn monotonic(&self) -> Monotonic {
        Monotonic(Duration::from_secs(1))
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_second(1_795_447_820).expect("a second of 2026")
    }
}

pub fn identity() -> Identity {
    Identity {
        inn: "7702203276".into(),
        rn_kkt: "0000000005008570".into(),
        ofd_name: "ОФД".into(),
        taxation: Taxation::Osn,
    }
}

struct NoLanes;

#[async_trait]
impl SyncControl for NoLanes {
    async fn sync_now(&self) -> Result<SyncReport, SyncBusy> {
        Ok(SyncReport::default())
    }
    fn worker(&self) -> WorkerView {
        WorkerView { running: true, lanes: Vec::new(), lane_count: 0 }
    }
    fn stuck(&self) -> Vec<LaneView> {
        Vec::new()
    }
    fn head(&self, _: &DeviceId) -> Option<LaneHead> {
        None
    }
    fn wake(&self, _: &DeviceId) {}
    fn parked(&self, _: &DeviceId, _: ReceiptId) {}
}

struct OneBreaker(CircuitBreaker);

#[async_trait]
impl BreakerControl for OneBreaker {
    fn endpoint(&self) -> BreakerView {
        let snapshot = self.0.snapshot();
        BreakerView {
            key: "ofd".into(),
            pos_id: String::new(),
            since: Timestamp::UNIX_EPOCH,
            last_failure: None,
            reason: None,
            retry_after: snapshot.retry_after,
            forced_until: None,
            snapshot,
        }
    }
    fn breakers(&self) -> Vec<BreakerView> {
        vec![self.endpoint()]
    }
    fn breaker(&self, key: &str) -> Option<BreakerView> {
        (key == "ofd").then(|| self.endpoint())
    }
    async fn command(
        &self,
        key: &str,
        _: BreakerCommand,
        _: Actor,
        _: String,
    ) -> Result<BreakerView, BreakerError> {
        self.breaker(key).ok_or_else(|| BreakerError::NotFound(key.into()))
    }
}

struct NoPage;

#[async_trait]
impl MetricsPage for NoPage {
    async fn render(&self) -> Result<String, BufferError> {
        Ok(String::new())
    }
}

/// The secret of the only token, which no input knows.
const SECRET: &str = "a long secret that stands in no corpus 6f1b2a7c";

/// A shop, its folder, and whether it asks for tokens.
pub struct House {
    pub router: axum::Router,
    pub with_tokens: bool,
    _folder: tempfile::TempDir,
}

impl House {
    pub async fn open(with_tokens: bool) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(Still);
        let buffer = Arc::new(MemoryBuffer::new(500, clock.clone()));
        let kkts = VirtualOptions::new(folder.path().join("kkt"), identity());
        let fleet = Arc::new(VirtualFleet::new(kkts, clock.clone()).expect("an empty folder"));
        let till =
            Fiscalizer::new(buffer.clone(), fleet, clock.clone(), Arc::new(Silent), Options::default());
        till.recover().await.expect("an empty buffer");
        let tokens = with_tokens.then(|| TokenEntry {
            name: "ops".into(),
            role: Role::Operator,
            pos_ids: Vec::new(),
            secret: SECRET.into(),
            expires: None,
        });
        let options = HttpOptions {
            allowed_hosts: AllowedHosts::new(["till.shop.local".into()]),
            tokens: Tokens::new(tokens.into_iter().collect()),
            wrong_tokens_max: u32::MAX,
            zone: TimeZone::UTC,
            ..HttpOptions::default()
        };
        let router = router(HttpPorts {
            till: Arc::new(till),
            buffer,
            sync: Arc::new(NoLanes),
            breakers: Arc::new(OneBreaker(CircuitBreaker::builder().build().expect("the defaults"))),
            heartbeat: Arc::new(NoHeartbeat),
            metrics: Arc::new(NoPage),
            events: Arc::new(EventLog::new(clock.clone(), EventLimits::default())),
            clock,
            observer: Arc::new(Silent),
            options: Arc::new(options),
        });
        Self { router, with_tokens, _folder: folder }
    }
}
