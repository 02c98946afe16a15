//! Who is inside: counts the work in flight, bounds it, and closes for the stop.

use super::locked;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;

/// What the gate knows.
#[derive(Debug, Clone, Copy, Default)]
struct Inside {
    works: usize,
    closed: bool,
}

#[derive(Debug, Default)]
struct Door {
    inside: Mutex<Inside>,
    /// It was closed. Whoever waits is told in the order of arrival.
    closed: Notify,
    /// The last one has left.
    empty: Notify,
}

/// Why nobody gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shut {
    /// The adapter is stopping.
    Stopping,
    /// So many are inside already.
    Crowded,
}

/// The door of the room.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<Door>);

/// Proof of being inside; leaving is dropping it.
#[derive(Debug)]
pub struct Pass(Arc<Door>);

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = locked(&self.0.inside);
        inside.works -= 1;
        if inside.works == 0 {
            drop(inside);
            self.0.empty.notify_waiters();
        }
    }
}

impl Gate {
    /// An open gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gets in if fewer than `works_max` are inside, or says why not.
    pub fn enter(&self, works_max: usize) -> Result<Pass, Shut> {
        let mut inside = locked(&self.0.inside);
        match *inside {
            Inside { closed: true, .. } => Err(Shut::Stopping),
            Inside { works, .. } if works >= works_max => Err(Shut::Crowded),
            _ => {
                inside.works += 1;
                Ok(Pass(Arc::clone(&self.0)))
            }
        }
    }

    /// Whether it is closed.
    pub fn is_closed(&self) -> bool {
        locked(&self.0.inside).closed
    }

    /// Completes once it is closed.
    pub async fn closed(&self) {
        // Made before the look, so that a closing in between is not missed.
        let told = self.0.closed.notified();
        if !self.is_closed() {
            told.await;
        }
    }

    /// Closes and waits until all have left; `false`: some were still inside after the time given.
    pub async fn close(&self, patience: Duration) -> bool {
        locked(&self.0.inside).closed = true;
        self.0.closed.notify_waiters();
        // Nobody gets in any more, so it is empty once.
        let told = self.0.empty.notified();
        if locked(&self.0.inside).works == 0 {
            return true;
        }
        tokio::time::timeout(patience, told).await.is_ok()
    }
}
