use crate::shop::open;
use serde_json::json;

#[tokio::test]
async fn the_root_is_a_few_facts_for_programs_and_a_page_for_browsers() {
    let shop = open().await;
    let body = shop.get("/").await.ok();
    for name in ["message", "version", "docs", "health", "status"] {
        assert!(body[name].is_string(), "{name} in {body}");
    }
    assert_eq!(body["status"], "healthy");
    let request =
        shop.client.get(shop.url("/")).header("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    let page = response.text().await.unwrap();
    assert!(page.contains("НЕ ФИСКАЛЬНЫЙ") && page.contains("NOT FISCAL") && page.contains("/v1/health"));
}

#[tokio::test]
async fn metrics_are_in_the_text_format() {
    let answer = open().await.get("/metrics").await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(answer.text, "kkt_buffer_size 0\n");
}

#[tokio::test]
async fn requests_are_counted_by_route_and_never_by_path() {
    let shop = open().await;
    shop.get("/v1/kkt/receipt/some-key").await;
    shop.get("/v1/nothing/at/all").await;
    shop.post("/v1/kkt/shift/open", json!({})).await;
    let seen = shop.seen.0.lock().unwrap().clone();
    let expected = [
        ("GET", "/v1/kkt/receipt/{id}", 404),
        ("GET", "unmatched", 404),
        ("POST", "/v1/kkt/shift/open", 422),
    ];
    let expected: Vec<_> = expected.iter().map(|(m, r, s)| ((*m).to_owned(), (*r).to_owned(), *s)).collect();
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn head_is_answered_like_get_without_the_body() {
    let shop = open().await;
    let response = shop.client.head(shop.url("/v1/health")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.unwrap().is_empty());
}
