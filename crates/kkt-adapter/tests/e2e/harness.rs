//! Starts the adapter as a user would, talks to it over HTTP, and stops or kills it.

use ofd_sim::{Options, Simulator};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Longest time anything is waited for; far beyond what it takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until the answer is `Some`, and fails with `what` otherwise.
pub async fn until<T, F: AsyncFnMut() -> Option<T>>(what: &str, mut look: F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A simulator on a free port, in this process.
pub async fn simulator() -> Simulator {
    Simulator::start(Options::default()).expect("the simulator starts on a free port")
}

/// What a test changes of the configuration.
pub struct Setup {
    dir: tempfile::TempDir,
    config: String,
    variables: Vec<(String, String)>,
}

impl Setup {
    /// Short times, one simulator, virtual devices.
    pub fn new(base_url: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n\
             [buffer]\nurl = \"sqlite://{dir}/data/buffer.db\"\nmin_free_disk = \"1MiB\"\n\
             [breaker]\nrecovery_timeout = \"1s\"\n\
             [sync]\ninterval = \"1s\"\nretry_after = \"50ms\"\n\
             backoff = {{ initial = \"50ms\", max = \"100ms\" }}\n\
             [ofd]\nkind = \"http\"\nbase_url = \"{base_url}\"\ntimeout = \"2s\"\n\
             [kkt]\nprint_timeout = \"2s\"\n",
            dir = dir.path().display()
        );
        Self { dir, config, variables: Vec::new() }
    }

    /// One more setting, as an environment variable would give it.
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.variables.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a setting of the file out.
    pub fn without(mut self, key: &str) -> Self {
        let keeps = |line: &&str| !line.starts_with(key);
        self.config = self.config.lines().filter(keeps).collect::<Vec<_>>().join("\n");
        self
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The lever beside a virtual device.
    pub fn set_kkt_faults(&self, device: &str, faults: &str) {
        let folder = self.dir.path().join("data/virtual-kkt").join(device);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("faults.toml"), faults).unwrap();
    }

    /// Changes the file of a running adapter.
    pub fn rewrite(&self, from: &str, to: &str) {
        let config = self.dir.path().join("kkt.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&config, text.replace(from, to)).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let config = self.dir.path().join("kkt.toml");
        std::fs::write(&config, &self.config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_kkt-adapter"));
        command.args(args).arg("--config").arg(&config).current_dir(self.dir.path());
        command.env_clear().envs(self.variables.iter().map(|(name, value)| (name, value)));
        // Where a coverage run wants the counts of its processes.
        command.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)));
        command
    }

    /// Starts it and waits for the line that says where the API is.
    pub fn start(&self) -> Adapter {
        Adapter::spawn(self.command(&["serve"]))
    }
}

/// A running adapter; killed when dropped.
pub struct Adapter {
    child: Child,
    pub url: String,
    pub http: reqwest::Client,
    output: Arc<Mutex<String>>,
    said: Arc<Mutex<String>>,
}

impl Adapter {
    pub fn spawn(mut command: Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().unwrap();
        let log = output.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut log = log.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let url = loop {
            let mut line = String::new();
            if stdout.read_line(&mut line).unwrap() == 0 {
                panic!("the adapter ended before it served: {}", output.lock().unwrap());
            }
            if let Some(at) = line.find("http").filter(|_| line.contains("://127.0.0.1:")) {
                break line[at..].split_whitespace().next().unwrap().trim_end_matches('/').to_owned();
            }
        };
        // A full pipe must not stop the adapter.
        let said = Arc::new(Mutex::new(String::new()));
        let rest = said.clone();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let mut rest = rest.lock().unwrap();
                rest.push_str(&line);
                rest.push('\n');
            }
        });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        Self { child, url, http, output, said }
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.output.lock().unwrap().clone()
    }

    /// What it printed on its standard output since it served.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        answer.json().await.unwrap()
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.http.post(format!("{}{path}", self.url)).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Posts a sale under a key.
    pub async fn sell_as(&self, pos: &str, key: &str, total: &str) -> reqwest::Result<(u16, bool, Value)> {
        self.posted(pos, key, total).await
    }

    /// The same, for a task of its own.
    pub fn posted(
        &self,
        pos: &str,
        key: &str,
        total: &str,
    ) -> impl Future<Output = reqwest::Result<(u16, bool, Value)>> + use<> {
        let request = self.http.post(format!("{}/v1/kkt/receipt", self.url)).header("Idempotency-Key", key);
        let request = request.json(&sale(pos, total));
        async move {
            let answer = request.send().await?;
            let replayed = answer.headers().contains_key("idempotent-replayed");
            Ok((answer.status().as_u16(), replayed, answer.json().await?))
        }
    }

    /// A sale under a key of its own that must be printed.
    pub async fn sell(&self, pos: &str) -> Value {
        let key = uuid::Uuid::now_v7().to_string();
        let (status, _, body) = self.sell_as(pos, &key, "200.00").await.unwrap();
        assert_eq!((status, body["status"].as_str()), (200, Some("printed")), "{body}\n{}", self.log());
        body
    }

    pub async fn breaker_state(&self) -> String {
        let health = self.get("/v1/health").await;
        health["components"]["circuit_breaker"]["state"].as_str().unwrap().to_owned()
    }

    pub async fn until_breaker(&self, state: &str) {
        until(&format!("breaker {state}"), async || (self.breaker_state().await == state).then_some(()))
            .await;
    }

    pub async fn pending(&self) -> u64 {
        self.get("/v1/kkt/buffer/status").await["pending"].as_u64().unwrap()
    }

    pub async fn until_delivered(&self) {
        until("everything delivered", async || (self.pending().await == 0).then_some(())).await;
    }

    /// SIGKILL: the crash that nothing can prepare for.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how it ended.
    pub fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the adapter does not end: {}", self.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Adapter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A valid sale.
pub fn sale(pos: &str, total: &str) -> Value {
    json!({
        "pos_id": pos, "type": "sale",
        "items": [{"name": "Оправа", "price": total, "quantity": 1, "total": total, "vat_rate": 20}],
        "payments": [{"type": "cash", "amount": total}],
    })
}

/// Runs it to its end: exit code, standard output, standard error.
pub fn run(mut command: Command) -> (Option<i32>, String, String) {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().unwrap();
        }
        std::thread::park_timeout(Duration::from_millis(10));
    };
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    (status.code(), out, err)
}

/// The simulator's ledger must show each document once, and each ФН's documents in ФД order without a gap.
pub fn assert_ledger_is_right(sim: &Simulator, documents: usize) {
    let ledger = sim.ledger();
    assert_eq!(ledger.len(), documents, "documents that reached the OFD");
    let mut by_fn: std::collections::BTreeMap<String, Vec<(u64, u64)>> = Default::default();
    for document in &ledger {
        assert_eq!(document.counted, 1, "counted once: {document:?}");
        by_fn
            .entry(document.fn_number.clone())
            .or_default()
            .push((document.first_seq, u64::from(document.fd)));
    }
    for (fn_number, mut documents) in by_fn {
        documents.sort_unstable();
        let order: Vec<u64> = documents.into_iter().map(|(_, fd)| fd).collect();
        let expected: Vec<u64> = (1..=order.len() as u64).collect();
        assert_eq!(order, expected, "ФД order of ФН {fn_number}");
    }
}
