use crate::shop::{Setup, Shop, open, receipt, receipt_of};
use kkt_adapter::{
    domain::lifecycle::State,
    kkt::virtual_kkt::{Fault, Faults},
};
use serde_json::json;
use std::{sync::atomic::Ordering::SeqCst, time::Duration};

#[tokio::test]
async fn a_receipt_is_printed_and_answered_in_the_contracts_form() {
    let shop = open().await;
    let answer = shop.sell("k1", receipt()).await;
    let body = answer.ok();
    assert_eq!((body["status"].as_str(), body["fiscal"].as_bool()), (Some("printed"), Some(false)));
    assert!(body["message"].is_string());
    assert!(body["receipt_id"].as_str().unwrap().parse::<uuid::Uuid>().is_ok());
    let doc = &body["fiscal_doc"];
    for number in ["fiscal_doc_number", "shift_number", "receipt_number", "total"] {
        assert!(doc[number].is_number(), "{number} in {doc}");
    }
    for text in [
        "fiscal_sign",
        "fiscal_datetime",
        "fn_number",
        "kkt_number",
        "qr_code_data",
        "ofd_name",
        "inn",
        "rn_kkt",
    ] {
        assert!(doc[text].is_string(), "{text} in {doc}");
    }
    assert_eq!(doc["total"].to_string(), "200.00");
    assert_eq!(answer.header("idempotent-replayed"), None);
    assert_eq!(answer.header("x-ignored-fields"), None);
    assert!(answer.header("x-request-id").is_some());
}

#[tokio::test]
async fn the_same_key_again_is_the_same_answer_and_says_that_it_is_a_replay() {
    // P4
    let shop = open().await;
    let first = shop.sell("k1", receipt()).await.ok();
    let mut with_more = receipt();
    with_more["cashier_terminal"] = json!("ignored");
    let again = shop.sell("k1", with_more).await;
    assert_eq!(again.ok(), first);
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.header("x-ignored-fields"), Some("cashier_terminal"));
}

#[tokio::test]
async fn the_same_key_for_another_receipt_is_a_conflict() {
    // P4
    let shop = open().await;
    shop.sell("k1", receipt()).await.ok();
    shop.sell("k1", receipt_of("POS-002")).await.error(409, "idempotency_key_reused");
}

#[tokio::test]
async fn what_the_kkt_does_not_print_is_buffered_and_printed_by_a_retry() {
    let shop = open().await;
    shop.fault("POS-001", Faults::none().with(Fault::PaperOut));
    let body = shop.sell("k1", receipt()).await.ok();
    assert_eq!((body["status"].as_str(), &body["fiscal_doc"]), (Some("buffered"), &json!(null)));
    assert!(!body["message"].as_str().unwrap().is_empty());
    shop.fault("POS-001", Faults::none());
    let retry = shop.sell("k1", receipt()).await;
    assert_eq!(retry.ok()["status"], "printed");
    assert_eq!(retry.ok()["receipt_id"], body["receipt_id"]);
    assert_eq!(retry.header("idempotent-replayed"), None);
}

#[tokio::test]
async fn a_cancelled_key_cannot_sell_again() {
    let shop = open().await;
    shop.fault("POS-001", Faults::none().with(Fault::PaperOut));
    shop.sell("k1", receipt()).await.ok();
    shop.post("/v1/kkt/receipt/k1/cancel", json!({"reason": "the buyer left"})).await.ok();
    shop.sell("k1", receipt()).await.error(409, "receipt_cancelled");
}

#[tokio::test]
async fn a_full_buffer_is_a_503_with_retry_after_and_stores_nothing() {
    // P7
    let shop = Shop::open(Setup { capacity: 3, ..Setup::default() }).await;
    let mut taken = 0;
    let full = loop {
        let answer = shop.sell(&format!("k{taken}"), receipt()).await;
        if !answer.status.is_success() {
            break answer;
        }
        taken += 1;
        assert!(taken < 4);
    };
    full.error(503, "buffer_full");
    assert!(full.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert!(shop.row(&format!("k{taken}")).await.is_none());
    // What was taken is still answered.
    assert_eq!(shop.sell("k0", receipt()).await.ok()["status"], "printed");
}

#[tokio::test]
async fn notes_of_the_validation_stand_in_the_message() {
    let shop = open().await;
    let mut body = receipt();
    body["items"][0]["vat_rate"] = json!(20);
    body["payments"][0]["amount"] = json!("199.99");
    let message = shop.sell("k1", body).await.ok()["message"].as_str().unwrap().to_owned();
    let (russian, english) = message.split_once(" / ").unwrap();
    assert!(russian.contains("Ставка НДС 20 %") && russian.contains("0,01"), "{message}");
    assert!(english.contains("VAT rate 20 %") && english.contains("0.01"), "{message}");
    assert!(!english.contains('я'), "each language in one piece: {message}");
}

#[tokio::test]
async fn ignored_fields_are_named_in_a_header_whatever_their_letters() {
    let shop = open().await;
    let mut body = receipt();
    body["скидка"] = json!(1);
    body["a,b"] = json!(1);
    body["items"][0]["sku"] = json!("x");
    let answer = shop.sell("k1", body).await;
    answer.ok();
    let mut names: Vec<&str> = answer.header("x-ignored-fields").unwrap().split(", ").collect();
    names.sort_unstable();
    assert_eq!(names, ["%D1%81%D0%BA%D0%B8%D0%B4%D0%BA%D0%B0", "a%2Cb", "items.0.sku"]);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_a_sale_that_goes_on() {
    // P4
    let shop = open().await;
    shop.till.hangs.store(true, SeqCst);
    let request =
        shop.client.post(shop.url("/v1/kkt/receipt")).header("Idempotency-Key", "k1").json(&receipt());
    assert!(request.timeout(Duration::from_millis(200)).send().await.is_err());
    shop.till.hangs.store(false, SeqCst);
    shop.till.go_on.notify_waiters();
    shop.until_state("k1", State::Printed).await;
}

#[tokio::test]
async fn a_time_out_is_a_503_that_tells_to_ask_again_and_the_sale_goes_on() {
    let shop = Shop::open(Setup { request_timeout: Duration::from_millis(100), ..Setup::default() }).await;
    shop.till.hangs.store(true, SeqCst);
    let answer = shop.sell("k1", receipt()).await;
    let error = answer.error(503, "request_timeout");
    assert!(error["detail"].as_str().unwrap().contains("Idempotency-Key"));
    assert!(answer.header("retry-after").is_some());
    shop.till.hangs.store(false, SeqCst);
    shop.till.go_on.notify_waiters();
    shop.until_state("k1", State::Printed).await;
    assert_eq!(shop.sell("k1", receipt()).await.header("idempotent-replayed"), Some("true"));
}

#[tokio::test]
async fn a_panic_is_a_500_in_the_form_of_errors_and_the_service_goes_on() {
    let shop = open().await;
    shop.till.panics.store(true, SeqCst);
    shop.sell("k1", receipt()).await.error(500, "internal_error");
    shop.till.panics.store(false, SeqCst);
    assert_eq!(shop.sell("k1", receipt()).await.ok()["status"], "printed");
    shop.page.0.store(true, SeqCst);
    shop.get("/metrics").await.error(500, "internal_error");
    shop.page.0.store(false, SeqCst);
    assert!(shop.get("/metrics").await.status.is_success());
}

#[tokio::test]
async fn a_failed_store_is_a_503_that_says_so() {
    let shop = open().await;
    shop.buffer.fail("disk is gone");
    shop.sell("k1", receipt()).await.error(503, "storage_failed");
    assert!(shop.row("k1").await.is_none());
}
