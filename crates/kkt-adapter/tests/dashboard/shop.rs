//! An adapter with an OFD simulator, both on free ports of this process, and a client to talk to them.

use kkt_adapter::{
    app::App,
    config::{self, Sources},
};
use ofd_sim::{Options, Plan, Rule, Simulator};
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;

use super::chrome::PATIENCE;

/// What a test changes of the shop.
#[derive(Default)]
pub struct Setup {
    /// Name, role of each token; the token itself is `<name>-0123456789abcdef`.
    pub tokens: Vec<(&'static str, &'static str)>,
    /// More lines of the configuration.
    pub more: String,
    /// `buffer.capacity`.
    pub capacity: Option<u32>,
    /// `buffer.min_free_disk`; default 1 MiB.
    pub min_free_disk: Option<&'static str>,
    /// `recovery_timeout` of the breaker; default 1 s.
    pub recovery: Option<&'static str>,
}

pub struct Shop {
    pub runtime: Runtime,
    pub sim: Simulator,
    pub url: String,
    folder: tempfile::TempDir,
    app: Option<App>,
    http: reqwest::Client,
    token: Option<String>,
}

impl Shop {
    /// Without tokens.
    pub fn open() -> Self {
        Self::with(&Setup::default())
    }

    pub fn with(setup: &Setup) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let sim = runtime.block_on(async { Simulator::start(Options::default()) }).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let tokens: Vec<String> = setup
            .tokens
            .iter()
            .map(|(name, role)| {
                let file = folder.path().join(format!("{name}.token"));
                std::fs::write(&file, token(name)).unwrap();
                let pos = if *role == "pos" { ", pos_ids=[\"POS-001\"]" } else { "" };
                format!("{{name={name:?}, role={role:?}, token_file={:?}{pos}}}", file.display().to_string())
            })
            .collect();
        let text = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n[auth]\ntokens = [{}]\n\
             [buffer]\nurl = \"sqlite://{dir}/data/buffer.db\"\nmin_free_disk = \"{min_free_disk}\"\ncapacity = {capacity}\n\
             [breaker]\nrecovery_timeout = \"{recovery}\"\n\
             [sync]\ninterval = \"1s\"\nretry_after = \"50ms\"\n\
             [ofd]\nkind = \"http\"\nbase_url = \"{ofd}\"\ntimeout = \"2s\"\n{more}",
            tokens.join(", "),
            dir = folder.path().display(),
            min_free_disk = setup.min_free_disk.unwrap_or("1MiB"),
            capacity = setup.capacity.unwrap_or(300_000),
            recovery = setup.recovery.unwrap_or("1s"),
            ofd = sim.base_url(),
            more = setup.more,
        );
        std::fs::write(folder.path().join("kkt.toml"), text).unwrap();
        let token = setup.tokens.iter().find(|(_, role)| *role == "operator").map(|(name, _)| token(name));
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        let mut shop = Self { runtime, sim, url: String::new(), folder, app: None, http, token };
        shop.start(None);
        shop
    }

    /// Starts the adapter, at an address of its own or a given one.
    pub fn start(&mut self, address: Option<SocketAddr>) {
        let listen = address.map(|address| address.to_string());
        let file = Some(self.folder.path().join("kkt.toml"));
        let loaded = config::load(&Sources { file, listen, ..Sources::default() }).unwrap();
        let app = self.runtime.block_on(App::start(&loaded.config)).unwrap();
        self.url = format!("http://{}", app.address());
        self.app = Some(app);
    }

    /// Writes to the database of a stopped adapter as a failing disk would.
    pub fn rot(&self, sql: &str) {
        let conn = rusqlite::Connection::open(self.folder.path().join("data/buffer.db")).unwrap();
        assert!(conn.execute(sql, []).unwrap() > 0, "{sql}");
    }

    /// Stops the adapter; the answer is where it was.
    pub fn stop(&mut self) -> SocketAddr {
        let app = self.app.take().unwrap();
        let address = app.address();
        self.runtime.block_on(app.stop());
        address
    }

    /// Takes over the buffer of a Python adapter; for a stopped adapter.
    pub fn import(&self, old: &std::path::Path) {
        let file = Some(self.folder.path().join("kkt.toml"));
        let loaded = config::load(&Sources { file, ..Sources::default() }).unwrap();
        kkt_adapter::app::import(&loaded.config, old, false).unwrap();
    }

    /// The lever beside a virtual device.
    pub fn set_kkt_faults(&self, device: &str, faults: &str) {
        let folder = self.folder.path().join("data/virtual-kkt").join(device);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("faults.toml"), faults).unwrap();
    }

    /// A request with the operator's token, if there are tokens.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A request of nobody.
    pub fn anonymous(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Response {
        // Sent inside the runtime: the request's timer needs it.
        self.runtime.block_on(async { request.send().await }).unwrap()
    }

    pub fn get(&self, path: &str) -> Value {
        let answer = self.send(self.request(reqwest::Method::GET, path));
        self.runtime.block_on(answer.json()).unwrap()
    }

    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = self.send(self.request(reqwest::Method::POST, path).json(body));
        let status = answer.status().as_u16();
        (status, self.runtime.block_on(answer.json()).unwrap())
    }

    fn post_sale(&self, pos: &str, key: &str, name: &str) -> reqwest::Response {
        let receipt = json!({
            "pos_id": pos, "type": "sale",
            "items": [{"name": name, "price": "1490.00", "quantity": 1, "total": "1490.00", "vat_rate": 20}],
            "payments": [{"type": "card", "amount": "1490.00"}],
        });
        let request = self.request(reqwest::Method::POST, "/v1/kkt/receipt").header("Idempotency-Key", key);
        self.send(request.json(&receipt))
    }

    /// The status of the answer to a sale that may be refused.
    pub fn try_to_sell(&self, pos: &str) -> u16 {
        self.post_sale(pos, &uuid::Uuid::now_v7().to_string(), "Линза").status().as_u16()
    }

    /// Sells under a key; the answer's body.
    pub fn sell_as(&self, pos: &str, key: &str, name: &str) -> Value {
        let answer = self.post_sale(pos, key, name);
        let status = answer.status();
        let body: Value = self.runtime.block_on(answer.json()).unwrap();
        assert!(status.is_success(), "{status}: {body}");
        body
    }

    /// Sells something.
    pub fn sell(&self, pos: &str) -> Value {
        self.sell_as(pos, &uuid::Uuid::now_v7().to_string(), "Оправа Ray-Ban RB2140")
    }

    pub fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < deadline, "in vain: {what}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    pub fn until_delivered(&self) {
        self.until("all delivered", || (self.get("/v1/kkt/buffer/status")["pending"] == 0).then_some(()));
    }

    pub fn until_breaker(&self, state: &str) {
        self.until(state, || (self.get("/v1/kkt/circuit-breakers/ofd")["state"] == state).then_some(()));
    }

    /// The OFD answers 503 from now on, and the circuit is open.
    pub fn break_ofd(&self) {
        self.sim.set_faults(Plan::fail_always(503));
        self.sell("POS-001");
        self.until_breaker("OPEN");
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        if let Some(app) = self.app.take() {
            self.runtime.block_on(app.stop());
        }
    }
}

/// The token of a name.
pub fn token(name: &str) -> String {
    format!("{name}-0123456789abcdef")
}

/// The OFD refuses receipts for good, and takes the documents of shifts.
pub fn reject_receipts() -> Plan {
    let mut rule = Rule::reject(7);
    rule.when.document = Some("receipt".into());
    Plan::ok().rule(rule)
}
