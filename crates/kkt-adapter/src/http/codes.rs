//! Every error that the API can answer with: its code for programs, its status, and what it means. An error that does
//! not stand here cannot be made; the document of the API says of each operation which of them it can end in.

use axum::http::StatusCode;

/// An error of the API.
#[derive(Debug, Clone, Copy)]
pub struct Code {
    /// `type` in the body.
    pub kind: &'static str,
    /// The status of the answer.
    pub status: StatusCode,
    /// What it means, and what to do.
    pub meaning: &'static str,
}

const fn code(status: StatusCode, kind: &'static str, meaning: &'static str) -> Code {
    Code { kind, status, meaning }
}

/// All of them, by status.
pub const CODES: &[Code] = &[
    code(StatusCode::BAD_REQUEST, "bad_request", "the path or the query cannot be read"),
    code(StatusCode::BAD_REQUEST, "invalid_utf8", "the body is not UTF-8"),
    code(StatusCode::BAD_REQUEST, "body_cut", "the body ended early or is badly framed"),
    code(StatusCode::UNAUTHORIZED, "token_required", "no token, or none that is known"),
    code(StatusCode::FORBIDDEN, "role_not_enough", "the role of the token does not allow it"),
    code(StatusCode::FORBIDDEN, "foreign_till", "the token acts for other tills"),
    code(StatusCode::FORBIDDEN, "host_not_allowed", "the Host header names somebody else"),
    code(StatusCode::FORBIDDEN, "foreign_origin", "a page of another origin asks"),
    code(StatusCode::NOT_FOUND, "not_found", "nothing by that name"),
    code(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "the path does not know the method"),
    code(StatusCode::REQUEST_TIMEOUT, "body_timeout", "the body did not arrive in time"),
    code(
        StatusCode::CONFLICT,
        "idempotency_key_reused",
        "the key was used for another receipt: a new receipt needs a new key",
    ),
    code(
        StatusCode::CONFLICT,
        "receipt_cancelled",
        "the receipt under this key was cancelled: use a new key",
    ),
    code(StatusCode::CONFLICT, "wrong_state", "the document's state does not allow it"),
    code(
        StatusCode::CONFLICT,
        "nothing_to_send",
        "nothing of the document is left, or was ever there, to be sent: close it with a note",
    ),
    code(
        StatusCode::CONFLICT,
        "holds_up_nothing",
        "only the first document of a lane, tried in vain, can be set aside",
    ),
    code(StatusCode::CONFLICT, "shift_conflict", "the shift is already as asked, or cannot be changed now"),
    code(StatusCode::CONFLICT, "sync_running", "a sync is already running: wait for it to end"),
    code(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "the body is too large"),
    code(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content_type_not_json", "a change needs application/json"),
    code(
        StatusCode::UNPROCESSABLE_ENTITY,
        "validation_error",
        "`detail` lists what is wrong, field by field",
    ),
    code(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", "too many wrong tokens from this address: wait"),
    code(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "a defect of the adapter; its log says which"),
    code(
        StatusCode::INTERNAL_SERVER_ERROR,
        "document_damaged",
        "the stored document failed its checksum: a person must look",
    ),
    code(
        StatusCode::SERVICE_UNAVAILABLE,
        "buffer_full",
        "no room (capacity, free disk space or work in hand; `detail` says which), nothing was stored: the same key again \
         later",
    ),
    code(
        StatusCode::SERVICE_UNAVAILABLE,
        "receipt_unprinted",
        "the receipt is stored but not printed, and is not printed by itself: the same key again later",
    ),
    code(StatusCode::SERVICE_UNAVAILABLE, "storage_failed", "the storage has failed: a person must look"),
    code(
        StatusCode::SERVICE_UNAVAILABLE,
        "stopping",
        "the adapter stops: the same key again once it is back",
    ),
    code(StatusCode::SERVICE_UNAVAILABLE, "kkt_not_ready", "the KKT did not do it: paper, power, cable"),
    code(StatusCode::SERVICE_UNAVAILABLE, "kkt_no_answer", "the KKT did not answer in time"),
    code(StatusCode::SERVICE_UNAVAILABLE, "kkt_shift", "the KKT's shift does not allow it"),
    code(StatusCode::SERVICE_UNAVAILABLE, "kkt_failed", "the KKT has failed: a person must look"),
    code(StatusCode::SERVICE_UNAVAILABLE, "too_many_readers", "too many read the events already"),
    code(
        StatusCode::SERVICE_UNAVAILABLE,
        "request_timeout",
        "not finished in time; what was begun goes on: ask again, a receipt under the same key",
    ),
];

/// The code by its name.
#[must_use]
pub fn of(kind: &str) -> Option<&'static Code> {
    CODES.iter().find(|code| code.kind == kind)
}

/// Whether it stands in the table with this status.
#[must_use]
pub fn is_known(status: StatusCode, kind: &str) -> bool {
    of(kind).is_some_and(|code| code.status == status)
}
