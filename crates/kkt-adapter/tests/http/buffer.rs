use crate::shop::{Setup, Shop, open, receipt, receipt_of};
use jiff::ToSpan as _;
use kkt_adapter::{
    domain::ids::DeviceId,
    ports::{LaneHead, LaneView},
};
use serde_json::json;
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

#[tokio::test]
async fn the_status_has_every_name_that_clients_read() {
    let shop = Shop::open(Setup { capacity: 8, ..Setup::default() }).await;
    let id = shop.sell("k1", receipt()).await.ok()["receipt_id"].as_str().unwrap().to_owned();
    shop.sell("k2", receipt_of("POS-002")).await.ok();
    shop.synced(&id).await;
    shop.clock.pass(90.seconds());
    let body = shop.get("/v1/kkt/buffer/status").await.ok();
    for name in [
        "total_capacity",
        "current_queued",
        "percent_full",
        "total_receipts",
        "pending",
        "synced",
        "failed",
        "dlq_size",
        "buffer_percent",
        "buffer_count",
        "oldest_pending_seconds",
    ] {
        assert!(body[name].is_number(), "{name} in {body}");
    }
    assert_eq!((&body["network_status"], &body["cb_state"]), (&json!("online"), &json!("CLOSED")));
    assert_eq!((&body["total_capacity"], &body["synced"]), (&json!(8), &json!(1)));
    assert_eq!(body["percent_full"], body["buffer_percent"]);
    assert!(body["oldest_pending_seconds"].as_i64().unwrap() >= 90);
    assert_eq!(body["per_pos"].as_array().unwrap().len(), 2);
    shop.breakers.trip();
    let body = shop.get("/v1/kkt/buffer/status").await.ok();
    assert_eq!((&body["network_status"], &body["cb_state"]), (&json!("offline"), &json!("OPEN")));
}

#[tokio::test]
async fn a_forced_sync_answers_what_it_did_and_runs_once_at_a_time() {
    let shop = open().await;
    let answer = shop.post("/v1/kkt/buffer/sync", json!({})).await;
    assert_eq!(answer.status, 202);
    let expected = json!({"status": "completed", "synced": 3, "failed": 1, "skipped": 2, "duration_seconds": 1.5,
        "message": "3 delivered"});
    assert_eq!(answer.json(), expected);
    shop.sync.busy.store(true, SeqCst);
    shop.post("/v1/kkt/buffer/sync", json!({})).await.error(409, "sync_running");
}

#[tokio::test]
async fn a_command_without_a_body_is_taken_with_its_content_type() {
    let shop = open().await;
    let request =
        shop.client.post(shop.url("/v1/kkt/buffer/sync")).header("Content-Type", "application/json");
    assert_eq!(request.send().await.unwrap().status(), 202);
}

#[tokio::test]
async fn dead_letters_are_listed_requeued_and_resolved_under_a_name() {
    let shop = open().await;
    let (first, second) = (shop.dead("k1").await, shop.dead("k2").await);
    let list = shop.get("/v1/kkt/dlq").await.ok();
    assert_eq!((list["dlq_size"].as_u64(), list["dead_letters"].as_array().unwrap().len()), (Some(2), 2));
    assert_eq!(list["dead_letters"][0]["last_error"], "code 14");

    let requeued =
        shop.post(&format!("/v1/kkt/dlq/{first}/requeue"), json!({"reason": "the OFD mended it"})).await.ok();
    assert_eq!((&requeued["state"], &requeued["attempts"]), (&json!("printed"), &json!(0)));
    assert_eq!(*shop.sync.woken.lock().unwrap(), ["POS-001".parse().unwrap()]);
    shop.post(&format!("/v1/kkt/dlq/{first}/requeue"), json!({})).await.error(409, "wrong_state");

    let resolved =
        shop.post(&format!("/v1/kkt/dlq/{second}/resolve"), json!({"note": "sent by hand"})).await.ok();
    assert_eq!(resolved["resolved"]["note"], "sent by hand");
    assert_eq!(shop.sync.woken.lock().unwrap().len(), 2, "a lane that stops at dead letters goes on at once");
    assert_eq!(shop.get("/v1/kkt/dlq").await.ok()["dead_letters"], json!([]));
    assert_eq!(shop.get("/v1/kkt/dlq?resolved=true").await.ok()["dead_letters"].as_array().unwrap().len(), 1);
    let audit = shop.buffer_audit(&second).await;
    assert!(
        audit.iter().any(|(action, actor, _)| action == "resolve" && actor == "anonymous@loopback"),
        "{audit:?}"
    );
    shop.post("/v1/kkt/dlq/nobody/requeue", json!({})).await.error(404, "not_found");
}

// P2: with one till the adapter cannot tell a document that the OFD cannot take from an OFD that is down; a person can.
#[tokio::test]
async fn only_what_holds_up_its_lane_is_set_aside_and_under_a_name() {
    let shop = open().await;
    let id = shop.sell("k1", receipt()).await.ok()["receipt_id"].as_str().unwrap().to_owned();
    shop.sell("k2", receipt()).await.ok();
    let path = format!("/v1/kkt/receipt/{id}/park");
    let body = json!({"reason": "the OFD cannot read it"});
    shop.post(&path, body.clone()).await.error(409, "holds_up_nothing");

    let failing_for = Duration::from_secs(900);
    let head = LaneHead { id: id.parse().unwrap(), fd: 2, failing_for, tries: 12, is_stuck: true };
    let device: DeviceId = "POS-001".parse().unwrap();
    let lane = LaneView { device: device.clone(), state: "waiting", last_error: None, head: Some(head) };
    shop.sync.stuck.lock().unwrap().push(lane);
    shop.post("/v1/kkt/receipt/k2/park", body.clone()).await.error(409, "holds_up_nothing");
    let parked = shop.post(&path, body.clone()).await.ok();
    assert_eq!(parked["state"], "dead");
    assert_eq!(parked["last_error"], "set aside by anonymous@loopback: the OFD cannot read it");
    assert_eq!(*shop.sync.parked.lock().unwrap(), [(device, head.id)]);
    assert_eq!(shop.get("/v1/kkt/dlq").await.ok()["dead_letters"][0]["receipt_id"], json!(id));
    let audit = shop.buffer_audit(&id).await;
    assert!(
        audit.iter().any(|(action, actor, _)| action == "park" && actor == "anonymous@loopback"),
        "{audit:?}"
    );

    shop.post(&path, body).await.error(409, "wrong_state");
    shop.post("/v1/kkt/receipt/nobody/park", json!({"reason": "x"})).await.error(404, "not_found");
}

#[tokio::test]
async fn the_worker_tells_its_lanes() {
    let body = open().await.get("/v1/kkt/worker/status").await.ok();
    assert_eq!((&body["running"], &body["task_status"]), (&json!(true), &json!("running")));
    assert_eq!(
        body["lanes"][0],
        json!({"device": "POS-001", "state": "idle", "last_error": null, "head": null})
    );
}
