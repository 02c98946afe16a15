use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why the simulator could not start or go on. None of these is worth a blind retry: each names what to change.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {addr}: {source}; choose another --listen address or stop the program that has it"
    )]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Listening beyond this machine was not allowed.
    #[error(
        "{addr} is reachable from other machines; the simulator listens on loopback unless --allow-remote is given"
    )]
    NotLoopback {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The state file cannot be used.
    #[error("state file {path}: {source}; give a path in a writable folder", path = path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has the state file.
    #[error("state file {path} is in use by another simulator; stop it or give another file", path = path.display())]
    StateInUse {
        /// The file.
        path: PathBuf,
    },
    /// A file of tokens or faults cannot be read or understood.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what is expected.
        reason: String,
    },
    /// Called outside of a Tokio runtime.
    #[error("the simulator needs a running Tokio runtime with I/O and time enabled")]
    NoRuntime,
}
