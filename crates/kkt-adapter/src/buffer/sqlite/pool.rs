//! Connections for reading: opened once, used by one read at a time, never in the writer's way.

use super::{
    open,
    options::{OpenError, SqliteOptions},
    row::Damage,
    store::Fault,
};
use crate::ports::BufferError;
use rusqlite::Connection;
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Semaphore;

/// The connections, and who may have one.
pub(super) struct Readers {
    free: Mutex<Vec<Connection>>,
    turns: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(options: &SqliteOptions) -> Result<Arc<Self>, OpenError> {
        let count = options.readers.max(1);
        let free = (0..count).map(|_| open::reader(options)).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(Self { free: Mutex::new(free), turns: Arc::new(Semaphore::new(count)) }))
    }

    /// Runs a read on a thread that may block; hands back what it saw damaged.
    pub(super) async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Connection, &mut Vec<Damage>) -> Result<T, Fault> + Send + 'static,
    ) -> (Result<T, Fault>, Vec<Damage>) {
        let closed = || Fault::Rule(BufferError::Failed("the store is closed".into()));
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else {
            return (Err(closed()), Vec::new());
        };
        let readers = Arc::clone(self);
        let work = tokio::task::spawn_blocking(move || {
            let lock = || readers.free.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(conn) = lock().pop() else { return (Err(closed()), Vec::new()) };
            let mut damage = Vec::new();
            let result = catch_unwind(AssertUnwindSafe(|| read(&conn, &mut damage)));
            // A read that panics costs its caller the answer, and nobody a connection.
            lock().push(conn);
            // Only now: a caller that went away must not free the turn before its connection is back.
            drop(turn);
            (result.unwrap_or_else(|panic| resume_unwind(panic)), damage)
        });
        let panicked = || Fault::Rule(BufferError::Failed("the read panicked".into()));
        work.await.unwrap_or_else(|_| (Err(panicked()), Vec::new()))
    }

    /// Closes the connections that are not in use; later reads fail.
    pub(super) fn close(&self) {
        self.turns.close();
        self.free.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
