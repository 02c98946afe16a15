//! The wall clock is set while the adapter runs, as an operator or NTP would. libfaketime stands between the process and
//! its wall clock; the monotonic one is the machine's.

use super::harness::{Adapter, Setup, assert_ledger_is_right, simulator};
use jiff::{SignedDuration, Timestamp};
use ofd_sim::Plan;
use serde_json::json;
use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Instant,
};

/// What is said to libfaketime, and how far that is from the right time.
const JUMPS: [(&str, i64); 9] = [
    ("+1", 1),
    ("-1", -1),
    ("+1h", 3_600),
    ("-1h", -3_600),
    ("+10y", YEARS_10),
    ("-10y", -YEARS_10),
    ("+10y", YEARS_10),
    ("-1h", -3_600),
    ("+0", 0),
];
/// libfaketime's year has 365 days.
const YEARS_10: i64 = 3_650 * 86_400;

/// A wall clock that a test can set.
struct Wall(PathBuf);

impl Wall {
    fn of(setup: Setup) -> (Self, Setup) {
        let file = setup.path().join("wall-clock");
        let wall = Self(file.clone());
        wall.set("+0");
        let preload = Command::new("faketime")
            .args(["-m", "-f", "+0", "sh", "-c", "echo $LD_PRELOAD"])
            .stdin(Stdio::null())
            .output()
            .expect("faketime is there; `cargo xtask test --install` fetches it");
        let preload = String::from_utf8(preload.stdout).unwrap();
        let setup = setup
            .with("LD_PRELOAD", preload.trim())
            .with("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap())
            .with("FAKETIME_NO_CACHE", "1")
            .with("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        (wall, setup)
    }

    fn set(&self, offset: &str) {
        // Renamed into place: the process reads it at every look at the clock.
        let draft = self.0.with_extension("draft");
        std::fs::write(&draft, offset).unwrap();
        std::fs::rename(&draft, &self.0).unwrap();
    }
}

/// Seconds until the endpoint's breaker lets a probe through.
async fn retry_after(adapter: &Adapter) -> f64 {
    let breaker = adapter.get("/v1/kkt/circuit-breakers/ofd").await;
    assert_eq!(breaker["state"], "OPEN", "{breaker}");
    breaker["retry_after_seconds"].as_f64().unwrap()
}

// P9: «clock jumps».
#[tokio::test]
async fn a_clock_set_by_a_second_an_hour_or_ten_years_changes_no_deadline_no_order_and_no_breaker() {
    let sim = simulator().await;
    sim.set_faults(Plan::fail_always(503));
    let setup = Setup::new(&sim.base_url()).with("KKT_BREAKER__RECOVERY_TIMEOUT", "600s");
    let (wall, setup) = Wall::of(setup);
    let adapter = setup.start();
    let first = adapter.sell_as("POS-001", "key-0", "10.00").await.unwrap().2;
    adapter.until_breaker("OPEN").await;
    let calls = sim.stats().calls;
    let began = Instant::now();
    let at_first = retry_after(&adapter).await;
    let (mut left, mut last_id, mut last_fd) = (at_first, first["receipt_id"].clone(), 0);
    let mut last_date = String::new();
    let mut sold = vec![first["receipt_id"].clone()];

    for (offset, seconds) in JUMPS {
        wall.set(offset);
        let sale = adapter.sell("POS-001").await;
        sold.push(sale["receipt_id"].clone());
        // The control: the process has seen the clock jump.
        let id = sale["receipt_id"].as_str().unwrap();
        let row = adapter.get(&format!("/v1/kkt/receipt/{id}")).await;
        let stamp: Timestamp = row["created_at"].as_str().unwrap().parse().unwrap();
        let expected = Timestamp::now() + SignedDuration::from_secs(seconds);
        assert!(stamp.duration_since(expected).abs() < SignedDuration::from_secs(60), "{offset}: {stamp}");

        // Order: ФД numbers, keys and fiscal dates go on where they were.
        let fiscal = &sale["fiscal_doc"];
        let fd = fiscal["fiscal_doc_number"].as_u64().unwrap();
        assert!(fd > last_fd, "{offset}: ФД {fd} after {last_fd}");
        assert!(id > last_id.as_str().unwrap(), "{offset}: {id} after {last_id}");
        let date = fiscal["fiscal_datetime"].as_str().unwrap().to_owned();
        assert!(date >= last_date, "{offset}: {date} after {last_date}");
        (last_id, last_fd, last_date) = (sale["receipt_id"].clone(), fd, date);
        // The same key is the same receipt.
        let (status, replayed, again) = adapter.sell_as("POS-001", "key-0", "10.00").await.unwrap();
        assert_eq!((status, replayed, &again["fiscal_doc"]), (200, true, &first["fiscal_doc"]), "{offset}");

        // The breaker's deadline runs on as it did, and no call is made.
        let now_left = retry_after(&adapter).await;
        assert!(now_left <= left, "{offset}: {now_left} s left after {left}");
        let passed = began.elapsed().as_secs_f64() + 1.0;
        assert!(now_left >= at_first - passed, "{offset}: {now_left} s left of {at_first} after {passed}");
        left = now_left;
        assert_eq!(sim.stats().calls, calls, "{offset}: a call while OPEN");
        // Two kinds of trouble that a leap could fake.
        let worker = adapter.get("/v1/kkt/worker/status").await;
        assert_eq!(worker["running"], true, "{offset}");
        let listed = adapter.get("/v1/kkt/receipts?pos_id=POS-001&limit=1000").await;
        let receipts = listed["receipts"].as_array().unwrap();
        let receipts: Vec<_> = receipts.iter().filter(|row| row["document"] == "receipt").collect();
        let newest_first: Vec<_> = receipts.iter().map(|row| row["receipt_id"].clone()).collect();
        assert_eq!(
            newest_first,
            sold.iter().rev().cloned().collect::<Vec<_>>(),
            "{offset}: the list's order"
        );
    }

    sim.set_faults(Plan::ok());
    let (status, _) = adapter.post("/v1/kkt/circuit-breakers/ofd/reset", &json!({"reason": "mended"})).await;
    assert_eq!(status, 200);
    adapter.until_delivered().await;
    assert_ledger_is_right(&sim, sim.ledger().len());
    let status = adapter.get("/v1/kkt/buffer/status").await;
    assert_eq!((&status["dlq_size"], &status["pending"]), (&json!(0), &json!(0)), "{status}");
    assert_eq!(status["synced"].as_u64().unwrap() as usize, sim.ledger().len());
}

// P9: what waits for a moment is not held up by a clock that was set back while it waited.
#[tokio::test]
async fn an_open_breaker_probes_in_time_although_the_clock_was_set_back_ten_years() {
    let sim = simulator().await;
    sim.set_faults(Plan::fail_always(503));
    let (wall, setup) = Wall::of(Setup::new(&sim.base_url()));
    let adapter = setup.start();
    adapter.sell("POS-001").await;
    adapter.until_breaker("OPEN").await;
    wall.set("-10y");
    sim.set_faults(Plan::ok());
    adapter.until_breaker("CLOSED").await;
    adapter.sell("POS-001").await;
    adapter.until_delivered().await;
    assert_ledger_is_right(&sim, 3);
}

// P9, P5: the clock set back before a restart.
#[tokio::test]
async fn a_restart_ten_years_earlier_goes_on_with_numbers_order_and_dates() {
    let sim = simulator().await;
    sim.set_faults(Plan::fail_always(503));
    let (wall, setup) = Wall::of(Setup::new(&sim.base_url()));
    let adapter = setup.start();
    let before = adapter.sell("POS-001").await;
    adapter.kill();
    wall.set("-10y");
    let adapter = setup.start();
    let after = adapter.sell("POS-001").await;
    let number = |sale: &serde_json::Value| sale["fiscal_doc"]["fiscal_doc_number"].as_u64().unwrap();
    assert_eq!(number(&after), number(&before) + 1);
    let date = |sale: &serde_json::Value| sale["fiscal_doc"]["fiscal_datetime"].as_str().unwrap().to_owned();
    assert!(date(&after) >= date(&before), "a ФН's time does not go back");
    let listed = adapter.get("/v1/kkt/receipts?limit=1").await;
    assert_eq!(listed["receipts"][0]["receipt_id"], after["receipt_id"], "the newest first");
    sim.set_faults(Plan::ok());
    adapter.until_delivered().await;
    assert_ledger_is_right(&sim, 3);
}

// P9: a battery that is flat, a year that was mistyped. Nothing that was stored under another clock keeps anybody from
// selling, nor is it sold, numbered or sent twice.
#[tokio::test]
async fn the_shop_sells_on_in_1970_2106_and_9999_and_back_again() {
    let sim = simulator().await;
    let (wall, setup) = Wall::of(Setup::new(&sim.base_url()));
    let (mut documents, mut last) = (0, (0, String::new()));
    for date in ["+0", "@1970-01-01 00:00:05", "@2106-02-07 06:28:20", "@9999-12-31 23:59:50", "+0"] {
        wall.set(date);
        let adapter = setup.start();
        for _ in 0..2 {
            let sale = adapter.sell("POS-001").await;
            assert_eq!(sale["status"], "printed", "{date}: {sale}");
            let fiscal = &sale["fiscal_doc"];
            let number = fiscal["fiscal_doc_number"].as_u64().unwrap();
            let this = (number, fiscal["fiscal_datetime"].as_str().unwrap().to_owned());
            assert!(this.0 > last.0 && this.1 >= last.1, "{date}: {this:?} after {last:?}");
            last = this;
            // A sale may need a shift, whose document is taken after it.
            let listed = adapter.get("/v1/kkt/receipts?limit=5").await;
            let listed = listed["receipts"].as_array().unwrap();
            let newest = listed.iter().find(|row| row["document"] == "receipt").unwrap();
            assert_eq!(newest["receipt_id"], sale["receipt_id"], "{date}: the newest first");
        }
        adapter.until_delivered().await;
        documents = adapter.get("/v1/kkt/buffer/status").await["synced"].as_u64().unwrap() as usize;
        let health = adapter.get("/v1/health").await;
        assert_eq!(health["components"]["buffer"]["refuses"], serde_json::Value::Null, "{date}: {health}");
        assert!(adapter.terminate().success(), "{date}");
    }
    assert_ledger_is_right(&sim, documents);
}
