//! `GET /v1/kkt/events`: the ring as server-sent events. The pass of who listens is looked at before each piece: a stream
//! outlives its token or session by a heartbeat at most.

use super::{
    EventLog,
    view::{self, Data, HelloEvent, LostEvent},
};
use crate::http::{
    auth::Area,
    door::{Now, Pass},
    error::ApiError,
    router::Shared,
};
use axum::{
    Extension,
    body::{Body, Bytes, HttpBody},
    extract::State,
    http::{HeaderMap, HeaderValue, Method, header},
    response::Response,
};
use http_body::Frame;
use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::sync::{OwnedSemaphorePermit, watch};

/// Events in one piece of the answer.
const PIECE: usize = 128;
/// How long a browser waits before it comes back, in milliseconds.
const COME_BACK_MS: u32 = 1_000;

/// `GET /v1/kkt/events`, optionally with `Last-Event-ID`.
pub async fn events(
    State(app): State<Shared>,
    Extension(pass): Extension<Pass>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let log = Arc::clone(&app.ports.events);
    let Ok(place) = Arc::clone(&log.places).try_acquire_owned() else {
        let text = format!("{} readers listen already; ask the status by GET meanwhile", log.limits.readers);
        return Err(ApiError::unavailable("too_many_readers", text, Duration::from_secs(5)));
    };
    let last = headers.get("last-event-id").map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
    let still_in: StillIn = Box::new(move || {
        let (tokens, now) = (&app.ports.options.tokens, Now::of(&*app.ports.clock));
        let access = app.door.still(tokens, &pass, now);
        access.is_some_and(|access| access.enter(Area::Read, &Method::GET).is_ok())
    });
    let reader = Reader::new(log, still_in, place, last.as_deref());
    let mut response = Response::new(Body::new(Stream::new(reader)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that collect answers would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Whether who listens would be let in anew.
type StillIn = Box<dyn Fn() -> bool + Send>;

/// Somebody who listens.
struct Reader {
    log: Arc<EventLog>,
    still_in: StillIn,
    _place: OwnedSemaphorePermit,
    latest: watch::Receiver<u64>,
    /// The last event it was given, or began after.
    after: u64,
    /// What it is told first.
    greeting: Option<String>,
}

impl Reader {
    fn new(
        log: Arc<EventLog>,
        still_in: StillIn,
        place: OwnedSemaphorePermit,
        last_id: Option<&str>,
    ) -> Self {
        let latest = log.latest.subscribe();
        let now = log.ring().last;
        let resumed = last_id.map(|id| {
            let number = id.strip_prefix(&log.run)?.strip_prefix('-')?.parse().ok()?;
            Some(number).filter(|number| *number <= now)
        });
        let after = resumed.flatten().unwrap_or(now);
        let mut greeting = format!("retry: {COME_BACK_MS}\n\n");
        if matches!(resumed, Some(None)) {
            view::write(&mut greeting, &log.run, after, &Data::Lost(LostEvent { count: None }));
        } else {
            // It gives the reader an id to come back with before anything has happened.
            view::write(&mut greeting, &log.run, after, &Data::Hello(HelloEvent {}));
        }
        Self { log, still_in, _place: place, latest, after, greeting: Some(greeting) }
    }

    /// The next piece; `None` at the end.
    async fn next(mut self) -> Option<(Self, Bytes)> {
        if let Some(greeting) = self.greeting.take() {
            return Some((self, greeting.into()));
        }
        loop {
            let latest = *self.latest.borrow_and_update();
            if latest == u64::MAX || !(self.still_in)() {
                return None;
            }
            if let Some(piece) = self.piece() {
                return Some((self, piece));
            }
            match tokio::time::timeout(self.log.limits.heartbeat, self.latest.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return None,
                Err(_) => return Some((self, Bytes::from_static(b": heartbeat\n\n"))),
            }
        }
    }

    fn piece(&mut self) -> Option<Bytes> {
        let taken = self.log.take(self.after, PIECE);
        let mut out = String::new();
        if taken.lost > 0 {
            self.after += taken.lost;
            let lost = Data::Lost(LostEvent { count: Some(taken.lost) });
            view::write(&mut out, &self.log.run, self.after, &lost);
        }
        for told in &taken.told {
            view::write(&mut out, &self.log.run, told.number, &view::data(told));
            self.after = told.number;
        }
        (!out.is_empty()).then(|| out.into())
    }
}

type Next = Pin<Box<dyn Future<Output = Option<(Reader, Bytes)>> + Send>>;

/// A reader as the body of an answer: the next piece is made when the socket takes it.
struct Stream(Option<Next>);

impl Stream {
    fn new(reader: Reader) -> Self {
        Self(Some(Box::pin(reader.next())))
    }
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(next) = self.0.as_mut() else { return Poll::Ready(None) };
        match ready!(next.as_mut().poll(context)) {
            Some((reader, piece)) => {
                self.0 = Some(Box::pin(reader.next()));
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            None => {
                self.0 = None;
                Poll::Ready(None)
            }
        }
    }
}
