//! P10: without tokens nobody but this machine gets in, and no web page open on it can change anything.

use crate::shop::{Answer, Shop, open, receipt};
use reqwest::{Method, header::HeaderMap};

async fn send(shop: &Shop, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(reqwest::header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    let mut request = shop.client.request(method.clone(), shop.url(path)).headers(map);
    if method == Method::POST {
        request = request.header("Idempotency-Key", "k1").body(receipt().to_string());
    }
    Answer::of(request.send().await.unwrap()).await
}

const JSON: (&str, &str) = ("content-type", "application/json");
const SELL: &str = "/v1/kkt/receipt";

#[tokio::test]
async fn a_change_without_json_content_type_is_refused() {
    let shop = open().await;
    send(&shop, Method::POST, SELL, &[]).await.error(415, "content_type_not_json");
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
    ] {
        send(&shop, Method::POST, SELL, &[("content-type", kind)]).await.error(415, "content_type_not_json");
    }
    assert!(shop.row("k1").await.is_none());
    send(&shop, Method::POST, SELL, &[("content-type", "application/json; charset=utf-8")]).await.ok();
}

#[tokio::test]
async fn a_change_from_a_foreign_page_is_refused() {
    let shop = open().await;
    let own = format!("http://{}", shop.address);
    for origin in ["http://evil.example", "null", "http://localhost:1", "https://evil.example:8000"] {
        send(&shop, Method::POST, SELL, &[JSON, ("origin", origin)]).await.error(403, "foreign_origin");
    }
    for site in ["cross-site", "same-site"] {
        send(&shop, Method::POST, SELL, &[JSON, ("sec-fetch-site", site)]).await.error(403, "foreign_origin");
    }
    assert!(shop.row("k1").await.is_none());
    send(&shop, Method::POST, SELL, &[JSON, ("origin", &own), ("sec-fetch-site", "same-origin")]).await.ok();
}

#[tokio::test]
async fn a_foreign_page_may_link_here_and_not_read() {
    let shop = open().await;
    let ask = async |path: &str, [site, mode, dest]: [&str; 3]| {
        let headers = [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
        send(&shop, Method::GET, path, &headers).await
    };
    for path in ["/", "/docs", "/v1/health", "/v1/kkt/events", "/metrics", "/assets/dashboard.js", "/nothing"]
    {
        for site in ["cross-site", "same-site"] {
            for how in
                [["no-cors", "image"], ["no-cors", "script"], ["cors", "empty"], ["navigate", "iframe"]]
            {
                ask(path, [site, how[0], how[1]]).await.error(403, "foreign_origin");
            }
        }
    }
    // A link from another page, from another port of this machine, from a bookmark; our own page; an extension.
    for path in ["/", "/docs", "/v1/health"] {
        for asked in [
            ["cross-site", "navigate", "document"],
            ["same-site", "navigate", "document"],
            ["none", "navigate", "document"],
            ["same-origin", "cors", "empty"],
            ["none", "cors", "empty"],
        ] {
            assert_eq!(ask(path, asked).await.status, 200, "{path} {asked:?}");
        }
    }
    assert_eq!(
        ask("/livez", ["cross-site", "no-cors", "image"]).await.status,
        200,
        "it tells and holds nothing"
    );
}

#[tokio::test]
async fn an_unknown_host_is_told_which_one_came() {
    let shop = open().await;
    let detail = async |host: &str| {
        let answer = send(&shop, Method::GET, "/v1/health", &[("host", host)]).await;
        answer.error(403, "host_not_allowed")["detail"].as_str().unwrap().to_owned()
    };
    let told = detail("till-7.shop.local:8000").await;
    assert!(told.contains("server.allowed_hosts; this one is \"till-7.shop.local:8000\""), "{told}");
    assert!(detail(&"x".repeat(5_000)).await.len() < 400, "no more of it than a name can have");
}

#[tokio::test]
async fn an_unknown_host_is_refused_for_changes_and_reads() {
    let shop = open().await;
    for host in ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost@evil.example"] {
        send(&shop, Method::POST, SELL, &[JSON, ("host", host)]).await.error(403, "host_not_allowed");
        for path in ["/v1/health", "/v1/kkt/receipts", "/metrics", "/", "/nothing"] {
            send(&shop, Method::GET, path, &[("host", host)]).await.error(403, "host_not_allowed");
        }
    }
    for host in
        ["localhost", "LOCALHOST:99", "127.0.0.1:1", "[::1]:8000", "till.shop.local", "till.shop.local:443"]
    {
        send(&shop, Method::GET, "/v1/health", &[("host", host)]).await.ok();
    }
    // A supervisor may ask for the life of the process by any name.
    assert_eq!(send(&shop, Method::GET, "/livez", &[("host", "10.1.2.3:8000")]).await.status, 200);
}

#[tokio::test]
async fn a_request_without_or_with_two_hosts_is_refused() {
    let shop = open().await;
    for hosts in ["", "Host: localhost\r\nHost: evil.example\r\n"] {
        let text = format!("GET /v1/health HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n");
        let answer = shop.raw(text.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    let absolute =
        "GET http://evil.example/v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(shop.raw(absolute.as_bytes()).await.starts_with("HTTP/1.1 403"));
}

#[tokio::test]
async fn there_is_no_cors() {
    let shop = open().await;
    let preflight = [("origin", "http://evil.example"), ("access-control-request-method", "POST")];
    for (method, path) in [(Method::OPTIONS, SELL), (Method::GET, "/v1/health")] {
        let answer = send(&shop, method, path, &preflight).await;
        assert!(answer.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    send(&shop, Method::OPTIONS, SELL, &preflight).await.error(405, "method_not_allowed");
}
