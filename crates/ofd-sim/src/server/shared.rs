use crate::core::action::Action;
use crate::core::call::Call;
use crate::core::{Core, Now};
use crate::journal::Journal;
use crate::plan::Plan;
use crate::{Error, Options};
use sha2::{Digest, Sha256};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};
use tokio::sync::watch;

/// What all requests share: the core and its journal under one lock, the tokens, the clock.
pub(super) struct Shared {
    inner: Mutex<Inner>,
    /// SHA-256 of each token: comparing digests takes the same time for any two tokens.
    tokens: Vec<[u8; 32]>,
    started: Instant,
    stop: watch::Receiver<bool>,
}

struct Inner {
    core: Core,
    journal: Option<Journal>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("tokens", &self.tokens.len()).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn open(options: &Options, stop: watch::Receiver<bool>) -> Result<Self, Error> {
        let mut core = Core::new(options.max_documents);
        let journal = match &options.state {
            Some(path) => Some(Journal::open(path, |sighting| core.replay(sighting))?),
            None => None,
        };
        Ok(Self {
            inner: Mutex::new(Inner { core, journal }),
            tokens: options.tokens.iter().map(|t| digest(t)).collect(),
            started: Instant::now(),
            stop,
        })
    }

    /// Decides about a call and writes it down. The guard counts it as in flight until it is dropped.
    /// An error means that the journal cannot be written: the call must not be answered as accepted.
    pub(super) fn step(self: &Arc<Self>, call: &Call) -> (InFlight, io::Result<Action>) {
        let now = self.now();
        let mut inner = self.lock();
        let action = inner.core.step(now, call);
        let written = match (&action.sighting, &mut inner.journal) {
            (Some(sighting), Some(journal)) => journal.append(sighting),
            _ => Ok(()),
        };
        (InFlight(self.clone()), written.map(|()| action))
    }

    pub(super) fn read<T>(&self, read: impl FnOnce(&Core) -> T) -> T {
        read(&self.lock().core)
    }

    pub(super) fn set_faults(&self, plan: Plan) {
        let now = self.now();
        tracing::info!(rules = plan.rules.len(), dedup = plan.dedup, seed = plan.seed, "fault plan set");
        self.lock().core.set_plan(now, plan);
    }

    pub(super) fn reset(&self) -> io::Result<()> {
        let now = self.now();
        let mut inner = self.lock();
        inner.core.reset(now);
        inner.journal.as_mut().map_or(Ok(()), Journal::clear)
    }

    pub(super) fn needs_token(&self) -> bool {
        !self.tokens.is_empty()
    }

    /// Whether the value of `Authorization` holds a known token, or none is needed.
    pub(super) fn knows(&self, authorization: Option<&str>) -> bool {
        let token = authorization.and_then(|a| a.strip_prefix("Bearer "));
        !self.needs_token() || token.is_some_and(|t| self.tokens.contains(&digest(t.trim())))
    }

    /// Returns once the simulator is to stop.
    pub(super) async fn stopped(&self) {
        // An error means that the simulator is gone: stopped, too.
        let _ = self.stop.clone().wait_for(|stop| *stop).await;
    }

    #[expect(clippy::disallowed_methods, reason = "the stamps in the simulator's own answers")]
    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now {
            since_start: self.started.elapsed(),
            unix_ms: i64::try_from(unix.as_millis()).unwrap_or(i64::MAX),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// A call counts as in flight as long as this lives.
pub(super) struct InFlight(Arc<Shared>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.lock().core.finish();
    }
}
