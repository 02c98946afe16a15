//! The process dies at every named place.

use super::{
    life::{PATIENCE, SIGABRT},
    load::{Load, replay, retry, sell},
    oracle::judge,
    rng::{Rng, number, seed},
    shop::Shop,
};
use kkt_adapter::fail_point;
use ofd_sim::{Plan, Rule};
use std::{
    os::unix::process::ExitStatusExt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::JoinSet};

pub const LOAD: Load = Load { tills: 4, per_second: 100, twice_percent: 10, forgotten_percent: 10 };

/// Sales without which a case tests nothing.
const ACKNOWLEDGED_MIN: usize = 5;

/// A plan for the OFD.
pub fn plan(rng: &mut Rng) -> Plan {
    let plan = match rng.between(0, 4) {
        0 => Plan::ok(),
        1 => Plan::lost_acknowledgements(),
        2 => Plan::ok().rule(Rule::fail(503).probability(0.3)),
        3 => {
            Plan::ok().rule(Rule::latency(Duration::from_millis(20)).delay_jitter(Duration::from_millis(30)))
        }
        _ => Plan::ok().rule(Rule::reset().probability(0.2)).rule(Rule::store_then_cut().probability(0.2)),
    };
    plan.seed(rng.next())
}

/// Which time it is passed that it dies: late enough to lie in the middle of the work.
fn occurrence(point: &str, rng: &mut Rng) -> u64 {
    match point {
        "open.migrated" | "recover.counted" | "recover.settled" => 1,
        "buffer.before_checkpoint" | "buffer.checkpointed" => 1,
        // A round is a page of documents.
        "settle.before" | "settle.after" => rng.between(1, 5),
        _ => rng.between(1, 30),
    }
}

/// A life cut by SIGKILL, one cut at the point, one that drains; then the oracle.
async fn case(point: &str, seed: u64) -> Result<(), String> {
    let mut rng = Rng::new(seed);
    let shop = Shop::new();
    let started = |life: &super::life::Life, rng: &mut Rng| {
        let stop = Arc::new(AtomicBool::new(false));
        let load = sell(
            shop.http.clone(),
            life.url.clone(),
            shop.log.clone(),
            LOAD,
            Rng::new(rng.next()),
            stop.clone(),
        );
        (tokio::spawn(load), stop)
    };
    shop.sim.set_faults(plan(&mut rng));
    let mut life = shop.start().await;
    let (tills, stop) = started(&life, &mut rng);
    // However slow the machine is, there is something to lose.
    let deadline = Instant::now() + PATIENCE;
    while shop.log.acknowledged() < ACKNOWLEDGED_MIN && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(rng.between(0, 150))).await;
    life.kill();
    stop.store(true, Ordering::Relaxed);
    tills.await.unwrap();

    let armed = format!("{point}:{}", occurrence(point, &mut rng));
    match shop.start_with(Some(&armed)).await {
        Err(dead) if dead.aborted() => {}
        Err(dead) => return Err(format!("it died of something else: {}\n{}", dead.status, dead.log)),
        Ok(mut life) => {
            let (tills, stop) = started(&life, &mut rng);
            retry(&shop.http, &life.url, &shop.log).await;
            let ended = life.end(PATIENCE).await;
            stop.store(true, Ordering::Relaxed);
            tills.await.unwrap();
            match ended {
                None => return Err(format!("{armed} was never passed")),
                Some(status) if status.signal() == Some(SIGABRT) => {}
                Some(status) => return Err(format!("it died of something else: {status}\n{}", life.log())),
            }
        }
    }

    let mut life = shop.start().await;
    retry(&shop.http, &life.url, &shop.log).await;
    replay(&shop.http, &life.url, &shop.log, &mut rng, 10).await;
    shop.drain(&life).await;
    let status = life.terminate().await;
    if !status.success() {
        return Err(format!("SIGTERM: {status}\n{}", life.log()));
    }
    let evidence = shop.evidence();
    if shop.log.acknowledged() < ACKNOWLEDGED_MIN {
        return Err(format!("only {} sales were acknowledged: nothing is tested", shop.log.acknowledged()));
    }
    let verdict = judge(&evidence);
    if verdict.is_clean() { Ok(()) } else { Err(format!("{verdict}\n{}", life.log())) }
}

// P1, P2, P3, P4, P5, P8, P11: «crash at every write point».
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[cfg_attr(not(debug_assertions), ignore = "this build has no fail points")]
async fn a_crash_at_any_named_point_loses_nothing_doubles_nothing_and_keeps_the_order() {
    let first = seed("a crash at any named point");
    let only = std::env::var("CRASH_POINT").ok();
    let at_once = Arc::new(Semaphore::new(number("CRASH_JOBS", 4) as usize));
    let mut cases = JoinSet::new();
    for seed in first..first + number("CRASH_SEEDS", 20) {
        for point in fail_point::ALL.iter().filter(|point| only.as_ref().is_none_or(|only| only == *point)) {
            let at_once = at_once.clone();
            cases.spawn(async move {
                let _place = at_once.acquire_owned().await.unwrap();
                (*point, seed, case(point, seed).await)
            });
        }
    }
    let mut failures = Vec::new();
    let mut count = 0;
    while let Some(done) = cases.join_next().await {
        let (point, seed, outcome) = done.unwrap();
        count += 1;
        if let Err(why) = outcome {
            failures.push(format!("CRASH_POINT={point} CRASH_SEED={seed} CRASH_SEEDS=1: {why}"));
        }
    }
    println!("{count} crashes at {} points", fail_point::ALL.len());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}
