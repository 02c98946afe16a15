//! How many commits, which is how many fsyncs, a receipt costs.

use crate::fixture::*;
use kkt_adapter::{
    buffer::{
        SqliteBuffer, SqliteOptions,
        sqlite::{Point, Probe},
    },
    domain::{entry::Change, lifecycle::State},
    ports::{Appended, Buffer, BufferError, Lookup},
};
use std::sync::{Arc, Condvar, Mutex};

/// Keeps the writer waiting inside its first transaction until it is let go.
#[derive(Default)]
struct Turnstile {
    begun: Mutex<(u32, bool)>,
    changed: Condvar,
}

impl Turnstile {
    fn wait_until_begun(&self) {
        let guard = self.begun.lock().unwrap();
        drop(self.changed.wait_while(guard, |(begun, _)| *begun == 0).unwrap());
    }

    fn let_go(&self) {
        self.begun.lock().unwrap().1 = true;
        self.changed.notify_all();
    }
}

impl Probe for Turnstile {
    fn at(&self, point: Point) -> Result<(), String> {
        if point == Point::Begun {
            let mut guard = self.begun.lock().unwrap();
            guard.0 += 1;
            self.changed.notify_all();
            drop(self.changed.wait_while(guard, |(_, open)| !*open).unwrap());
        }
        Ok(())
    }
}

#[test]
fn a_printed_receipt_costs_two_commits() {
    let folder = tempfile::tempdir().unwrap();
    let commits = Arc::new(Commits::default());
    let buffer = open_with(folder.path(), 10, ManualClock::new(), commits.clone());
    block_on(async {
        print(&buffer, entry("key-1"), 1).await;
        assert_eq!(
            commits.count(),
            2,
            "before the print (P1, P4) and after it (P4: the same answer for ever)"
        );
        let again = buffer.append(buffer.reserve().unwrap(), entry("key-1"), true).await.unwrap();
        assert!(matches!(again, Appended::Known(_)));
        assert_eq!(commits.count(), 2, "a replay costs none");
    });
}

#[test]
fn what_is_queued_while_the_disk_works_goes_into_one_commit_and_a_refused_write_harms_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let commits = Arc::new(Commits::default());
    let turnstile = Arc::new(Turnstile::default());
    let options = SqliteOptions { probe: Some(turnstile.clone()), ..options(folder.path()) };
    let buffer = SqliteBuffer::open(options, ManualClock::new(), commits.clone()).unwrap();
    block_on(async {
        let first = buffer.append(buffer.reserve().unwrap(), entry("first"), false);
        turnstile.wait_until_begun();
        let news: Vec<_> = (0..64).map(|n| entry(&format!("key-{n}"))).collect();
        let ids: Vec<_> = news.iter().map(|new| new.id).collect();
        let pending: Vec<_> =
            news.into_iter().map(|new| buffer.append(buffer.reserve().unwrap(), new, false)).collect();
        let refused = buffer.apply(ids[0], printed(1));
        let unknown = buffer.apply(Default::default(), Change::StartPrinting);
        let known = buffer.append(buffer.reserve().unwrap(), entry("key-0"), false);
        let changed = buffer.apply(ids[1], Change::StartPrinting);
        turnstile.let_go();
        first.await.unwrap();
        for answer in pending {
            assert!(matches!(answer.await.unwrap(), Appended::Stored));
        }
        assert!(matches!(refused.await, Err(BufferError::NotAllowed { state: State::Accepted, .. })));
        assert!(matches!(unknown.await, Err(BufferError::NotFound)));
        assert!(matches!(known.await, Ok(Appended::Known(entry)) if entry.id == ids[0]));
        changed.await.unwrap();
        assert_eq!(commits.count(), 2, "the first alone, then all the others together");
        assert_eq!(buffer.find(Lookup::Id(ids[1])).await.unwrap().unwrap().state, State::Printing);
    });
}

#[test]
fn a_full_queue_refuses_at_once_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let turnstile = Arc::new(Turnstile::default());
    let options = SqliteOptions { probe: Some(turnstile.clone()), queue: 2, ..options(folder.path()) };
    let buffer = SqliteBuffer::open(options, ManualClock::new(), Arc::new(Commits::default())).unwrap();
    block_on(async {
        let first = buffer.append(buffer.reserve().unwrap(), entry("first"), false);
        turnstile.wait_until_begun();
        let queued: Vec<_> = (0..2)
            .map(|n| buffer.append(buffer.reserve().unwrap(), entry(&format!("q-{n}")), false))
            .collect();
        let refused = buffer.append(buffer.reserve().unwrap(), entry("too many"), false).await;
        assert!(matches!(refused, Err(BufferError::Full { .. })));
        turnstile.let_go();
        first.await.unwrap();
        for answer in queued {
            answer.await.unwrap();
        }
        let stats = buffer.stats().await.unwrap();
        assert_eq!(
            (stats.used, stats.total.unprinted),
            (3, 3),
            "the place of the refused one was given back"
        );
    });
}
