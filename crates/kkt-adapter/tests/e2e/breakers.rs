//! Steering the breaker by hand, over HTTP.

use super::harness::{Setup, assert_ledger_is_right, simulator, until};
use serde_json::json;

// B15
#[tokio::test]
async fn a_breaker_forced_open_keeps_receipts_until_it_is_released() {
    let sim = simulator().await;
    let adapter = Setup::new(&sim.base_url()).start();
    let path = "/v1/kkt/circuit-breakers/ofd";
    let (status, snapshot) =
        adapter.post(&format!("{path}/force-open"), &json!({"reason": "maintenance at the OFD"})).await;
    assert_eq!((status, snapshot["state"].as_str()), (200, Some("FORCED_OPEN")));
    for _ in 0..3 {
        adapter.sell("POS-001").await;
    }
    assert_eq!(adapter.pending().await, 4);
    assert_eq!(sim.stats().calls, 0);
    let shown = adapter.get(path).await;
    assert!(shown.to_string().contains("maintenance at the OFD"), "{shown}");
    let (status, report) = adapter.post("/v1/kkt/buffer/sync", &json!({})).await;
    assert_eq!((status, &report["synced"]), (202, &json!(0)), "a forced sync bypasses nothing: {report}");
    let (status, snapshot) = adapter.post(&format!("{path}/release"), &json!({"reason": "done"})).await;
    assert_eq!((status, snapshot["state"].as_str()), (200, Some("CLOSED")));
    adapter.until_delivered().await;
    assert_ledger_is_right(&sim, 4);
}

// B15: by itself after the given time.
#[tokio::test]
async fn a_breaker_forced_open_for_a_time_releases_itself() {
    let sim = simulator().await;
    let adapter = Setup::new(&sim.base_url()).start();
    let path = "/v1/kkt/circuit-breakers/ofd";
    let seconds = async || adapter.get(path).await["retry_after_seconds"].as_f64();
    adapter.post(&format!("{path}/force-open"), &json!({"reason": "work", "for_seconds": 600})).await;
    let left = seconds().await.expect("it has an end");
    assert!((500.0..=600.0).contains(&left), "{left}");
    adapter.post(&format!("{path}/force-open"), &json!({"reason": "work"})).await;
    assert_eq!(seconds().await, None, "a person releases it, no time does");
    let command = json!({"reason": "a short break", "for_seconds": 1});
    adapter.post("/v1/kkt/circuit-breakers/ofd/force-open", &command).await;
    adapter.sell("POS-001").await;
    assert_eq!(adapter.breaker_state().await, "FORCED_OPEN");
    adapter.until_breaker("CLOSED").await;
    adapter.until_delivered().await;
}

#[tokio::test]
async fn a_command_without_a_reason_or_for_no_breaker_is_refused() {
    let sim = simulator().await;
    let adapter = Setup::new(&sim.base_url()).start();
    let (status, _) = adapter.post("/v1/kkt/circuit-breakers/ofd/force-open", &json!({})).await;
    assert_eq!(status, 422);
    let (status, answer) =
        adapter.post("/v1/kkt/circuit-breakers/nobody/reset", &json!({"reason": "r"})).await;
    assert_eq!(status, 404, "{answer}");
    assert_eq!(adapter.breaker_state().await, "CLOSED");
}

#[tokio::test]
async fn the_metrics_count_what_happened() {
    let sim = simulator().await;
    let adapter = Setup::new(&sim.base_url()).start();
    adapter.sell("POS-001").await;
    adapter.until_delivered().await;
    let page =
        adapter.http.get(format!("{}/metrics", adapter.url)).send().await.unwrap().text().await.unwrap();
    for line in [
        "kkt_circuit_breaker_state{key=\"ofd\",pos_id=\"\"} 0",
        "kkt_circuit_breaker_opens_total{key=\"ofd\",pos_id=\"\"} 0",
        "kkt_receipts_synced_total{pos_id=\"POS-001\",status=\"synced\"} 2",
        "kkt_receipts_total{pos_id=\"POS-001\",status=\"printed\",type=\"sale\"} 1",
        "kkt_dlq_size 0",
        "kkt_buffer_capacity 300000",
    ] {
        assert!(page.contains(line), "«{line}» is not in:\n{page}");
    }
}

// B19
#[tokio::test]
async fn sighup_takes_over_new_numbers_and_keeps_the_state_and_a_faulty_file_changes_nothing() {
    let sim = simulator().await;
    sim.set_faults(ofd_sim::Plan::fail_always(503));
    let setup = Setup::new(&sim.base_url());
    let adapter = setup.start();
    adapter.sell("POS-001").await;
    adapter.until_breaker("OPEN").await;
    let path = "/v1/kkt/circuit-breakers/ofd";
    let before = adapter.get(path).await;

    setup.rewrite("recovery_timeout = \"1s\"", "recovery_timeout = \"1s\"\nfailure_threshold = 0");
    adapter.signal("HUP");
    until("the fault is told", async || adapter.log().contains("stays as it was").then_some(())).await;
    assert_eq!(adapter.get(path).await["configuration"], before["configuration"]);

    setup.rewrite("failure_threshold = 0", "failure_threshold = 7");
    adapter.signal("HUP");
    until("the new number is in force", async || {
        let breaker = adapter.get(path).await;
        breaker.to_string().contains("\"failure_threshold\":7").then_some(())
    })
    .await;
    sim.set_faults(ofd_sim::Plan::ok());
    adapter.until_delivered().await;
}
