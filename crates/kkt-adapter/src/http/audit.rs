//! `GET /v1/kkt/audit?subject=&limit=`: who did what, newest first. `subject` is a receipt_id, `breaker:<key>`, ….

use super::{
    body::outside,
    error::ApiError,
    query::Pairs,
    router::Shared,
    view::{Time, json},
};
use crate::domain::entry::AuditEvent;
use axum::{extract::State, http::StatusCode, response::Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// Lines unless asked otherwise, and at most.
pub const LIMIT: (usize, usize) = (100, 1_000);
/// Longest subject, in bytes; longer ones than any that is written.
pub const SUBJECT_MAX: usize = 128;

/// The audit trail, newest first.
#[derive(Serialize, JsonSchema)]
pub struct Audit<'a> {
    audit: Vec<Line<'a>>,
}

/// What happened, who did it and why.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AuditLine")]
struct Line<'a> {
    at: Time,
    /// What it happened to: a receipt_id, `breaker:<key>`, ….
    subject: &'a str,
    /// What was done, such as `printed`, `requeue`, `force_open`.
    action: &'a str,
    /// The name of the token, or `system`.
    by: &'a str,
    detail: &'a str,
}

impl<'a> Line<'a> {
    fn of(event: &'a AuditEvent) -> Self {
        let AuditEvent { at, subject, action, actor, detail } = event;
        Self { at: Time(*at), subject, action, by: &actor.0, detail }
    }
}

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
    Ok(json(StatusCode::OK, &Audit { audit: lines.iter().map(Line::of).collect() }))
}
