//! Everything mixed, for as long as one likes: `cargo xtask soak --minutes N`. Prints one table.

use super::{
    life::Life,
    load::{Load, replay, retry, sell},
    oracle::judge,
    rng::{Rng, number, seed},
    shop::Shop,
};
use kkt_adapter::fail_point;
use ofd_sim::{Fault, Plan, Rule, plan::GarbageForm};
use std::{
    collections::BTreeMap,
    os::unix::process::ExitStatusExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

const LOAD: Load = Load { tills: 8, per_second: 120, twice_percent: 10, forgotten_percent: 3 };
/// A store is emptied, judged and begun anew after so many lives, so that a fault is found near its cause.
const LIVES: u64 = 25;

/// What was done to the adapter, by kind.
#[derive(Default)]
struct Tally {
    faults: BTreeMap<String, u64>,
    restarts: u64,
    acknowledged: u64,
    delivered: u64,
    dead: u64,
    requeued: u64,
    sends: u64,
    wrong: BTreeMap<&'static str, u64>,
    details: Vec<String>,
}

impl Tally {
    fn fault(&mut self, kind: &str, count: u64) {
        *self.faults.entry(kind.to_owned()).or_default() += count;
    }

    fn print(&self, seed: u64, took: Duration) {
        let wrong = |name: &str| self.wrong.get(name).copied().unwrap_or(0);
        println!("\n| soak of {} s, seed {seed} | |\n|---|---:|", took.as_secs());
        for (name, count) in [
            ("acknowledged", self.acknowledged),
            ("delivered", self.delivered),
            ("sent to the OFD", self.sends),
            ("dead letters at the end", self.dead),
            ("sent back by a person", self.requeued),
            ("lost", wrong("lost")),
            ("printed or counted twice", wrong("doubled")),
            ("out of order", wrong("out of order")),
            ("another answer for the same key", wrong("changed")),
            ("stuck", wrong("stuck")),
            ("damaged", wrong("damaged")),
            ("restarts", self.restarts),
            ("faults injected", self.faults.values().sum()),
        ] {
            println!("| {name} | {count} |");
        }
        for (kind, count) in &self.faults {
            println!("| … {kind} | {count} |");
        }
    }
}

/// What the OFD does for a while.
fn ofd(rng: &mut Rng) -> Plan {
    let millis = Duration::from_millis;
    let plan = match rng.between(0, 7) {
        0 => Plan::ok(),
        1 => Plan::lost_acknowledgements(),
        2 => Plan::ok().rule(Rule::fail(503).probability(0.3)),
        3 => Plan::ok().rule(Rule::flap(millis(rng.between(100, 1_000)), millis(rng.between(100, 1_000)))),
        4 => Plan::ok().rule(Rule::too_many_requests(1).probability(0.1)),
        5 => Plan::ok().rule(Rule::new(Fault::Hang { store: true }).receipts().probability(0.05)),
        6 => Plan::ok()
            .rule(Rule::garbage(GarbageForm::Json).probability(0.1))
            .rule(Rule::reset().probability(0.1))
            .rule(Rule::store_then_cut().probability(0.2)),
        _ => Plan::ok().rule(Rule::unauthorised().pos_id(format!("POS-{}", rng.between(1, LOAD.tills)))),
    };
    plan.seed(rng.next())
}

/// Faults of one device, as the text of its file.
const KKT_FAULTS: &[&str] = &[
    "paper_out = 2\n",
    "off = 2\n",
    "print_delay = { times = 5, for = \"50ms\" }\n",
    "crash_before_print = 1\n",
    "crash_after_print = 1\n",
    "hang_after_print = { times = 1, for = \"3s\" }\n",
];

/// One life under load, and how it ends.
async fn live(shop: &Shop, rng: &mut Rng, tally: &mut Tally) {
    shop.set_ofd(ofd(rng));
    if rng.chance(30) {
        let faults = rng.pick(KKT_FAULTS);
        tally.fault(&format!("KKT {}", faults.split(' ').next().unwrap_or_default()), 1);
        shop.set_kkt_faults(&format!("POS-{}", rng.between(1, LOAD.tills)), faults);
    }
    let armed = rng.chance(50).then(|| format!("{}:{}", rng.pick(fail_point::ALL), rng.between(1, 100)));
    tally.restarts += 1;
    let mut life = match shop.start_with(armed.as_deref()).await {
        Ok(life) => life,
        Err(dead) if dead.aborted() => return tally.fault("abort at a fail point", 1),
        Err(dead) => panic!("it does not start: {}\n{}", dead.status, dead.log),
    };
    let stop = Arc::new(AtomicBool::new(false));
    let tills =
        sell(shop.http.clone(), life.url.clone(), shop.log.clone(), LOAD, Rng::new(rng.next()), stop.clone());
    let tills = tokio::spawn(tills);
    let (http, url, log, mut chance) =
        (shop.http.clone(), life.url.clone(), shop.log.clone(), Rng::new(rng.next()));
    let others = tokio::spawn(async move {
        retry(&http, &url, &log).await;
        replay(&http, &url, &log, &mut chance, 10).await;
    });
    let ended = life.end(Duration::from_millis(rng.between(10, 2_500))).await;
    match ended {
        Some(status) if status.signal().is_some() => tally.fault("abort at a fail point or by the KKT", 1),
        Some(status) => panic!("it ended by itself: {status}\n{}", life.log()),
        None if rng.chance(20) => {
            // A fail point on the way out is a crash like any other.
            let status = life.terminate().await;
            assert!(status.success() || status.signal().is_some(), "SIGTERM: {status}\n{}", life.log());
            tally.fault("SIGTERM under load", 1);
        }
        None => {
            life.kill();
            tally.fault("SIGKILL", 1);
        }
    }
    stop.store(true, Ordering::Relaxed);
    tills.await.unwrap();
    others.await.unwrap();
}

/// Some of the dead letters are sent back, as a person would.
async fn requeue(shop: &mut Shop, life: &Life, rng: &mut Rng) {
    let dlq = shop.get(life, "/v1/kkt/dlq?limit=100").await.unwrap();
    let rows = dlq["dead_letters"].as_array().unwrap_or_else(|| panic!("{dlq}"));
    for row in rows {
        let id = row["receipt_id"].as_str().unwrap().to_owned();
        if rng.chance(50) {
            let path = format!("{}/v1/kkt/dlq/{id}/requeue", life.url);
            let answer = shop.http.post(path).json(&serde_json::json!({})).send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
            shop.requeued.insert(id);
        }
    }
}

/// Heals, drains, judges.
async fn judge_all(mut shop: Shop, rng: &mut Rng, tally: &mut Tally) {
    for till in 1..=LOAD.tills {
        shop.set_kkt_faults(&format!("POS-{till}"), "");
    }
    let mut life = shop.start().await;
    retry(&shop.http, &life.url, &shop.log).await;
    shop.drain(&life).await;
    shop.poison.clear();
    requeue(&mut shop, &life, rng).await;
    shop.drain(&life).await;
    life.kill();
    let stats = shop.sim.stats();
    let evidence = shop.evidence();
    let verdict = judge(&evidence);
    tally.acknowledged += shop.log.acknowledged() as u64;
    tally.delivered += evidence.ledger.iter().filter(|document| document.counted > 0).count() as u64;
    tally.dead += evidence.rows.iter().filter(|row| row.state == "dead").count() as u64;
    tally.requeued += shop.requeued.len() as u64;
    tally.sends += stats.calls;
    for (answer, count) in &stats.by_answer {
        if !matches!(answer.as_str(), "accepted" | "duplicate" | "pong") {
            tally.fault(&format!("OFD {answer}"), *count);
        }
    }
    for (name, found) in verdict.all() {
        *tally.wrong.entry(name).or_default() += found.len() as u64;
        tally.details.extend(found.iter().take(5).map(|line| format!("{name}: {line}")));
    }
    if !verdict.is_clean() {
        tally.details.push(life.log().lines().rev().take(30).collect::<Vec<_>>().join("\n"));
    }
}

// P1–P5, P8, P11: the soak.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes as long as SOAK_SECONDS says; run by cargo xtask soak"]
async fn everything_at_once_loses_nothing_doubles_nothing_and_keeps_the_order() {
    let seed = seed("soak");
    let mut rng = Rng::new(seed);
    let mut tally = Tally::default();
    let (began, long) = (Instant::now(), Duration::from_secs(number("SOAK_SECONDS", 60)));
    while began.elapsed() < long && tally.details.is_empty() {
        let mut shop = Shop::new();
        shop.poison = (0..6).map(|_| u32::try_from(rng.between(2, 400)).unwrap()).collect();
        shop.refused = shop.poison.iter().copied().collect();
        for _ in 0..LIVES {
            live(&shop, &mut rng, &mut tally).await;
        }
        judge_all(shop, &mut rng, &mut tally).await;
    }
    tally.print(seed, began.elapsed());
    assert!(tally.details.is_empty(), "{}", tally.details.join("\n"));
}
