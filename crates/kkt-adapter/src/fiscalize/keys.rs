//! Keys that are being worked on: of two requests with one key the second waits for the first. Bounded by the
//! gate, since each key in the map belongs to a request inside.

use super::locked;
use crate::domain::ids::IdempotencyKey;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::sync::watch;

type Map = Arc<Mutex<HashMap<IdempotencyKey, watch::Receiver<()>>>>;

/// The keys in flight.
#[derive(Debug, Default)]
pub struct Keys(Map);

/// Whose turn it is.
pub enum Turn {
    /// Ours, until the guard is dropped.
    Ours(KeyGuard),
    /// Another request has it; complete when it ends.
    Wait(watch::Receiver<()>),
}

/// Holds a key.
pub struct KeyGuard {
    key: IdempotencyKey,
    map: Map,
    // Dropped after the key left the map, so that whoever waited finds it free.
    _end: watch::Sender<()>,
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        locked(&self.map).remove(&self.key);
    }
}

impl Keys {
    /// Takes the key or tells what to wait for.
    pub fn take(&self, key: &IdempotencyKey) -> Turn {
        let mut map = locked(&self.0);
        if let Some(end) = map.get(key) {
            return Turn::Wait(end.clone());
        }
        let (sender, receiver) = watch::channel(());
        map.insert(key.clone(), receiver);
        Turn::Ours(KeyGuard { key: key.clone(), map: Arc::clone(&self.0), _end: sender })
    }

    /// Whether a request with the key is inside.
    pub fn contains(&self, key: &IdempotencyKey) -> bool {
        locked(&self.0).contains_key(key)
    }
}
