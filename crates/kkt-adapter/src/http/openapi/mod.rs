//! The document of the API, OpenAPI 3.1: `GET /openapi.json`.
//!
//! It is made from what the program itself works with: paths, methods and roles from the table of routes, bodies from
//! the types that are answered and the bounds that are checked, errors from the table of codes. What people must be told
//! besides stands in `operations`, one function a route; a route without one does not compile.
//!
//! ```text
//!  router::routes() ─┬─► the router
//!                    └─► document ◄── operations (words, examples) ◄── types of the handlers (schemas)
//! ```
//!
//! The examples of requests are run by a test against a real adapter, and the examples of answers are its answers.

mod document;
mod operation;
pub mod operations;
mod sample;

pub use operation::Operation;

use super::dashboard::File;
use axum::{http::HeaderMap, response::Response};
use std::sync::LazyLock;

static DOCUMENT: LazyLock<File> = LazyLock::new(|| {
    let document = document::document(&super::router::routes(), env!("CARGO_PKG_VERSION"));
    let text = serde_json::to_string(&document).expect("a document has only string keys");
    File::new("", "application/json", text)
});

/// `GET /openapi.json`.
pub async fn openapi(headers: HeaderMap) -> Response {
    DOCUMENT.answer(&headers)
}
