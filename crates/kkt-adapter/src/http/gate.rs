//! What every request passes, whatever its route. In this order: its id; the Host; the page it comes from; for changes
//! the content type; the token; the role. Then the handler, with a deadline and a net under its panics. Then the form of
//! errors, the headers of every answer, the count.

use super::{
    auth::{Access, Area},
    door::{self, Now},
    error::{self, ApiError},
    origin,
    router::{App, Shared},
    throttle::Peer,
};
use crate::domain::ids::RequestId;
use axum::{
    extract::{MatchedPath, Request, State},
    http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tracing::Instrument as _;
use uuid::Uuid;

/// The content security policy of everything that is no page.
const NOTHING_ALLOWED: &str =
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The layer around all routes.
pub async fn gate(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let started = app.ports.clock.monotonic();
    let id = id_of(request.headers());
    request.extensions_mut().insert(id.clone());
    let method = request.method().clone();
    let path = request.extensions().get::<MatchedPath>().cloned();
    let route = path.as_ref().map_or("unmatched", MatchedPath::as_str);
    let response = match admit(&app, route, &mut request) {
        Ok(()) => {
            let span = tracing::info_span!("request", id = %id, %method, route);
            handle(next.run(request), app.ports.options.request_timeout).instrument(span).await
        }
        Err(error) => error.into_response(),
    };
    let mut response = error::render(response, id.as_str());
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::from_str(id.as_str()).expect("an id is visible ASCII"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Nor may another page take an answer in as an image or a script, or keep a handle on a page of ours.
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(NOTHING_ALLOWED));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let took = app.ports.clock.monotonic().since(started);
    app.ports.observer.http_request(known(&method), route, response.status().as_u16(), took);
    response
}

/// The method as a label: others than the known ones are one.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// The client's id if it is sane, else one of ours.
fn id_of(headers: &HeaderMap) -> RequestId {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()?.parse().ok());
    given.unwrap_or_else(new_id)
}

fn new_id() -> RequestId {
    Uuid::now_v7().to_string().parse().expect("a UUID is letters, digits and hyphens")
}

/// The id of the request, as the gate has set it.
pub fn request_id(extensions: &Extensions) -> RequestId {
    extensions.get().cloned().unwrap_or_else(new_id)
}

fn admit(app: &App, route: &str, request: &mut Request) -> Result<(), ApiError> {
    let area = app.areas.get(route).copied();
    let options = &app.ports.options;
    if area == Some(Area::Liveness) {
        return Ok(());
    }
    let (uri, headers, method) = (request.uri(), request.headers(), request.method());
    origin::check_host(&options.allowed_hosts, uri, headers)?;
    let change = !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE);
    if change {
        origin::check_origin(uri, headers, options.tls)?;
    } else {
        origin::check_page(headers)?;
    }
    let peer = request.extensions().get::<Peer>().copied();
    let known = match app.door.who(&options.tokens, headers, peer, Now::of(&*app.ports.clock)) {
        Ok(known) => Some(known),
        Err(_) if area == Some(Area::Page) => None,
        Err(error) => return Err(error),
    };
    if let (Some(area), Some((_, access))) = (area, &known) {
        access.enter(area, method)?;
    }
    // A method that the path does not know is told so, whatever it sends.
    if change && app.methods.contains(&(route, method.clone())) {
        origin::check_content_type(headers)?;
    }
    if let Some((pass, access)) = known {
        request.extensions_mut().insert(pass);
        request.extensions_mut().insert(access);
    }
    Ok(())
}

async fn handle(work: impl Future<Output = Response> + Send, deadline: Duration) -> Response {
    let caught = CatchPanic(Box::pin(work));
    match tokio::time::timeout(deadline, caught).await {
        Ok(Ok(response)) => response,
        Ok(Err(Panicked)) => {
            tracing::error!("a handler panicked; the request was answered 500 and the service goes on");
            ApiError::internal().into_response()
        }
        Err(_) => ApiError::unavailable(
            "request_timeout",
            format!(
                "not finished within {} s; what was begun goes on: ask again, a receipt under the same \
                 Idempotency-Key",
                deadline.as_secs()
            ),
            Duration::from_secs(1),
        )
        .into_response(),
    }
}

struct Panicked;

/// A future whose panics become a value. It is not polled again after one.
struct CatchPanic<F>(Pin<Box<F>>);

impl<F: Future> Future for CatchPanic<F> {
    type Output = Result<F::Output, Panicked>;
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    }
}

/// Runs work that must not stop because its client has gone, or because the deadline of its answer has passed.
///
/// # Errors
/// 500 if it panicked.
pub async fn detached<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::spawn(work.in_current_span()).await.map_err(|error| {
        tracing::error!(%error, "the work of a request did not end");
        ApiError::internal()
    })
}

/// Who asks; every route outside of liveness and the page has one.
///
/// # Errors
/// 401 on a route that lets everybody in.
pub fn access(extensions: &Extensions) -> Result<&Access, ApiError> {
    extensions.get::<Access>().ok_or_else(door::unauthorized)
}
