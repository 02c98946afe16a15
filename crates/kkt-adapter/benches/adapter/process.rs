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

/// CPU time that a process has used: of its own code, and of the kernel on its behalf.
#[derive(Clone, Copy)]
pub struct Cpu {
    pub user: f64,
    pub system: f64,
}

impl Cpu {
    /// Of the process with this id, or `self`.
    pub fn of(process: &str) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        let (_, after_name) = stat.rsplit_once(')').unwrap();
        let mut fields = after_name.split_whitespace().skip(11);
        // Linux counts here in hundredths of a second on every platform.
        let mut seconds = || fields.next().unwrap().parse::<f64>().unwrap() / 100.0;
        Self { user: seconds(), system: seconds() }
    }

    pub fn since(self, before: Self) -> Self {
        Self { user: self.user - before.user, system: self.system - before.system }
    }

    pub fn total(self) -> f64 {
        self.user + self.system
    }
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

    pub fn adapter(folder: &Path, ofd: SocketAddr) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kkt-adapter"));
        command.arg("serve").current_dir(folder).env_clear();
        command.env("KKT_SERVER__LISTEN", "127.0.0.1:0").env("KKT_OFD__BASE_URL", format!("http://{ofd}"));
        command.env("KKT_BUFFER__CAPACITY", "10000000").env("KKT_BUFFER__MIN_FREE_DISK", "1MiB");
        command.env("KKT_TELEMETRY__LOG", "error");
        // `NAME=VALUE` on the command line: another allocator, another number of threads.
        command.envs(std::env::args().filter_map(|arg| {
            let (name, value) = arg.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        }));
        Self::spawn(command)
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// A simulator's faults from now on.
    pub fn set_faults(&self, plan: &str) {
        assert_eq!(self.connect().request("PUT", "/sim/faults", "", plan), 200);
    }

    /// A simulator without faults from now on.
    pub fn heal(&self) {
        assert_eq!(self.connect().request("DELETE", "/sim/faults", "", ""), 200);
    }

    pub fn cpu(&self) -> Cpu {
        Cpu::of(&self.child.id().to_string())
    }

    /// Resident memory in MiB.
    pub fn memory_mib(&self) -> f64 {
        self.status("VmRSS:")
    }

    /// The part of it that is no file: what the process allocated.
    pub fn anonymous_mib(&self) -> f64 {
        self.status("RssAnon:")
    }

    fn status(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
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
