//! What the adapter is built of, from the ground up: what everybody needs, then both phases.

use super::{clock::SystemClock, convert, observer::Reported};
use crate::{
    buffer::{SqliteBuffer, SqliteOptions},
    config::{Config, OfdKind},
    fiscalize::Fiscalizer,
    http,
    kkt::virtual_kkt::VirtualFleet,
    ofd::{HttpOfd, HttpOfdOptions},
    ports::{Buffer, Clock, KktFleet, Observer, OfdClient, SyncControl, Till},
    sync::{Breakers, SyncEngine},
    telemetry::Metrics,
};
use anyhow::Context;
use ofd_sim::Simulator;
use std::{net::SocketAddr, sync::Arc};

/// Where the embedded simulator listens if the port is free, so that its documented calls work as printed.
const SIMULATOR_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9000);

/// What everybody needs.
pub(super) struct Base {
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub events: Arc<http::EventLog>,
    pub observer: Arc<dyn Observer>,
    pub buffer: Arc<SqliteBuffer>,
}

impl Base {
    /// Opens the buffer, and takes its lock.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let metrics = Arc::new(Metrics::new());
        let events = Arc::new(http::EventLog::new(clock.clone(), http::EventLimits::default()));
        let observer: Arc<dyn Observer> =
            Arc::new(Reported { metrics: metrics.clone(), events: events.clone() });
        let mut options = SqliteOptions::new(config.buffer.path());
        options.capacity = config.buffer.capacity;
        options.min_free_disk_bytes = config.buffer.min_free_disk;
        let (its_clock, its_observer) = (clock.clone(), observer.clone());
        let buffer =
            tokio::task::spawn_blocking(move || SqliteBuffer::open(options, its_clock, its_observer))
                .await??;
        Ok(Self { clock, metrics, events, observer, buffer: Arc::new(buffer) })
    }

    /// The buffer as its users know it.
    pub fn store(&self) -> Arc<dyn Buffer> {
        self.buffer.clone()
    }
}

/// Both phases, and what they work with. Nothing of it runs yet.
pub(super) struct Phases {
    pub simulator: Option<Simulator>,
    pub ofd: Arc<HttpOfd>,
    pub breakers: Arc<Breakers>,
    pub engine: Arc<SyncEngine>,
    pub till: Fiscalizer,
}

impl Phases {
    /// Devices, OFD, breakers, both phases, in this order.
    pub async fn build(config: &Config, base: &Base) -> anyhow::Result<Self> {
        let (store, clock, observer) = (base.store(), &base.clock, &base.observer);
        let fleet = fleet(config, store.as_ref(), clock).await?;
        let simulator = match config.ofd.kind {
            OfdKind::Simulator => Some(simulator(config)?),
            OfdKind::Http => None,
        };
        let ofd = ofd(config, simulator.as_ref(), clock.clone(), observer.clone())?;
        let breakers = Breakers::new(
            convert::breaker(&config.breaker),
            convert::pos_of(config),
            store.clone(),
            clock.clone(),
            observer.clone(),
        )?;
        let engine = SyncEngine::new(
            convert::sync(&config.sync),
            store.clone(),
            ofd.clone(),
            breakers.clone(),
            clock.clone(),
            observer.clone(),
        );
        let options = convert::fiscalize(&config.kkt);
        let till = Fiscalizer::new(store, fleet, clock.clone(), observer.clone(), options);
        let lanes = engine.clone();
        till.on_printed(Arc::new(move |device| SyncControl::wake(&lanes, device)));
        Ok(Self { simulator, ofd, breakers, engine, till })
    }

    /// Whether what it prints is legally fiscal.
    pub fn fiscal(&self) -> bool {
        Till::fiscal(&self.till) && self.ofd.fiscal()
    }
}

/// The devices, each of which goes on after the last number that the buffer has of it.
async fn fleet(
    config: &Config,
    store: &dyn Buffer,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Arc<VirtualFleet>> {
    let fleet = Arc::new(VirtualFleet::new(convert::devices(config), clock.clone())?);
    for device in store.devices().await? {
        if let Some(last) = store.last_fd(&device).await? {
            fleet.floor(&device, last);
        }
    }
    Ok(fleet)
}

/// The embedded simulator, its ledger kept beside the buffer.
fn simulator(config: &Config) -> anyhow::Result<Simulator> {
    let state = config.buffer.folder().join("ofd-sim.jsonl");
    let with_state = || ofd_sim::Options::default().state(&state);
    let started = Simulator::start(with_state().listen(SIMULATOR_ADDRESS)).or_else(|error| {
        tracing::info!(%error, "the simulator takes a free port instead of {SIMULATOR_ADDRESS}");
        Simulator::start(with_state())
    });
    started
        .or_else(|error| match error {
            // The shop must not stand still for what a simulator remembers.
            ofd_sim::Error::State { .. } => {
                tracing::error!(%error, "the simulator begins anew, and will have forgotten it after the next start");
                Simulator::start(ofd_sim::Options::default())
            }
            other => Err(other),
        })
        .context("cannot start the embedded OFD simulator")
}

fn ofd(
    config: &Config,
    simulator: Option<&Simulator>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
) -> anyhow::Result<Arc<HttpOfd>> {
    let given = || config.ofd.base_url.clone().unwrap_or_default();
    let options = HttpOfdOptions {
        base_url: simulator.map_or_else(given, Simulator::base_url),
        timeout: config.ofd.timeout,
        tokens: convert::ofd_tokens(config),
        fiscal: simulator.is_none(),
        roots: convert::roots(config.ofd.ca_file.as_ref()),
    };
    Ok(Arc::new(HttpOfd::new(&options, clock, observer)?))
}
