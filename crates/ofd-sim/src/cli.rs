//! The `ofd-sim` command: [`Args`] for the command line, [`run`] to carry it out.

use crate::plan::Plan;
use crate::{Error, Options, Simulator};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Run a simulated fiscal data operator. Nothing here is fiscal.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:9000", value_name = "ADDR:PORT")]
    pub listen: SocketAddr,
    /// Allow an address that other machines can reach
    #[arg(long)]
    pub allow_remote: bool,
    /// Keep the ledger in this file, so that it survives a kill
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Ask for the bearer token in this file; give several for several tokens
    #[arg(long, value_name = "FILE")]
    pub token_file: Vec<PathBuf>,
    /// Start with the fault plan in this JSON file
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// Connections served at a time; more wait
    #[arg(long, default_value_t = 1024, value_name = "N")]
    pub max_connections: usize,
    /// Documents the ledger holds (about 200 bytes each); new ones beyond it are answered 507
    #[arg(long, default_value_t = 2_000_000, value_name = "N")]
    pub max_documents: usize,
}

/// Serves until SIGINT or SIGTERM, then stops gracefully. Prints where it listens once it does.
///
/// # Errors
/// A file or the address cannot be used; see [`Error`].
pub async fn run(args: Args) -> Result<(), Error> {
    let plan = args.faults.as_deref().map(read_plan).transpose()?;
    let options = Options {
        listen: args.listen,
        allow_remote: args.allow_remote,
        state: args.state,
        tokens: args.token_file.iter().map(|path| read_token(path)).collect::<Result<_, _>>()?,
        max_connections: args.max_connections,
        max_documents: args.max_documents,
    };
    let ofd = Simulator::start(options)?;
    if let Some(plan) = plan {
        ofd.set_faults(plan);
    }
    // Whoever started this may not read on (or at all): no reason to stop serving.
    let _ = std::io::stdout().write_all(greeting(&ofd.base_url()).as_bytes());
    stop_signal().await;
    ofd.shutdown().await;
    Ok(())
}

fn greeting(url: &str) -> String {
    format!(
        "OFD simulator (NOT FISCAL) on {url}
  documents   POST {url}/ofd/v1/receipt   ping GET {url}/ofd/v1/health
  what came   curl {url}/sim/ledger       counters   curl {url}/sim/stats
  break it    curl -X PUT {url}/sim/faults -d '{{\"fault\":\"fail\",\"status\":503}}'
  mend it     curl -X DELETE {url}/sim/faults
"
    )
}

#[cfg(unix)]
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM cannot be caught");
            let _ = tokio::signal::ctrl_c().await;
        }
    }
}

#[cfg(not(unix))]
async fn stop_signal() {
    let _ = tokio::signal::ctrl_c().await;
}

fn read_plan(path: &Path) -> Result<Plan, Error> {
    let wrong = |reason| Error::File { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    let json = serde_json::from_str(&text).map_err(|e| wrong(format!("not JSON: {e}")))?;
    Plan::from_json(&json).map_err(|e| wrong(e.to_string()))
}

fn read_token(path: &Path) -> Result<String, Error> {
    let wrong = |reason| Error::File { path: path.to_owned(), reason };
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    match text.trim() {
        "" => Err(wrong("is empty; it must hold a token".into())),
        token => Ok(token.to_owned()),
    }
}
