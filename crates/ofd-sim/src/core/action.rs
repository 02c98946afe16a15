//! What the core wants done with a call.

use super::call::Invalid;
use super::ledger::{Accepted, Sighting};
use crate::plan::{GarbageForm, RetryAfter};
use serde_json::json;
use std::time::Duration;

/// What to do with a call: write down the sighting, wait, deliver, then report [`Core::finish`](super::Core::finish).
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// Pause before the delivery.
    pub delay: Duration,
    /// What then goes to the caller.
    pub delivery: Delivery,
    /// To be written to the journal before anything goes out. `None`: nothing in the ledger has changed.
    pub sighting: Option<Sighting>,
}

/// What goes to the caller.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// An HTTP answer.
    Answer(Answer),
    /// An HTTP answer, one byte of its body at a time.
    Drip {
        /// The answer.
        answer: Answer,
        /// Pause before each byte.
        byte_interval: Duration,
    },
    /// Status 200 and a body without end.
    Endless,
    /// Nothing, with the connection open.
    Hang,
    /// TCP RST.
    Reset,
    /// TCP FIN, without an answer.
    Cut,
    /// Bytes that are not HTTP, then FIN.
    NotHttp,
}

impl Delivery {
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Answer(answer) | Self::Drip { answer, .. } => answer.label,
            Self::Endless => "endless",
            Self::Hang => "hang",
            Self::Reset => "reset",
            Self::Cut => "cut",
            Self::NotHttp => "garbage",
        }
    }
}

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// Value of `Retry-After`, if any: printable ASCII.
    pub retry_after: Option<String>,
    /// The key was counted before: `Idempotent-Replayed: true`.
    pub replayed: bool,
    /// The body.
    pub body: String,
    /// Name under which `by_answer` counts it.
    pub label: &'static str,
    /// Whether it stands for an acceptance.
    pub(super) counts: bool,
}

impl Answer {
    fn json(status: u16, label: &'static str, body: &serde_json::Value) -> Self {
        Self {
            status,
            content_type: "application/json",
            retry_after: None,
            replayed: false,
            body: body.to_string(),
            label,
            counts: false,
        }
    }

    pub(super) fn accepted(accepted: Accepted) -> Self {
        let label = if accepted.replayed { "duplicate" } else { "accepted" };
        let body = json!({
            "status": "accepted",
            "ofd_id": format!("sim-{:09}", accepted.first_seq),
            "timestamp": rfc3339(accepted.at),
        });
        Self { replayed: accepted.replayed, counts: true, ..Self::json(200, label, &body) }
    }

    pub(super) fn pong() -> Self {
        Self::json(200, "pong", &json!({"status": "ok", "fiscal": false}))
    }

    pub(super) fn unauthorised() -> Self {
        let body = json!({"status": "error", "type": "unauthorised", "detail":
            "send Authorization: Bearer with a token this operator knows"});
        Self::json(401, "unauthorised", &body)
    }

    pub(super) fn conflict(key: &str) -> Self {
        let body = json!({"status": "conflict", "type": "key_conflict", "detail":
            format!("Idempotency-Key {key} came before with other bytes; a new document needs a new key")});
        Self::json(409, "conflict", &body)
    }

    pub(super) fn invalid(invalid: &Invalid) -> Self {
        let problem = json!({"type": "invalid", "loc": invalid.loc, "msg": invalid.msg});
        let body = json!({"status": "rejected", "code": 1, "type": "invalid_document", "detail": [problem]});
        Self::json(422, "invalid", &body)
    }

    pub(super) fn ledger_full(limit: usize) -> Self {
        let body = json!({"status": "error", "type": "ledger_full", "detail":
            format!("the simulator's ledger holds {limit} documents: POST /sim/reset empties it")});
        Self::json(507, "ledger_full", &body)
    }

    pub(super) fn rejected(status: u16, code: i64, detail: Option<&str>) -> Self {
        let detail = detail.unwrap_or("the fault plan refuses this document for good");
        Self::json(status, "rejected", &json!({"status": "rejected", "code": code, "detail": detail}))
    }

    pub(super) fn failed(status: u16, retry_after: Option<&RetryAfter>, detail: Option<&str>) -> Self {
        let detail = detail.unwrap_or("the fault plan fails this call");
        let label = match status {
            401 | 403 => "unauthorised",
            429 => "too_many_requests",
            _ => "failed",
        };
        let retry_after = retry_after.map(|r| match r {
            RetryAfter::Seconds(n) => n.to_string(),
            RetryAfter::Text(s) => s.clone(),
        });
        let body = json!({"status": "error", "type": "fault", "detail": detail});
        Self { retry_after, ..Self::json(status, label, &body) }
    }

    pub(super) fn garbage(form: GarbageForm) -> Self {
        let (content_type, body) = match form {
            GarbageForm::Html | GarbageForm::Wire => {
                ("text/html", "<html><body>Welcome to Free WiFi</body></html>")
            }
            GarbageForm::Json => ("application/json", "{\"status\":\"acc"),
            GarbageForm::OtherJson => ("application/json", "[null,{\"hello\":\"world\"}]"),
        };
        Self { content_type, body: body.into(), ..Self::json(200, "garbage", &json!(null)) }
    }
}

/// The stamp as RFC 3339 in UTC; out of jiff's range (year 9999), the epoch.
pub(super) fn rfc3339(unix_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(unix_ms).unwrap_or_default().to_string()
}
