//! A whole request through the real router: path, query, cursors, Idempotency-Key, Host, Origin, content type,
//! Authorization, cookies, Last-Event-ID, and every body but the receipt's own depths.

use crate::house::House;
use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, Request, StatusCode, header},
    response::Response,
};
use http_body_util::{BodyExt as _, Limited};
use serde_json::Value;
use std::cell::RefCell;
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

/// Requests before a house is left for a new one, so that memory stays bounded and the buffer is not always full.
const REQUESTS_MAX: usize = 2_000;

struct Houses {
    runtime: Runtime,
    /// Without tokens, and with.
    houses: [House; 2],
    served: usize,
}

impl Houses {
    fn open() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let houses = runtime.block_on(async { [House::open(false).await, House::open(true).await] });
        Self { runtime, houses, served: 0 }
    }
}

thread_local! {
    static HOUSES: RefCell<Houses> = RefCell::new(Houses::open());
}

/// The first byte picks the house; then `METHOD target`, headers, an empty line and the body, with bare line ends.
fn request(data: &[u8]) -> Option<(usize, Request<Body>)> {
    let (first, data) = data.split_first()?;
    let (head, body) = match data.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&data[..at], &data[at + 2..]),
        None => (data, &[][..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let (method, target) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).ok()?).uri(target);
    for line in lines.take(64) {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        request = request.header(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
    }
    Some((usize::from(first & 1), request.body(Body::from(body.to_vec())).ok()?))
}

/// Whatever is asked: never a 500, every error in the contract's form, and nobody without the token gets in.
pub fn http(data: &[u8]) {
    let Some((house, request)) = request(data) else { return };
    HOUSES.with_borrow_mut(|houses| {
        houses.served += 1;
        if houses.served > REQUESTS_MAX {
            *houses = Houses::open();
        }
        let Houses { runtime, houses, .. } = houses;
        let house = &houses[house];
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let named = request.headers().contains_key(header::HOST) || request.uri().authority().is_some();
        let content_type = request.headers().get(header::CONTENT_TYPE).cloned();
        runtime.block_on(async {
            let response = house.router.clone().oneshot(request).await.expect("the router never fails");
            let status = response.status();
            let change = !matches!(method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
            if status.is_success() && change {
                assert!(content_type.is_some(), "{path}: a change that a form could have sent");
            }
            if status.is_success() && !is_open(&path) {
                // P10
                assert!(!house.with_tokens, "{method} {path}: let in without a token");
                assert!(named, "{path}: for nobody's name");
            }
            well_formed(response, &path).await;
        });
    });
}

/// What is answered to everybody.
fn is_open(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/" | "/docs" | "/v1/session") || path.starts_with("/assets/")
}

async fn well_formed(response: Response, path: &str) {
    let status = response.status();
    assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
    let id = response.headers().get("x-request-id").expect("every answer has its id").clone();
    assert!(id.to_str().is_ok_and(|id| (1..=64).contains(&id.len())));
    if !status.is_client_error() && !status.is_server_error() {
        return;
    }
    let body = Limited::new(response.into_body(), 1 << 20).collect().await.expect("an error is small");
    let bytes = body.to_bytes();
    if bytes.is_empty() {
        // The answer to HEAD has none.
        return;
    }
    if path == "/readyz" {
        return;
    }
    let error: Value = serde_json::from_slice(&bytes).expect("an error is JSON");
    assert_eq!(error["request_id"], id.to_str().expect("ASCII"));
    assert!(error["type"].as_str().is_some_and(|kind| !kind.is_empty()), "{error}");
    match &error["detail"] {
        Value::String(text) => assert!(!text.is_empty()),
        Value::Array(fields) => {
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
            assert!(!fields.is_empty());
            for field in fields {
                let place = field["loc"][0].as_str().expect("a validation error has a loc");
                assert!(["body", "header", "query", "path"].contains(&place), "{field}");
                assert!(field["msg"].as_str().is_some_and(|msg| !msg.is_empty()), "{field}");
                assert!(field["type"].is_string() && field.get("input").is_some(), "{field}");
            }
        }
        other => panic!("detail: {other}"),
    }
}
