//! Storage that fails, fills up or is cleaned up.

use crate::fixture::*;
use kkt_adapter::{
    buffer::{
        MemoryBuffer, SqliteBuffer, SqliteOptions,
        sqlite::{Point, Probe},
    },
    domain::{entry::Change, lifecycle::State},
    ports::{Appended, Buffer, BufferError, Clock, Lookup, Silent},
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

/// A defect of ours on the writer's thread.
struct Panics;

impl Probe for Panics {
    fn at(&self, point: Point) -> Result<(), String> {
        assert!(point != Point::Written, "injected");
        Ok(())
    }
}

#[test]
fn a_writer_that_panics_is_a_store_that_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let with_probe = SqliteOptions { probe: Some(Arc::new(Panics)), ..options(folder.path()) };
    let buffer = SqliteBuffer::open(with_probe, ManualClock::new(), Arc::new(Silent)).unwrap();
    block_on(async {
        let answer = buffer.append(buffer.reserve().unwrap(), entry("key-1"), false).await;
        assert!(matches!(answer, Err(BufferError::Failed(_))));
        assert!(!buffer.health().ok);
        assert!(matches!(buffer.reserve(), Err(BufferError::Failed(_))));
    });
    drop(buffer);
    accept_one(folder.path());
}

fn accept_one(folder: &std::path::Path) {
    block_on(accept(&open(folder), entry("key-1")));
}

/// Breaks at one point once it is armed.
struct BreaksAt {
    point: Point,
    armed: AtomicBool,
}

impl Probe for BreaksAt {
    fn at(&self, point: Point) -> Result<(), String> {
        if point == self.point && self.armed.load(Ordering::SeqCst) {
            return Err(format!("injected at {point:?}"));
        }
        Ok(())
    }
}

// P1: fail-stop, whichever step it was
#[test]
fn after_a_failure_nothing_is_acknowledged_and_nothing_acknowledged_is_lost() {
    for point in [Point::Begun, Point::Written, Point::BeforeCommit, Point::Committed] {
        let folder = tempfile::tempdir().unwrap();
        let probe = Arc::new(BreaksAt { point, armed: AtomicBool::new(false) });
        let with_probe = SqliteOptions { probe: Some(probe.clone()), ..options(folder.path()) };
        let buffer = SqliteBuffer::open(with_probe, ManualClock::new(), Arc::new(Silent)).unwrap();
        block_on(async {
            let safe = accept(&buffer, entry("safe")).await;
            let place = buffer.reserve().unwrap();
            probe.armed.store(true, Ordering::SeqCst);
            let failed = buffer.append(place, entry("failed"), false).await;
            assert!(matches!(failed, Err(BufferError::Failed(_))), "{point:?}");
            probe.armed.store(false, Ordering::SeqCst);
            assert!(matches!(buffer.reserve(), Err(BufferError::Failed(_))));
            let later = buffer.apply(safe, Change::StartPrinting).await;
            assert!(matches!(later, Err(BufferError::Failed(_))), "the fault is gone, the stop stays");
            let health = buffer.health();
            assert!(!health.ok && health.error.unwrap().contains("injected"));
            let found = buffer.find(Lookup::Id(safe)).await.unwrap().unwrap();
            assert_eq!(found.state, State::Accepted, "reading goes on");
        });
        drop(buffer);
        let buffer = open(folder.path());
        block_on(async {
            assert!(buffer.find(Lookup::Key("safe".parse().unwrap())).await.unwrap().is_some());
            let unanswered = buffer.find(Lookup::Key("failed".parse().unwrap())).await.unwrap();
            assert_eq!(unanswered.is_some(), point == Point::Committed, "{point:?}");
        });
    }
}

/// Hangs at one point until it is let go.
struct HangsAt {
    point: Point,
    hangs: AtomicBool,
    let_go: Mutex<Receiver<()>>,
}

impl Probe for HangsAt {
    fn at(&self, point: Point) -> Result<(), String> {
        if point == self.point {
            self.hangs.store(true, Ordering::SeqCst);
            let _ = self.let_go.lock().unwrap().recv();
        }
        Ok(())
    }
}

// P11
#[test]
fn a_close_that_was_given_up_is_not_waited_for_by_whoever_drops_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (let_go, waits) = channel();
    let probe = Arc::new(HangsAt {
        point: Point::BeforeCommit,
        hangs: AtomicBool::new(false),
        let_go: Mutex::new(waits),
    });
    let with_probe = SqliteOptions { probe: Some(probe.clone()), ..options(folder.path()) };
    let buffer = SqliteBuffer::open(with_probe, ManualClock::new(), Arc::new(Silent)).unwrap();
    let dropped = block_on(async {
        let waits = buffer.append(buffer.reserve().unwrap(), entry("key-1"), false);
        while !probe.hangs.load(Ordering::SeqCst) {
            tokio::task::yield_now().await;
        }
        assert!(tokio::time::timeout(Duration::from_millis(50), buffer.close()).await.is_err());
        drop(waits);
        let (told, dropped) = channel();
        std::thread::spawn(move || {
            drop(buffer);
            told.send(()).unwrap();
        });
        // The writer is let go after that only.
        dropped.recv_timeout(Duration::from_secs(4))
    });
    let_go.send(()).unwrap();
    dropped.expect("the writer hangs and its store is gone");
}

// P11: a slow disk takes its time for a checkpoint, and the stop has none.
#[test]
fn a_close_makes_no_checkpoint_and_the_next_start_finds_everything_in_the_wal() {
    let folder = tempfile::tempdir().unwrap();
    let probe = Arc::new(BreaksAt { point: Point::BeforeCheckpoint, armed: AtomicBool::new(true) });
    let with_probe = SqliteOptions { probe: Some(probe), ..options(folder.path()) };
    let buffer = SqliteBuffer::open(with_probe, ManualClock::new(), Arc::new(Silent)).unwrap();
    block_on(async {
        for n in 0..20 {
            accept(&buffer, entry(&format!("key-{n}"))).await;
        }
        buffer.close().await;
    });
    assert!(!buffer.health().error.is_some_and(|error| error.contains("injected")));
    drop(buffer);
    block_on(async {
        assert_eq!(open(folder.path()).stats().await.unwrap().total.unprinted, 20);
    });
}

// Whoever serves is told at once, so that a restart can mend it.
#[test]
fn a_failure_of_the_storage_is_told_to_whoever_waits_for_it_and_to_whoever_asks_later() {
    let folder = tempfile::tempdir().unwrap();
    let probe = Arc::new(BreaksAt { point: Point::BeforeCommit, armed: AtomicBool::new(false) });
    let with_probe = SqliteOptions { probe: Some(probe.clone()), ..options(folder.path()) };
    let buffer = SqliteBuffer::open(with_probe, ManualClock::new(), Arc::new(Silent)).unwrap();
    block_on(async {
        let early = tokio::time::timeout(Duration::from_millis(20), buffer.failed()).await;
        assert!(early.is_err(), "nothing has failed");
        let place = buffer.reserve().unwrap();
        probe.armed.store(true, Ordering::SeqCst);
        let (told, failed) = tokio::join!(buffer.failed(), buffer.append(place, entry("key"), false));
        assert!(told.contains("injected") && failed.is_err());
        assert_eq!(buffer.failed().await, told);
    });
}

// P7
#[test]
fn the_floor_of_free_disk_refuses_new_documents_only() {
    let folder = tempfile::tempdir().unwrap();
    let id = block_on(async { accept(&open(folder.path()), entry("key-1")).await });
    let no_disk_has_so_much = SqliteOptions { min_free_disk_bytes: u64::MAX, ..options(folder.path()) };
    let buffer = SqliteBuffer::open(no_disk_has_so_much, ManualClock::new(), Arc::new(Silent)).unwrap();
    block_on(async {
        let refused = buffer.reserve().unwrap_err();
        assert!(matches!(&refused, BufferError::Full { reason, .. } if reason.contains("disk")), "{refused}");
        buffer.apply(id, Change::StartPrinting).await.unwrap();
    });
}

async fn retention_takes_bodies_and_leaves_the_rest<B: Buffer>(
    buffer: &B,
    clock: &ManualClock,
    prune: impl AsyncFn(usize) -> usize,
) {
    let done = print(buffer, entry("done"), 1).await;
    let waiting = print(buffer, entry("waiting"), 2).await;
    let dead_open = print(buffer, entry("dead-open"), 3).await;
    let dead_closed = print(buffer, entry("dead-closed"), 4).await;
    let gone = accept(buffer, entry("gone")).await;
    buffer.apply(gone, Change::Cancel { by: person(), why: "w".into() }).await.unwrap();
    buffer.settle(vec![synced(done), dead(dead_open), dead(dead_closed)]).await.unwrap();
    buffer.apply(dead_closed, Change::Resolve { by: person(), note: "n".into() }).await.unwrap();
    assert_eq!(prune(100).await, 0, "nothing is old enough");
    let day = Duration::from_secs(86_400);
    clock.advance(8 * day);
    assert_eq!(prune(1).await, 1, "a slice is a bound");
    assert_eq!(prune(100).await, 1);
    assert_eq!(prune(100).await, 0);
    let body = async |id| buffer.find(Lookup::Id(id)).await.unwrap().unwrap().receipt.is_some();
    assert!(!body(done).await && !body(gone).await);
    assert!(body(waiting).await && body(dead_open).await && body(dead_closed).await);
    clock.advance(90 * day);
    assert_eq!(prune(100).await, 1);
    assert!(!body(dead_closed).await);
    assert!(body(dead_open).await, "nobody has closed it: a requeue must find it whole");
    let answer = buffer.append(buffer.reserve().unwrap(), entry("done"), true).await.unwrap();
    let Appended::Known(known) = answer else { panic!("a key lives as long as the ФН") };
    assert_eq!((known.id, known.state, known.fiscal), (done, State::Synced, Some(fiscal(1))));
    assert_eq!(known.hash, entry("done").hash);
    assert_eq!(lane(buffer, "POS-001").await, [2]);
    buffer.apply(dead_open, Change::Requeue { by: person(), why: "w".into() }).await.unwrap();
    assert_eq!(lane(buffer, "POS-001").await, [2, 3]);
}

const RETENTION: (Duration, Duration) = (Duration::from_secs(7 * 86_400), Duration::from_secs(90 * 86_400));

#[test]
fn retention_takes_old_bodies_from_the_file_and_leaves_keys_and_fiscal_documents() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let buffer = open_with(folder.path(), 100, clock.clone(), Arc::new(Silent));
    let prune = async |slice| buffer.prune(clock.wall(), RETENTION.0, RETENTION.1, slice).await.unwrap();
    block_on(retention_takes_bodies_and_leaves_the_rest(&buffer, &clock, prune));
}

#[test]
fn retention_does_the_same_in_the_model() {
    let clock = ManualClock::new();
    let buffer = MemoryBuffer::new(100, clock.clone());
    let prune = async |slice| buffer.prune(clock.wall(), RETENTION.0, RETENTION.1, slice).await.unwrap();
    block_on(retention_takes_bodies_and_leaves_the_rest(&buffer, &clock, prune));
}

#[test]
fn the_model_loses_in_a_crash_exactly_what_was_not_answered() {
    let buffer = MemoryBuffer::new(100, ManualClock::new());
    block_on(async {
        accept(&buffer, entry("kept")).await;
        buffer.hold();
        let first = buffer.append(buffer.reserve().unwrap(), entry("first"), false);
        let second = buffer.append(buffer.reserve().unwrap(), entry("second"), false);
        assert_eq!(buffer.release_some(1), 1);
        first.await.unwrap();
        buffer.crash();
        assert!(matches!(second.await, Err(BufferError::Failed(_))));
        let stats = buffer.stats().await.unwrap();
        assert_eq!((stats.total.unprinted, stats.used), (2, 2));
        buffer.fail("no such disk");
        assert!(matches!(buffer.reserve(), Err(BufferError::Failed(_))));
        assert!(!buffer.health().ok);
        buffer.crash();
        accept(&buffer, entry("after")).await;
    });
}
