//! The table «Who may what» of the contract, route by route (P10).

use crate::shop::{Answer, Setup, Shop, receipt_of, token};
use kkt_adapter::http::{Role, TokenEntry};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

fn tokens() -> Vec<TokenEntry> {
    vec![
        token("till", Role::Pos, &["POS-001"]),
        token("pair", Role::Pos, &["POS-001", "POS-002"]),
        token("reader", Role::Reader, &[]),
        token("operator", Role::Operator, &[]),
        // It expires an hour after the shop's clock was started.
        TokenEntry {
            expires: Some("2026-11-23T16:30:20Z".parse().unwrap()),
            ..token("guest", Role::Operator, &[])
        },
    ]
}

async fn guarded() -> Shop {
    Shop::open(Setup { tokens: tokens(), ..Setup::default() }).await
}

/// A route: method, path, body, and who gets further than the door: till, reader, operator.
struct Row(Method, &'static str, Option<Value>, [bool; 3]);

fn table() -> Vec<Row> {
    const ALL: [bool; 3] = [true, true, true];
    const TILLS: [bool; 3] = [true, false, true];
    const PEOPLE: [bool; 3] = [false, true, true];
    const OPERATOR: [bool; 3] = [false, false, true];
    let get = |path, who| Row(Method::GET, path, None, who);
    let post = |path, body, who| Row(Method::POST, path, Some(body), who);
    vec![
        get("/", PEOPLE),
        get("/v1/health", ALL),
        post("/v1/kkt/receipt", receipt_of("POS-001"), TILLS),
        get("/v1/kkt/receipt/nobody", ALL),
        post("/v1/kkt/receipt/nobody/cancel", json!({}), TILLS),
        post("/v1/kkt/receipt/nobody/decide", json!({"printed": false, "reason": "x"}), OPERATOR),
        post("/v1/kkt/receipt/nobody/park", json!({"reason": "x"}), OPERATOR),
        get("/v1/kkt/receipts", ALL),
        get("/v1/kkt/shift?pos_id=POS-001", ALL),
        post("/v1/kkt/shift/open", json!({"pos_id": "POS-001"}), TILLS),
        post("/v1/kkt/shift/close", json!({"pos_id": "POS-001"}), TILLS),
        get("/v1/kkt/buffer/status", ALL),
        post("/v1/kkt/buffer/sync", json!({}), OPERATOR),
        get("/v1/kkt/dlq", PEOPLE),
        post("/v1/kkt/dlq/nobody/requeue", json!({}), OPERATOR),
        post("/v1/kkt/dlq/nobody/resolve", json!({"note": "x"}), OPERATOR),
        get("/v1/kkt/worker/status", PEOPLE),
        get("/v1/kkt/heartbeat/status", PEOPLE),
        get("/v1/kkt/audit", PEOPLE),
        get("/v1/kkt/events", PEOPLE),
        get("/v1/kkt/circuit-breakers", PEOPLE),
        get("/v1/kkt/circuit-breakers/ofd", PEOPLE),
        get("/v1/kkt/circuit-breakers/ofd/history", PEOPLE),
        post("/v1/kkt/circuit-breakers/ofd/force-open", json!({"reason": "x"}), OPERATOR),
        post("/v1/kkt/circuit-breakers/ofd/force-closed", json!({"reason": "x"}), OPERATOR),
        post("/v1/kkt/circuit-breakers/ofd/release", json!({}), OPERATOR),
        post("/v1/kkt/circuit-breakers/ofd/reset", json!({}), OPERATOR),
        get("/metrics", PEOPLE),
        get("/openapi.json", PEOPLE),
    ]
}

/// Routes that let everybody in; what they show depends on who asks.
const OPEN: [(&str, &str); 8] = [
    ("get", "/livez"),
    ("get", "/readyz"),
    ("get", "/docs"),
    ("get", "/docs/{guide}"),
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
        .map(|Row(method, path, _, who)| {
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

/// Asks with these headers; the body of a success, which may have no end, is not read.
async fn knock(shop: &Shop, row: &Row, headers: &[(&str, &str)]) -> (u16, Option<Answer>) {
    let Row(method, path, body, _) = row;
    let mut request = shop.client.request(method.clone(), shop.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.header("Idempotency-Key", "k-knock").json(body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let refused = matches!(status, 401 | 403);
    (status, if refused { Some(Answer::of(response).await) } else { None })
}

async fn lets_in(shop: &Shop, row: &Row, name: &str, headers: &[(&str, &str)], allowed: bool) {
    let (status, refusal) = knock(shop, row, headers).await;
    match refusal {
        Some(answer) if !allowed => drop(answer.error(403, "role_not_enough")),
        Some(answer) => panic!("{name} {} {}: {status} {}", row.0, row.1, answer.text),
        None => assert!(allowed && status < 500, "{name} {} {}: {status}", row.0, row.1),
    }
}

async fn turns_away(shop: &Shop, row: &Row, why: &str, headers: &[(&str, &str)]) {
    let (status, refusal) = knock(shop, row, headers).await;
    let answer = refusal.unwrap_or_else(|| panic!("{why} {} {}: {status}", row.0, row.1));
    answer.error(401, "token_required");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_names_and_nobody_else() {
    let shop = guarded().await;
    for row in table() {
        for (name, allowed) in ["till", "reader", "operator"].into_iter().zip(row.3) {
            let bearer = format!("Bearer secret-of-{name}");
            lets_in(&shop, &row, name, &[("authorization", &bearer)], allowed).await;
        }
        lets_in(&shop, &row, "guest", &[("authorization", "Bearer secret-of-guest")], row.3[2]).await;
        turns_away(&shop, &row, "nobody", &[]).await;
        for wrong in [
            "Bearer wrong",
            "Bearer secret-of-til",
            "Bearer secret-of-tillx",
            "Bearer ",
            "Basic secret-of-operator",
            "secret-of-operator",
        ] {
            turns_away(&shop, &row, wrong, &[("authorization", wrong)]).await;
        }
        let twice = [("authorization", "Bearer secret-of-operator"); 2];
        turns_away(&shop, &row, "two tokens", &twice).await;
    }
    shop.clock.skip(Duration::from_secs(3_600));
    for row in table() {
        turns_away(&shop, &row, "an expired token", &[("authorization", "Bearer secret-of-guest")]).await;
    }
    for path in ["/nothing", "/v1/kkt/nothing"] {
        shop.ask("", Method::GET, path, None).await.error(401, "token_required");
        shop.ask("secret-of-till", Method::GET, path, None).await.error(404, "not_found");
    }
    for path in ["/livez", "/readyz"] {
        let answer = shop.ask("", Method::GET, path, None).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    }
}

async fn log_in(shop: &Shop, name: &str) -> String {
    let token = json!({ "token": format!("secret-of-{name}") });
    let answer = shop.ask("", Method::POST, "/v1/session", Some(token)).await;
    answer.ok();
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_opens_what_its_token_opens_until_it_ends_or_its_token_does() {
    let shop = guarded().await;
    let (reader, operator) = (log_in(&shop, "reader").await, log_in(&shop, "operator").await);
    let guest = log_in(&shop, "guest").await;
    for row in table() {
        lets_in(&shop, &row, "reader", &[("cookie", &reader)], row.3[1]).await;
        lets_in(&shop, &row, "operator", &[("cookie", &operator)], row.3[2]).await;
        let nobody = format!("kkt_session={}", "0".repeat(64));
        turns_away(&shop, &row, "a cookie nobody gave", &[("cookie", &nobody)]).await;
        // A wrong token is not mended by a right cookie.
        let both = [("cookie", operator.as_str()), ("authorization", "Bearer wrong")];
        turns_away(&shop, &row, "a wrong token beside a cookie", &both).await;
    }
    let end = shop.client.delete(shop.url("/v1/session")).header("cookie", &reader);
    end.header("content-type", "application/json").send().await.unwrap();
    shop.clock.skip(Duration::from_secs(3_600));
    for row in table() {
        turns_away(&shop, &row, "a session that was ended", &[("cookie", &reader)]).await;
        turns_away(&shop, &row, "a session of an expired token", &[("cookie", &guest)]).await;
        lets_in(&shop, &row, "operator", &[("cookie", &operator)], row.3[2]).await;
    }
    shop.clock.skip(Duration::from_secs(12 * 3_600));
    for row in table() {
        turns_away(&shop, &row, "a session unused for 12 hours", &[("cookie", &operator)]).await;
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
async fn a_403_says_which_role_or_which_tills_would_be_right() {
    let shop = guarded().await;
    let detail = async |name: &str, method: Method, path: &str, body: Option<Value>| {
        let answer = shop.ask(&format!("secret-of-{name}"), method, path, body).await;
        assert_eq!(answer.status, 403);
        answer.json()["detail"].as_str().unwrap().to_owned()
    };
    let sale = || Some(receipt_of("POS-009"));
    assert_eq!(
        detail("reader", Method::POST, "/v1/kkt/receipt", sale()).await,
        "this needs the role pos or operator; the token reader has reader"
    );
    assert_eq!(
        detail("till", Method::POST, "/v1/kkt/buffer/sync", Some(json!({}))).await,
        "this needs the role operator; the token till has pos"
    );
    assert_eq!(
        detail("pair", Method::POST, "/v1/kkt/receipt", sale()).await,
        "the token pair acts for other tills: POS-001, POS-002"
    );
    let pos_ids: Vec<String> = (10..20).map(|number| format!("P{number}")).collect();
    let pos_ids: Vec<&str> = pos_ids.iter().map(String::as_str).collect();
    shop.options.tokens.replace(vec![token("many", Role::Pos, &pos_ids)]);
    assert_eq!(
        detail("many", Method::POST, "/v1/kkt/receipt", sale()).await,
        "the token many acts for other tills: P10, P11, P12, P13, P14, P15, P16, P17 and 2 more"
    );
}

/// The rest of a stream, which must come to its end by itself.
async fn rest(stream: reqwest::Response) -> String {
    tokio::time::timeout(Duration::from_secs(20), stream.text()).await.expect("the stream ends").unwrap()
}

// P10
#[tokio::test]
async fn a_stream_ends_with_the_token_or_session_it_was_opened_by_and_others_go_on() {
    let heartbeat = Duration::from_millis(50);
    let shop = Shop::open(Setup { tokens: tokens(), heartbeat, ..Setup::default() }).await;
    let open = async |header: &str, value: &str| {
        let request = shop.client.get(shop.url("/v1/kkt/events")).header(header, value);
        let mut stream = request.send().await.unwrap();
        assert_eq!(stream.status(), 200);
        assert!(stream.chunk().await.unwrap().is_some(), "the greeting");
        stream
    };
    let (reader, guest) = (log_in(&shop, "reader").await, log_in(&shop, "guest").await);
    let mut operator = open("authorization", "Bearer secret-of-operator").await;
    let of_reader = open("authorization", "Bearer secret-of-reader").await;
    let logged_out = open("cookie", &reader).await;
    let (expired, its_session) =
        (open("authorization", "Bearer secret-of-guest").await, open("cookie", &guest).await);

    let end = shop.client.delete(shop.url("/v1/session")).header("cookie", &reader);
    end.header("content-type", "application/json").send().await.unwrap();
    rest(logged_out).await;
    shop.clock.skip(Duration::from_secs(3_600));
    rest(expired).await;
    rest(its_session).await;
    // The same token with a role that may not listen.
    let kept = tokens().into_iter().filter(|token| token.name == "operator");
    let till = token("reader", Role::Pos, &["POS-001"]);
    shop.options.tokens.replace(kept.chain([till]).collect());
    rest(of_reader).await;
    for _ in 0..3 {
        let piece = tokio::time::timeout(Duration::from_secs(20), operator.chunk()).await.unwrap().unwrap();
        assert!(piece.is_some(), "its token is good all the while");
    }
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
