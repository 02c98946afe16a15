use crate::shop::open;
use kkt_adapter::ports::BreakerCommand;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn breakers_are_listed_with_state_counters_and_configuration() {
    let shop = open().await;
    shop.breakers.trip();
    let list = shop.get("/v1/kkt/circuit-breakers").await.ok();
    let keys: Vec<&str> =
        list["breakers"].as_array().unwrap().iter().map(|b| b["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["ofd", "device:POS-001"]);
    let ofd = shop.get("/v1/kkt/circuit-breakers/ofd").await.ok();
    assert_eq!(ofd["state"], "OPEN");
    assert_eq!((&ofd["counters"]["failures"], &ofd["counters"]["opens"]), (&json!(5), &json!(1)));
    assert!(ofd["retry_after_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(ofd["configuration"]["failure_threshold"], 5);
    assert!(ofd["generation"].as_u64().unwrap() >= 1);
    assert!(ofd["reason"].is_string() && ofd["since"].is_string());
    assert_eq!(shop.get("/v1/kkt/circuit-breakers/device:POS-001").await.ok()["pos_id"], "POS-001");
    shop.get("/v1/kkt/circuit-breakers/device:nobody").await.error(404, "not_found");
}

#[tokio::test]
async fn commands_answer_the_new_snapshot_and_say_who_and_why() {
    let shop = open().await;
    let path = "/v1/kkt/circuit-breakers/ofd";
    let forced = shop
        .post(&format!("{path}/force-open"), json!({"reason": "planned work", "for_seconds": 600}))
        .await
        .ok();
    assert_eq!(forced["state"], "FORCED_OPEN");
    assert_eq!(
        shop.post(&format!("{path}/force-closed"), json!({"reason": "test"})).await.ok()["state"],
        "FORCED_CLOSED"
    );
    assert_eq!(shop.post(&format!("{path}/release"), json!({})).await.ok()["state"], "CLOSED");
    shop.breakers.trip();
    assert_eq!(
        shop.post(&format!("{path}/reset"), json!({"reason": "mended"})).await.ok()["state"],
        "CLOSED"
    );
    let commands = shop.breakers.commands.lock().unwrap().clone();
    let for_how_long = Some(Duration::from_secs(600));
    let who = "anonymous@loopback".to_owned();
    assert_eq!(
        commands[0],
        ("ofd".into(), BreakerCommand::ForceOpen { for_how_long }, who.clone(), "planned work".into())
    );
    assert_eq!(commands[3], ("ofd".into(), BreakerCommand::Reset, who, "mended".into()));
}

#[tokio::test]
async fn a_command_needs_a_reason_sane_seconds_and_a_breaker() {
    let shop = open().await;
    let open = "/v1/kkt/circuit-breakers/ofd/force-open";
    assert_eq!(shop.post(open, json!({})).await.locs(), [r#"["body","reason"]"#]);
    for seconds in [json!(0), json!(-1), json!(1e9), json!("soon"), json!(1.5)] {
        let body = json!({"reason": "x", "for_seconds": seconds});
        assert_eq!(shop.post(open, body).await.locs(), [r#"["body","for_seconds"]"#]);
    }
    let nobody = "/v1/kkt/circuit-breakers/nobody/reset";
    shop.post(nobody, json!({})).await.error(404, "not_found");
    assert!(shop.breakers.commands.lock().unwrap().is_empty());
}
