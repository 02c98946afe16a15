//! The adapter and the simulator as processes of their own.

use super::client::Connection;
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// A process that says on its standard output where it listens.
pub struct Process {
    child: Child,
    pub address: SocketAddr,
    /// From the start to that line.
    pub started_in: Duration,
}

impl Process {
    fn spawn(mut command: Command) -> Self {
        let began = Instant::now();
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "{command:?} ended before it served");
            if let Some(at) = line.find("http://127.0.0.1:") {
                let text = line[at + "http://".len()..].split_whitespace().next().unwrap();
                break text.trim_end_matches('/').parse().unwrap();
            }
        };
        let started_in = began.elapsed();
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Self { child, address, started_in }
    }

    pub fn simulator() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kkt-adapter"));
        command.args(["ofd-sim", "--listen", "127.0.0.1:0"]);
        Self::spawn(command)
    }

    pub fn adapter(folder: &Path, ofd: SocketAddr, capacity: u64) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kkt-adapter"));
        command.arg("serve").current_dir(folder).env_clear();
        command.env("KKT_SERVER__LISTEN", "127.0.0.1:0").env("KKT_OFD__BASE_URL", format!("http://{ofd}"));
        command.env("KKT_BUFFER__CAPACITY", capacity.to_string()).env("KKT_BUFFER__MIN_FREE_DISK", "1MiB");
        command.env("KKT_TELEMETRY__LOG", "error");
        Self::spawn(command)
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// Resident memory in MiB.
    pub fn memory_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
    }

    /// SIGTERM, and wait.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
