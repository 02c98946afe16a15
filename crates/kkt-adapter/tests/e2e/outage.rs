//! The reason for being: an outage of the OFD costs the till nothing.

use super::harness::{Setup, assert_ledger_is_right, simulator, until};
use ofd_sim::{Plan, Rule};
use std::time::Duration;

// P6, P7: one lane, so exactly failure_threshold calls are made before the breaker opens.
#[tokio::test]
async fn one_lane_opens_the_breaker_after_exactly_five_failed_calls_and_then_no_call_is_made() {
    let sim = simulator().await;
    sim.set_faults(Plan::fail_always(503));
    let adapter = Setup::new(&sim.base_url()).with("KKT_BREAKER__RECOVERY_TIMEOUT", "60s").start();
    adapter.sell("POS-001").await;
    adapter.until_breaker("OPEN").await;
    assert_eq!(sim.stats().calls, 5);
    for _ in 0..50 {
        adapter.sell("POS-001").await;
    }
    let status = adapter.get("/v1/kkt/buffer/status").await;
    assert_eq!(status["network_status"], "offline");
    assert_eq!(status["cb_state"], "OPEN");
    assert_eq!(status["pending"], 52, "51 receipts and the shift's opening");
    assert_eq!(sim.stats().calls, 5, "while OPEN the OFD sees no new call");
    let health = adapter.get("/v1/health").await;
    assert_eq!(health["status"], "degraded");
    let breaker = &health["components"]["circuit_breaker"];
    assert_eq!(breaker["failure_count"], 5, "the failure that trips is counted too");
    assert!(breaker["retry_after_seconds"].as_f64().is_some_and(|seconds| seconds > 30.0), "{breaker}");
}

// P6: a call that was in flight when the breaker opened may still end, none begins after it.
#[tokio::test]
async fn several_lanes_make_at_most_four_plus_lanes_calls_before_the_breaker_opens() {
    let sim = simulator().await;
    sim.set_faults(Plan::ok().rule(Rule::fail(503).delay(Duration::from_millis(30))));
    let adapter = Setup::new(&sim.base_url()).with("KKT_BREAKER__RECOVERY_TIMEOUT", "60s").start();
    let lanes = 8;
    let tills: Vec<String> = (0..lanes).map(|n| format!("POS-{n}")).collect();
    for till in &tills {
        adapter.sell(till).await;
    }
    adapter.until_breaker("OPEN").await;
    until("calls in flight have ended", async || (sim.stats().in_flight == 0).then_some(())).await;
    let calls = sim.stats().calls;
    assert!((5..=4 + lanes).contains(&calls), "{calls} calls with {lanes} lanes");
    for till in &tills {
        adapter.sell(till).await;
    }
    assert_eq!(sim.stats().calls, calls, "while OPEN the OFD sees no new call");
}

// P5, P6, P7: the whole story, from the outage to the last document delivered.
#[tokio::test]
async fn after_an_outage_two_probes_close_the_breaker_and_everything_arrives_once_and_in_order() {
    let sim = simulator().await;
    sim.set_faults(Plan::fail_always(500));
    let adapter = Setup::new(&sim.base_url()).start();
    for round in 0..20 {
        for till in ["POS-001", "POS-002", "POS-003"] {
            adapter.sell(till).await;
            if round == 0 {
                adapter.get("/v1/health").await;
            }
        }
    }
    adapter.until_breaker("OPEN").await;
    sim.set_faults(Plan::ok().rule(Rule::latency(Duration::from_millis(200)).receipts().times(4)));
    adapter.until_breaker("CLOSED").await;
    adapter.until_delivered().await;
    assert_ledger_is_right(&sim, 63);
    assert_eq!(adapter.get("/v1/health").await["status"], "healthy");
}

// B7, P6: the simulator is slow enough that a third probe would be seen beside the first two.
#[tokio::test]
async fn at_most_two_probes_are_in_flight_at_once_whatever_the_number_of_lanes() {
    let sim = simulator().await;
    sim.set_faults(Plan::fail_always(500));
    let adapter = Setup::new(&sim.base_url()).start();
    for till in 0..12 {
        adapter.sell(&format!("POS-{till}")).await;
    }
    adapter.until_breaker("OPEN").await;
    until("calls in flight have ended", async || (sim.stats().in_flight == 0).then_some(())).await;
    sim.reset_all().unwrap();
    sim.set_faults(Plan::ok().rule(Rule::hang()));
    adapter.until_breaker("HALF_OPEN").await;
    until("two probes", async || (sim.stats().most_in_flight == 2).then_some(())).await;
    adapter.until_breaker("OPEN").await;
    assert_eq!(sim.stats().most_in_flight, 2);
    assert_eq!(sim.stats().calls, 2, "no more than the probes");
}

// B8: with a single document waiting, the ping is the second probe.
#[tokio::test]
async fn one_waiting_document_is_enough_to_close_the_breaker() {
    let sim = simulator().await;
    let adapter = Setup::new(&sim.base_url()).start();
    adapter.sell("POS-001").await;
    adapter.until_delivered().await;
    sim.set_faults(Plan::fail_always(500));
    adapter.sell("POS-001").await;
    adapter.until_breaker("OPEN").await;
    assert_eq!(adapter.pending().await, 1);
    sim.set_faults(Plan::ok());
    adapter.until_breaker("CLOSED").await;
    adapter.until_delivered().await;
    assert_ledger_is_right(&sim, 3);
}

// P7: the till does not wait for an OFD that accepts the connection and says nothing.
#[tokio::test]
async fn an_ofd_that_hangs_delays_no_receipt() {
    let sim = simulator().await;
    sim.set_faults(Plan::ok().rule(Rule::hang()));
    let adapter = Setup::new(&sim.base_url()).with("KKT_OFD__TIMEOUT", "20s").start();
    adapter.sell("POS-001").await;
    until("a call that hangs", async || (sim.stats().in_flight > 0).then_some(())).await;
    for _ in 0..20 {
        adapter.sell("POS-001").await;
    }
    let stats = sim.stats();
    // Had a sale waited for the call's end, there would have been a second call.
    assert_eq!((stats.in_flight, stats.calls), (1, 1), "all twenty were answered while the first call hung");
}

// P3: every first try is stored by the OFD and its answer lost.
#[tokio::test]
async fn lost_acknowledgements_are_sent_again_and_counted_once() {
    let sim = simulator().await;
    sim.set_faults(Plan::lost_acknowledgements());
    let adapter = Setup::new(&sim.base_url()).start();
    for _ in 0..10 {
        adapter.sell("POS-001").await;
    }
    adapter.until_delivered().await;
    assert_ledger_is_right(&sim, 11);
    assert!(sim.ledger().iter().all(|document| document.received >= 2));
}

// The control run: with dedup off the check above would see the doubles.
#[tokio::test]
async fn without_dedup_at_the_ofd_the_doubles_are_seen() {
    let sim = simulator().await;
    sim.set_faults(Plan::lost_acknowledgements().dedup_off());
    let adapter = Setup::new(&sim.base_url()).start();
    adapter.sell("POS-001").await;
    adapter.until_delivered().await;
    assert!(sim.ledger().iter().any(|document| document.counted > 1));
}
