//! One post to the ERP over HTTP.

use reqwest::{
    Certificate, Client, Url,
    header::{self, HeaderValue},
};
use std::{
    error::Error as _,
    fmt,
    sync::{PoisonError, RwLock},
    time::Duration,
};

/// Where to, how often, as whom.
#[derive(Clone)]
pub struct HeartbeatOptions {
    /// `http(s)://…`.
    pub url: String,
    /// From one post to the next.
    pub interval: Duration,
    /// Total time of one post.
    pub timeout: Duration,
    /// Sent as `Authorization: Bearer`.
    pub token: Option<String>,
    /// DER certificates to trust instead of the system's; none: the system's.
    pub roots: Vec<Vec<u8>>,
    /// What the adapter is called at the ERP.
    pub name: String,
}

impl fmt::Debug for HeartbeatOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeartbeatOptions({:?}, {:?})", self.name, self.interval)
    }
}

/// Why there is no heartbeat.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HeartbeatError {
    /// The address cannot be used.
    #[error("heartbeat.url cannot be used: {0}")]
    Url(String),
    /// The token has characters that no header can carry.
    #[error("the token for the ERP has characters that no header can carry")]
    Token,
    /// TLS cannot be set up (no root certificates: install the package ca-certificates).
    #[error("TLS to the ERP cannot be set up (is the package ca-certificates installed?): {0}")]
    Tls(String),
}

/// A client for one address.
pub struct Post {
    client: Client,
    url: Url,
    token: RwLock<Option<HeaderValue>>,
}

impl Post {
    /// Connects nowhere yet.
    ///
    /// # Errors
    /// [`HeartbeatError`].
    pub fn new(options: &HeartbeatOptions) -> Result<Self, HeartbeatError> {
        let url = Url::parse(&options.url).map_err(|error| HeartbeatError::Url(error.to_string()))?;
        let token = options.token.as_deref().map(bearer).transpose()?;
        // Of two callers one installs it; the other finds the same provider installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let tls = |error: reqwest::Error| HeartbeatError::Tls(in_words(&error));
        let roots: Result<Vec<_>, _> = options.roots.iter().map(|der| Certificate::from_der(der)).collect();
        let roots = roots.map_err(tls)?;
        let builder = Client::builder()
            .user_agent(concat!("kkt-adapter/", env!("CARGO_PKG_VERSION")))
            .timeout(options.timeout)
            // Each post is far from the last one: a connection kept open would mostly be found dead.
            .pool_max_idle_per_host(0)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never());
        // Without TLS the roots of the system are not needed, so a machine that has none can do without.
        let own = url.scheme() != "https" || !roots.is_empty();
        let builder = if own { builder.tls_certs_only(roots) } else { builder };
        Ok(Self { client: builder.build().map_err(tls)?, url, token: RwLock::new(token) })
    }

    /// Puts another token into force, from the next post on.
    ///
    /// # Errors
    /// [`HeartbeatError::Token`]; then the former one stays.
    pub fn set_token(&self, token: Option<&str>) -> Result<(), HeartbeatError> {
        let token = token.map(bearer).transpose()?;
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
        Ok(())
    }

    /// Posts, and waits for the status. What the answer says besides is not read.
    ///
    /// # Errors
    /// Why the ERP did not take it, in words.
    pub async fn send(&self, body: &[u8]) -> Result<(), String> {
        let mut request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body.to_vec());
        let token = self.token.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, token);
        }
        let status = request.send().await.map_err(|error| in_words(&error))?.status();
        if status.is_success() { Ok(()) } else { Err(format!("the ERP answered HTTP {}", status.as_u16())) }
    }
}

fn bearer(token: &str) -> Result<HeaderValue, HeartbeatError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| HeartbeatError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The innermost cause ("connection refused"), never the address, whose query may hold a secret.
fn in_words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".into();
    }
    let mut cause = error.source();
    let mut text = "the call failed".to_owned();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}
