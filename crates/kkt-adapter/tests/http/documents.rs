use crate::shop::{open, receipt, receipt_of};
use kkt_adapter::{
    domain::lifecycle::State,
    kkt::virtual_kkt::{Fault, Faults},
};
use serde_json::json;

#[tokio::test]
async fn a_receipt_is_found_by_our_id_and_by_the_tills_key() {
    let shop = open().await;
    let sale = shop.sell("a key/with slash", receipt()).await.ok();
    let id = sale["receipt_id"].as_str().unwrap();
    let by_id = shop.get(&format!("/v1/kkt/receipt/{id}")).await.ok();
    let by_key = shop.get("/v1/kkt/receipt/a%20key%2Fwith%20slash").await.ok();
    assert_eq!(by_id, by_key);
    assert_eq!(by_id["state"], "printed");
    assert_eq!(by_id["fiscal_doc"], sale["fiscal_doc"]);
    assert_eq!((by_id["attempts"].as_u64(), &by_id["ofd_confirmation"]), (Some(0), &json!(null)));
    assert_eq!(by_id["receipt"]["items"][0]["name"], "Оправа");
    shop.synced(id).await;
    let synced = shop.get(&format!("/v1/kkt/receipt/{id}")).await.ok();
    assert_eq!(
        (&synced["state"], &synced["ofd_confirmation"]["ofd_id"]),
        (&json!("synced"), &json!("ofd-7"))
    );
    assert!(synced["synced_at"].is_string());
    shop.get("/v1/kkt/receipt/nobody").await.error(404, "not_found");
}

#[tokio::test]
async fn lists_are_filtered_and_paged_without_a_gap() {
    let shop = open().await;
    for n in 0..5 {
        shop.sell(&format!("a{n}"), receipt_of("POS-A")).await.ok();
        shop.sell(&format!("b{n}"), receipt_of("POS-B")).await.ok();
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = shop.get(&format!("/v1/kkt/receipts?pos_id=POS-A&limit=2{cursor}")).await.ok();
        let list = page["receipts"].as_array().unwrap();
        assert!(list.len() <= 2);
        seen.extend(list.iter().filter(|one| one["document"] == "receipt").map(|one| {
            assert_eq!(one["pos_id"], "POS-A");
            assert!(one.get("receipt").is_none(), "a list has no bodies");
            one["idempotency_key"].as_str().unwrap().to_owned()
        }));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, ["a4", "a3", "a2", "a1", "a0"]);
    let pending = shop.get("/v1/kkt/receipts?status=pending").await.ok();
    assert!(pending["receipts"].as_array().unwrap().len() >= 10);
    assert_eq!(shop.get("/v1/kkt/receipts?status=cancelled").await.ok()["receipts"], json!([]));
}

#[tokio::test]
async fn only_what_was_never_printed_can_be_cancelled() {
    let shop = open().await;
    shop.sell("printed", receipt()).await.ok();
    shop.post("/v1/kkt/receipt/printed/cancel", json!({})).await.error(409, "wrong_state");
    shop.post("/v1/kkt/receipt/nobody/cancel", json!({})).await.error(404, "not_found");
    shop.fault("POS-001", Faults::none().with(Fault::PaperOut));
    shop.sell("waiting", receipt()).await.ok();
    let done = shop.post("/v1/kkt/receipt/waiting/cancel", json!({"reason": "left"})).await.ok();
    assert_eq!(done["state"], "cancelled");
    let audit = shop.buffer_audit(done["receipt_id"].as_str().unwrap()).await;
    assert!(
        audit
            .iter()
            .any(|(action, actor, why)| action == "cancel" && actor == "anonymous@loopback" && why == "left")
    );
}

/// A document of which the KKT cannot say whether it was printed.
async fn in_doubt(shop: &crate::shop::Shop) {
    shop.sell("before", receipt()).await.ok();
    shop.fault("POS-001", Faults::none().with(Fault::HangAfterPrint).with(Fault::LoseFind));
    shop.sell("doubt", receipt()).await.ok();
    shop.until_state("doubt", State::PrintUnknown).await;
    shop.fault("POS-001", Faults::none());
}

#[tokio::test]
async fn a_person_decides_that_a_document_was_printed() {
    let shop = open().await;
    in_doubt(&shop).await;
    let body =
        json!({"printed": true, "fiscal_doc_number": 3, "fiscal_sign": "0123456789", "reason": "on paper"});
    let done = shop.post("/v1/kkt/receipt/doubt/decide", body.clone()).await.ok();
    assert_eq!(done["state"], "printed");
    let doc = &done["fiscal_doc"];
    assert_eq!((&doc["fiscal_doc_number"], &doc["fiscal_sign"]), (&json!(3), &json!("0123456789")));
    let before = shop.get("/v1/kkt/receipt/before").await.ok();
    for field in ["fn_number", "kkt_number", "inn", "rn_kkt", "ofd_name", "shift_number"] {
        assert_eq!(doc[field], before["fiscal_doc"][field], "{field}");
    }
    let qr = doc["qr_code_data"].as_str().unwrap();
    assert!(qr.starts_with("t=20261123T1530&s=200.00&fn=") && qr.ends_with("&i=3&fp=0123456789&n=1"), "{qr}");
    shop.post("/v1/kkt/receipt/doubt/decide", body).await.error(409, "wrong_state");
    // The till's retry gets what the person said.
    assert_eq!(shop.sell("doubt", receipt()).await.ok()["fiscal_doc"]["fiscal_doc_number"], 3);
}

#[tokio::test]
async fn a_person_decides_that_a_document_was_not_printed() {
    let shop = open().await;
    in_doubt(&shop).await;
    let missing = shop.post("/v1/kkt/receipt/doubt/decide", json!({"printed": true})).await;
    assert_eq!(missing.locs().len(), 3);
    shop.post("/v1/kkt/receipt/doubt/decide", json!({"printed": false, "reason": "no paper"})).await.ok();
    shop.until_state("doubt", State::Printed).await;
}

#[tokio::test]
async fn without_an_earlier_document_the_paper_must_tell_all() {
    let shop = open().await;
    shop.fault("POS-001", Faults::none().with(Fault::PaperOut));
    shop.sell("k1", receipt()).await.ok();
    let body = json!({"printed": true, "fiscal_doc_number": 1, "fiscal_sign": 7, "reason": "x"});
    let answer = shop.post("/v1/kkt/receipt/k1/decide", body).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert!(answer.text.contains(r#""loc":["body","fn_number"]"#), "{}", answer.text);
}

#[tokio::test]
async fn a_cursor_of_no_page_is_a_422_that_names_it() {
    let shop = open().await;
    for path in ["/v1/kkt/receipts", "/v1/kkt/dlq"] {
        let unknown = shop.get(&format!("{path}?cursor=01a20a01-b901-7496-b2ad-1550b39b6b51")).await;
        assert_eq!(unknown.locs(), [r#"["query","cursor"]"#]);
    }
}
