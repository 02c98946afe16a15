//! One running adapter.

use super::{
    STOP_MAX,
    certificates::Certificates,
    convert, housekeeping,
    phases::{Base, Phases},
    tasks::Tasks,
};
use crate::{
    buffer::SqliteBuffer,
    config::Config,
    fiscalize::Fiscalizer,
    heartbeat::{Heartbeat, HeartbeatPorts},
    http::{self, HttpOptions},
    ofd::HttpOfd,
    ports::{Buffer, HeartbeatStatus, NoHeartbeat, OfdClient, Till},
    sync::{Breakers, SyncEngine},
    telemetry::Page,
};
use anyhow::Context;
use ofd_sim::Simulator;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch};

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
        let base = Base::open(config).await?;
        let phases = Phases::build(config, &base).await?;
        let recovered = phases.till.recover().await?;
        tracing::info!(?recovered, "the buffer is open");
        let (mut background, heartbeat) = start_background(config, &base, &phases)?;
        let certificates = config.tls.clone().map(Certificates::new).transpose()?.map(Arc::new);
        if let Some(certificates) = &certificates {
            background.spawn("certificates", certificates.clone().watch(base.clock.clone()));
        }
        let http = convert::http(config, phases.ofd.fiscal());
        let ports = http_ports(&base, &phases, heartbeat.clone(), http.clone());
        let tls = certificates.as_ref().map(|certificates| certificates.tls());
        let (shutdown, stopped) = watch::channel(false);
        let server = start_server(config, listener, tls, ports, stopped);
        let fiscal = phases.fiscal();
        let Phases { simulator, ofd, breakers, engine, till } = phases;
        let Base { buffer, events, .. } = base;
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
            http,
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

    /// Stops it a second before `STOP_MAX` is over: nothing that was taken is lost.
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

/// Starts what works beside the API, and both phases; the heartbeat, if there is one.
fn start_background(
    config: &Config,
    base: &Base,
    phases: &Phases,
) -> anyhow::Result<(Tasks, Option<Arc<Heartbeat>>)> {
    let Base { clock, buffer, .. } = base;
    let mut background = Tasks::default();
    background.spawn("housekeeping", housekeeping::run(buffer.clone(), clock.clone(), config.buffer.clone()));
    let printer = phases.till.start();
    background.spawn("printer", async move {
        if let Err(error) = printer.await
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    });
    phases.engine.start();
    let its_ports = HeartbeatPorts {
        buffer: base.store(),
        breakers: phases.breakers.clone(),
        clock: clock.clone(),
        fiscal: phases.fiscal(),
    };
    let heartbeat = convert::heartbeat(&config.heartbeat);
    let heartbeat = heartbeat.map(|options| Heartbeat::new(options, its_ports)).transpose()?.map(Arc::new);
    if let Some(heartbeat) = &heartbeat {
        background.spawn("heartbeat", heartbeat.clone().run());
    }
    Ok((background, heartbeat))
}

/// What the API works with.
fn http_ports(
    base: &Base,
    phases: &Phases,
    heartbeat: Option<Arc<Heartbeat>>,
    options: Arc<HttpOptions>,
) -> http::HttpPorts {
    let Phases { breakers, engine, till, .. } = phases;
    let heartbeat: Arc<dyn HeartbeatStatus> = match heartbeat {
        Some(heartbeat) => heartbeat,
        None => Arc::new(NoHeartbeat),
    };
    let (devices, lanes) = (till.clone(), engine.clone());
    let metrics = Page {
        metrics: base.metrics.clone(),
        buffer: base.store(),
        breakers: breakers.clone(),
        devices: Arc::new(move || Till::devices(&devices)),
        lanes: Arc::new(move || lanes.lane_views()),
        clock: base.clock.clone(),
        started: base.clock.wall(),
    };
    http::HttpPorts {
        till: Arc::new(till.clone()),
        buffer: base.store(),
        sync: Arc::new(engine.clone()),
        breakers: breakers.clone(),
        heartbeat,
        metrics: Arc::new(metrics),
        events: base.events.clone(),
        clock: base.clock.clone(),
        observer: base.observer.clone(),
        options,
    }
}

/// Starts the API, which ends when `stopped` says so.
fn start_server(
    config: &Config,
    listener: TcpListener,
    tls: Option<Arc<http::Tls>>,
    ports: http::HttpPorts,
    mut stopped: watch::Receiver<bool>,
) -> Tasks {
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
    server
}
