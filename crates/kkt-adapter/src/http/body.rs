//! Reading a request's body within its limits of size and time.

use super::{HttpOptions, connections::Activity, error::ApiError};
use crate::domain::validate::{
    form::Form,
    json::{self, JsonError},
    problem::FieldError,
};
use axum::{
    body::{Body, Bytes},
    http::{StatusCode, header, request::Parts},
};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

/// Bytes beyond the limit that are read and thrown away, so that the client gets to read the 413.
const DRAIN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long that may take.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);

/// The body as JSON.
///
/// # Errors
/// 400 (not UTF-8), 408, 413, 422 (malformed).
pub async fn json(parts: &Parts, body: Body, options: &HttpOptions) -> Result<Value, ApiError> {
    let bytes = read(parts, body, options).await?;
    json::parse(&bytes).map_err(|error| match error {
        JsonError::NotUtf8(offset) => {
            let text = format!("the body must be UTF-8; the byte at {offset} is not");
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_utf8", text)
        }
        JsonError::Invalid(error) => ApiError::fields(vec![*error]),
    })
}

/// The body as an object whose fields `read` takes; no body at all is an object without fields.
///
/// # Errors
/// As [`json`]; 422 with everything `read` found wrong.
pub async fn form<T>(
    parts: &Parts,
    body: Body,
    options: &HttpOptions,
    read_fields: impl FnOnce(&mut Form, &mut Map<String, Value>) -> Option<T>,
) -> Result<T, ApiError> {
    let bytes = read(parts, body, options).await?;
    let value = if bytes.is_empty() { Ok(Value::Object(Map::new())) } else { json::parse(&bytes) };
    let value = value.map_err(|error| match error {
        JsonError::NotUtf8(_) => {
            ApiError::new(StatusCode::BAD_REQUEST, "invalid_utf8", "the body must be UTF-8")
        }
        JsonError::Invalid(error) => ApiError::fields(vec![*error]),
    })?;
    let mut form = Form::new("body");
    let read = form.object(value).and_then(|mut map| read_fields(&mut form, &mut map));
    let (errors, _) = form.finish();
    match read {
        Some(read) if errors.is_empty() => Ok(read),
        _ => Err(ApiError::fields(errors)),
    }
}

/// All of the time that it takes, what is read and thrown away included, nothing has begun for this request.
async fn read(parts: &Parts, body: Body, options: &HttpOptions) -> Result<Bytes, ApiError> {
    let activity = parts.extensions.get::<Arc<Activity>>();
    if let Some(activity) = activity {
        activity.reads_body();
    }
    let bytes = receive(parts, body, options).await;
    if let Some(activity) = activity {
        activity.works();
    }
    bytes
}

async fn receive(parts: &Parts, body: Body, options: &HttpOptions) -> Result<Bytes, ApiError> {
    let max = options.body_bytes_max;
    let announced =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > max) {
        // A client that waits for `100 Continue` has sent nothing yet and needs no draining.
        if !parts.headers.contains_key(header::EXPECT) {
            drain(body).await;
        }
        return Err(too_large(max));
    }
    match tokio::time::timeout(options.body_timeout, collect(body, max, announced)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(Broken::TooLarge(rest))) => {
            drain(rest).await;
            Err(too_large(max))
        }
        Ok(Err(Broken::Cut)) => {
            Err(ApiError::new(StatusCode::BAD_REQUEST, "body_cut", "the body ended early or is badly framed"))
        }
        Err(_) => {
            let text = format!("the body did not arrive within {} s", options.body_timeout.as_secs());
            Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", text))
        }
    }
}

enum Broken {
    TooLarge(Body),
    Cut,
}

async fn collect(mut body: Body, max: usize, announced: Option<usize>) -> Result<Bytes, Broken> {
    let mut first: Option<Bytes> = None;
    let mut all: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Broken::Cut)?.into_data() else { continue };
        let before = first.as_ref().map_or(all.len(), Bytes::len);
        if before + data.len() > max {
            return Err(Broken::TooLarge(body));
        }
        match first.take() {
            // Most receipts arrive in one piece, which is then never copied.
            None if all.is_empty() => first = Some(data),
            None => all.extend_from_slice(&data),
            Some(head) => {
                all.reserve(announced.unwrap_or(head.len() + data.len()).min(max));
                all.extend_from_slice(&head);
                all.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| all.into()))
}

async fn drain(mut body: Body) {
    let reading = async {
        let mut left = DRAIN_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    };
    // Whether it ended or not, the answer is the same.
    let _ = tokio::time::timeout(DRAIN_TIME_MAX, reading).await;
}

fn too_large(max: usize) -> ApiError {
    let text = format!("the body must have at most {max} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", text)
}

/// The error of one field outside of the body.
#[must_use]
pub fn outside(
    place: &'static str,
    field: &'static str,
    kind: &'static str,
    msg: String,
    input: &Value,
) -> FieldError {
    FieldError::new(kind, vec![place.into(), field.into()], msg, input)
}
