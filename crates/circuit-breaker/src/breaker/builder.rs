use super::{CircuitBreaker, Shell};
use crate::backoff::Backoff;
use crate::clock::{Clock, Foreign, Source, SystemClock};
use crate::config::{Config, ConfigError, OnDrop, OverdueAs, Ramp, Window};
use crate::events::Event;
use crate::shadow::Shadow;
use crate::state::Core;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

type Listener = Arc<dyn Fn(&Event) + Send + Sync>;

/// Makes a [`CircuitBreaker`]. Every setting has a default, see [`Config`].
#[derive(Clone)]
#[must_use = "build() makes the breaker"]
pub struct Builder {
    /// Shared by all breakers that are built from clones of this builder.
    config: Arc<Config>,
    name: Arc<str>,
    clock: Source,
    seed: Option<u64>,
    shadow: Option<Config>,
    listeners: Vec<Listener>,
}

macro_rules! settings {
    ($($name:ident: $type:ty),* $(,)?) => {$(
        #[doc = concat!("See [`Config::", stringify!($name), "`].")]
        pub fn $name(mut self, value: $type) -> Self {
            self.config = Arc::new(Arc::unwrap_or_clone(self.config).$name(value));
            self
        }
    )*};
}

impl Builder {
    pub(super) fn new() -> Self {
        Builder {
            config: Config::default().shared(),
            name: no_name(),
            clock: Source::System(SystemClock::new()),
            seed: None,
            shadow: None,
            listeners: Vec::new(),
        }
    }

    settings! {
        failure_threshold: u32,
        recovery_timeout: Duration,
        success_threshold: u32,
        half_open_max_calls: u32,
        half_open_timeout: Duration,
        window: Window,
        backoff: Backoff,
        on_drop: OnDrop,
        overdue_after: Duration,
        overdue_as: OverdueAs,
        retry_hint: Duration,
        retry_after_max: Duration,
        slow_probe_fails: bool,
        ramp: Ramp,
    }

    /// The name, for events, snapshots and metrics.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Takes a whole configuration in place of what has been set so far.
    pub fn config(mut self, config: Config) -> Self {
        self.config = Arc::new(config);
        self
    }

    /// The clock; the machine's by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Source::Other(Foreign(Arc::new(clock)));
        self
    }

    /// The seed of the jitter, so that a test can repeat it; random by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Lets a second configuration see every call that is made, and tell in events and snapshots what it would have
    /// done (B19d). Every call then takes the breaker's lock. It stays as it is for the life of the breaker:
    /// [`set_config`](CircuitBreaker::set_config), [`reset`](CircuitBreaker::reset) and the other commands do not touch it.
    pub fn shadow(mut self, config: Config) -> Self {
        self.shadow = Some(config);
        self
    }

    /// Adds an inline listener; see [`CircuitBreaker::on_event`].
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.listeners.push(Arc::new(listener));
        self
    }

    /// The breaker, CLOSED (B2).
    ///
    /// # Errors
    /// The first setting that is impossible, with what it may be.
    pub fn build(self) -> Result<CircuitBreaker, ConfigError> {
        self.validate()?;
        Ok(self.build_with(Arc::clone(&self.config), Arc::clone(&self.name)))
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        self.config.validate()?;
        self.shadow.as_ref().map_or(Ok(()), Config::validate)
    }

    /// From a configuration that is valid and may be shared.
    pub(crate) fn build_with(&self, config: Arc<Config>, name: Arc<str>) -> CircuitBreaker {
        let clock = self.clock.clone();
        let seed = self.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        let now = clock.now();
        let core = Core::new(config, now, seed);
        let shadow = self.shadow.clone().map(|config| Shadow::new(config.shared(), now, seed));
        let breaker = CircuitBreaker::new(Shell::new(name, clock, core, shadow));
        for listener in &self.listeners {
            breaker.shell.bus().listen(Arc::clone(listener));
        }
        breaker
    }

    /// The configuration as it stands.
    pub fn as_config(&self) -> &Config {
        &self.config
    }

    pub(crate) fn clock_source(&self) -> &Source {
        &self.clock
    }
}

/// The name of every breaker that was given none.
fn no_name() -> Arc<str> {
    static NO_NAME: OnceLock<Arc<str>> = OnceLock::new();
    Arc::clone(NO_NAME.get_or_init(|| Arc::from("")))
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
