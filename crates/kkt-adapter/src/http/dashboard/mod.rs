//! The dashboard: a page and its files, served from the binary. It holds no data; its script asks the API for them.
//!
//! Rules for the files: nothing comes from elsewhere, nothing is built; no script or style stands in the page itself, so
//! that the content security policy can forbid it; text from receipts goes into the page as text, never as markup.

pub mod guides;

use super::error::ApiError;
use axum::{
    body::{Body, Bytes},
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Something that changes with the program only.
pub struct File {
    name: &'static str,
    kind: &'static str,
    text: Bytes,
    etag: HeaderValue,
}

impl File {
    /// A file by its name, its content type and its text.
    pub fn new(name: &'static str, kind: &'static str, text: impl Into<Bytes>) -> Self {
        let text = text.into();
        let digest = Sha256::digest(&text);
        let short: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        let etag =
            HeaderValue::from_str(&format!("\"{short}\"")).expect("hexadecimal digits are visible ASCII");
        Self { name, kind, text, etag }
    }

    /// The file, or 304 if the browser has it. Browsers keep it but ask each time, so that a new version of the adapter
    /// never meets an old script.
    pub fn answer(&self, headers: &HeaderMap) -> Response {
        let asked =
            headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let known = asked
            .split(',')
            .any(|tag| tag.trim().trim_start_matches("W/").as_bytes() == self.etag.as_bytes());
        let mut response = Response::new(if known { Body::empty() } else { Body::from(self.text.clone()) });
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(header::ETAG, self.etag.clone());
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if self.kind != JSON {
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
        }
        response
    }
}

/// The content type of data.
pub const JSON: &str = "application/json";
const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

static PAGE: LazyLock<File> = LazyLock::new(|| File::new("", HTML, include_str!("index.html")));

/// The page of an adapter that emulates something: its banner stands in the page itself, so that it is seen before
/// logging in, and without the script.
static PAGE_NOT_FISCAL: LazyLock<File> = LazyLock::new(|| {
    let text = include_str!("index.html").replacen(r#"id="not-fiscal" hidden"#, r#"id="not-fiscal""#, 1);
    File::new("", HTML, text)
});

static DOCS: LazyLock<File> = LazyLock::new(|| File::new("", HTML, include_str!("docs.html")));

static ASSETS: LazyLock<Vec<File>> = LazyLock::new(|| {
    vec![
        File::new("dashboard.css", STYLE, include_str!("dashboard.css")),
        File::new("icon.svg", "image/svg+xml", include_str!("icon.svg")),
        File::new("actions.js", SCRIPT, include_str!("actions.js")),
        File::new("api.js", SCRIPT, include_str!("api.js")),
        File::new("breakers.js", SCRIPT, include_str!("breakers.js")),
        File::new("dashboard.js", SCRIPT, include_str!("dashboard.js")),
        File::new("docs.css", STYLE, include_str!("docs.css")),
        File::new("docs.js", SCRIPT, include_str!("docs.js")),
        File::new("documents.js", SCRIPT, include_str!("documents.js")),
        File::new("dom.js", SCRIPT, include_str!("dom.js")),
        File::new("guide.css", STYLE, include_str!("guide.css")),
        File::new("live.js", SCRIPT, include_str!("live.js")),
        File::new("overview.js", SCRIPT, include_str!("overview.js")),
        File::new("russian.js", SCRIPT, include_str!("russian.js")),
        File::new("texts.js", SCRIPT, include_str!("texts.js")),
        File::new("verdict.js", SCRIPT, include_str!("verdict.js")),
    ]
});

/// The page at `/`.
pub fn page(fiscal: bool, headers: &HeaderMap) -> Response {
    let page = if fiscal { &PAGE } else { &PAGE_NOT_FISCAL };
    let mut response = page.answer(headers);
    // The same address gives JSON to programs.
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

/// `GET /docs`: the page that shows `/openapi.json`. It holds nothing of it itself, so it needs no token.
pub async fn docs(headers: HeaderMap) -> Response {
    DOCS.answer(&headers)
}

/// The names of all files.
pub fn asset_names() -> Vec<&'static str> {
    ASSETS.iter().map(|file| file.name).collect()
}

/// `GET /assets/{name}`.
pub async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, ApiError> {
    let file = ASSETS.iter().find(|file| file.name == name);
    file.map(|file| file.answer(&headers)).ok_or_else(|| ApiError::not_found("no such file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_banner_stands_in_the_page_exactly_while_something_is_emulated() {
        for (fiscal, hidden) in [(true, true), (false, false)] {
            let body = page(fiscal, &HeaderMap::new()).into_body();
            let text = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            let text = std::str::from_utf8(&text).unwrap();
            let (_, banner) = text.split_once(r#"id="not-fiscal""#).unwrap();
            assert_eq!(banner.starts_with(" hidden>"), hidden, "fiscal: {fiscal}");
        }
    }
}
