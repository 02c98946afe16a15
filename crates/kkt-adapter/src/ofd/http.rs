//! The OFD over HTTP (contract, «OFD over HTTP»).
//!
//! Promises:
//! 1. Every call ends by `timeout`, whatever the other side does: it bounds connecting, sending, waiting and reading
//!    together.
//! 2. Every attempt sends the document's stored bytes under the document's own key (promise P3).
//! 3. An answer takes at most [`ANSWER_MAX`] bytes of memory.
//! 4. A document goes to `base_url` and nowhere else: no redirect is followed, no proxy of the environment is used and
//!    no request is sent again by the HTTP library.
//! 5. A token is in no error, log or `Debug`. New ones hold from the next call on; a call on its way ends with the one
//!    that it began with.
//!
//! TLS is rustls with the ring provider and the roots of the system, or those of `ofd.ca_file` alone; HTTP/1.1; no
//! compression. What each failure means stands in [`super::classify`].

use super::classify::{self, Answer};
use crate::{
    domain::{
        document::{Confirmation, Outgoing},
        ids::{DeviceId, RequestId},
    },
    ports::{Clock, Observer, OfdClient, OfdError},
};
use async_trait::async_trait;
use reqwest::{
    Certificate, Client, RequestBuilder, Response, Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// Largest answer that is read, in bytes.
pub const ANSWER_MAX: usize = 64 * 1024;
/// Longest time for a connection with its TLS; a shorter total deadline goes before it.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// An idle connection is closed after this, before common servers and gateways (60 s and more) close it: a request on a
/// connection that the other side is just closing fails with nobody knowing whether it arrived.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// Idle connections kept.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// How to reach the OFD.
#[derive(Clone)]
pub struct HttpOfdOptions {
    /// `http(s)://…`, without a slash at the end.
    pub base_url: String,
    /// Total time of a call.
    pub timeout: Duration,
    /// As whom.
    pub tokens: OfdTokens,
    /// Whether it is a real OFD; `false` for a simulator.
    pub fiscal: bool,
    /// DER certificates to trust instead of the system's; none: the system's.
    pub roots: Vec<Vec<u8>>,
}

/// As whom the OFD is called. There is no `Debug`: these are secrets.
#[derive(Clone, Default)]
pub struct OfdTokens {
    /// For every device that has none of its own, and for the ping.
    pub common: Option<String>,
    /// Those of single devices.
    pub of_devices: BTreeMap<DeviceId, String>,
}

/// The tokens as they are sent.
struct Bearers {
    common: Option<HeaderValue>,
    of_devices: BTreeMap<DeviceId, HeaderValue>,
}

impl Bearers {
    fn new(tokens: &OfdTokens) -> Result<Self, HttpOfdError> {
        let of_device = |(device, token): (&DeviceId, &String)| Ok((device.clone(), bearer(token)?));
        Ok(Self {
            common: tokens.common.as_deref().map(bearer).transpose()?,
            of_devices: tokens.of_devices.iter().map(of_device).collect::<Result<_, HttpOfdError>>()?,
        })
    }

    fn of(&self, device: &DeviceId) -> Option<&HeaderValue> {
        self.of_devices.get(device).or(self.common.as_ref())
    }
}

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpOfdError {
    /// The address cannot be used.
    #[error("ofd.base_url cannot be used: {0}")]
    BaseUrl(String),
    /// A token has characters that no header can carry.
    #[error("a token for the OFD has characters that no header can carry")]
    Token,
    /// TLS cannot be set up (no root certificates: install the package ca-certificates).
    #[error("TLS to the OFD cannot be set up (is the package ca-certificates installed?): {0}")]
    Tls(String),
}

/// The OFD over HTTP. One pooled client for all lanes.
pub struct HttpOfd {
    client: Client,
    receipt: Url,
    health: Url,
    timeout: Duration,
    bearers: RwLock<Arc<Bearers>>,
    fiscal: bool,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
}

impl fmt::Debug for HttpOfd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpOfd({})", self.receipt)
    }
}

impl HttpOfd {
    /// Makes the client; connects nowhere yet.
    ///
    /// # Errors
    /// [`HttpOfdError`].
    pub fn new(
        options: &HttpOfdOptions,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, HttpOfdError> {
        let base = options.base_url.trim_end_matches('/');
        let url = |path: &str| {
            Url::parse(&format!("{base}{path}")).map_err(|error| HttpOfdError::BaseUrl(error.to_string()))
        };
        let receipt = url("/ofd/v1/receipt")?;
        if !matches!(receipt.scheme(), "http" | "https") {
            return Err(HttpOfdError::BaseUrl("it must begin with http:// or https://".into()));
        }
        Ok(Self {
            client: client(options.timeout, receipt.scheme() == "https", &options.roots)?,
            health: url("/ofd/v1/health")?,
            receipt,
            timeout: options.timeout,
            bearers: RwLock::new(Arc::new(Bearers::new(&options.tokens)?)),
            fiscal: options.fiscal,
            clock,
            observer,
        })
    }

    /// Puts other tokens into force.
    ///
    /// # Errors
    /// [`HttpOfdError::Token`]; then the former ones stay.
    pub fn set_tokens(&self, tokens: &OfdTokens) -> Result<(), HttpOfdError> {
        let bearers = Arc::new(Bearers::new(tokens)?);
        *self.bearers.write().unwrap_or_else(PoisonError::into_inner) = bearers;
        Ok(())
    }

    fn bearers(&self) -> Arc<Bearers> {
        Arc::clone(&self.bearers.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends, and reads what comes, all before the deadline.
    async fn call(&self, request: RequestBuilder, token: Option<&HeaderValue>) -> Result<Answer, OfdError> {
        let deadline = Instant::now() + self.timeout;
        let request = match token {
            Some(token) => request.header(header::AUTHORIZATION, token.clone()),
            None => request,
        };
        let response = match timeout_at(deadline, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() => return Err(unavailable(in_words(&error))),
            Ok(Err(error)) => return Err(OfdError::Ambiguous(in_words(&error))),
            Err(_) => return Err(unavailable(format!("no answer within {} ms", self.timeout.as_millis()))),
        };
        let head = |name: HeaderName| text_of(response.headers(), &name);
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after: head(header::RETRY_AFTER),
            date: head(header::DATE),
            location: head(header::LOCATION),
            body: match timeout_at(deadline, read(response)).await {
                Ok(body) => body,
                Err(_) => Err(format!("the answer was not whole within {} ms", self.timeout.as_millis())),
            },
        })
    }
}

#[async_trait]
impl OfdClient for HttpOfd {
    async fn submit(&self, document: &Outgoing) -> Result<Confirmation, OfdError> {
        let started = self.clock.monotonic();
        let id = document.id.to_string();
        let request = self
            .client
            .post(self.receipt.clone())
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("idempotency-key", &id)
            // Also of documents that no till asked for, so that both logs can be laid side by side.
            .header("x-request-id", document.request_id.as_ref().map_or(id.as_str(), RequestId::as_str))
            .body(document.wire.clone());
        let outcome = match self.call(request, self.bearers().of(&document.device)).await {
            Ok(answer) => classify::submitted(document, &answer, self.clock.wall()),
            Err(error) => Err(error),
        };
        let name = outcome.as_ref().map_or_else(OfdError::outcome, |_| "accepted");
        self.observer.ofd_call(name, self.clock.monotonic().since(started));
        outcome
    }

    /// Not reported to the observer: its figures are of documents.
    async fn ping(&self) -> Result<(), OfdError> {
        match self.call(self.client.get(self.health.clone()), self.bearers().common.as_ref()).await {
            Ok(answer) => classify::pinged(&answer, self.clock.wall()),
            // Nothing was sent that could have been counted.
            Err(OfdError::Ambiguous(reason)) => Err(unavailable(reason)),
            Err(error) => Err(error),
        }
    }

    fn fiscal(&self) -> bool {
        self.fiscal
    }
}

fn client(timeout: Duration, tls: bool, roots: &[Vec<u8>]) -> Result<Client, HttpOfdError> {
    // Of two callers one installs it; the other finds the same provider installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .user_agent(concat!("kkt-adapter/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_MAX.min(timeout))
        .pool_idle_timeout(IDLE_MAX)
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
        .tcp_nodelay(true)
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never());
    // Without TLS the roots of the system are not needed, so a machine that has none can do without.
    let failed = |error: reqwest::Error| HttpOfdError::Tls(in_words(&error));
    let roots: Result<Vec<_>, _> = roots.iter().map(|der| Certificate::from_der(der)).collect();
    let roots = roots.map_err(failed)?;
    let builder = if tls && roots.is_empty() { builder } else { builder.tls_certs_only(roots) };
    builder.build().map_err(failed)
}

fn bearer(token: &str) -> Result<HeaderValue, HttpOfdError> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| HttpOfdError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

async fn read(mut response: Response) -> Result<Vec<u8>, String> {
    let too_long = || format!("the answer is longer than {ANSWER_MAX} bytes");
    if response.content_length().is_some_and(|length| length > ANSWER_MAX as u64) {
        return Err(too_long());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| in_words(&error))? {
        if body.len() + chunk.len() > ANSWER_MAX {
            return Err(too_long());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn text_of(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

fn unavailable(reason: String) -> OfdError {
    OfdError::Unavailable { reason, retry_after: None }
}

/// The innermost causes say what happened ("connection refused"); the address is in the configuration already.
fn in_words(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !causes.contains(&text) {
            causes.push(text);
        }
        cause = error.source();
    }
    if causes.is_empty() { "the call failed".into() } else { causes.join(": ") }
}
