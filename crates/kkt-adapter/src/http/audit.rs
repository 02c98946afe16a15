//! `GET /v1/kkt/audit?subject=&limit=`: who did what, newest first. `subject` is a receipt_id, `breaker:<key>`, ….

use super::{body::outside, error::ApiError, query::Pairs, router::Shared, view::json};
use axum::{extract::State, http::StatusCode, response::Response};
use serde_json::{Value, json};

/// Lines unless asked otherwise, and at most.
const LIMIT: (usize, usize) = (100, 1_000);
/// Longest subject, in bytes; longer ones than any that is written.
const SUBJECT_MAX: usize = 128;

/// The latest lines of the audit trail.
pub async fn list(State(app): State<Shared>, pairs: Pairs) -> Result<Response, ApiError> {
    let mut errors = Vec::new();
    let mut wrong = |name: &'static str, rule: String, text: &str| {
        errors.push(outside("query", name, "value_error", rule, &Value::String(text.to_owned())));
    };
    let limit = match pairs.get("limit").map(|text| (text, text.parse::<usize>())) {
        None => LIMIT.0,
        Some((_, Ok(limit))) if (1..=LIMIT.1).contains(&limit) => limit,
        Some((text, _)) => {
            wrong("limit", format!("must be a number from 1 to {}", LIMIT.1), text);
            LIMIT.0
        }
    };
    let subject = pairs.get("subject").filter(|subject| !subject.is_empty());
    if let Some(text) = subject.filter(|subject| subject.len() > SUBJECT_MAX) {
        wrong("subject", format!("must have at most {SUBJECT_MAX} bytes"), text);
    }
    if !errors.is_empty() {
        return Err(ApiError::fields(errors));
    }
    let lines = app.ports.buffer.audit(subject.cloned(), limit).await?;
    let lines: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({
                "at": line.at.to_string(), "subject": line.subject, "action": line.action,
                "by": line.actor.0, "detail": line.detail,
            })
        })
        .collect();
    Ok(json(StatusCode::OK, &json!({ "audit": lines })))
}
