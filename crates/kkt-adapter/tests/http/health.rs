use crate::shop::{Setup, Shop, open, receipt, receipt_of};
use jiff::ToSpan as _;
use kkt_adapter::{
    domain::ids::ReceiptId,
    kkt::virtual_kkt::{Fault, Faults},
    ports::{LaneHead, LaneView},
};
use serde_json::json;
use std::time::Duration;

async fn status(shop: &Shop) -> String {
    let body = shop.get("/v1/health").await.ok();
    let ready = shop.client.get(shop.url("/readyz")).send().await.unwrap();
    let unhealthy = body["status"] == "unhealthy";
    assert_eq!(ready.status(), if unhealthy { 503 } else { 200 }, "{body}");
    assert!(ready.bytes().await.unwrap().is_empty());
    body["status"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn health_has_the_contracts_shape() {
    let shop = open().await;
    let body = shop.get("/v1/health").await.ok();
    assert_eq!((&body["status"], &body["fiscal"]), (&json!("healthy"), &json!(false)));
    assert!(body["notice"].as_str().unwrap().contains("НЕ ФИСКАЛЬНЫЙ"));
    let parts = &body["components"];
    assert_eq!(parts["buffer"]["status"], "healthy");
    for name in ["percent_full", "dlq_size", "pending"] {
        assert!(parts["buffer"][name].is_number(), "{name}");
    }
    let breaker = &parts["circuit_breaker"];
    assert_eq!(
        (&breaker["state"], &breaker["failure_count"], &breaker["success_count"]),
        (&json!("CLOSED"), &json!(0), &json!(0))
    );
    for name in ["last_failure", "last_state_change", "retry_after_seconds", "reason", "breakers"] {
        assert!(breaker.get(name).is_some(), "{name}");
    }
    assert_eq!(parts["database"]["status"], "healthy");
    assert!(parts["database"]["type"].is_string() && parts["database"]["mode"].is_string());
    assert!(parts["kkt"].is_object() && body["version"].is_string());
    let live = shop.client.get(shop.url("/livez")).send().await.unwrap();
    assert_eq!(live.status(), 200);
    assert!(live.bytes().await.unwrap().is_empty());
}

// P2: where a shop has one till, a document that the OFD cannot take looks like an OFD that is down; somebody must be told
// which one it is.
#[tokio::test]
async fn a_lane_held_up_by_its_first_document_degrades_health_and_names_it() {
    let shop = open().await;
    let id = ReceiptId::new();
    let failing_for = Duration::from_secs(900);
    let head = LaneHead { id, fd: 17, failing_for, tries: 12, is_stuck: true };
    let device = "POS-001".parse().unwrap();
    let last_error = Some("HTTP 500".to_owned());
    *shop.sync.stuck.lock().unwrap() =
        vec![LaneView { device, state: "waiting", last_error, head: Some(head) }];
    let body = shop.get("/v1/health").await.ok();
    assert_eq!(body["status"], "degraded");
    let expected = json!({
        "status": "degraded",
        "stuck": [{
            "device": "POS-001", "state": "waiting", "last_error": "HTTP 500",
            "head": {"receipt_id": id, "fiscal_doc_number": 17, "failing_for_seconds": 900, "tries": 12},
        }],
    });
    assert_eq!(body["components"]["sync"], expected);
}

#[tokio::test]
async fn a_buffer_of_eighty_percent_is_degraded_and_a_full_one_unhealthy() {
    // A shift document and nine receipts fill it.
    let shop = Shop::open(Setup { capacity: 10, ..Setup::default() }).await;
    let mut taken = 0;
    loop {
        let stats = shop.get("/v1/kkt/buffer/status").await.ok();
        let percent = stats["percent_full"].as_f64().unwrap();
        let refuses = stats["refuses"].as_str();
        assert_eq!(
            refuses.is_some_and(|why| why.contains("the buffer is full")),
            percent >= 100.0,
            "{stats}"
        );
        let expected = if percent >= 100.0 {
            "unhealthy"
        } else if percent >= 80.0 {
            "degraded"
        } else {
            "healthy"
        };
        assert_eq!(status(&shop).await, expected, "{percent} %");
        if percent >= 100.0 {
            break;
        }
        shop.sell(&format!("k{taken}"), receipt()).await.ok();
        taken += 1;
        assert!(taken <= 10);
    }
}

#[tokio::test]
async fn dead_letters_degrade_health_over_fifty_and_break_it_over_a_hundred() {
    let shop = open().await;
    for n in 1..=101 {
        shop.dead(&format!("k{n}")).await;
        match n {
            50 => assert_eq!(status(&shop).await, "healthy"),
            51 | 100 => assert_eq!(status(&shop).await, "degraded"),
            101 => assert_eq!(status(&shop).await, "unhealthy"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_document_pending_for_more_than_three_days_degrades_health() {
    let shop = open().await;
    shop.sell("k1", receipt()).await.ok();
    shop.clock.pass(72.hours());
    assert_eq!(status(&shop).await, "healthy");
    shop.clock.pass(1.seconds());
    assert_eq!(status(&shop).await, "degraded");
}

#[tokio::test]
async fn any_breaker_that_is_not_closed_degrades_health() {
    let shop = open().await;
    shop.breakers.trip();
    assert_eq!(status(&shop).await, "degraded");
    let breaker = shop.get("/v1/health").await.ok()["components"]["circuit_breaker"].clone();
    assert_eq!((&breaker["state"], &breaker["failure_count"]), (&json!("OPEN"), &json!(5)));
    assert!(breaker["last_failure"].is_string() && breaker["retry_after_seconds"].as_f64().unwrap() > 0.0);
    shop.breakers.ofd.reset();
    assert_eq!(status(&shop).await, "healthy");
    shop.breakers.device.force_closed("test");
    assert_eq!(status(&shop).await, "degraded");
}

#[tokio::test]
async fn a_device_in_trouble_degrades_health_and_is_named() {
    let shop = open().await;
    shop.fault("POS-007", Faults::none().with(Fault::PaperOut));
    shop.sell("k1", receipt_of("POS-007")).await.ok();
    assert_eq!(status(&shop).await, "degraded");
    let kkt = shop.get("/v1/health").await.ok()["components"]["kkt"].clone();
    assert_eq!((&kkt["status"], &kkt["devices"][0]["device"]), (&json!("degraded"), &json!("POS-007")));
    assert!(kkt["devices"][0]["trouble"].is_string());
}

#[tokio::test]
async fn a_failed_database_is_unhealthy_and_health_still_answers() {
    let shop = open().await;
    shop.buffer.fail("disk is gone");
    assert_eq!(status(&shop).await, "unhealthy");
    let database = shop.get("/v1/health").await.ok()["components"]["database"].clone();
    assert_eq!(database["status"], "unhealthy");
    assert!(database["error"].is_string());
}
