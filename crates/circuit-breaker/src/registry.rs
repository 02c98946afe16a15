//! One breaker a key (B21).
//!
//! Promise: a key's breaker is made on first use and found without a global lock; memory is bounded, because the number
//! of keys at a time is.
//!
//! Invariants:
//! 1. There is at most one breaker a key at any time.
//! 2. There are never more than `max_keys` breakers, and a key within the bound is never refused: a place is taken, and
//!    given back, under the lock of the shard that the breaker stands in.
//! 3. Only a CLOSED breaker that nobody holds, by a handle, a permit or a running call, and that has not been asked
//!    for during `idle_after`, is evicted.
//! 4. When everybody has stopped replacing configurations, each breaker has the one that holds for its key: whoever
//!    gives it one looks afterwards whether that still holds.
//! 5. No lock is held while a listener or a waker may run.
//!
//! | what goes wrong | what happens |
//! |---|---|
//! | a new key over the bound | idle breakers are evicted; if none is, [`RegistryError::TooManyKeys`] |
//! | keys come and go | memory is bounded, but what a key leaves outside is not: see [`Registry`] on metrics |

mod builder;
mod totals;

pub use builder::RegistryBuilder;
pub use totals::RegistryTotals;

use crate::breaker::{Builder, CircuitBreaker};
use crate::clock::Tick;
use crate::config::{Config, ConfigError};
use crate::sync::lock_std;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

const SHARDS: usize = 16;

/// The longest that an idle breaker can stand in the way of a new key because another key has just been refused.
const SWEEP_INTERVAL_MAX_NS: u64 = 1_000_000_000;

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
///
/// # Metrics of keys that come and go
///
/// `max_keys` bounds the keys at a time, not those that there ever were. A metrics recorder keeps each label that it has
/// seen; and the totals of a key whose breaker was evicted and made again begin at zero, below what the recorder has. So
/// where keys are hosts or tenants, write [`totals`](Registry::totals), which include every breaker that has gone, under
/// one label (`observe::record_registry` does), or let the recorder forget idle labels.
pub struct Registry {
    template: Builder,
    shared: RwLock<Arc<Config>>,
    overrides: RwLock<HashMap<Arc<str>, Arc<Config>>>,
    shards: Box<[RwLock<Shard>]>,
    hasher: RandomState,
    /// Changed under the lock of the shard whose entry comes or goes.
    keys: AtomicUsize,
    max_keys: usize,
    idle_after_ns: u64,
    /// When idle breakers were last looked for to make room. Whoever holds it is looking.
    swept: Mutex<Option<Tick>>,
    /// The totals of the breakers that have gone. Changed under the lock of the shard that they leave.
    gone: Mutex<RegistryTotals>,
}

struct Entry {
    breaker: CircuitBreaker,
    /// When it was last asked for, on the breakers' clock.
    used: AtomicU64,
}

/// Why a registry has no breaker for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryError {
    /// The bound is reached and no breaker can be evicted. Raise `max_keys`, or look where so many keys come from. One
    /// that is not CLOSED is never evicted, however idle: take those that will not be asked for again out by
    /// [`Registry::remove`].
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
    /// [`RegistryError::TooManyKeys`]. Idle breakers are looked for first, but at most once a second, or sixteen times
    /// during `idle_after` where that is more often, so that a flood of new keys does not keep everybody else waiting.
    pub fn get_or_create(&self, key: &str) -> Result<CircuitBreaker, RegistryError> {
        if let Some(breaker) = self.get(key).or_else(|| self.create(key)) {
            return Ok(breaker);
        }
        self.make_room();
        self.create(key)
            .ok_or_else(|| RegistryError::TooManyKeys { key: key.into(), max_keys: self.max_keys })
    }

    /// None: the key is new, and there is no place for it.
    fn create(&self, key: &str) -> Option<CircuitBreaker> {
        let mut shard = write(self.shard(key));
        if let Some(entry) = shard.get(key) {
            return Some(entry.breaker.clone()); // Somebody else has made it.
        }
        if !self.reserve() {
            return None;
        }
        // Under the shard's lock, so that `set_config` meets every breaker either here or in the shard.
        let key: Arc<str> = key.into();
        let breaker = self.template.build_with(self.config_of(&key), Arc::clone(&key));
        let used = AtomicU64::new(self.now().as_nanos());
        shard.insert(key, Entry { breaker: breaker.clone(), used });
        Some(breaker)
    }

    /// The breaker of `key`, if there is one.
    pub fn get(&self, key: &str) -> Option<CircuitBreaker> {
        let shard = read(self.shard(key));
        let entry = shard.get(key)?;
        entry.used.fetch_max(self.now().as_nanos(), Ordering::Relaxed);
        Some(entry.breaker.clone())
    }

    /// The same, without its being a use of the breaker.
    fn peek(&self, key: &str) -> Option<CircuitBreaker> {
        read(self.shard(key)).get(key).map(|entry| entry.breaker.clone())
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

    /// Takes the breaker of `key` out of the registry, whatever its state; the next to ask for the key gets a new one. The
    /// handles of the old one, this one among them, go on working, but [`set_config`](Registry::set_config) no longer
    /// reaches it, and what it counts from now on is not in [`totals`](Registry::totals). An override of the key stays.
    pub fn remove(&self, key: &str) -> Option<CircuitBreaker> {
        let mut shard = write(self.shard(key));
        let entry = shard.remove(key)?;
        self.retire(&entry);
        Some(entry.breaker)
    }

    /// Replaces the shared configuration, in every breaker without an override too (B19).
    ///
    /// # Errors
    /// The first setting that is impossible; then nothing changes.
    pub fn set_config(&self, config: Config) -> Result<(), ConfigError> {
        config.validate()?;
        *write(&self.shared) = config.shared();
        for (key, breaker) in self.breakers() {
            if !read(&self.overrides).contains_key(&key) {
                self.configure(&key, &breaker);
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
            overrides.insert(key.into(), config.shared());
        }
        if let Some(breaker) = self.peek(key) {
            self.configure(key, &breaker);
        }
        Ok(())
    }

    /// Gives one key the shared configuration again; `false`: it has had no other.
    pub fn clear_override(&self, key: &str) -> bool {
        if write(&self.overrides).remove(key).is_none() {
            return false;
        }
        if let Some(breaker) = self.peek(key) {
            self.configure(key, &breaker);
        }
        true
    }

    /// Gives a breaker the configuration that holds for its key, however many replace that at the same time: ends when
    /// it has stood still for the time that this took. No lock is held, since listeners hear of it.
    fn configure(&self, key: &str, breaker: &CircuitBreaker) {
        loop {
            let config = self.config_of(key);
            breaker.set_shared_config(Arc::clone(&config));
            if Arc::ptr_eq(&config, &self.config_of(key)) {
                return;
            }
        }
    }

    /// Evicts every breaker that is CLOSED, held by nobody and idle; says how many.
    pub fn evict_idle(&self) -> usize {
        self.sweep().len()
    }

    /// Evicts what is idle, unless somebody has just done so. Who comes meanwhile waits for what that frees.
    fn make_room(&self) {
        let interval_ns = (self.idle_after_ns / 16).min(SWEEP_INTERVAL_MAX_NS);
        let mut swept = lock_std(&self.swept);
        let now = self.now();
        if swept.is_some_and(|at| now.nanos_since(at) < interval_ns) {
            return;
        }
        *swept = Some(now);
        let evicted = self.sweep();
        drop(swept);
        drop(evicted);
    }

    /// Takes out what is idle; to be dropped without a lock, since a breaker's drop wakes its subscribers.
    fn sweep(&self) -> Vec<Entry> {
        let mut evicted = Vec::new();
        let Some(idle_since) = self.now().as_nanos().checked_sub(self.idle_after_ns) else { return evicted };
        for shard in &self.shards {
            // Under the write lock nobody can get a new handle from here, so a sole holder stays the sole one.
            let mut shard = write(shard);
            let idle = shard.extract_if(|_, entry| {
                let used = entry.used.load(Ordering::Relaxed) > idle_since;
                !used && !entry.breaker.is_held_elsewhere() && entry.breaker.reads_closed()
            });
            evicted.extend(idle.map(|(_, entry)| entry).inspect(|entry| self.retire(entry)));
        }
        evicted
    }

    /// Gives the place of an entry back and keeps its totals. Its shard is locked.
    fn retire(&self, entry: &Entry) {
        *lock_std(&self.gone) += entry.breaker.totals();
        self.keys.fetch_sub(1, Ordering::AcqRel);
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
