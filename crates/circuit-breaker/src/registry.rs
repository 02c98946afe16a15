//! One breaker a key (B21).
//!
//! Promise: a key's breaker is made on first use and found without a global lock; memory and metrics labels are
//! bounded, because the number of keys is.
//!
//! Invariants:
//! 1. There is at most one breaker a key at any time.
//! 2. There are never more than `max_keys` breakers.
//! 3. Only a CLOSED breaker that nobody holds, by a handle, a permit or a running call, and that has not been asked
//!    for during `idle_after`, is evicted.
//!
//! | what goes wrong | what happens |
//! |---|---|
//! | a new key over the bound | idle breakers are evicted; if none is, [`RegistryError::TooManyKeys`] |

use crate::breaker::{Builder, CircuitBreaker};
use crate::clock::{Tick, nanos};
use crate::config::{Config, ConfigError};
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

const SHARDS: usize = 16;

type Shard = HashMap<Arc<str>, Entry>;

/// One breaker a key, made on first use from a shared configuration.
///
/// ```
/// use circuit_breaker::{CircuitBreaker, Config, Registry};
///
/// let registry = Registry::builder(CircuitBreaker::builder().failure_threshold(3))
///     .override_key("slow.example", Config::new().failure_threshold(10))
///     .max_keys(1_000)
///     .build()?;
/// let breaker = registry.get_or_create("api.example")?;
/// assert!(breaker.call(|| Ok::<_, ()>(())).is_ok());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Registry {
    template: Builder,
    shared: RwLock<Arc<Config>>,
    overrides: RwLock<HashMap<Arc<str>, Arc<Config>>>,
    shards: Box<[RwLock<Shard>]>,
    hasher: RandomState,
    keys: AtomicUsize,
    max_keys: usize,
    idle_after_ns: u64,
}

struct Entry {
    breaker: CircuitBreaker,
    /// When it was last asked for, on the breakers' clock.
    used: AtomicU64,
}

/// Makes a [`Registry`].
#[derive(Clone, Debug)]
#[must_use = "build() makes the registry"]
pub struct RegistryBuilder {
    template: Builder,
    overrides: Vec<(Arc<str>, Config)>,
    max_keys: usize,
    idle_after: Duration,
}

/// Why a registry has no breaker for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryError {
    /// The bound is reached and no breaker is idle. Raise `max_keys`, or look where so many keys come from.
    TooManyKeys {
        /// The key that was refused.
        key: Arc<str>,
        /// The bound.
        max_keys: usize,
    },
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RegistryError::TooManyKeys { key, max_keys } = self;
        write!(f, "no circuit breaker for {key:?}: the registry holds its max_keys = {max_keys}")
    }
}

impl std::error::Error for RegistryError {}

impl RegistryBuilder {
    /// A configuration of its own for one key.
    pub fn override_key(mut self, key: impl Into<Arc<str>>, config: Config) -> Self {
        self.overrides.push((key.into(), config));
        self
    }

    /// The most keys there may be, 1 or more; 1,000 by default.
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// For how long a breaker must not have been asked for before it may be evicted; 10 minutes by default.
    pub fn idle_after(mut self, time: Duration) -> Self {
        self.idle_after = time;
        self
    }

    /// The registry, without a key.
    ///
    /// # Errors
    /// The first setting, of the shared configuration or an override, that is impossible.
    pub fn build(self) -> Result<Registry, ConfigError> {
        if self.max_keys == 0 {
            return Err(ConfigError::new("max_keys", 0, "1 or more"));
        }
        self.template.validate()?;
        let mut overrides = HashMap::new();
        for (key, config) in self.overrides {
            config.validate()?;
            overrides.insert(key, config.shared());
        }
        Ok(Registry {
            shared: RwLock::new(self.template.as_config().clone().shared()),
            template: self.template,
            overrides: RwLock::new(overrides),
            shards: (0..SHARDS).map(|_| RwLock::default()).collect(),
            hasher: RandomState::new(),
            keys: AtomicUsize::new(0),
            max_keys: self.max_keys,
            idle_after_ns: nanos(self.idle_after),
        })
    }
}

impl Registry {
    /// A registry whose breakers are made from `template`: its configuration, clock and listeners; the key is the
    /// breaker's name.
    pub fn builder(template: Builder) -> RegistryBuilder {
        RegistryBuilder {
            template,
            overrides: Vec::new(),
            max_keys: 1_000,
            idle_after: Duration::from_secs(600),
        }
    }

    /// The breaker of `key`, made if there is none.
    ///
    /// # Errors
    /// [`RegistryError::TooManyKeys`].
    pub fn get_or_create(&self, key: &str) -> Result<CircuitBreaker, RegistryError> {
        if let Some(breaker) = self.get(key) {
            return Ok(breaker);
        }
        if !self.reserve() {
            self.evict_idle();
            if !self.reserve() {
                return Err(RegistryError::TooManyKeys { key: key.into(), max_keys: self.max_keys });
            }
        }
        let key: Arc<str> = key.into();
        let mut shard = write(self.shard(&key));
        if let Some(entry) = shard.get(&key) {
            // Somebody else made it in between.
            self.keys.fetch_sub(1, Ordering::AcqRel);
            return Ok(entry.breaker.clone());
        }
        // Under the shard's lock, so that `set_config` meets every breaker either here or in the shard.
        let breaker = self.template.build_with(self.config_of(&key), Arc::clone(&key));
        let used = AtomicU64::new(self.now().as_nanos());
        shard.insert(key, Entry { breaker: breaker.clone(), used });
        Ok(breaker)
    }

    /// The breaker of `key`, if there is one.
    pub fn get(&self, key: &str) -> Option<CircuitBreaker> {
        let shard = read(self.shard(key));
        let entry = shard.get(key)?;
        entry.used.fetch_max(self.now().as_nanos(), Ordering::Relaxed);
        Some(entry.breaker.clone())
    }

    /// Every breaker, ordered by key.
    pub fn breakers(&self) -> Vec<(Arc<str>, CircuitBreaker)> {
        let all = |shard| {
            let shard: RwLockReadGuard<'_, Shard> = read(shard);
            shard.iter().map(|(key, entry)| (Arc::clone(key), entry.breaker.clone())).collect::<Vec<_>>()
        };
        let mut breakers: Vec<_> = self.shards.iter().flat_map(all).collect();
        breakers.sort_by(|a, b| a.0.cmp(&b.0));
        breakers
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| read(shard).len()).sum()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Replaces the shared configuration, in every breaker without an override too (B19).
    ///
    /// # Errors
    /// The first setting that is impossible; then nothing changes.
    pub fn set_config(&self, config: Config) -> Result<(), ConfigError> {
        config.validate()?;
        let shared = config.clone().shared();
        *write(&self.shared) = shared;
        for (key, breaker) in self.breakers() {
            if !read(&self.overrides).contains_key(&key) {
                breaker.set_config(config.clone())?;
            }
        }
        Ok(())
    }

    /// Gives one key a configuration of its own, now and whenever its breaker is made.
    ///
    /// # Errors
    /// The first setting that is impossible, or `max_keys` overrides are there already; then nothing changes.
    pub fn set_override(&self, key: &str, config: Config) -> Result<(), ConfigError> {
        config.validate()?;
        {
            let mut overrides = write(&self.overrides);
            if overrides.len() >= self.max_keys && !overrides.contains_key(key) {
                return Err(ConfigError::new("override", format!("{key:?}"), "at most max_keys overrides"));
            }
            overrides.insert(key.into(), config.clone().shared());
        }
        match self.get(key) {
            Some(breaker) => breaker.set_config(config),
            None => Ok(()),
        }
    }

    /// Evicts every breaker that is CLOSED, held by nobody and idle; says how many.
    pub fn evict_idle(&self) -> usize {
        let idle_since = self.now().as_nanos().checked_sub(self.idle_after_ns);
        let Some(idle_since) = idle_since else { return 0 };
        let mut evicted = 0;
        for shard in &self.shards {
            // Under the write lock nobody can get a new handle from here, so a sole holder stays the sole one.
            let idle: Vec<_> = write(shard)
                .extract_if(|_, entry| {
                    let used = entry.used.load(Ordering::Relaxed) > idle_since;
                    !used && !entry.breaker.is_held_elsewhere() && entry.breaker.reads_closed()
                })
                .collect();
            evicted += idle.len();
            // Dropped here, without the lock: a breaker's drop wakes its subscribers.
        }
        self.keys.fetch_sub(evicted, Ordering::AcqRel);
        evicted
    }

    fn reserve(&self) -> bool {
        let within = |keys: usize| (keys < self.max_keys).then_some(keys + 1);
        self.keys.fetch_update(Ordering::AcqRel, Ordering::Acquire, within).is_ok()
    }

    fn config_of(&self, key: &str) -> Arc<Config> {
        let own = read(&self.overrides).get(key).cloned();
        own.unwrap_or_else(|| Arc::clone(&read(&self.shared)))
    }

    fn now(&self) -> Tick {
        self.template.clock_source().coarse()
    }

    fn shard(&self, key: &str) -> &RwLock<Shard> {
        &self.shards[self.hasher.hash_one(key) as usize % SHARDS]
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("keys", &self.len())
            .field("max_keys", &self.max_keys)
            .finish_non_exhaustive()
    }
}
