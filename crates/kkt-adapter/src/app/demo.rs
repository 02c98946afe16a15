//! `kkt-adapter demo`: an outage in under a minute, on free ports and in a temporary folder, with every count
//! checked at the end.

use super::{App, terminal::Screen};
use crate::config::{Config, OfdKind};
use anyhow::{Context, ensure};
use ofd_sim::{Plan, Rule, Simulator};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{task::JoinSet, time::Instant};

const TILLS: [&str; 3] = ["till-1", "till-2", "till-3"];
/// Longest time any turn of the story is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the tills saw: the document number by the receipt's id.
type Taken = Arc<Mutex<BTreeMap<String, (String, bool)>>>;

/// Tells the story, in plain lines if `plain` or if nobody looks; the process's exit code is 0 exactly if nothing was lost, doubled or put out of order.
///
/// # Errors
/// What kept the story from being told to its end.
pub async fn demo(plain: bool) -> anyhow::Result<ExitCode> {
    let screen = Screen::new(plain);
    let folder = tempfile::tempdir().context("a temporary folder for the demo")?;
    let sim = Simulator::start(ofd_sim::Options::default()).context("the OFD simulator")?;
    let app = App::start(&configuration(folder.path(), sim.base_url())).await?;
    let api = Api { url: format!("http://{}", app.address()), http: reqwest::Client::new() };
    screen.title("NOT FISCAL / НЕ ФИСКАЛЬНЫЙ: the KKT and the OFD of this demo are emulated");
    screen.say(&format!("adapter at {}, OFD simulator at {}", api.url, sim.base_url()));

    let taken = Taken::default();
    let open = Arc::new(AtomicBool::new(true));
    let mut tills = JoinSet::new();
    for till in TILLS {
        tills.spawn(api.clone().ring_up(till, taken.clone(), open.clone()));
    }
    let mut story = Story { screen: &screen, api: &api, taken: &taken };
    story.tell(&sim).await?;
    open.store(false, Ordering::Release);
    while let Some(till) = tills.join_next().await {
        till.context("a till")?.context("a till was refused")?;
    }
    story.wait("every document delivered", async |status, _| status["pending"] == 0).await?;
    let right = table(&screen, &taken, &sim);
    app.stop().await;
    sim.shutdown().await;
    Ok(if right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn configuration(folder: &std::path::Path, base_url: String) -> Config {
    let mut config = Config::default();
    config.server.listen = ([127, 0, 0, 1], 0).into();
    config.buffer.url = format!("sqlite://{}/buffer.db", folder.display());
    config.buffer.min_free_disk = 1 << 20;
    config.breaker.recovery_timeout = Duration::from_secs(2);
    config.sync.retry_after = Duration::from_millis(200);
    config.ofd.kind = OfdKind::Http;
    config.ofd.base_url = Some(base_url);
    config.ofd.timeout = Duration::from_secs(2);
    config
}

struct Story<'a> {
    screen: &'a Screen,
    api: &'a Api,
    taken: &'a Taken,
}

impl Story<'_> {
    async fn tell(&mut self, sim: &Simulator) -> anyhow::Result<()> {
        self.screen.chapter("three tills sell, the OFD confirms");
        self.watch(Duration::from_secs(2)).await?;

        self.screen.chapter("the OFD breaks: every call gets 503");
        sim.set_faults(Plan::fail_always(503));
        self.wait("breaker OPEN", async |_, state| state == "OPEN").await?;
        let calls = sim.stats().calls;
        let before = self.count();
        self.screen.say("breaker OPEN: the OFD is left alone, receipts are kept, sales go on");
        self.watch(Duration::from_secs(1)).await?;
        let sold = self.count() - before;
        let more = sim.stats().calls - calls;
        self.screen.say(&format!("in that second: {sold} receipts printed, {more} calls of the OFD"));
        ensure!(sold > 0, "the tills did not sell during the outage");

        self.screen.chapter("the OFD is mended, slow at first");
        sim.set_faults(Plan::ok().rule(Rule::latency(Duration::from_millis(400)).receipts().times(2)));
        self.wait("breaker HALF_OPEN", async |_, state| state == "HALF_OPEN").await?;
        self.screen.say("breaker HALF_OPEN: two documents go first, as probes");
        self.wait("breaker CLOSED", async |_, state| state == "CLOSED").await?;
        self.screen.say("breaker CLOSED: the buffer drains, in the order of the ФД numbers");
        self.watch(Duration::from_secs(1)).await
    }

    fn count(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    async fn watch(&mut self, how_long: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + how_long;
        while Instant::now() < until {
            self.show().await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    async fn show(&mut self) -> anyhow::Result<(Value, String)> {
        let status = self.api.get("/v1/kkt/buffer/status").await?;
        let health = self.api.get("/v1/health").await?;
        let state = health["components"]["circuit_breaker"]["state"].as_str().unwrap_or("?").to_owned();
        self.screen.status(&format!(
            "taken {:>4}   waiting for the OFD {:>4}   delivered {:>4}   breaker {state}",
            self.count(),
            status["pending"],
            status["synced"],
        ));
        Ok((status, state))
    }

    async fn wait(&mut self, what: &str, there: impl AsyncFn(&Value, &str) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let (status, state) = self.show().await?;
            if there(&status, &state).await {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Prints the table; `true` if every figure is as promised.
fn table(screen: &Screen, taken: &Taken, sim: &Simulator) -> bool {
    let taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    let ledger = sim.ledger();
    let delivered: BTreeSet<&str> =
        ledger.iter().filter(|document| document.counted > 0).map(|document| document.key.as_str()).collect();
    let lost = taken.keys().filter(|id| !delivered.contains(id.as_str())).count();
    let twice = ledger.iter().filter(|document| document.counted > 1).count();
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let mut in_order: Vec<_> = ledger.iter().collect();
    in_order.sort_by_key(|document| document.first_seq);
    let disorder = in_order
        .iter()
        .filter(|document| {
            let fd = u64::from(document.fd);
            last.insert(document.fn_number.as_str(), fd).is_some_and(|before| before >= fd)
        })
        .count();
    let printed = taken.values().filter(|(_, printed)| *printed).count();
    screen.chapter("the count");
    for (name, figure) in [
        ("receipts taken", taken.len()),
        ("printed", printed),
        ("delivered", taken.len() - lost),
        ("shift documents delivered beside them", ledger.len() - (taken.len() - lost)),
        ("lost", lost),
        ("counted twice", twice),
        ("out of order", disorder),
    ] {
        screen.say(&format!("{name:<40} {figure:>6}"));
    }
    lost == 0 && twice == 0 && disorder == 0 && printed == taken.len() && !taken.is_empty()
}

#[derive(Clone)]
struct Api {
    url: String,
    http: reqwest::Client,
}

impl Api {
    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(self.http.get(format!("{}{path}", self.url)).send().await?.json().await?)
    }

    /// One till: a sale each tenth of a second while the shop is open.
    async fn ring_up(self, till: &'static str, taken: Taken, open: Arc<AtomicBool>) -> anyhow::Result<()> {
        let mut number = 0_u32;
        while open.load(Ordering::Acquire) {
            number += 1;
            let receipt = json!({
                "pos_id": till, "type": "sale",
                "items": [{"name": "Оправа", "price": "100.00", "quantity": 2, "total": "200.00", "vat_rate": 22}],
                "payments": [{"type": "cash", "amount": "200.00"}],
            });
            let request = self.http.post(format!("{}/v1/kkt/receipt", self.url));
            let answer =
                request.header("Idempotency-Key", format!("{till}-{number}")).json(&receipt).send().await?;
            let status = answer.status();
            let body: Value = answer.json().await?;
            ensure!(status.is_success(), "{status}: {body}");
            let id = body["receipt_id"].as_str().context("the answer names the receipt")?.to_owned();
            let printed = body["status"] == "printed";
            taken.lock().unwrap_or_else(PoisonError::into_inner).insert(id, (till.to_owned(), printed));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Ok(())
    }
}
