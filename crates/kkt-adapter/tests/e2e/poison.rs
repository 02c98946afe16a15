//! One bad document, one bad token: nobody else notices.

use super::harness::{Setup, simulator, until};
use ofd_sim::{Plan, Rule};
use serde_json::json;

// P2, P5: the document that the OFD always fails while others pass.
#[tokio::test]
async fn a_document_that_always_fails_ends_in_the_dead_letters_and_stalls_nobody() {
    let sim = simulator().await;
    let setup = Setup::new(&sim.base_url()).with("KKT_SYNC__MAX_ATTEMPTS", "4");
    let adapter = setup.start();
    adapter.sell("POS-001").await;
    adapter.until_delivered().await;
    let fn_number = sim.ledger()[0].fn_number.clone();
    sim.set_faults(Plan::ok().rule(Rule::poison_document(fn_number, 3)));
    let poisoned = adapter.sell("POS-001").await;
    let behind = adapter.sell("POS-001").await;
    let dead = until("the poisoned document is dead", async || {
        adapter.sell("POS-002").await;
        let dlq = adapter.get("/v1/kkt/dlq").await;
        dlq["dead_letters"].as_array().and_then(|items| items.first().cloned())
    })
    .await;
    assert_eq!(dead["receipt_id"], poisoned["receipt_id"]);
    adapter.until_delivered().await;
    let id = behind["receipt_id"].as_str().unwrap();
    assert_eq!(adapter.get(&format!("/v1/kkt/receipt/{id}")).await["state"], "synced");
    assert_eq!(adapter.breaker_state().await, "CLOSED");

    sim.set_faults(Plan::ok());
    let id = poisoned["receipt_id"].as_str().unwrap();
    let (status, _) = adapter.post(&format!("/v1/kkt/dlq/{id}/requeue"), &json!({"reason": "mended"})).await;
    assert_eq!(status, 200);
    until("requeued and delivered", async || {
        (adapter.get(&format!("/v1/kkt/receipt/{id}")).await["state"] == "synced").then_some(())
    })
    .await;
}

// P2: read and refused for good.
#[tokio::test]
async fn a_document_refused_for_good_is_parked_at_once_and_the_lane_goes_on() {
    let sim = simulator().await;
    let adapter = Setup::new(&sim.base_url()).start();
    adapter.sell("POS-001").await;
    adapter.until_delivered().await;
    let fn_number = sim.ledger()[0].fn_number.clone();
    sim.set_faults(Plan::ok().rule(Rule::reject(14).fn_number(fn_number).fd(3)));
    for _ in 0..3 {
        adapter.sell("POS-001").await;
    }
    adapter.until_delivered().await;
    let status = adapter.get("/v1/kkt/buffer/status").await;
    assert_eq!((&status["dlq_size"], &status["synced"]), (&json!(1), &json!(4)));
    assert_eq!(adapter.breaker_state().await, "CLOSED", "a refusal proves that the OFD is alive");
}

// P5: one device's credentials are that device's trouble.
#[tokio::test]
async fn a_refused_token_pauses_its_device_only() {
    let sim = simulator().await;
    sim.set_faults(Plan::ok().rule(Rule::unauthorised().pos_id("POS-BAD")));
    let adapter = Setup::new(&sim.base_url()).start();
    adapter.sell("POS-BAD").await;
    adapter.sell("POS-GOOD").await;
    until("the device's breaker is open", async || {
        let breaker = adapter.get("/v1/kkt/circuit-breakers/device:POS-BAD").await;
        (breaker["state"] == "OPEN").then_some(())
    })
    .await;
    for _ in 0..5 {
        adapter.sell("POS-GOOD").await;
        adapter.sell("POS-BAD").await;
    }
    until("the good till is delivered", async || {
        let good = sim.ledger().iter().filter(|document| document.pos_id == "POS-GOOD").count();
        (good == 7).then_some(())
    })
    .await;
    assert_eq!(adapter.breaker_state().await, "CLOSED");
    // What the OFD has got is settled a moment later.
    until("the bad till's documents are all that waits", async || {
        (adapter.pending().await == 7).then_some(())
    })
    .await;
    let status = adapter.get("/v1/kkt/buffer/status").await;
    assert_eq!((&status["pending"], &status["dlq_size"]), (&json!(7), &json!(0)), "it costs no attempt");
    sim.set_faults(Plan::ok());
    adapter.until_delivered().await;
}
