//! One life of the adapter's process, from its start to its death.

use std::{
    io::{BufRead, BufReader},
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Longest time anything is waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// What `abort` ends a process with.
pub const SIGABRT: i32 = 6;

pub struct Life {
    child: Child,
    pub url: String,
    log: Arc<Mutex<String>>,
}

/// It died before it served.
#[derive(Debug)]
pub struct Stillborn {
    pub status: ExitStatus,
    pub log: String,
}

impl Stillborn {
    pub fn aborted(&self) -> bool {
        self.status.signal() == Some(SIGABRT)
    }
}

impl Life {
    /// Starts it and waits until it serves or is dead.
    pub async fn begin(command: Command) -> Result<Self, Stillborn> {
        tokio::task::spawn_blocking(move || Self::spawn(command)).await.unwrap()
    }

    fn spawn(mut command: Command) -> Result<Self, Stillborn> {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, kept) = (child.stderr.take().unwrap(), log.clone());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = kept.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let url = loop {
            let mut line = String::new();
            if stdout.read_line(&mut line).unwrap_or(0) == 0 {
                let status = child.wait().unwrap();
                reader.join().unwrap();
                let log = log.lock().unwrap().clone();
                return Err(Stillborn { status, log });
            }
            if let Some(at) = line.find("http://127.0.0.1:") {
                break line[at..].split_whitespace().next().unwrap().trim_end_matches('/').to_owned();
            }
        };
        // Nobody reads the rest, and a full pipe must not stop the adapter.
        std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        Ok(Self { child, url, log })
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end; `None` after `patience`.
    pub async fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// SIGTERM, then its end.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal("-TERM");
        self.end(PATIENCE).await.unwrap_or_else(|| panic!("SIGTERM does not end it: {}", self.log()))
    }

    fn signal(&self, signal: &str) {
        // An error means that it has ended already.
        let _ = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.kill();
    }
}
