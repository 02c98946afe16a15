//! The connections that are open, and which of them may be closed for the good of others.
//!
//! A connection is in one of four phases; only in `Works` has anything begun on its behalf:
//!
//! ```text
//!  opened ─► Head ──request──► Works ◄──► Body        (a TLS handshake counts as Head)
//!             ▲                  │ answered
//!             └──first byte── Idle ◄┘
//! ```
//!
//! Invariants: 1. A connection that `Works` is never closed by this module. 2. One that sends its headers slower than
//! `header_timeout`, or nothing for `idle_timeout`, is closed. 3. While all places are taken and one more client
//! waits, the one that has been without work for longest (half a second at least) is closed.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
    time::Instant,
};

/// Nothing is closed for others sooner than this after it last changed its phase.
const GRACE: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Head = 0,
    Body = 1,
    Works = 2,
    Idle = 3,
}

impl Phase {
    fn of(number: u8) -> Self {
        [Self::Head, Self::Body, Self::Works, Self::Idle][usize::from(number & 3)]
    }
}

/// What a connection is doing, and since when.
#[derive(Debug)]
pub struct Activity {
    epoch: Instant,
    phase: AtomicU8,
    since_ms: AtomicU64,
    close: Notify,
}

impl Activity {
    fn new(epoch: Instant) -> Self {
        let since_ms = AtomicU64::new(epoch.elapsed().as_millis() as u64);
        Self { epoch, phase: AtomicU8::new(Phase::Head as u8), since_ms, close: Notify::new() }
    }

    fn enter(&self, phase: Phase) {
        self.since_ms.store(self.epoch.elapsed().as_millis() as u64, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Relaxed))
    }

    fn age(&self) -> Duration {
        let now = self.epoch.elapsed().as_millis() as u64;
        Duration::from_millis(now.saturating_sub(self.since_ms.load(Ordering::Relaxed)))
    }

    /// It is ready for a request: its TLS handshake is done.
    pub fn opened(&self) {
        self.enter(Phase::Head);
    }

    /// Its request is being worked on.
    pub fn works(&self) {
        self.enter(Phase::Works);
    }

    /// Its request's body is awaited: nothing has begun.
    pub fn reads_body(&self) {
        self.enter(Phase::Body);
    }

    /// Its request was answered.
    pub fn answered(&self) {
        self.enter(Phase::Idle);
    }

    /// Completes when the connection is to be closed.
    pub async fn told_to_close(&self) {
        self.close.notified().await;
    }

    fn received(&self) {
        if self.phase() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// A long answer that its client reads is not idle.
    fn sent(&self) {
        if self.phase() == Phase::Idle {
            self.enter(Phase::Idle);
        }
    }
}

/// All open connections.
#[derive(Debug)]
pub struct Connections {
    epoch: Instant,
    open: Mutex<(u64, HashMap<u64, Arc<Activity>>)>,
}

impl Default for Connections {
    fn default() -> Self {
        Self { epoch: Instant::now(), open: Mutex::default() }
    }
}

impl Connections {
    /// Takes one in; it is listed until the guard is dropped.
    pub fn add(self: &Arc<Self>) -> Listed {
        let activity = Arc::new(Activity::new(self.epoch));
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.0 += 1;
        let number = open.0;
        open.1.insert(number, Arc::clone(&activity));
        drop(open);
        Listed { number, activity, connections: Arc::clone(self) }
    }

    /// Closes those that are too slow or too long idle.
    pub fn sweep(&self, header_timeout: Duration, idle_timeout: Duration) {
        for activity in self.open.lock().unwrap_or_else(PoisonError::into_inner).1.values() {
            let limit = match activity.phase() {
                Phase::Head => header_timeout,
                Phase::Idle => idle_timeout,
                // The handler has its own deadlines.
                Phase::Body | Phase::Works => continue,
            };
            if activity.age() >= limit {
                activity.close.notify_one();
            }
        }
    }

    /// Closes the one that has been without work for longest, if there is one.
    pub fn make_room(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let without_work = open.1.values().filter(|activity| activity.phase() != Phase::Works);
        let oldest = without_work.map(|activity| (activity.age(), activity)).max_by_key(|(age, _)| *age);
        if let Some((_, activity)) = oldest.filter(|(age, _)| *age >= GRACE) {
            activity.close.notify_one();
        }
    }
}

/// A place in the list.
#[derive(Debug)]
pub struct Listed {
    number: u64,
    /// What it is doing.
    pub activity: Arc<Activity>,
    connections: Arc<Connections>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.connections.open.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&self.number);
    }
}

/// A stream that tells its activity of every byte.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Watched<S> {
    /// Watches a stream.
    pub fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let poll = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.activity.received();
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, bytes);
        if matches!(poll, Poll::Ready(Ok(1..))) {
            self.activity.sent();
        }
        poll
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        if matches!(poll, Poll::Ready(Ok(1..))) {
            self.activity.sent();
        }
        poll
    }
}
