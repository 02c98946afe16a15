//! A folder of the adapter, its configuration, a simulator and the tills' log: everything that outlives a crash.

use super::{
    life::{Life, PATIENCE, Stillborn},
    load::Log,
    oracle::{Evidence, Row},
};
use jiff::Timestamp;
use kkt_adapter::{
    buffer::sqlite,
    domain::{document::Identity, receipt::Taxation},
    kkt::virtual_kkt::{VirtualFleet, VirtualOptions},
    ports::{Clock, Monotonic},
};
use ofd_sim::{Options, Plan, Rule, Simulator};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

pub struct Shop {
    folder: tempfile::TempDir,
    pub sim: Simulator,
    pub log: Arc<Log>,
    pub http: reqwest::Client,
    /// Dead letters that somebody sent back: the only documents that may come out of order.
    pub requeued: BTreeSet<String>,
    /// ФД numbers that the OFD refuses for good, whichever the ФН, until a person has had them mended.
    pub poison: Vec<u32>,
    /// What ever was poison: only these may be dead.
    pub refused: BTreeSet<u32>,
}

impl Shop {
    pub fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let sim = Simulator::start(Options::default()).unwrap();
        let config = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n\
             [buffer]\nurl = \"sqlite://{dir}/data/buffer.db\"\nmin_free_disk = \"1MiB\"\n\
             [breaker]\nrecovery_timeout = \"1s\"\nsuccess_threshold = 1\n\
             [sync]\ninterval = \"1s\"\nretry_after = \"20ms\"\n\
             backoff = {{ initial = \"20ms\", max = \"50ms\" }}\n\
             [ofd]\nkind = \"http\"\nbase_url = \"{url}\"\ntimeout = \"1s\"\n\
             [kkt]\nprint_timeout = \"2s\"\n",
            dir = folder.path().display(),
            url = sim.base_url(),
        );
        std::fs::write(folder.path().join("kkt.toml"), config).unwrap();
        let http = reqwest::Client::builder().timeout(PATIENCE).pool_max_idle_per_host(64).build().unwrap();
        Self {
            folder,
            sim,
            log: Arc::default(),
            http,
            requeued: BTreeSet::new(),
            poison: Vec::new(),
            refused: BTreeSet::new(),
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kkt-adapter"));
        command.args(["serve", "--config"]).arg(self.folder.path().join("kkt.toml"));
        command.current_dir(self.folder.path()).env_clear();
        command
    }

    /// A life without a fail point.
    pub async fn start(&self) -> Life {
        self.start_with(None)
            .await
            .unwrap_or_else(|dead| panic!("it does not start: {}\n{}", dead.status, dead.log))
    }

    /// A life that ends at a fail point, `name:n`.
    pub async fn start_with(&self, fail_point: Option<&str>) -> Result<Life, Stillborn> {
        let mut command = self.command();
        command.envs(fail_point.map(|point| ("FAIL_POINT", point)));
        Life::begin(command).await
    }

    /// The lever beside a virtual device.
    pub fn set_kkt_faults(&self, device: &str, faults: &str) {
        let folder = self.data().join("virtual-kkt").join(device);
        std::fs::create_dir_all(&folder).unwrap();
        // Renamed into place: the device must not read half of it.
        std::fs::write(folder.join("faults.draft"), faults).unwrap();
        std::fs::rename(folder.join("faults.draft"), folder.join("faults.toml")).unwrap();
    }

    pub async fn get(&self, life: &Life, path: &str) -> reqwest::Result<Value> {
        self.http.get(format!("{}{path}", life.url)).send().await?.json().await
    }

    /// What the OFD does from now on. It does not change its mind about what it refuses for good: a refusal that a crash
    /// kept from being written down is met again.
    pub fn set_ofd(&self, mut plan: Plan) {
        let refusals = self.poison.iter().map(|fd| Rule::reject(14).receipts().fd(*fd));
        plan.rules.splice(0..0, refusals);
        self.sim.set_faults(plan);
    }

    /// Heals everything but the poison and waits until nothing is left to print or to deliver. Documents that nobody was answered
    /// about may stay `accepted`: they wait for a retry that does not come.
    pub async fn drain(&self, life: &Life) {
        self.set_ofd(Plan::ok());
        let deadline = Instant::now() + PATIENCE * 3;
        loop {
            let mut waiting = Vec::new();
            // In the order in which a document passes them: asked the other way round, one that moves on in between is
            // in neither answer.
            for state in ["buffered", "printing", "printed"] {
                let page = self.get(life, &format!("/v1/kkt/receipts?status={state}&limit=1")).await.unwrap();
                let rows = page["receipts"].as_array().unwrap_or_else(|| panic!("{page}"));
                waiting.extend(rows.first().cloned());
            }
            if waiting.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain for {waiting:?}\n{}", life.log());
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
    }

    /// What everybody says; the adapter must be stopped.
    pub fn evidence(&self) -> Evidence {
        let path = self.data().join("buffer.db");
        let mut lines = Vec::new();
        let (_, damaged) = once_free(|| {
            lines.clear();
            sqlite::export(&path, &mut lines)
        });
        let rows = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let rows: Vec<Row> = rows.map(|line| Row::read(&serde_json::from_slice(line).unwrap())).collect();
        let is_refused = |row: &&Row| row.document.as_ref().is_some_and(|(_, fd)| self.refused.contains(fd));
        let refused = rows.iter().filter(is_refused).map(|row| row.receipt_id.clone()).collect();
        let report = once_free(|| sqlite::verify(&path));
        let stats = self.sim.stats();
        Evidence {
            asked: self.log.all(),
            rows,
            ledger: self.sim.ledger(),
            violations: stats.latest_violations.iter().map(|violation| format!("{violation:?}")).collect(),
            paper: self.paper(),
            damage: damaged + report.fault_count,
            unordered: self.requeued.clone(),
            refused,
            cancelled: BTreeSet::new(),
        }
    }

    /// What each device printed: key and ФД number, in order.
    fn paper(&self) -> BTreeMap<String, Vec<(String, u32)>> {
        let identity = Identity {
            inn: "0000000000".into(),
            rn_kkt: "0000000000000000".into(),
            ofd_name: String::new(),
            taxation: Taxation::Osn,
        };
        let folder = self.data().join("virtual-kkt");
        let fleet =
            VirtualFleet::new(VirtualOptions::new(folder.clone(), identity), Arc::new(StoppedClock)).unwrap();
        let Ok(devices) = std::fs::read_dir(folder) else { return BTreeMap::new() };
        devices
            .map(|device| device.unwrap().file_name().into_string().unwrap())
            .map(|name| {
                let device = fleet.device(&name.parse().unwrap()).unwrap();
                let ledger = device.ledger().unwrap();
                (name, ledger.iter().map(|record| (record.key.to_string(), record.fd)).collect())
            })
            .collect()
    }
}

/// Another test of this process may be between fork and exec, when its child still holds a copy of our lock.
fn once_free<T, E: std::fmt::Display>(mut open: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match open() {
            Ok(opened) => return opened,
            Err(error) if Instant::now() < deadline && error.to_string().contains("in use") => {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Nothing is printed with it.
struct StoppedClock;

impl Clock for StoppedClock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(Duration::ZERO)
    }

    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}
