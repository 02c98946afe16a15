//! A running adapter, over HTTP.

use super::{Failure, Remote};
use crate::config::{CaFile, SecretFile};
use reqwest::{Certificate, Client, Method, Url, header};
use serde_json::Value;
use std::{path::PathBuf, time::Duration};

/// Longest text of a foreign answer that is shown, in characters.
const SHOWN_MAX: usize = 300;
/// Largest answer that is read, in bytes.
const ANSWER_MAX: usize = 64 << 20;
/// Rows of a page, and pages that are asked for at most.
const PAGE: &str = "500";
const PAGES_MAX: usize = 200;

/// The way to a running adapter.
pub(super) struct Adapter {
    client: Client,
    base: Url,
    token: Option<header::HeaderValue>,
    /// Where it came from.
    token_file: Option<PathBuf>,
    timeout: Duration,
}

impl Adapter {
    /// Checks address and token; connects nowhere yet.
    pub fn new(remote: &Remote) -> Result<Self, Failure> {
        let base = Url::parse(&remote.url)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
            .ok_or_else(|| {
                Failure::Usage(
                    "--url must be an http:// or https:// address, such as http://127.0.0.1:8000".into(),
                )
            })?;
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let roots = remote.ca_file.as_deref().map_or(Ok(Vec::new()), roots)?;
        let own = base.scheme() != "https" || !roots.is_empty();
        let builder = if own { builder.tls_certs_only(roots) } else { builder };
        let client = builder.build().map_err(Failure::of)?;
        let token = remote.token_file.as_deref().map(token).transpose()?;
        let token_file = remote.token_file.clone();
        Ok(Self { client, base, token, token_file, timeout: remote.timeout })
    }

    /// Asks.
    pub async fn get(&self, path: &[&str]) -> Result<Value, Failure> {
        self.call(Method::GET, path, &[], None).await
    }

    /// Asks for a list, page after page; the answer holds it whole under `name`.
    pub async fn list(&self, path: &[&str], name: &str) -> Result<Value, Failure> {
        let mut all = Vec::new();
        let mut cursor = None;
        for _ in 0..PAGES_MAX {
            let mut query = vec![("limit", PAGE)];
            query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
            let mut answer = self.call(Method::GET, path, &query, None).await?;
            match answer.get_mut(name).map(Value::take) {
                Some(Value::Array(rows)) => all.extend(rows),
                _ => {
                    return Err(Failure::Refused(format!(
                        "the answer has no {name}; is --url a kkt-adapter?"
                    )));
                }
            }
            cursor = answer.get("next_cursor").and_then(Value::as_str).map(ToOwned::to_owned);
            if cursor.is_none() {
                return Ok(serde_json::json!({ name: all }));
            }
        }
        Err(Failure::Refused(format!("there are more than {} {name}; ask the API by pages", all.len())))
    }

    /// Commands.
    pub async fn post(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.call(Method::POST, path, &[], Some(body)).await
    }

    async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("an http address has a path").pop_if_empty().extend(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.client.request(method, url);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token.clone());
        }
        if let Some(body) = body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.to_string());
        }
        let exchange = async {
            let mut response = request.send().await?;
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                if body.len() + chunk.len() > ANSWER_MAX {
                    return Ok((response.status(), None));
                }
                body.extend_from_slice(&chunk);
            }
            Ok::<_, reqwest::Error>((response.status(), Some(body)))
        };
        match tokio::time::timeout(self.timeout, exchange).await {
            Err(_) => Err(self.unreachable(&format!("no answer within {} ms", self.timeout.as_millis()))),
            Ok(Err(error)) => Err(self.unreachable(&innermost(&error))),
            Ok(Ok((_, None))) => {
                Err(Failure::Refused(format!("the answer is longer than {ANSWER_MAX} bytes")))
            }
            Ok(Ok((status, Some(body)))) => self.sort(status.as_u16(), &body),
        }
    }

    fn sort(&self, status: u16, body: &[u8]) -> Result<Value, Failure> {
        let answer = serde_json::from_slice::<Value>(body).ok();
        match (status, answer) {
            (200..=299, Some(answer)) => Ok(answer),
            (200..=299, None) => Err(Failure::Refused(format!(
                "what answers at {} is no kkt-adapter: the answer is not JSON",
                self.base
            ))),
            (401, _) => Err(Failure::Refused(match &self.token_file {
                None => "the adapter wants a token: give --token-file".into(),
                Some(file) => format!(
                    "the adapter does not know the token in {}: it is wrong, has expired or was replaced",
                    file.display()
                ),
            })),
            (_, answer) => {
                let detail = answer.as_ref().and_then(|answer| answer.get("detail"));
                let text = match detail {
                    Some(Value::String(text)) => super::table::clean(text, SHOWN_MAX),
                    Some(other) => super::table::clean(&other.to_string(), SHOWN_MAX),
                    None => "no reason was given; is --url the address of a kkt-adapter?".into(),
                };
                Err(Failure::Refused(format!("the adapter said no (HTTP {status}): {text}")))
            }
        }
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::Unreachable(format!(
            "the adapter at {} cannot be reached ({why}); is it running, and is --url right?",
            self.base
        ))
    }
}

fn roots(path: &std::path::Path) -> Result<Vec<Certificate>, Failure> {
    let mut file = CaFile::at(path.to_path_buf());
    file.read().map_err(|rule| Failure::Usage(format!("--ca-file {} {rule}", path.display())))?;
    file.certificates().iter().map(|der| Certificate::from_der(der).map_err(Failure::of)).collect()
}

fn token(path: &std::path::Path) -> Result<header::HeaderValue, Failure> {
    let mut file = SecretFile::at(path.to_path_buf());
    let wrong = |rule: &str| Failure::Usage(format!("--token-file {} {rule}", path.display()));
    if let Some(warning) = file.read().map_err(|rule| wrong(&rule))? {
        super::warn(&format!("warning: {warning}"));
    }
    let mut value = header::HeaderValue::from_str(&format!("Bearer {}", file.expose()))
        .map_err(|_| wrong("is not a token"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn innermost(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => innermost(cause),
        None => error.to_string(),
    }
}
