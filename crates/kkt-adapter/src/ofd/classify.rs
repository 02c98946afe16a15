//! What an answer of the OFD means. Pure.
//!
//! Promises:
//! 1. A document counts as confirmed only by a whole answer that says `accepted`, names its `ofd_id` and, where it
//!    echoes `receipt_id` or the ФД number (`fd`, `fiscal_doc_number`), echoes those of the document sent.
//! 2. A document is given up (`Rejected`) only on the OFD's own word, read in full: a JSON object. A page of a proxy or
//!    a captive portal, or a wrong address, sends no document to the dead letters.
//! 3. Whatever else came: the same key again.
//!
//! | seen | meaning |
//! |---|---|
//! | not connected (DNS, refused, TLS), time-out before the head of the answer | `Unavailable` |
//! | cut, reset or not HTTP after the request was on its way | `Ambiguous` |
//! | 2xx, whole, `status` accepted, echo matches | confirmed |
//! | 2xx, whole, `status` rejected | `Rejected` |
//! | 2xx with anything else: cut, too long, too slow, not JSON, no `ofd_id`, a foreign echo | `Ambiguous` |
//! | 401, 403 | `Unauthorised` |
//! | 408, 425, 429, 5xx | `Unavailable`, with `Retry-After` |
//! | 3xx | `Unavailable`: redirects are not followed, a document goes where the configuration says and nowhere else |
//! | 404, 405, 407, 421, 426 | `Unavailable`: the address or the way is wrong, not the document (unless `status` rejected) |
//! | other 4xx, whole JSON object | `Rejected`, its code the body's `code`, else `type`, else `http_<status>` |
//! | other 4xx, whole, not a JSON object | `Unavailable`: not the OFD's word |
//! | other 4xx, cut or too long | `Ambiguous` |
//!
//! `Unavailable` is the safe side for what cannot be told: such a document stays at the head of its lane with the
//! breaker open, and if others pass while it does not, its attempts run out (architecture, «Rules of the sync»).

use super::retry_after;
use crate::{
    domain::document::{Confirmation, Outgoing},
    ports::OfdError,
};
use jiff::Timestamp;
use serde_json::{Map, Value};

/// Longest text of the OFD that goes into an error, in characters.
const REASON_MAX: usize = 300;
/// Longest `ofd_id` and `timestamp`, in characters.
const ID_MAX: usize = 256;

/// An answer as far as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Retry-After`, as it came.
    pub retry_after: Option<String>,
    /// `Date`, as it came.
    pub date: Option<String>,
    /// `Location`, as it came.
    pub location: Option<String>,
    /// The body, or why there is no whole one.
    pub body: Result<Vec<u8>, String>,
}

/// What the answer to a document means. `wall` serves a `Retry-After` with a date where the answer has no `Date`.
///
/// # Errors
/// [`OfdError`] by the table above.
pub fn submitted(document: &Outgoing, answer: &Answer, wall: Timestamp) -> Result<Confirmation, OfdError> {
    match answer.status {
        200..=299 => confirmation(document, answer),
        400..=499 => Err(refusal(answer, wall)),
        _ => Err(unavailable(answer, wall)),
    }
}

/// What the answer to a ping means: only a 2xx says that the OFD is there.
///
/// # Errors
/// `Unauthorised` or `Unavailable`.
pub fn pinged(answer: &Answer, wall: Timestamp) -> Result<(), OfdError> {
    match answer.status {
        200..=299 if answer.body.is_ok() => Ok(()),
        401 | 403 => Err(OfdError::Unauthorised(describe(answer))),
        _ => Err(unavailable(answer, wall)),
    }
}

fn confirmation(document: &Outgoing, answer: &Answer) -> Result<Confirmation, OfdError> {
    let body = match &answer.body {
        Ok(_) => object(answer).ok_or("the answer is not a JSON object".to_owned()),
        Err(reason) => Err(reason.clone()),
    }
    .map_err(|reason| ambiguous(answer, &reason))?;
    match body.get("status").and_then(Value::as_str) {
        Some("accepted") => {}
        Some("rejected") => return Err(rejected(answer, &body)),
        _ => return Err(ambiguous(answer, "the answer does not say accepted")),
    }
    if let Some(field) = foreign_echo(document, &body) {
        return Err(ambiguous(answer, &format!("the answer is about another document ({field})")));
    }
    let text = |name: &str| body.get(name).and_then(scalar).filter(|text| text.chars().count() <= ID_MAX);
    match text("ofd_id").filter(|id| !id.is_empty()) {
        Some(ofd_id) => Ok(Confirmation { ofd_id, timestamp: text("timestamp").unwrap_or_default() }),
        None => Err(ambiguous(answer, "the answer has no ofd_id")),
    }
}

/// The first field in which the answer names another document than the one sent.
fn foreign_echo(document: &Outgoing, body: &Map<String, Value>) -> Option<&'static str> {
    let fd = document.fd.to_string();
    let id = document.id.to_string();
    [("receipt_id", &id), ("fd", &fd), ("fiscal_doc_number", &fd)]
        .into_iter()
        .find(|(name, own)| {
            // A null is no echo.
            body.get(*name)
                .filter(|value| !value.is_null())
                .is_some_and(|value| scalar(value).is_none_or(|echo| !echo.eq_ignore_ascii_case(own)))
        })
        .map(|(name, _)| name)
}

fn refusal(answer: &Answer, wall: Timestamp) -> OfdError {
    if matches!(answer.status, 401 | 403) {
        return OfdError::Unauthorised(describe(answer));
    }
    if matches!(answer.status, 408 | 425 | 429) {
        return unavailable(answer, wall);
    }
    if let Err(reason) = &answer.body {
        return ambiguous(answer, reason);
    }
    let wrong_way = matches!(answer.status, 404 | 405 | 407 | 421 | 426);
    match object(answer) {
        Some(body) if !wrong_way || body.get("status").and_then(Value::as_str) == Some("rejected") => {
            rejected(answer, &body)
        }
        _ => unavailable(answer, wall),
    }
}

fn rejected(answer: &Answer, body: &Map<String, Value>) -> OfdError {
    let code = ["code", "type"]
        .into_iter()
        .find_map(|name| body.get(name).and_then(scalar))
        .map_or_else(|| format!("http_{}", answer.status), |code| bounded(&code, 64));
    OfdError::Rejected { code, reason: describe(answer) }
}

fn unavailable(answer: &Answer, wall: Timestamp) -> OfdError {
    let hint = match answer.status {
        300..=399 => {
            let to =
                answer.location.as_deref().map_or(String::new(), |to| format!(" to {}", bounded(to, 200)));
            format!("; it redirects{to}, which is not followed: set ofd.base_url to the right address")
        }
        404 | 405 => "; is ofd.base_url the address of the OFD?".to_owned(),
        407 | 421 | 426 => "; a proxy or gateway stands in the way".to_owned(),
        _ => String::new(),
    };
    let retry_after =
        answer.retry_after.as_deref().and_then(|text| retry_after::parse(text, answer.date.as_deref(), wall));
    OfdError::Unavailable { reason: format!("{}{hint}", describe(answer)), retry_after }
}

fn ambiguous(answer: &Answer, reason: &str) -> OfdError {
    OfdError::Ambiguous(format!("HTTP {}: {reason}", answer.status))
}

fn object(answer: &Answer) -> Option<Map<String, Value>> {
    serde_json::from_slice(answer.body.as_ref().ok()?).ok()
}

/// Status and, if the answer has one, its text; bounded and on one line.
fn describe(answer: &Answer) -> String {
    let text = object(answer).and_then(|body| {
        ["detail", "message", "error"].into_iter().find_map(|name| {
            body.get(name).map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
        })
    });
    match text {
        Some(text) => format!("HTTP {}: {}", answer.status, bounded(&text, REASON_MAX)),
        None => format!("HTTP {}", answer.status),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn bounded(text: &str, max: usize) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(max).collect();
    if line.len() < text.len() && text.chars().count() > max { format!("{line}…") } else { line }
}

#[cfg(test)]
#[path = "classify_tests.rs"]
mod tests;
