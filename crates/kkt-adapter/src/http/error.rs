//! Errors as the API tells them: what to do in words, a code for programs, the request's id.

use super::codes;
use crate::{
    domain::validate::problem::FieldError,
    ports::{BreakerError, BufferError, KktError, TillError},
};
use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use schemars::JsonSchema;
use serde::Serialize;
use std::{sync::Arc, time::Duration};

/// When to come back after a failure that names no time itself.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// An answer that is an error. The gate gives it its body, since only the gate knows the request's id.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    kind: &'static str,
    detail: Detail,
    retry_after: Option<Duration>,
}

#[derive(Debug, Clone)]
enum Detail {
    Text(String),
    Fields(Vec<FieldError>),
}

impl ApiError {
    /// An error with a text that says what to do.
    #[must_use]
    pub fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        debug_assert!(codes::is_known(status, kind), "{status} {kind} is not in the table of codes");
        let detail = Detail::Text(detail.into());
        Self { status, kind, detail, retry_after: None }
    }

    /// Fields that are wrong: 422.
    #[must_use]
    pub fn fields(errors: Vec<FieldError>) -> Self {
        let detail = Detail::Fields(errors);
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Self { status, kind: "validation_error", detail, retry_after: None }
    }

    /// Come back later: 503 with `Retry-After`.
    #[must_use]
    pub fn unavailable(kind: &'static str, detail: impl Into<String>, retry_after: Duration) -> Self {
        let error = Self::new(StatusCode::SERVICE_UNAVAILABLE, kind, detail);
        Self { retry_after: Some(retry_after), ..error }
    }

    /// Not so fast: 429 with `Retry-After`.
    #[must_use]
    pub fn too_many(detail: impl Into<String>, retry_after: Duration) -> Self {
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", detail);
        Self { retry_after: Some(retry_after), ..error }
    }

    /// Nobody by that name, or not for this request: 404.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// A defect of ours: 500. What happened stands in the log.
    #[must_use]
    pub fn internal() -> Self {
        let text = "the adapter failed to answer this request; its log says why under this request_id. A receipt may \
                    be sent again under the same Idempotency-Key";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", text)
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> axum::response::Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(after) = self.retry_after {
            // Whole seconds, never too early.
            let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}

/// An error.
#[derive(Serialize, JsonSchema)]
pub struct ErrorBody<'a> {
    /// What to do about it, in words.
    detail: &'a str,
    /// For programs.
    #[serde(rename = "type")]
    kind: &'a str,
    /// Stands in the log beside what happened; also in the header `X-Request-Id`.
    request_id: &'a str,
}

/// What is wrong with a request, field by field.
#[derive(Serialize, JsonSchema)]
pub struct ValidationErrorBody<'a> {
    detail: &'a [FieldError],
    /// For programs.
    #[serde(rename = "type")]
    kind: &'a str,
    /// Stands in the log beside what happened; also in the header `X-Request-Id`.
    request_id: &'a str,
}

/// Gives an error its body. Errors that the framework made (no such route, method not allowed) get theirs too.
pub fn render(mut response: axum::response::Response, request_id: &str) -> axum::response::Response {
    let error = match response.extensions_mut().remove::<Arc<ApiError>>() {
        Some(error) => error,
        None => match unnamed(&response) {
            Some(error) => Arc::new(error),
            None => return response,
        },
    };
    let kind = error.kind;
    let bytes = match &error.detail {
        Detail::Text(detail) => serde_json::to_vec(&ErrorBody { detail, kind, request_id }),
        Detail::Fields(detail) => serde_json::to_vec(&ValidationErrorBody { detail, kind, request_id }),
    }
    .expect("an error has only string keys");
    let headers = response.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    *response.body_mut() = Body::from(bytes);
    response
}

fn unnamed(response: &axum::response::Response) -> Option<ApiError> {
    match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => {
            let allowed =
                response.headers().get(header::ALLOW).and_then(|v| v.to_str().ok()).unwrap_or("others");
            let text = format!("this path does not know the method; it knows {allowed}");
            Some(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text))
        }
        StatusCode::NOT_FOUND => Some(ApiError::not_found("no such path; GET / lists where to begin")),
        StatusCode::BAD_REQUEST => {
            Some(ApiError::new(StatusCode::BAD_REQUEST, "bad_request", "the request cannot be read"))
        }
        StatusCode::INTERNAL_SERVER_ERROR => Some(ApiError::internal()),
        _ => None,
    }
}

impl From<BufferError> for ApiError {
    fn from(error: BufferError) -> Self {
        let text = error.to_string();
        match error {
            BufferError::Full { retry_after, .. } => Self::unavailable("buffer_full", text, retry_after),
            BufferError::NotAllowed { .. } => Self::new(StatusCode::CONFLICT, "wrong_state", text),
            BufferError::NothingToSend => Self::new(StatusCode::CONFLICT, "nothing_to_send", text),
            BufferError::NotFound => Self::not_found(text),
            BufferError::Damaged(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "document_damaged", text),
            BufferError::Failed(_) => Self::unavailable("storage_failed", text, Duration::from_secs(30)),
        }
    }
}

impl From<KktError> for ApiError {
    fn from(error: KktError) -> Self {
        let kind = match error {
            KktError::NotPrinted(_) => "kkt_not_ready",
            KktError::Ambiguous(_) => "kkt_no_answer",
            KktError::Shift(_) => "kkt_shift",
            KktError::Failed(_) => "kkt_failed",
        };
        Self::unavailable(kind, error.to_string(), RETRY_AFTER)
    }
}

impl From<TillError> for ApiError {
    fn from(error: TillError) -> Self {
        let text = error.to_string();
        let conflict = |kind| Self::new(StatusCode::CONFLICT, kind, text.clone());
        match error {
            TillError::KeyReused(_) => conflict("idempotency_key_reused"),
            TillError::Cancelled(_) => conflict("receipt_cancelled"),
            TillError::State { .. } => conflict("wrong_state"),
            TillError::Shift(_) => conflict("shift_conflict"),
            TillError::FiscalNumber { number, why } => {
                let place = vec!["body".into(), "fiscal_doc_number".into()];
                Self::fields(vec![FieldError::new("value_error", place, why, &number.into())])
            }
            TillError::NotFound => Self::not_found(text),
            TillError::Stopping => Self::unavailable("stopping", text, RETRY_AFTER),
            TillError::Unprinted { retry_after, .. } => {
                Self::unavailable("receipt_unprinted", text, retry_after)
            }
            TillError::Buffer(error) => error.into(),
            TillError::Kkt(error) => error.into(),
        }
    }
}

impl From<BreakerError> for ApiError {
    fn from(error: BreakerError) -> Self {
        match error {
            BreakerError::NotFound(_) => Self::not_found(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // P4: a client gives up on what is no 503, and its receipt would never be printed.
    #[test]
    fn a_receipt_that_only_its_till_can_have_printed_is_a_503_to_be_tried_again() {
        let (reason, retry_after) = ("диск заполнен / the disk is full".into(), Duration::from_secs(60));
        let id = crate::domain::ids::ReceiptId::new();
        let error = ApiError::from(TillError::Unprinted { id, reason, retry_after });
        let expected = (StatusCode::SERVICE_UNAVAILABLE, "receipt_unprinted", Some(retry_after));
        assert_eq!((error.status, error.kind, error.retry_after), expected);
        let Detail::Text(text) = error.detail else { panic!("fields") };
        let halves: Vec<&str> = text.split(" / ").collect();
        assert_eq!(halves.len(), 2, "{text}");
        assert!(halves[0].contains("(диск заполнен)") && halves[1].contains("(the disk is full)"), "{text}");
    }
}
