//! Who is inside: counts the work in flight, bounds it, and closes for the stop.

use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// What the gate knows.
#[derive(Debug, Clone, Copy, Default)]
struct Inside {
    works: usize,
    closed: bool,
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
#[derive(Debug, Clone)]
pub struct Gate {
    inside: Arc<watch::Sender<Inside>>,
}

/// Proof of being inside; leaving is dropping it.
#[derive(Debug)]
pub struct Pass(Arc<watch::Sender<Inside>>);

impl Drop for Pass {
    fn drop(&mut self) {
        self.0.send_modify(|inside| inside.works -= 1);
    }
}

impl Gate {
    /// An open gate.
    pub fn new() -> Self {
        Self { inside: Arc::new(watch::Sender::new(Inside::default())) }
    }

    /// Gets in if fewer than `works_max` are inside, or says why not.
    pub fn enter(&self, works_max: usize) -> Result<Pass, Shut> {
        let mut answer = Ok(());
        self.inside.send_if_modified(|inside| {
            answer = match inside {
                Inside { closed: true, .. } => Err(Shut::Stopping),
                Inside { works, .. } if *works >= works_max => Err(Shut::Crowded),
                _ => Ok(()),
            };
            if answer.is_ok() {
                inside.works += 1;
            }
            false
        });
        answer.map(|()| Pass(Arc::clone(&self.inside)))
    }

    /// Whether it is closed.
    pub fn is_closed(&self) -> bool {
        self.inside.borrow().closed
    }

    /// Completes once it is closed.
    pub async fn closed(&self) {
        // The sender lives as long as this gate, so waiting cannot fail.
        let _ = self.inside.subscribe().wait_for(|inside| inside.closed).await;
    }

    /// Closes and waits until all have left; `false`: some were still inside after the time given.
    pub async fn close(&self, patience: Duration) -> bool {
        self.inside.send_modify(|inside| inside.closed = true);
        let mut inside = self.inside.subscribe();
        tokio::time::timeout(patience, inside.wait_for(|inside| inside.works == 0)).await.is_ok()
    }
}
