//! The table «Who may what» of the contract, route by route (P10).

use crate::shop::{Setup, Shop, receipt_of, token};
use kkt_adapter::http::Role;
use reqwest::Method;
use serde_json::{Value, json};

async fn guarded() -> Shop {
    let tokens = vec![
        token("till", Role::Pos, &["POS-001"]),
        token("pair", Role::Pos, &["POS-001", "POS-002"]),
        token("reader", Role::Reader, &[]),
        token("operator", Role::Operator, &[]),
    ];
    Shop::open(Setup { tokens, ..Setup::default() }).await
}

/// Route, body, and who gets further than the door: till, reader, operator.
fn table() -> Vec<(Method, &'static str, Option<Value>, [bool; 3])> {
    let get = |path, who| (Method::GET, path, None, who);
    let post = |path, body, who| (Method::POST, path, Some(body), who);
    vec![
        get("/", [false, true, true]),
        get("/v1/health", [true, true, true]),
        post("/v1/kkt/receipt", receipt_of("POS-001"), [true, false, true]),
        get("/v1/kkt/receipt/nobody", [true, true, true]),
        post("/v1/kkt/receipt/nobody/cancel", json!({}), [true, false, true]),
        post("/v1/kkt/receipt/nobody/decide", json!({"printed": false, "reason": "x"}), [false, false, true]),
        get("/v1/kkt/receipts", [true, true, true]),
        get("/v1/kkt/shift?pos_id=POS-001", [true, true, true]),
        post("/v1/kkt/shift/open", json!({"pos_id": "POS-001"}), [true, false, true]),
        post("/v1/kkt/shift/close", json!({"pos_id": "POS-001"}), [true, false, true]),
        get("/v1/kkt/buffer/status", [true, true, true]),
        post("/v1/kkt/buffer/sync", json!({}), [false, false, true]),
        get("/v1/kkt/dlq", [false, true, true]),
        post("/v1/kkt/dlq/nobody/requeue", json!({}), [false, false, true]),
        post("/v1/kkt/dlq/nobody/resolve", json!({"note": "x"}), [false, false, true]),
        get("/v1/kkt/worker/status", [false, true, true]),
        get("/v1/kkt/circuit-breakers", [false, true, true]),
        get("/v1/kkt/circuit-breakers/ofd", [false, true, true]),
        get("/v1/kkt/circuit-breakers/ofd/history", [false, true, true]),
        post("/v1/kkt/circuit-breakers/ofd/force-open", json!({"reason": "x"}), [false, false, true]),
        post("/v1/kkt/circuit-breakers/ofd/force-closed", json!({"reason": "x"}), [false, false, true]),
        post("/v1/kkt/circuit-breakers/ofd/release", json!({}), [false, false, true]),
        post("/v1/kkt/circuit-breakers/ofd/reset", json!({}), [false, false, true]),
        get("/metrics", [false, true, true]),
        get("/v1/kkt/audit", [false, true, true]),
        get("/v1/kkt/events", [false, true, true]),
        get("/openapi.json", [false, true, true]),
    ]
}

/// Routes that let everybody in; what they show depends on who asks.
const OPEN: [(&str, &str); 7] = [
    ("get", "/livez"),
    ("get", "/readyz"),
    ("get", "/docs"),
    ("get", "/assets/{name}"),
    ("get", "/v1/session"),
    ("post", "/v1/session"),
    ("delete", "/v1/session"),
];

#[tokio::test]
async fn the_table_has_every_route_and_the_document_tells_its_roles() {
    let shop = guarded().await;
    let document = shop.ask("secret-of-operator", Method::GET, "/openapi.json", None).await.ok();
    let mut known: Vec<(String, String, Vec<&str>)> = table()
        .into_iter()
        .map(|(method, path, _, who)| {
            let path = path.split('?').next().unwrap_or(path);
            let path = path.replace("nobody", "{id}").replace("breakers/ofd", "breakers/{key}");
            // The page at `/` is for everybody, its facts are not.
            let roles = if path == "/" { [false; 3] } else { who };
            let roles = ["pos", "reader", "operator"].into_iter().zip(roles).filter(|(_, may)| *may);
            (method.as_str().to_lowercase(), path, roles.map(|(role, _)| role).collect())
        })
        .collect();
    known.extend(OPEN.map(|(method, path)| (method.to_owned(), path.to_owned(), Vec::new())));
    let mut told = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let roles = operation["x-roles"].as_array().unwrap().iter().map(|role| role.as_str().unwrap());
            told.push((method.clone(), path.clone(), roles.collect()));
        }
    }
    known.sort();
    told.sort();
    assert_eq!(told, known);
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_names_and_nobody_else() {
    let shop = guarded().await;
    for (method, path, body, who) in table() {
        for (name, allowed) in ["till", "reader", "operator"].into_iter().zip(who) {
            let secret = format!("secret-of-{name}");
            if path == "/v1/kkt/events" && allowed {
                // It has no end to be waited for.
                let stream = shop.client.get(shop.url(path)).bearer_auth(secret).send().await.unwrap();
                assert_eq!(stream.status(), 200, "{name}");
                continue;
            }
            let answer = shop.ask(&secret, method.clone(), path, body.clone()).await;
            if allowed {
                assert!(
                    !matches!(answer.status.as_u16(), 401 | 403),
                    "{name} {method} {path}: {}",
                    answer.text
                );
            } else {
                answer.error(403, "role_not_enough");
            }
        }
        for stranger in ["", "wrong", "secret-of-til", "secret-of-tillx"] {
            let answer = shop.ask(stranger, method.clone(), path, body.clone()).await;
            answer.error(401, "token_required");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    for path in ["/nothing", "/v1/kkt/nothing"] {
        shop.ask("", Method::GET, path, None).await.error(401, "token_required");
        shop.ask("secret-of-till", Method::GET, path, None).await.error(404, "not_found");
    }
    for path in ["/livez", "/readyz"] {
        assert_eq!(shop.ask("", Method::GET, path, None).await.status, 200);
    }
}

#[tokio::test]
async fn the_page_for_browsers_is_shown_to_all_and_holds_no_data() {
    let shop = guarded().await;
    let request = shop.client.get(shop.url("/")).header("Accept", "text/html");
    let page = request.send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(!page.text().await.unwrap().contains(env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn a_tills_token_acts_for_its_own_tills_only() {
    let shop = guarded().await;
    let operator = "secret-of-operator";
    let foreign = shop.ask(operator, Method::POST, "/v1/kkt/receipt", Some(receipt_of("POS-009"))).await.ok();
    let id = foreign["receipt_id"].as_str().unwrap();
    let till = "secret-of-till";
    shop.ask(till, Method::POST, "/v1/kkt/receipt", Some(receipt_of("POS-009")))
        .await
        .error(403, "foreign_till");
    for path in [
        format!("/v1/kkt/receipt/{id}"),
        "/v1/kkt/receipts?pos_id=POS-009".into(),
        "/v1/kkt/shift?pos_id=POS-009".into(),
    ] {
        shop.ask(till, Method::GET, &path, None).await.error(403, "foreign_till");
    }
    for (path, body) in [
        (format!("/v1/kkt/receipt/{id}/cancel"), json!({})),
        ("/v1/kkt/shift/open".into(), json!({"pos_id": "POS-009"})),
        ("/v1/kkt/shift/close".into(), json!({"pos_id": "POS-009"})),
    ] {
        shop.ask(till, Method::POST, &path, Some(body)).await.error(403, "foreign_till");
    }
    // The same key for its own till is not the other's receipt.
    shop.ask(till, Method::POST, "/v1/kkt/receipt", Some(receipt_of("POS-001")))
        .await
        .error(409, "idempotency_key_reused");
}

#[tokio::test]
async fn lists_and_figures_of_a_tills_token_are_its_own() {
    let shop = guarded().await;
    for pos_id in ["POS-001", "POS-002", "POS-009"] {
        let request = shop.client.post(shop.url("/v1/kkt/receipt")).bearer_auth("secret-of-operator");
        request.header("Idempotency-Key", pos_id).json(&receipt_of(pos_id)).send().await.unwrap();
    }
    let list = shop.ask("secret-of-till", Method::GET, "/v1/kkt/receipts", None).await.ok();
    assert!(list["receipts"].as_array().unwrap().iter().all(|one| one["pos_id"] == "POS-001"));
    let pair = shop.ask("secret-of-pair", Method::GET, "/v1/kkt/receipts", None).await;
    assert_eq!(pair.locs(), [r#"["query","pos_id"]"#]);
    shop.ask("secret-of-pair", Method::GET, "/v1/kkt/receipts?pos_id=POS-002", None).await.ok();
    let own = shop.ask("secret-of-till", Method::GET, "/v1/kkt/buffer/status", None).await.ok();
    let all = shop.ask("secret-of-reader", Method::GET, "/v1/kkt/buffer/status", None).await.ok();
    assert_eq!((own["per_pos"].as_array().unwrap().len(), all["per_pos"].as_array().unwrap().len()), (1, 3));
    assert_eq!(own["pending"].as_u64().unwrap() * 3, all["pending"].as_u64().unwrap());
    assert_eq!(own["current_queued"], all["current_queued"], "how full the buffer is concerns all");
}

#[tokio::test]
async fn who_did_it_is_the_tokens_name() {
    let shop = guarded().await;
    let path = "/v1/kkt/circuit-breakers/ofd/force-open";
    shop.ask("secret-of-operator", Method::POST, path, Some(json!({"reason": "x"}))).await.ok();
    assert_eq!(shop.breakers.commands.lock().unwrap()[0].2, "operator");
}

#[tokio::test]
async fn tokens_are_rotated_without_a_restart() {
    let shop = guarded().await;
    shop.options.tokens.replace(vec![token("next", Role::Operator, &[])]);
    shop.ask("secret-of-operator", Method::GET, "/v1/health", None).await.error(401, "token_required");
    shop.ask("secret-of-next", Method::GET, "/v1/health", None).await.ok();
}

#[tokio::test]
async fn no_answer_repeats_a_secret() {
    let shop = guarded().await;
    for path in ["/v1/health", "/nothing", "/v1/kkt/circuit-breakers", "/v1/kkt/receipts?cursor=x"] {
        let answer = shop.ask("secret-of-operator", Method::GET, path, None).await;
        assert!(!answer.text.contains("secret-of"), "{}", answer.text);
        let answer = shop.ask("a-wrong-secret", Method::GET, path, None).await;
        assert!(!answer.text.contains("a-wrong-secret"));
    }
}
