//! From a listening socket to the router: HTTP/1.1, within TLS or not, a bounded number of connections, an orderly end.

use super::{
    connections::{Connections, Listed, Watched},
    throttle::Peer,
    tls::Tls,
};
use axum::{Router, body::Body, extract::Request};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use std::{future::Future, io, pin::pin, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};
use tower::{ServiceExt as _, service_fn};

/// Limits of the server.
#[derive(Debug, Clone)]
pub struct ServerLimits {
    /// Connections served at a time; one more waits, and more wait in the backlog. Default 1,024.
    pub max_connections: usize,
    /// Time for a TLS handshake, and for the headers of a request; default 10 s.
    pub header_timeout: Duration,
    /// Time a connection may stay open without a request; default 60 s.
    pub idle_timeout: Duration,
    /// Most headers of a request; default 64. More are answered 431.
    pub max_headers: usize,
    /// Most bytes of a request's head; default 16 KiB. More are answered 431.
    pub max_header_bytes: usize,
    /// Time for requests in work to end once the server stops; default 8 s.
    pub shutdown_deadline: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            max_connections: 1_024,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            max_headers: 64,
            max_header_bytes: 16 * 1024,
            shutdown_deadline: Duration::from_secs(8),
        }
    }
}

/// Serves until `shutdown` completes, then lets requests in work end, for `shutdown_deadline` at most. With `tls`
/// nothing but TLS is spoken.
///
/// # Errors
/// None today: an error to accept one connection is logged and the next one is awaited.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    limits: ServerLimits,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut shutdown = pin!(shutdown);
    let connections = Arc::new(Connections::default());
    let places = Arc::new(Semaphore::new(limits.max_connections.max(1)));
    let (stop, stopping) = watch::channel(());
    let mut tasks = JoinSet::new();
    let mut sweep = interval(sweep_period(&limits));
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            _ = sweep.tick() => {
                connections.sweep(limits.header_timeout, limits.idle_timeout);
                continue;
            }
            Some(_) = tasks.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok((stream, peer)) => (stream, Peer(peer.ip())),
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                // Out of file descriptors, most likely: wait for some to come back instead of spinning.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let place = tokio::select! {
            () = &mut shutdown => break,
            place = place(&places, &connections, &limits) => place,
        };
        let listed = connections.add();
        let served =
            Served { peer, tls: tls.clone(), router: router.clone(), limits: limits.clone(), listed, place };
        tasks.spawn(served.connection(stream, stopping.clone()));
    }
    drop((listener, stopping));
    // Connections end by themselves once they were told; whoever does not is cut at the deadline.
    let _ = stop.send(());
    if timeout(limits.shutdown_deadline, async { while tasks.join_next().await.is_some() {} }).await.is_err()
    {
        tracing::warn!(left = tasks.len(), "requests in work were cut at the deadline of the stop");
        tasks.shutdown().await;
    }
    Ok(())
}

fn sweep_period(limits: &ServerLimits) -> Duration {
    let shortest = limits.header_timeout.min(limits.idle_timeout);
    (shortest / 8).clamp(Duration::from_millis(10), Duration::from_millis(500))
}

/// A place for one more connection; while there is none, connections without work are closed for it.
async fn place(
    places: &Arc<Semaphore>,
    connections: &Connections,
    limits: &ServerLimits,
) -> OwnedSemaphorePermit {
    let mut waiting = pin!(Arc::clone(places).acquire_owned());
    loop {
        if let Ok(place) = timeout(Duration::from_millis(5), waiting.as_mut()).await {
            return place.expect("the semaphore is never closed");
        }
        connections.sweep(limits.header_timeout, limits.idle_timeout);
        connections.make_room();
    }
}

/// One connection and what it holds.
struct Served {
    peer: Peer,
    tls: Option<Arc<Tls>>,
    router: Router,
    limits: ServerLimits,
    listed: Listed,
    #[allow(dead_code, reason = "held until the connection ends")]
    place: OwnedSemaphorePermit,
}

impl Served {
    async fn connection(self, stream: TcpStream, mut stopping: watch::Receiver<()>) {
        // Answers are small and awaited: none is held back for the next one.
        let _ = stream.set_nodelay(true);
        let Some(tls) = &self.tls else { return self.http(stream, stopping).await };
        let activity = &self.listed.activity;
        let accepted = tokio::select! {
            accepted = timeout(self.limits.header_timeout, tls.accept(stream)) => accepted,
            () = activity.told_to_close() => return,
            _ = stopping.changed() => return,
        };
        match accepted {
            Ok(Ok(stream)) => {
                activity.opened();
                self.http(stream, stopping).await;
            }
            // Scanners and mistyped addresses: of use only to who looks for a reason.
            Ok(Err(error)) => tracing::debug!(peer = %self.peer.0, %error, "no TLS connection"),
            Err(_) => tracing::debug!(peer = %self.peer.0, "a TLS handshake was too slow"),
        }
    }

    async fn http<S>(&self, stream: S, mut stopping: watch::Receiver<()>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (activity, peer) = (Arc::clone(&self.listed.activity), self.peer);
        let (router, of_service) = (self.router.clone(), Arc::clone(&activity));
        let service = service_fn(move |mut request: Request<_>| {
            let activity = Arc::clone(&of_service);
            activity.works();
            request.extensions_mut().insert(Arc::clone(&activity));
            request.extensions_mut().insert(peer);
            let answer = router.clone().oneshot(request.map(Body::new));
            async move {
                let response = answer.await;
                activity.answered();
                response
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
        builder
            .http1()
            .timer(TokioTimer::new())
            // `Connections` holds slow heads and idle ones to different times.
            .header_read_timeout(None)
            .max_headers(self.limits.max_headers)
            .max_buf_size(self.limits.max_header_bytes.max(8 * 1024));
        let io = TokioIo::new(Watched::new(stream, Arc::clone(&activity)));
        let mut connection = pin!(builder.serve_connection(io, TowerToHyperService::new(service)));
        tokio::select! {
            // A client that went away is no error of ours.
            _ = connection.as_mut() => return,
            () = activity.told_to_close() => return,
            _ = stopping.changed() => connection.as_mut().graceful_shutdown(),
        }
        tokio::select! {
            _ = connection.as_mut() => {}
            () = activity.told_to_close() => {}
        }
    }
}
