use super::{Registry, SHARDS};
use crate::breaker::Builder;
use crate::clock::nanos;
use crate::config::{Config, ConfigError};
use std::collections::HashMap;
use std::hash::RandomState;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

/// Makes a [`Registry`].
#[derive(Clone, Debug)]
#[must_use = "build() makes the registry"]
pub struct RegistryBuilder {
    pub(super) template: Builder,
    pub(super) overrides: Vec<(Arc<str>, Config)>,
    pub(super) max_keys: usize,
    pub(super) idle_after: Duration,
}

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
            swept: Mutex::new(None),
            gone: Mutex::default(),
        })
    }
}
