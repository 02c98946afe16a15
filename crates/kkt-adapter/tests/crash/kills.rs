//! SIGKILL at any instant, over and over, in one folder.

use super::{
    load::{Load, replay, retry, sell},
    oracle::judge,
    points::plan,
    rng::{Rng, number, seed},
    shop::Shop,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const LOAD: Load = Load { tills: 6, per_second: 200, twice_percent: 5, forgotten_percent: 5 };

// P1–P5: «kill -9».
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_instant_of_a_load_loses_nothing_doubles_nothing_and_keeps_the_order() {
    let mut rng = Rng::new(seed("a kill at any instant"));
    let cycles = number("CRASH_CYCLES", 50);
    let mut shop = Shop::new();
    for cycle in 0..cycles {
        shop.sim.set_faults(plan(&mut rng));
        let mut life = shop.start().await;
        let stop = Arc::new(AtomicBool::new(false));
        let tills = sell(
            shop.http.clone(),
            life.url.clone(),
            shop.log.clone(),
            LOAD,
            Rng::new(rng.next()),
            stop.clone(),
        );
        let tills = tokio::spawn(tills);
        let (http, url, log) = (shop.http.clone(), life.url.clone(), shop.log.clone());
        let retries = tokio::spawn(async move { retry(&http, &url, &log).await });
        tokio::time::sleep(Duration::from_millis(rng.between(10, 500))).await;
        life.kill();
        stop.store(true, Ordering::Relaxed);
        tills.await.unwrap();
        retries.await.unwrap();
        // A fault is found near the cycle that made it.
        if cycle % 10 == 9 || cycle + 1 == cycles {
            settle(&mut shop, &mut rng, cycle).await;
        }
    }
    let acknowledged = shop.log.acknowledged();
    println!(
        "{cycles} kills, {acknowledged} sales acknowledged, {} documents counted",
        shop.sim.stats().counted
    );
    assert!(acknowledged as u64 > cycles * 5, "only {acknowledged} were acknowledged: nothing is tested");
}

async fn settle(shop: &mut Shop, rng: &mut Rng, cycle: u64) {
    let mut life = shop.start().await;
    retry(&shop.http, &life.url, &shop.log).await;
    replay(&shop.http, &life.url, &shop.log, rng, 20).await;
    shop.drain(&life).await;
    life.kill();
    let verdict = judge(&shop.evidence());
    assert!(verdict.is_clean(), "after cycle {cycle}: {verdict}\n{}", life.log());
}
