use crate::shop::{Setup, Shop, open, receipt, receipt_of, token};
use kkt_adapter::{
    domain::lifecycle::State,
    http::Role,
    kkt::virtual_kkt::{Fault, Faults},
};
use reqwest::Method;
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

// In a backlog of weeks the document that an alarm is about is the last of hundreds of pages.
#[tokio::test]
async fn lists_begin_with_the_oldest_where_they_are_asked_to() {
    let shop = open().await;
    for n in 0..4 {
        shop.sell(&format!("k{n}"), receipt()).await.ok();
    }
    shop.dead("d0").await;
    shop.dead("d1").await;
    let keys = async |path: &str, list: &str| {
        let page = shop.get(path).await.ok();
        let all = page[list].as_array().unwrap().iter();
        let receipts = all.filter(|one| one["document"] == "receipt");
        let keys: Vec<_> = receipts.map(|one| one["idempotency_key"].as_str().unwrap().to_owned()).collect();
        (keys, page["next_cursor"].as_str().map(str::to_owned))
    };
    let pending = "/v1/kkt/receipts?status=pending&order=oldest&limit=3";
    let (first, next) = keys(pending, "receipts").await;
    assert_eq!(first, ["k0", "k1"], "behind the shift's document");
    let (rest, next) = keys(&format!("{pending}&cursor={}", next.unwrap()), "receipts").await;
    assert_eq!((rest, next), (vec!["k2".to_owned(), "k3".to_owned()], None));
    assert_eq!(keys("/v1/kkt/dlq?order=oldest", "dead_letters").await.0, ["d0", "d1"]);
    assert_eq!(keys("/v1/kkt/dlq?order=newest", "dead_letters").await.0, ["d1", "d0"]);
    for path in ["/v1/kkt/receipts?order=up", "/v1/kkt/dlq?order=up"] {
        assert_eq!(shop.get(path).await.locs(), [r#"["query","order"]"#]);
    }
}

// A caller has the paper in his hand, and nothing else of the receipt.
#[tokio::test]
async fn a_receipt_is_found_by_the_fd_number_on_its_paper() {
    let shop = open().await;
    let sale = shop.sell("k1", receipt()).await.ok();
    shop.sell("k2", receipt()).await.ok();
    shop.sell("other", receipt_of("POS-002")).await.ok();
    let fd = sale["fiscal_doc"]["fiscal_doc_number"].as_u64().unwrap();
    let found = async |query: String| {
        let page = shop.get(&format!("/v1/kkt/receipts?{query}")).await.ok();
        let all = page["receipts"].as_array().unwrap().iter();
        all.map(|one| one["idempotency_key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found(format!("fd={fd}")).await, ["other", "k1"], "each KKT counts its own");
    assert_eq!(found(format!("fd={fd}&pos_id=POS-001")).await, ["k1"]);
    assert_eq!(found(format!("fd={fd}&device=POS-002")).await, ["other"]);
    assert_eq!(found("fd=4711".into()).await, Vec::<String>::new());
    for fd in ["0", "-1", "x", "4294967296"] {
        assert_eq!(shop.get(&format!("/v1/kkt/receipts?fd={fd}")).await.locs(), [r#"["query","fd"]"#]);
    }
}

// P10
#[tokio::test]
async fn a_token_of_several_tills_lists_the_documents_of_all_of_them_and_of_no_other() {
    let tokens =
        vec![token("pair", Role::Pos, &["POS-001", "POS-002"]), token("operator", Role::Operator, &[])];
    let shop = Shop::open(Setup { tokens, ..Setup::default() }).await;
    let sell = async |pos_id: &str| {
        let request = shop.client.post(shop.url("/v1/kkt/receipt")).bearer_auth("secret-of-operator");
        let request = request.header("Idempotency-Key", format!("of-{pos_id}")).json(&receipt_of(pos_id));
        assert_eq!(request.send().await.unwrap().status(), 200);
    };
    for pos_id in ["POS-003", "POS-001", "POS-002"] {
        sell(pos_id).await;
    }
    let ask = async |path: &str| shop.ask("secret-of-pair", Method::GET, path, None).await;
    let page = ask("/v1/kkt/receipts").await.ok();
    let mut tills: Vec<_> =
        page["receipts"].as_array().unwrap().iter().map(|one| one["pos_id"].clone()).collect();
    tills.dedup();
    assert_eq!(tills, ["POS-002", "POS-001"], "{page}");
    ask("/v1/kkt/receipts?pos_id=POS-003").await.error(403, "foreign_till");
    let status = ask("/v1/kkt/buffer/status").await.ok();
    assert_eq!(status["oldest_pending"], json!(null), "the oldest is another till's");
    let path = "/v1/kkt/buffer/status";
    let status = shop.ask("secret-of-operator", Method::GET, path, None).await.ok();
    assert_eq!(status["oldest_pending"]["pos_id"], "POS-003");
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
