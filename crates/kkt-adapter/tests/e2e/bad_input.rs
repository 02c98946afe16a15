//! What nobody should send, and what comes back.

use super::harness::{Adapter, Setup, sale, simulator};
use serde_json::{Value, json};

async fn raw(adapter: &Adapter, body: impl Into<reqwest::Body>) -> (u16, Value) {
    let request = adapter.http.post(format!("{}/v1/kkt/receipt", adapter.url));
    let request = request.header("Idempotency-Key", "bad").header("Content-Type", "application/json");
    let answer = request.body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test]
async fn each_bad_body_gets_a_clear_error_and_nothing_is_lost() {
    let sim = simulator().await;
    let adapter = Setup::new(&sim.base_url()).start();
    let mut negative = sale("POS-001", "10.00");
    negative["items"][0]["price"] = json!("-10.00");
    let mut huge = sale("POS-001", "10.00").to_string();
    huge = huge.replace("\"price\":\"10.00\"", "\"price\":1e300");
    let mut wrong_type = sale("POS-001", "10.00");
    wrong_type["items"] = json!("none");
    for (name, body, location) in [
        ("malformed", "{\"pos_id\": ".to_owned(), None),
        ("negative", negative.to_string(), Some(json!(["body", "items", 0, "price"]))),
        ("1e300", huge, Some(json!(["body", "items", 0, "price"]))),
        ("wrong type", wrong_type.to_string(), Some(json!(["body", "items"]))),
    ] {
        let (status, answer) = raw(&adapter, body).await;
        assert_eq!(status, 422, "{name}: {answer}");
        let detail = answer["detail"].as_array().unwrap();
        assert!(answer["request_id"].is_string(), "{name}: {answer}");
        if let Some(location) = location {
            assert!(detail.iter().any(|error| error["loc"] == location), "{name}: {answer}");
        }
    }
    let (status, answer) = raw(&adapter, b"{\"pos_id\":\"\xff\"}".to_vec()).await;
    assert_eq!(status, 400, "{answer}");
    let long = json!({"pos_id": "x".repeat(30 << 20)}).to_string();
    // The server may close while we still send: then the status is all that is promised to be there.
    if let Ok(answer) = adapter
        .http
        .post(format!("{}/v1/kkt/receipt", adapter.url))
        .header("Idempotency-Key", "long")
        .header("Content-Type", "application/json")
        .body(long)
        .send()
        .await
    {
        assert_eq!(answer.status().as_u16(), 413);
    }
    adapter.sell("POS-001").await;
    adapter.until_delivered().await;
    assert_eq!(
        adapter.get("/v1/kkt/buffer/status").await["total_receipts"],
        2,
        "the sale, and the opening of its shift"
    );
}

// P10: no web page open on this machine can change anything.
#[tokio::test]
async fn a_change_that_a_web_page_could_send_is_refused() {
    let sim = simulator().await;
    let adapter = Setup::new(&sim.base_url()).start();
    let url = format!("{}/v1/kkt/receipt", adapter.url);
    let body = sale("POS-001", "10.00").to_string();
    let post = |name: &'static str, value: &'static str| {
        let request = adapter.http.post(&url).header("Idempotency-Key", "web").header(name, value);
        let request =
            if name == "Content-Type" { request } else { request.header("Content-Type", "application/json") };
        request.body(body.clone()).send()
    };
    assert_eq!(post("Content-Type", "text/plain").await.unwrap().status().as_u16(), 415);
    assert_eq!(post("Origin", "https://shop.example").await.unwrap().status().as_u16(), 403);
    assert!(matches!(post("Host", "shop.example").await.unwrap().status().as_u16(), 400 | 403 | 421));
    assert_eq!(adapter.get("/v1/kkt/buffer/status").await["total_receipts"], 0);
}
