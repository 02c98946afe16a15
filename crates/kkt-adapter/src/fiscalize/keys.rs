//! Keys that are being worked on: of two requests with one key the second waits for the first. Bounded by the
//! gate, since each key in the map belongs to a request inside.

use super::locked;
use crate::domain::ids::IdempotencyKey;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};
use tokio::sync::{Notify, futures::OwnedNotified};

/// Each key with whom its end is told to, in the order of arrival.
type Map = Arc<Mutex<HashMap<IdempotencyKey, Arc<Notify>>>>;

/// The keys in flight.
#[derive(Debug, Default)]
pub struct Keys(Map);

/// Whose turn it is.
pub enum Turn {
    /// Ours, until the guard is dropped.
    Ours(KeyGuard),
    /// Another request has it; complete when it ends.
    Wait(OwnedNotified),
}

/// Holds a key.
pub struct KeyGuard {
    key: IdempotencyKey,
    map: Map,
}

impl Drop for KeyGuard {
    fn drop(&mut self) {
        // Told after the key left the map, so that whoever waited finds it free.
        let end = locked(&self.map).remove(&self.key);
        if let Some(end) = end {
            end.notify_waiters();
        }
    }
}

impl Keys {
    /// Takes the key or tells what to wait for.
    pub fn take(&self, key: &IdempotencyKey) -> Turn {
        let mut map = locked(&self.0);
        if let Some(end) = map.get(key) {
            // Made under the lock: an end after it is not missed.
            return Turn::Wait(Arc::clone(end).notified_owned());
        }
        map.insert(key.clone(), Arc::default());
        Turn::Ours(KeyGuard { key: key.clone(), map: Arc::clone(&self.0) })
    }

    /// Whether a request with the key is inside.
    pub fn contains(&self, key: &IdempotencyKey) -> bool {
        locked(&self.0).contains_key(key)
    }
}
