//! `POST /v1/kkt/receipt`.

use super::{
    body::{self, outside},
    error::ApiError,
    gate::{self, access, detached},
    router::Shared,
    view::{SaleView, json},
};
use crate::domain::{ids::IdempotencyKey, validate};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode},
    response::Response,
};
use serde_json::Value;
use std::sync::Arc;

/// Takes a receipt. Reading it can be given up at any time; from then on the sale runs to its end whether or not
/// the client waits for the answer.
pub async fn sell(State(app): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let bearer = access(&parts.extensions)?;
    let body = body::json(&parts, body, &app.ports.options).await?;
    let today = app.ports.options.zone.to_datetime(app.ports.clock.wall()).date();
    let (key, valid) = match (idempotency_key(&parts.headers), validate::receipt(body, today)) {
        (Ok(key), Ok(valid)) => (key, valid),
        (key, valid) => {
            let mut errors: Vec<_> = key.err().map(|error| *error).into_iter().collect();
            errors.extend(valid.err().unwrap_or_default());
            return Err(ApiError::fields(errors));
        }
    };
    bearer.act_for(&valid.receipt.pos_id)?;
    let till = Arc::clone(&app.ports.till);
    let (receipt, notes, request_id) = (valid.receipt, valid.notes, gate::request_id(&parts.extensions));
    let sale = detached(async move { till.sell(key, receipt, notes, request_id).await }).await??;
    crate::fail_point::hit("http.before_answer");
    let mut response = json(StatusCode::OK, &SaleView::of(&sale, app.ports.fiscal()));
    if sale.replayed {
        response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    }
    if !valid.ignored.is_empty() {
        response.headers_mut().insert("x-ignored-fields", names(&valid.ignored));
    }
    Ok(response)
}

fn idempotency_key(headers: &HeaderMap) -> Result<IdempotencyKey, Box<validate::problem::FieldError>> {
    let wrong = |kind, msg: String, input: &Value| {
        Err(Box::new(outside("header", "Idempotency-Key", kind, msg, input)))
    };
    let mut given = headers.get_all("idempotency-key").iter();
    match (given.next(), given.next()) {
        (None, _) => {
            wrong("missing", "this header is required: a new UUID for each new receipt".into(), &Value::Null)
        }
        (Some(_), Some(_)) => wrong("value_error", "must be sent once".into(), &Value::Null),
        (Some(value), None) => match value.to_str().ok().and_then(|text| text.parse().ok()) {
            Some(key) => Ok(key),
            None => {
                let input = Value::String(String::from_utf8_lossy(value.as_bytes()).into_owned());
                wrong("value_error", format!("must be {}", IdempotencyKey::RULE), &input)
            }
        },
    }
}

/// Names for a header: others than visible ASCII are percent-encoded, as are the comma and the percent sign.
fn names(ignored: &[String]) -> HeaderValue {
    let mut text = String::new();
    for (index, name) in ignored.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        if name == "…" {
            text.push_str("...");
            continue;
        }
        for byte in name.bytes() {
            if byte.is_ascii_graphic() && !matches!(byte, b',' | b'%') {
                text.push(byte.into());
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    HeaderValue::from_str(&text).expect("only visible ASCII was pushed")
}
