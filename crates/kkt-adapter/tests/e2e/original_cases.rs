//! The two integration cases of the original plan; the other twelve are the library's `original_cases`.

use super::harness::{Setup, assert_ledger_is_right, simulator};
use ofd_sim::Plan;

// B3, B5, B8
#[tokio::test]
async fn integration_with_the_ofd_client_opens_on_its_failures_and_closes_on_its_answers() {
    let sim = simulator().await;
    let adapter = Setup::new(&sim.base_url()).start();
    for (fault, status) in [("server error", 500), ("gateway", 502), ("too many requests", 429)] {
        sim.set_faults(Plan::fail_always(status));
        adapter.sell("POS-001").await;
        adapter.until_breaker("OPEN").await;
        sim.set_faults(Plan::ok());
        adapter.until_breaker("CLOSED").await;
        let breaker = adapter.get("/v1/kkt/circuit-breakers/ofd").await;
        assert!(breaker.to_string().contains("probes succeeded"), "{fault}: {breaker}");
    }
    adapter.until_delivered().await;
    assert_ledger_is_right(&sim, 4);
}

// B5, B17
#[tokio::test]
async fn integration_with_health_shows_state_counters_and_the_time_to_the_next_probe() {
    let sim = simulator().await;
    let adapter = Setup::new(&sim.base_url()).with("KKT_BREAKER__RECOVERY_TIMEOUT", "60s").start();
    adapter.sell("POS-001").await;
    adapter.until_delivered().await;
    let healthy = adapter.get("/v1/health").await;
    let breaker = &healthy["components"]["circuit_breaker"];
    assert_eq!((healthy["status"].as_str(), breaker["state"].as_str()), (Some("healthy"), Some("CLOSED")));
    assert_eq!((breaker["success_count"].as_u64(), breaker["failure_count"].as_u64()), (Some(2), Some(0)));

    sim.set_faults(Plan::fail_always(500));
    adapter.sell("POS-001").await;
    adapter.until_breaker("OPEN").await;
    let degraded = adapter.get("/v1/health").await;
    let breaker = &degraded["components"]["circuit_breaker"];
    assert_eq!(degraded["status"], "degraded");
    assert_eq!(breaker["failure_count"], 5);
    assert!(
        breaker["reason"].as_str().is_some_and(|reason| reason.contains("5 failures in a row")),
        "{breaker}"
    );
    assert!(breaker["last_failure"].is_string() && breaker["last_state_change"].is_string(), "{breaker}");
    assert!(
        breaker["retry_after_seconds"].as_f64().is_some_and(|left| left > 0.0 && left <= 60.0),
        "{breaker}"
    );
}
