//! The simulator behind a real socket.
//!
//! Each connection has its own task, which owns the TCP stream, so that a fault can reset or cut it (see
//! `connection`). Requests meet in one lock around the core and its journal; a line is written before its answer.
//!
//! Shutdown: no new connection, then what is in flight gets [`GRACE`] to finish; what hangs on purpose is let go at
//! once.

mod connection;
mod control;
mod deliver;
mod guard;
mod ofd;
mod shared;

mod stream;

use crate::core::ledger::Document;
use crate::core::stats::Stats;
use crate::plan::Plan;
use crate::{Error, Options};
use axum::Router;
use shared::Shared;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

/// How long requests in flight may take to finish at shutdown.
const GRACE: Duration = Duration::from_secs(3);
/// Pause after a failed accept (out of file descriptors, mostly), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running simulator. Dropping it stops it at once; [`Simulator::shutdown`] lets calls in flight finish.
#[derive(Debug)]
pub struct Simulator {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    accepting: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Binds, reads the state file and serves on the Tokio runtime this is called in.
    ///
    /// # Errors
    /// The address or the state file cannot be used, or there is no runtime; see [`Error`].
    pub fn start(options: Options) -> Result<Self, Error> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| Error::NoRuntime)?;
        if !options.listen.ip().is_loopback() && !options.allow_remote {
            return Err(Error::NotLoopback { addr: options.listen });
        }
        let failed = |source| Error::Listen { addr: options.listen, source };
        let listener = StdListener::bind(options.listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = TcpListener::from_std(listener).map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared::open(&options, stopped.clone())?);
        let router = ofd::routes(shared.clone()).merge(control::routes(shared.clone()));
        let accepting = runtime.spawn(accept(listener, router, options.max_connections, stopped));
        Ok(Self { addr, shared, stop, accepting: Some(accepting) })
    }

    /// The address it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://address:port`, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Sets the fault plan; its clocks and counters begin now.
    pub fn set_faults(&self, plan: Plan) {
        self.shared.set_faults(plan);
    }

    /// The whole ledger. For a million documents, use pages: [`Simulator::ledger_page`].
    #[must_use]
    pub fn ledger(&self) -> Vec<Document> {
        self.ledger_page(0, usize::MAX)
    }

    /// Up to `limit` documents behind the cursor (`seq` of the last one had; 0: from the start).
    #[must_use]
    pub fn ledger_page(&self, after: u64, limit: usize) -> Vec<Document> {
        self.shared.read(|core| core.ledger().page(after, limit))
    }

    /// The document of this key, if it came.
    #[must_use]
    pub fn document(&self, key: &str) -> Option<Document> {
        self.shared.read(|core| core.ledger().find(key))
    }

    /// Counters as they stand.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.read(crate::core::Core::stats)
    }

    /// Forgets ledger, journal and counters and heals all faults.
    ///
    /// # Errors
    /// The journal cannot be emptied; the rest is reset all the same.
    pub fn reset_all(&self) -> std::io::Result<()> {
        self.shared.reset()
    }

    /// Stops: no new connection, what is in flight gets a few seconds, what hangs on purpose is let go.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Some(accepting) = self.accepting.take()
            && let Err(error) = accepting.await
        {
            tracing::error!(%error, "the simulator did not stop cleanly");
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        // Aborting the task drops its JoinSet and with it every connection.
        if let Some(accepting) = self.accepting.take() {
            self.stop.send_replace(true);
            accepting.abort();
        }
    }
}

async fn accept(listener: TcpListener, router: Router, max_connections: usize, stop: watch::Receiver<bool>) {
    let mut stopped = stop.clone();
    let places = Arc::new(Semaphore::new(max_connections.max(1)));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
            (place, listener.accept().await)
        };
        tokio::select! {
            (place, accepted) = next => match accepted {
                Ok((stream, peer)) => {
                    let serve = connection::serve(stream, peer, router.clone(), stop.clone());
                    connections.spawn(async move {
                        serve.await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = connection::stopped(&mut stopped) => break,
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finished).await.is_err() {
        tracing::warn!(open = connections.len(), "connections cut at shutdown");
    }
}
