//! Sessions, and what keeps others out (P10).

use super::{
    chrome::Chrome,
    shop::{Setup, Shop, token},
};
use reqwest::{Method, Response, header};
use serde_json::{Value, json};

fn guarded() -> Shop {
    let tokens = vec![("ops", "operator"), ("eye", "reader"), ("till", "pos")];
    Shop::with(&Setup { tokens, ..Setup::default() })
}

fn log_in(shop: &Shop, secret: &str) -> Response {
    shop.send(shop.anonymous(Method::POST, "/v1/session").json(&json!({ "token": secret })))
}

fn cookie(answer: &Response) -> String {
    let line = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    line.split(';').next().unwrap().to_owned()
}

#[test]
fn a_token_is_exchanged_for_a_cookie_that_scripts_cannot_read() {
    let shop = guarded();
    let answer = log_in(&shop, &token("ops"));
    assert_eq!(answer.status(), 200);
    let line = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    assert!(
        line.contains("HttpOnly") && line.contains("SameSite=Strict") && line.contains("Path=/"),
        "{line}"
    );
    assert!(!line.contains(&token("ops")));
    let cookie = cookie(&answer);
    let ask = |method: Method, path: &str| shop.anonymous(method, path).header(header::COOKIE, &cookie);
    assert_eq!(shop.send(ask(Method::GET, "/v1/kkt/circuit-breakers")).status(), 200);
    assert_eq!(shop.send(ask(Method::GET, "/v1/kkt/events")).status(), 200);

    // A change with the cookie: as with a token, no foreign origin, no form's content type.
    let force = || ask(Method::POST, "/v1/kkt/circuit-breakers/ofd/force-open");
    let body = json!({ "reason": "test" });
    let foreign = force().header(header::ORIGIN, "http://evil.example").json(&body);
    assert_eq!(shop.send(foreign).status(), 403);
    let neighbour = force().header(header::ORIGIN, "http://127.0.0.1:1").json(&body);
    assert_eq!(shop.send(neighbour).status(), 403, "another port of the same machine");
    let form = force().header(header::CONTENT_TYPE, "text/plain").body(body.to_string());
    assert_eq!(shop.send(form).status(), 415);
    let own = force().header(header::ORIGIN, &shop.url).json(&body);
    assert_eq!(shop.send(own).status(), 200);
    let audit = shop.get("/v1/kkt/audit?subject=breaker:ofd");
    assert_eq!(audit["audit"][0]["by"], "ops", "the audit names the token's owner");

    let out = ask(Method::DELETE, "/v1/session").header(header::CONTENT_TYPE, "application/json");
    assert_eq!(shop.send(out).status(), 204);
    assert_eq!(shop.send(ask(Method::GET, "/v1/kkt/circuit-breakers")).status(), 401);
}

#[test]
fn a_session_has_the_role_of_its_token_and_tills_get_none() {
    let shop = guarded();
    let answer = log_in(&shop, &token("eye"));
    let cookie = cookie(&answer);
    let ask = |method: Method, path: &str| shop.anonymous(method, path).header(header::COOKIE, &cookie);
    assert_eq!(shop.send(ask(Method::GET, "/v1/kkt/dlq")).status(), 200);
    let change = ask(Method::POST, "/v1/kkt/circuit-breakers/ofd/reset").json(&json!({}));
    assert_eq!(shop.send(change).status(), 403);
    assert_eq!(log_in(&shop, &token("till")).status(), 403);
    assert_eq!(log_in(&shop, "wrong").status(), 401);
    let forged = shop
        .anonymous(Method::GET, "/v1/health")
        .header(header::COOKIE, format!("kkt_session={}", "0".repeat(64)));
    assert_eq!(shop.send(forged).status(), 401);
}

#[test]
fn guessing_tokens_is_slowed_down_and_does_not_stop_those_who_know_theirs() {
    let shop = guarded();
    let health = |secret: &str| shop.send(shop.anonymous(Method::GET, "/v1/health").bearer_auth(secret));
    assert_eq!(health(&token("till")).status(), 200);
    let mut last = None;
    for guess in 0..40 {
        last = Some(health(&format!("guess-{guess}")));
    }
    let last = last.unwrap();
    assert_eq!(last.status(), 429);
    assert!(last.headers().contains_key(header::RETRY_AFTER));
    assert_eq!(log_in(&shop, &token("ops")).status(), 429, "one that was never right from here waits too");
    assert_eq!(health(&token("till")).status(), 200, "the till goes on selling");
}

#[test]
fn every_answer_carries_the_security_headers() {
    let shop = guarded();
    for (path, secret) in [
        ("/", None),
        ("/assets/dashboard.js", None),
        ("/v1/health", Some("ops")),
        ("/v1/health", None),
        ("/nothing", None),
        ("/livez", None),
        ("/v1/kkt/events", Some("eye")),
    ] {
        let mut request = shop.anonymous(Method::GET, path).header(header::ACCEPT, "text/html,*/*");
        if let Some(secret) = secret {
            request = request.bearer_auth(token(secret));
        }
        let answer = shop.send(request);
        let value = |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().unwrap());
        let policy = value("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(value("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(value("referrer-policy"), "no-referrer", "{path}");
        for policy in ["cross-origin-resource-policy", "cross-origin-opener-policy"] {
            assert_eq!(value(policy), "same-origin", "{path}");
        }
    }
}

#[test]
fn files_are_kept_by_the_browser_and_asked_for_by_their_tag() {
    let shop = Shop::open();
    for path in ["/", "/assets/dashboard.css", "/assets/texts.js", "/assets/icon.svg"] {
        let ask = || shop.anonymous(Method::GET, path).header(header::ACCEPT, "text/html");
        let first = shop.send(ask());
        assert_eq!(first.status(), 200, "{path}");
        assert_eq!(first.headers()[header::CACHE_CONTROL], "no-cache");
        let tag = first.headers()[header::ETAG].clone();
        let again = shop.send(ask().header(header::IF_NONE_MATCH, tag));
        assert_eq!(again.status(), 304, "{path}");
        assert_eq!(shop.send(ask().header(header::IF_NONE_MATCH, "\"other\"")).status(), 200, "{path}");
    }
    assert_eq!(shop.send(shop.anonymous(Method::GET, "/assets/index.html")).status(), 404);
    assert_eq!(shop.send(shop.anonymous(Method::GET, "/assets/..%2Fmod.rs")).status(), 404);
}

#[test]
fn who_has_not_logged_in_sees_that_nothing_here_is_fiscal_and_no_more() {
    let shop = guarded();
    let chrome = Chrome::start();
    for (language, words, role) in
        [("en", "no legal force", "reader"), ("ru", "не имеют юридической силы", "только просмотр")]
    {
        let page = chrome.open(&shop.url, language);
        page.until("the form", "!document.getElementById('login').hidden");
        let banner = page.text("#not-fiscal");
        assert!(banner.contains("НЕ ФИСКАЛЬНЫЙ · NOT FISCAL") && banner.contains(words), "{banner}");
        assert_eq!(page.evaluate("document.getElementById('not-fiscal').checkVisibility()"), true);
        assert_eq!(page.text("#version"), "", "what runs here is not for strangers");
        assert_eq!(page.evaluate("document.getElementById('live').hidden"), true, "it waits for a person");
        page.fill("#login-token", &token("eye"));
        page.press("Enter");
        page.until_ready();
        assert_eq!(page.text("#who-name"), format!("eye ({role})"));
        assert_eq!(page.evaluate("document.getElementById('live').hidden"), false);
        page.assert_no_foreign_requests();
    }
}

#[test]
fn a_person_logs_in_at_the_page_and_out_again() {
    let shop = guarded();
    let chrome = Chrome::start();
    let page = chrome.open(&shop.url, "en");
    page.until("the form", "!document.getElementById('login').hidden");
    page.fill("#login-token", "not-a-token");
    page.press("Enter");
    page.until_says("#login-error", "no such token");
    page.evaluate("document.getElementById('login-token').value = ''");
    page.fill("#login-token", &token("eye"));
    page.press("Enter");
    page.until_ready();
    assert_eq!(page.text("#who-name"), "eye (reader)");
    assert_eq!(page.evaluate("document.cookie"), "", "no script sees the cookie");
    assert_eq!(
        page.evaluate("document.querySelectorAll('[data-action]').length"),
        0,
        "a reader has no levers"
    );
    page.click("#logout");
    page.until(
        "the form again",
        "!document.getElementById('login').hidden && document.getElementById('board').hidden",
    );
    page.assert_no_foreign_requests();
    let session: Value = shop.get("/v1/session");
    assert_eq!(session["role"], "operator", "a token needs no session");
}
