use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// How to start a [`Simulator`](crate::Simulator). The default listens on a free loopback port, without tokens and
/// with the ledger in memory.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// Address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Allows an address that other machines can reach.
    pub allow_remote: bool,
    /// Journal of the ledger: with it, the ledger survives the death of the process (not a power loss: no fsync).
    pub state: Option<PathBuf>,
    /// Bearer tokens; empty lets everyone in.
    pub tokens: Vec<String>,
    /// Connections served at a time; more wait in the listen queue.
    pub max_connections: usize,
    /// Documents the ledger holds (about 200 bytes each); a new one beyond it is answered 507.
    pub max_documents: usize,
}

impl Options {
    /// Largest body of a receipt, in bytes: 2 MiB. A larger one is answered 413.
    pub const BODY_MAX: usize = 2 * 1024 * 1024;

    /// Listens on `addr`.
    #[must_use]
    pub fn listen(mut self, addr: SocketAddr) -> Self {
        self.listen = addr;
        self
    }

    /// Keeps the ledger in this file.
    #[must_use]
    pub fn state(mut self, path: impl Into<PathBuf>) -> Self {
        self.state = Some(path.into());
        self
    }

    /// Lets in whoever has this token (one of several).
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.tokens.push(token.into());
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            allow_remote: false,
            state: None,
            tokens: Vec::new(),
            max_connections: 1024,
            max_documents: 2_000_000,
        }
    }
}

/// Tokens are secrets: shown as a number only.
impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("listen", &self.listen)
            .field("allow_remote", &self.allow_remote)
            .field("state", &self.state)
            .field("tokens", &self.tokens.len())
            .field("max_connections", &self.max_connections)
            .field("max_documents", &self.max_documents)
            .finish()
    }
}
