//! Each kind of bad input gets a clear error, and nothing is lost.

use crate::shop::{Answer, open, read_all, receipt};
use serde_json::{Value, json};
use std::sync::atomic::Ordering::SeqCst;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

#[tokio::test]
async fn malformed_json_is_a_422_with_the_place() {
    let shop = open().await;
    let deep = "[".repeat(100_000);
    for text in ["", "{", "nonsense", "{}{}", "\"\\ud800\"", &deep] {
        let answer = shop.sell_bytes(text.to_owned()).await;
        let error = answer.error(422, "validation_error");
        assert_eq!(
            (&error["detail"][0]["loc"][0], &error["detail"][0]["type"]),
            (&json!("body"), &json!("json_invalid"))
        );
    }
    for word in ["NaN", "Infinity", "-Infinity"] {
        let bare = receipt().to_string().replace("\"100.00\"", word);
        assert_eq!(shop.sell_bytes(bare).await.locs(), [r#"["body","items",0,"price"]"#], "{word}");
    }
    let twice = receipt().to_string().replacen("\"quantity\":2", "\"quantity\":2,\"quantity\":3", 1);
    assert_eq!(shop.sell_bytes(twice).await.locs(), [r#"["body","items",0,"quantity"]"#]);
    assert_eq!(shop.till.calls.load(SeqCst), 0);
}

#[tokio::test]
async fn every_wrong_field_is_named_at_once() {
    let shop = open().await;
    let mut body = receipt();
    body["pos_id"] = json!("a b");
    body["items"][0]["price"] = json!(-1);
    body["payments"][0]["type"] = json!("bitcoin");
    let mut locs = shop.sell("k1", body).await.locs();
    locs.sort();
    assert_eq!(
        locs,
        [r#"["body","items",0,"price"]"#, r#"["body","payments",0,"type"]"#, r#"["body","pos_id"]"#]
    );
}

#[tokio::test]
async fn wrong_values_name_their_field() {
    let shop = open().await;
    let cases: [(&str, &str); 8] = [
        ("price", "1e300"),
        ("price", "-5"),
        ("price", "\"NaN\""),
        ("price", "100.001"),
        ("quantity", "0"),
        ("quantity", "1.0001"),
        ("vat_rate", "13"),
        ("total", "[]"),
    ];
    for (field, value) in cases {
        let mut body = receipt();
        body["items"][0][field] = serde_json::from_str(value).unwrap();
        assert_eq!(
            shop.sell("k1", body).await.locs(),
            [format!(r#"["body","items",0,"{field}"]"#)],
            "{field}={value}"
        );
    }
    for body in [json!([]), json!("x"), json!(null), json!(7)] {
        assert_eq!(shop.sell("k1", body).await.locs(), [r#"["body"]"#]);
    }
}

#[tokio::test]
async fn the_idempotency_key_is_required_and_checked_together_with_the_body() {
    let shop = open().await;
    let missing = shop.post("/v1/kkt/receipt", receipt()).await;
    assert_eq!(missing.locs(), [r#"["header","Idempotency-Key"]"#]);
    assert_eq!(missing.json()["detail"][0]["type"], "missing");
    let both = shop.post("/v1/kkt/receipt", json!({})).await;
    assert_eq!(both.locs().len(), 5);
    for key in ["", "a\tb", &"k".repeat(129), "ключ"] {
        let request = shop.client.post(shop.url("/v1/kkt/receipt")).json(&receipt());
        let request = request.header("Idempotency-Key", key.as_bytes());
        let answer = crate::shop::Answer::of(request.send().await.unwrap()).await;
        assert_eq!(answer.locs(), [r#"["header","Idempotency-Key"]"#], "{key}");
    }
    assert!(shop.sell(&"k".repeat(128), receipt()).await.status.is_success());
}

#[tokio::test]
async fn bytes_that_are_no_utf_8_are_a_400() {
    let shop = open().await;
    let mut bytes = receipt().to_string().into_bytes();
    let at = bytes.iter().position(|b| *b > 127).unwrap();
    bytes[at] = 0xff;
    shop.sell_bytes(bytes).await.error(400, "invalid_utf8");
}

#[tokio::test]
async fn a_till_name_of_thirty_megabytes_is_a_413_and_the_next_receipt_is_taken() {
    let shop = open().await;
    let mut body = receipt();
    body["pos_id"] = json!("x".repeat(30 * 1024 * 1024));
    shop.sell_bytes(body.to_string()).await.error(413, "body_too_large");
    // The same without a length announced.
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    let head = "POST /v1/kkt/receipt HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Idempotency-Key: k\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    for chunk in body.to_string().as_bytes().chunks(65_536) {
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await.unwrap();
        stream.write_all(chunk).await.unwrap();
        stream.write_all(b"\r\n").await.unwrap();
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
    assert!(shop.sell("k1", receipt()).await.status.is_success());
}

#[tokio::test]
async fn a_client_that_sends_all_before_it_reads_gets_to_read_the_413() {
    let shop = open().await;
    let body = vec![b'x'; 8 * 1024 * 1024];
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    let head = format!(
        "POST /v1/kkt/receipt HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Idempotency-Key: k\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("body_too_large"), "{answer}");
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_too_much_is_told_at_once() {
    let shop = open().await;
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    let head = "POST /v1/kkt/receipt HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Idempotency-Key: k\r\nExpect: 100-continue\r\nContent-Length: 31457280\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_document_over_32_kib_is_a_422() {
    let shop = open().await;
    let item = json!({"name": "я".repeat(128), "price": 1, "quantity": 1, "total": 1});
    let body = json!({"pos_id": "P", "type": "sale", "items": vec![item; 400],
        "payments": [{"type": "cash", "amount": 400}]});
    assert_eq!(shop.sell("k1", body).await.locs(), [r#"["body","items"]"#]);
}

#[tokio::test]
async fn a_body_that_ends_early_stores_nothing() {
    let shop = open().await;
    let text = receipt().to_string();
    let head = format!(
        "POST /v1/kkt/receipt HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Idempotency-Key: cut\r\nContent-Length: {}\r\n\r\n",
        text.len()
    );
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&text.as_bytes()[..text.len() / 2]).await.unwrap();
    stream.shutdown().await.unwrap();
    read_all(&mut stream).await;
    assert!(shop.row("cut").await.is_none());
}

#[tokio::test]
async fn requests_that_are_no_http_are_answered_or_cut_and_harm_nobody() {
    let shop = open().await;
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "A: b\r\n".repeat(500));
    let cases: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        long.as_bytes(),
        many.as_bytes(),
    ];
    for bytes in cases {
        let mut stream = TcpStream::connect(shop.address).await.unwrap();
        // The server may cut it while it is being sent.
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let answer = read_all(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert!(shop.get("/v1/health").await.status.is_success());
}

#[tokio::test]
async fn unknown_paths_and_methods_are_errors_in_the_same_form() {
    let shop = open().await;
    shop.get("/v1/kkt/nothing").await.error(404, "not_found");
    shop.post("/v1/kkt/nothing", json!({})).await.error(404, "not_found");
    let answer = shop.get("/v1/kkt/receipt").await;
    answer.error(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("POST"));
    shop.get("/v1/kkt/receipt/%FF%FE").await.error(400, "bad_request");
    shop.get("/v1/kkt/receipts?limit=0&status=paid&cursor=x&pos_id=%20").await.locs();
}

#[tokio::test]
async fn a_sane_request_id_is_taken_over_and_another_is_replaced() {
    let shop = open().await;
    for (given, kept) in
        [("till-1.42_a", true), ("x y", false), (&"x".repeat(65) as &str, false), ("", false)]
    {
        let response =
            shop.client.get(shop.url("/livez")).header("X-Request-Id", given).send().await.unwrap();
        let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
        assert_eq!(id == given, kept, "{given}");
        assert!(!id.is_empty());
    }
}

#[tokio::test]
async fn bodies_of_commands_are_checked_like_receipts() {
    let shop = open().await;
    let cases: [(&str, Value, &str); 7] = [
        ("/v1/kkt/shift/open", json!({}), r#"["body","pos_id"]"#),
        ("/v1/kkt/shift/close", json!({"pos_id": 1}), r#"["body","pos_id"]"#),
        ("/v1/kkt/receipt/x/park", json!({}), r#"["body","reason"]"#),
        ("/v1/kkt/dlq/x/resolve", json!({}), r#"["body","note"]"#),
        ("/v1/kkt/dlq/x/requeue", json!({"reason": 1}), r#"["body","reason"]"#),
        ("/v1/kkt/receipt/x/decide", json!({"printed": 1, "reason": "x"}), r#"["body","printed"]"#),
        ("/v1/kkt/circuit-breakers/ofd/force-open", json!({"for_seconds": 5}), r#"["body","reason"]"#),
    ];
    for (path, body, loc) in cases {
        assert_eq!(shop.post(path, body).await.locs(), [loc], "{path}");
    }
    assert_eq!(shop.post("/v1/kkt/receipt/x/cancel", json!([])).await.locs(), [r#"["body"]"#]);
    assert_eq!(shop.get("/v1/kkt/shift").await.locs(), [r#"["query","pos_id"]"#]);
}

#[tokio::test]
async fn a_method_that_a_path_does_not_know_is_a_405_whatever_it_sends() {
    let shop = open().await;
    for (method, path) in [("POST", "/v1/health"), ("PATCH", "/v1/kkt/receipt"), ("PUT", "/v1/kkt/dlq")] {
        let request = shop.client.request(method.parse().unwrap(), shop.url(path));
        let answer = Answer::of(request.send().await.unwrap()).await;
        answer.error(405, "method_not_allowed");
        assert!(answer.header("allow").is_some());
    }
}
