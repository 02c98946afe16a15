//! What the Python adapter gets wrong, the right way round, as far as it is HTTP's.

use crate::shop::{Setup, Shop, open, receipt, receipt_of};
use serde_json::json;
use std::{collections::HashSet, sync::Arc, time::Duration};

#[tokio::test]
async fn one_key_posted_twice_is_one_receipt() {
    let shop = open().await;
    let first = shop.sell("k1", receipt()).await.ok();
    assert_eq!(shop.sell("k1", receipt()).await.ok()["receipt_id"], first["receipt_id"]);
    assert_eq!(printed(&shop).await, 1);
}

#[tokio::test]
async fn ten_posts_of_one_key_at_once_are_one_receipt() {
    let shop = Arc::new(open().await);
    let posts: Vec<_> = (0..10)
        .map(|_| {
            let shop = Arc::clone(&shop);
            tokio::spawn(async move { shop.sell("k1", receipt()).await.ok() })
        })
        .collect();
    let mut answers = HashSet::new();
    for post in posts {
        let body = post.await.unwrap();
        assert_eq!(body["status"], "printed");
        answers.insert(body["fiscal_doc"].to_string());
    }
    assert_eq!(answers.len(), 1);
    assert_eq!(printed(&shop).await, 1);
}

async fn printed(shop: &Shop) -> usize {
    let list = shop.get("/v1/kkt/receipts").await.ok();
    list["receipts"].as_array().unwrap().iter().filter(|one| one["document"] == "receipt").count()
}

#[tokio::test]
async fn a_full_buffer_is_unhealthy_and_not_degraded() {
    let shop = Shop::open(Setup { capacity: 2, ..Setup::default() }).await;
    shop.sell("k1", receipt()).await;
    shop.sell("k2", receipt()).await;
    let body = shop.get("/v1/health").await.ok();
    assert_eq!(body["components"]["buffer"]["percent_full"].as_f64(), Some(100.0));
    assert_eq!(body["status"], "unhealthy");
}

#[tokio::test]
async fn the_failure_that_trips_the_breaker_is_counted() {
    let shop = open().await;
    shop.breakers.trip();
    let breaker = shop.get("/v1/health").await.ok()["components"]["circuit_breaker"].clone();
    assert_eq!((&breaker["state"], &breaker["failure_count"]), (&json!("OPEN"), &json!(5)));
}

#[tokio::test]
async fn nan_is_a_422_and_not_a_500() {
    let shop = open().await;
    let text = receipt().to_string().replace("\"200.00\"", "NaN");
    shop.sell_bytes(text).await.error(422, "validation_error");
    let mut body = receipt();
    body["items"][0]["price"] = json!("NaN");
    assert_eq!(shop.sell("k1", body).await.locs(), [r#"["body","items",0,"price"]"#]);
}

#[tokio::test]
async fn one_request_that_hangs_blocks_no_other() {
    let shop = Arc::new(open().await);
    shop.till.hangs.store(true, std::sync::atomic::Ordering::SeqCst);
    let hanging = Arc::clone(&shop);
    let slow = tokio::spawn(async move { hanging.sell("slow", receipt()).await.ok() });
    while shop.till.calls.load(std::sync::atomic::Ordering::SeqCst) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    shop.till.hangs.store(false, std::sync::atomic::Ordering::SeqCst);
    shop.sell("fast", receipt_of("POS-002")).await.ok();
    assert!(!slow.is_finished());
    shop.till.go_on.notify_waiters();
    assert_eq!(slow.await.unwrap()["status"], "printed");
}
