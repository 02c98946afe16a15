//! One TCP connection: HTTP as long as nobody asks for worse.

use super::stream::SharedStream;
use axum::{Extension, Router};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};

/// How a connection ends when a fault ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// RST.
    Reset,
    /// FIN.
    Cut,
    /// Bytes that are not HTTP, then FIN.
    NotHttp,
}

/// The connection a request came by.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) peer: SocketAddr,
    ending: mpsc::Sender<Ending>,
}

impl Connection {
    /// Ends the connection; the caller is dropped with it.
    pub(super) async fn end(&self, ending: Ending) -> ! {
        // A second request of the same connection may have asked first: the wish is the same to the client.
        let _ = self.ending.try_send(ending);
        std::future::pending().await
    }
}

/// A head that is not complete by then is given up.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

const NOT_HTTP: &[u8] = b"\x00\xff\xfe220 this is no HTTP\r\n\x80\x81\x82\r\n\r\n";

/// Serves one connection until the client leaves, a fault ends it, or `stop` turns true.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let (ending, mut endings) = mpsc::channel(1);
    let _ = stream.set_nodelay(true);
    let shared = SharedStream::new(stream);
    let mut builder = Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    let ending = {
        let service = TowerToHyperService::new(router.layer(Extension(Connection { peer, ending })));
        let mut http = std::pin::pin!(builder.serve_connection(TokioIo::new(shared.clone()), service));
        tokio::select! {
            biased;
            ending = endings.recv() => ending,
            result = http.as_mut() => {
                if let Err(error) = result {
                    tracing::debug!(%peer, error, "connection ended");
                }
                None
            }
            () = stopped(&mut stop) => {
                http.as_mut().graceful_shutdown();
                tokio::select! {
                    ending = endings.recv() => ending,
                    _ = http.as_mut() => None,
                }
            }
        }
    };
    if let (Some(ending), Some(stream)) = (ending, shared.take_back()) {
        end(stream, ending).await;
    }
}

/// Returns once the simulator is to stop.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the simulator is gone: stopped, too.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn end(mut stream: TcpStream, ending: Ending) {
    let result = match ending {
        Ending::Reset => stream.set_zero_linger(),
        Ending::Cut => stream.shutdown().await,
        Ending::NotHttp => match stream.write_all(NOT_HTTP).await {
            Ok(()) => stream.shutdown().await,
            Err(error) => Err(error),
        },
    };
    if let Err(error) = result {
        tracing::debug!(%error, ?ending, "the client left before its connection could be ended");
    }
}
