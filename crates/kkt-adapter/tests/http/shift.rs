use crate::shop::open;
use kkt_adapter::kkt::virtual_kkt::{Fault, Faults};
use serde_json::json;

#[tokio::test]
async fn a_shift_is_opened_told_and_closed() {
    let shop = open().await;
    assert_eq!(shop.get("/v1/kkt/shift?pos_id=POS-001").await.ok()["state"], "closed");
    let opened = shop.post("/v1/kkt/shift/open", json!({"pos_id": "POS-001"})).await.ok();
    assert_eq!((&opened["status"], &opened["fiscal"]), (&json!("printed"), &json!(false)));
    assert_eq!(opened["fiscal_doc"]["shift_number"], 1);
    shop.post("/v1/kkt/shift/open", json!({"pos_id": "POS-001"})).await.error(409, "shift_conflict");
    let body = shop.get("/v1/kkt/shift?pos_id=POS-001").await.ok();
    assert_eq!(
        (&body["state"], &body["shift_number"], &body["receipts"]),
        (&json!("open"), &json!(1), &json!(0))
    );
    assert!(body["opened_at"].is_string());
    shop.post("/v1/kkt/shift/close", json!({"pos_id": "POS-001"})).await.ok();
    shop.post("/v1/kkt/shift/close", json!({"pos_id": "POS-001"})).await.error(409, "shift_conflict");
}

#[tokio::test]
async fn a_device_that_is_off_is_a_503_for_its_shift() {
    let shop = open().await;
    shop.fault("POS-001", Faults::none().with(Fault::Off));
    let answer = shop.post("/v1/kkt/shift/open", json!({"pos_id": "POS-001"})).await;
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.header("retry-after").is_some());
}
