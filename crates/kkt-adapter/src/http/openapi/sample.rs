//! How to call an operation by `curl`, ready to be pasted into a shell.

use super::{
    super::{auth::Area, router::Route},
    operation::{Operation, Place},
};
use axum::http::Method;
use std::fmt::Write as _;

/// Where samples expect the adapter.
pub const BASE: &str = "http://127.0.0.1:8000";

/// The command.
pub fn curl(route: &Route, operation: &Operation) -> String {
    let mut path = route.path.to_owned();
    let mut query = String::new();
    let mut headers = Vec::new();
    if !matches!(route.area, Area::Liveness) {
        headers.push("\"Authorization: Bearer $TOKEN\"".to_owned());
    }
    for parameter in &operation.parameters {
        let Some(example) = parameter.example else { continue };
        match parameter.place {
            Place::Path => path = path.replace(&format!("{{{}}}", parameter.name), example),
            Place::Query => {
                let sign = if query.is_empty() { '?' } else { '&' };
                let _ = write!(query, "{sign}{}={example}", parameter.name);
            }
            Place::Header => headers.push(format!("'{}: {example}'", parameter.name)),
        }
    }
    headers.extend(operation.accept.map(|kind| format!("'Accept: {kind}'")));
    if route.method != Method::GET {
        headers.push("'Content-Type: application/json'".into());
    }
    let streams =
        operation.answers.iter().flat_map(|one| &one.content).any(|one| one.0 == "text/event-stream");
    let mut text = format!("curl -s{}", if streams { "N" } else { "" });
    if !matches!(route.method, Method::GET | Method::POST)
        || (route.method == Method::POST && operation.body.is_none())
    {
        let _ = write!(text, " -X {}", route.method);
    }
    let quote = if query.is_empty() { "" } else { "'" };
    let _ = write!(text, " {quote}{BASE}{path}{query}{quote}");
    for header in headers {
        let _ = write!(text, " \\\n  -H {header}");
    }
    if let Some(body) = &operation.body {
        let _ = write!(text, " \\\n  -d '{}'", body.example);
    }
    text
}
