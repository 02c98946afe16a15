//! One running adapter.

use super::{
    STOP_MAX, certificates::Certificates, clock::SystemClock, convert, housekeeping, observer::Reported,
    tasks::Tasks,
};
use crate::{
    buffer::{SqliteBuffer, SqliteOptions},
    config::{Config, OfdKind},
    fiscalize::Fiscalizer,
    heartbeat::{Heartbeat, HeartbeatPorts},
    http::{self, HttpOptions},
    kkt::virtual_kkt::VirtualFleet,
    ofd::{HttpOfd, HttpOfdOptions},
    ports::{Buffer, Clock, HeartbeatStatus, KktFleet, NoHeartbeat, Observer, OfdClient, SyncControl, Till},
    sync::{Breakers, SyncEngine},
    telemetry::{Metrics, Page},
};
use anyhow::Context;
use ofd_sim::Simulator;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};

/// Where the embedded simulator listens if the port is free, so that its documented calls work as printed.
const SIMULATOR_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9000);

/// Why the adapter cannot go on.
pub(super) enum Ended {
    /// The storage has failed, with what it said; see [`SqliteBuffer::failed`].
    Storage(String),
    /// A task died, by a defect of the program: part of the adapter does not work any more.
    Task(String),
}

/// An adapter at work, from [`App::start`] to [`App::stop`].
pub struct App {
    address: SocketAddr,
    ofd_url: String,
    fiscal: bool,
    buffer: Arc<SqliteBuffer>,
    till: Fiscalizer,
    engine: Arc<SyncEngine>,
    breakers: Arc<Breakers>,
    ofd: Arc<HttpOfd>,
    heartbeat: Option<Arc<Heartbeat>>,
    http: Arc<HttpOptions>,
    certificates: Option<Arc<Certificates>>,
    events: Arc<http::EventLog>,
    simulator: Option<Simulator>,
    shutdown: watch::Sender<bool>,
    server: Tasks,
    background: Tasks,
}

impl App {
    /// Starts it; when this returns, it serves.
    ///
    /// # Errors
    /// What is in the way, in words that say what to do.
    pub async fn start(config: &Config) -> anyhow::Result<Self> {
        let listen = config.server.listen;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on {listen}; set server.listen to a free address"))?;
        let address = listener.local_addr()?;
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
        let buffer = Arc::new(buffer);
        let store: Arc<dyn Buffer> = buffer.clone();

        let fleet = Arc::new(VirtualFleet::new(convert::devices(config), clock.clone())?);
        for device in store.devices().await? {
            if let Some(last) = store.last_fd(&device).await? {
                fleet.floor(&device, last);
            }
        }
        let simulator = match config.ofd.kind {
            OfdKind::Simulator => Some(simulator(config)?),
            OfdKind::Http => None,
        };
        let ofd = ofd(config, simulator.as_ref(), clock.clone(), observer.clone())?;
        let client: Arc<dyn OfdClient> = ofd.clone();

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
            client.clone(),
            breakers.clone(),
            clock.clone(),
            observer.clone(),
        );
        let till = Fiscalizer::new(
            store.clone(),
            fleet,
            clock.clone(),
            observer.clone(),
            convert::fiscalize(&config.kkt),
        );
        let lanes = engine.clone();
        till.on_printed(Arc::new(move |device| SyncControl::wake(&lanes, device)));
        let recovered = till.recover().await?;
        tracing::info!(?recovered, "the buffer is open");
        let mut background = Tasks::default();
        background
            .spawn("housekeeping", housekeeping::run(buffer.clone(), clock.clone(), config.buffer.clone()));
        let printer = till.start();
        background.spawn("printer", async move {
            if let Err(error) = printer.await
                && let Ok(panic) = error.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        });
        engine.start();
        let fiscal = Till::fiscal(&till) && client.fiscal();

        let its_ports = HeartbeatPorts {
            buffer: store.clone(),
            breakers: breakers.clone(),
            clock: clock.clone(),
            fiscal,
        };
        let heartbeat = convert::heartbeat(&config.heartbeat);
        let heartbeat =
            heartbeat.map(|options| Heartbeat::new(options, its_ports)).transpose()?.map(Arc::new);
        let heartbeat_status: Arc<dyn HeartbeatStatus> = match &heartbeat {
            Some(heartbeat) => {
                background.spawn("heartbeat", heartbeat.clone().run());
                heartbeat.clone()
            }
            None => Arc::new(NoHeartbeat),
        };

        let (devices, lanes) = (till.clone(), engine.clone());
        let http_options = convert::http(config, client.fiscal());
        let ports = http::HttpPorts {
            till: Arc::new(till.clone()),
            buffer: store.clone(),
            sync: Arc::new(engine.clone()),
            breakers: breakers.clone(),
            heartbeat: heartbeat_status,
            metrics: Arc::new(Page {
                metrics,
                buffer: store,
                breakers: breakers.clone(),
                devices: Arc::new(move || Till::devices(&devices)),
                lanes: Arc::new(move || lanes.lane_views()),
                clock: clock.clone(),
                started: clock.wall(),
            }),
            events: events.clone(),
            clock: clock.clone(),
            observer,
            options: http_options.clone(),
        };
        let certificates = config.tls.clone().map(Certificates::new).transpose()?.map(Arc::new);
        if let Some(certificates) = &certificates {
            background.spawn("certificates", certificates.clone().watch(clock));
        }
        let tls = certificates.as_ref().map(|certificates| certificates.tls());
        let (shutdown, mut stopped) = watch::channel(false);
        let limits = convert::limits(config);
        let mut server = Tasks::default();
        server.spawn("API", async move {
            let stop = async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            };
            if let Err(error) = http::serve(listener, tls, http::router(ports), limits, stop).await {
                tracing::error!(%error, "the API has ended");
            }
        });
        let ofd_url = simulator.as_ref().map(Simulator::base_url);
        let ofd_url = ofd_url.or_else(|| config.ofd.base_url.clone()).unwrap_or_default();
        Ok(Self {
            address,
            ofd_url,
            fiscal,
            buffer,
            till,
            engine,
            breakers,
            ofd,
            heartbeat,
            http: http_options,
            certificates,
            events,
            simulator,
            shutdown,
            server,
            background,
        })
    }

    /// Where the API is.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the OFD is.
    #[must_use]
    pub fn ofd_url(&self) -> &str {
        &self.ofd_url
    }

    /// Whether the OFD is the embedded simulator.
    #[must_use]
    pub fn is_simulated(&self) -> bool {
        self.simulator.is_some()
    }

    /// Whether what it prints is legally fiscal.
    #[must_use]
    pub fn fiscal(&self) -> bool {
        self.fiscal
    }

    /// The address of the API, with its scheme.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.certificates.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Takes over what can change while it runs: the tokens of the API, for the OFD and for the ERP, the TLS certificate,
    /// the breakers' numbers.
    ///
    /// # Errors
    /// A token, certificate or breaker number that is impossible; what stands before it was taken over.
    pub fn reload(&self, config: &Config) -> anyhow::Result<()> {
        self.http.tokens.replace(convert::tokens(&config.auth));
        self.ofd.set_tokens(&convert::ofd_tokens(config))?;
        if let Some(heartbeat) = &self.heartbeat {
            heartbeat.set_token(convert::heartbeat_token(&config.heartbeat).as_deref())?;
        }
        match (&self.certificates, &config.tls) {
            (Some(certificates), Some(files)) => certificates.take(files.clone())?,
            (None, None) => {}
            _ => tracing::warn!("server.tls: to speak TLS from now on, or no longer, needs a restart"),
        }
        self.breakers.set_config(convert::breaker(&config.breaker))?;
        Ok(())
    }

    /// Completes once the adapter cannot go on: its buffer takes nothing any more, or a task that is to run for ever has
    /// ended. Dropping it loses nothing.
    pub(super) async fn ended(&mut self) -> Ended {
        tokio::select! {
            biased;
            error = self.buffer.failed() => Ended::Storage(error),
            task = self.server.ended() => Ended::Task(task),
            task = self.background.ended() => Ended::Task(task),
            task = self.engine.ended() => Ended::Task(format!("{task}: it ended")),
        }
    }

    /// Stops it within `STOP_MAX`: nothing that was taken is lost.
    pub async fn stop(mut self) {
        let share = STOP_MAX / 5;
        let _ = self.shutdown.send(true);
        self.events.close();
        let printed = self.till.stop(share * 2);
        let (served, printed) =
            tokio::join!(tokio::time::timeout(share * 2, self.server.join_all()), printed);
        if served.is_err() {
            self.server.abort_all();
        }
        if !printed {
            tracing::warn!("the KKT still hangs; what became of its document is asked at the next start");
        }
        self.engine.stop(share).await;
        self.background.abort_all();
        if tokio::time::timeout(share, self.buffer.close()).await.is_err() {
            tracing::error!("the buffer did not close in time; what was acknowledged is safe");
        }
        if let Some(simulator) = self.simulator {
            let _ = tokio::time::timeout(Duration::from_secs(1), simulator.shutdown()).await;
        }
    }
}

/// The embedded simulator, its ledger kept beside the buffer.
fn simulator(config: &Config) -> anyhow::Result<Simulator> {
    let options = || ofd_sim::Options::default().state(config.buffer.folder().join("ofd-sim.jsonl"));
    match Simulator::start(options().listen(SIMULATOR_ADDRESS)) {
        Ok(simulator) => Ok(simulator),
        Err(error) => {
            tracing::info!(%error, "the simulator takes a free port instead of {SIMULATOR_ADDRESS}");
            Simulator::start(options()).context("cannot start the embedded OFD simulator")
        }
    }
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
