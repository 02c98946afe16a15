//! What cannot be seen through the port.

use super::*;
use crate::{
    domain::{document::DocumentKind, ids::PosId, lifecycle::State, receipt::BodyHash},
    ports::{Monotonic, Silent},
};
use std::path::Path;

struct Still;

impl Clock for Still {
    fn monotonic(&self) -> Monotonic {
        Monotonic(Duration::ZERO)
    }

    fn wall(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}

fn options(folder: &Path) -> SqliteOptions {
    SqliteOptions { min_free_disk_bytes: 0, readers: 1, ..SqliteOptions::new(folder.join("buffer.db")) }
}

fn entry(key: &str) -> NewEntry {
    NewEntry {
        id: ReceiptId::new(),
        key: key.parse().unwrap(),
        kind: DocumentKind::ShiftOpen,
        pos_id: "POS-001".parse().unwrap(),
        device: "POS-001".parse().unwrap(),
        receipt: None,
        hash: BodyHash::of(b""),
        notes: vec!["x".repeat(3_000)],
        request_id: None,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

// P7: nothing already taken is harmed
#[test]
fn a_full_disk_refuses_the_write_and_the_store_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open::store(&options(folder.path()), &Still).unwrap();
    let pages: i64 = opened.store.conn.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    // SQLite answers a file that may not grow with the very error of a full disk.
    let limit = format!("PRAGMA max_page_count = {}", pages + 20);
    opened.store.conn.query_row(&limit, [], |_| Ok(())).unwrap();
    let buffer =
        SqliteBuffer::start(options(folder.path()), Arc::new(Still), Arc::new(Silent), opened).unwrap();
    block_on(async {
        let mut stored = 0_u64;
        let refused = loop {
            let place = buffer.reserve().unwrap();
            match buffer.append(place, entry(&format!("key-{stored}")), false).await {
                Ok(_) => stored += 1,
                Err(error) => break error,
            }
        };
        assert!(stored > 0);
        assert!(matches!(refused, BufferError::Full { .. }), "{refused}");
        assert!(buffer.health().ok);
        let stats = buffer.stats().await.unwrap();
        assert_eq!(
            (stats.total.unprinted, stats.used),
            (stored, stored),
            "the figures are those of the rows"
        );
        let first = Lookup::Key("key-0".parse().unwrap());
        let id = buffer.find(first).await.unwrap().unwrap().id;
        buffer.apply(id, Change::StartPrinting).await.expect("what needs no new page is still done");
    });
    drop(buffer);
    let again = open::store(&options(folder.path()), &Still).unwrap();
    assert!(again.left_aside.is_empty());
}

#[test]
fn figures_that_do_not_fit_the_rows_are_counted_anew_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        let opened = open::store(&options(folder.path()), &Still).unwrap();
        SqliteBuffer::start(options(folder.path()), Arc::new(Still), Arc::new(Silent), opened).unwrap()
    };
    let buffer = open();
    block_on(async {
        for key in ["a", "b"] {
            buffer.append(buffer.reserve().unwrap(), entry(key), false).await.unwrap();
        }
    });
    drop(buffer);
    let conn = rusqlite::Connection::open(folder.path().join("buffer.db")).unwrap();
    conn.execute("UPDATE names SET unprinted = 7, pending = 3", []).unwrap();
    drop(conn);
    let stats = block_on(async { open().stats().await.unwrap() });
    assert_eq!((stats.total.unprinted, stats.total.pending), (2, 0));
}

// P11: four readers serve everybody, and a list of a long outage must not hold them.
#[test]
fn no_list_sorts_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open::store(&options(folder.path()), &Still).unwrap();
    let (pos_id, device, cursor) = ("POS-001".parse().unwrap(), "POS-001".parse().unwrap(), ReceiptId::new());
    let states = State::ALL.iter().copied().map(Some).chain([None]);
    let mut seen = 0;
    for (state, variant) in states.flat_map(|state| (0..64).map(move |variant| (state, variant))) {
        let has = |bit: u32| variant & (1 << bit) != 0;
        let filter = ListFilter {
            state,
            pos_ids: has(0).then(|| vec![PosId::clone(&pos_id); if has(4) { 2 } else { 1 }]),
            fd: has(5).then_some(7),
            device: has(1).then(|| DeviceId::clone(&device)),
            cursor: has(2).then_some(cursor),
            ascending: has(3),
            resolved: false,
            limit: 10,
        };
        let sql = read::list_sql(&filter);
        let mut statement = opened.store.conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next().unwrap() {
            let step: String = row.get(3).unwrap();
            assert!(!step.contains("TEMP B-TREE"), "{filter:?}: {step}");
            seen += 1;
        }
    }
    assert!(seen > 0, "no plan was seen");
}

// Each costs its caller the answer, and nobody a connection.
#[test]
fn reads_that_panic_take_no_connection_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let buffer = SqliteBuffer::open(options(folder.path()), Arc::new(Still), Arc::new(Silent)).unwrap();
    block_on(async {
        for _ in 0..3 {
            let panicked: Result<(), _> = buffer.read(|_, _| panic!("injected")).await;
            assert!(matches!(panicked, Err(BufferError::Failed(_))));
        }
        assert!(buffer.list(ListFilter { limit: 1, ..ListFilter::default() }).await.unwrap().next.is_none());
    });
}

// The rule that keeps one commit from costing a growing file: the WAL is written over, not cut.
#[test]
fn the_wal_stays_and_is_used_again() {
    let folder = tempfile::tempdir().unwrap();
    let buffer = SqliteBuffer::open(options(folder.path()), Arc::new(Still), Arc::new(Silent)).unwrap();
    let wal_bytes = || folder.path().join("buffer.db-wal").metadata().unwrap().len();
    let append = |count: usize, prefix: &str| {
        block_on(async {
            let pending: Vec<_> = (0..count)
                .map(|n| buffer.append(buffer.reserve().unwrap(), entry(&format!("{prefix}-{n}")), false))
                .collect();
            for answer in pending {
                answer.await.unwrap();
            }
        });
    };
    append(6_000, "a");
    let grown = wal_bytes();
    for round in 0..6 {
        append(1_000, &format!("b{round}"));
    }
    assert!(wal_bytes() <= 2 * grown, "{} after {grown}", wal_bytes());
    drop(buffer);
    assert!(wal_bytes() > 0, "it is still there after a close");
}

// P1: what an acknowledgement rests on is read from the connection that commits.
#[test]
fn the_connection_that_commits_is_wal_and_full_and_makes_its_own_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let opened = open::store(&options(folder.path()), &Still).unwrap();
    let conn = &opened.store.conn;
    let number = |pragma: &str| conn.query_row(pragma, [], |row| row.get::<_, i64>(0)).unwrap();
    let mode: String = conn.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!((mode.as_str(), number("PRAGMA synchronous")), ("wal", 2));
    assert_eq!(number("PRAGMA wal_autocheckpoint"), 0);
}

// P1: a file system that cannot do it is refused in words.
#[test]
fn a_store_that_does_not_take_wal_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    // SQLite's VFS without locks has no shared memory either, and so no WAL.
    let options = SqliteOptions { vfs: Some("unix-none".into()), ..options(folder.path()) };
    let error = SqliteBuffer::open(options, Arc::new(Still), Arc::new(Silent)).err().unwrap();
    assert!(matches!(error, OpenError::Refused { setting: "journal_mode", .. }), "{error}");
}

// P2: a disk that hangs after its failure keeps nobody from hearing of it, nor the adapter from being started anew.
#[test]
fn the_failure_of_the_storage_is_told_before_the_note_for_the_next_start_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let buffer = SqliteBuffer::open(options(folder.path()), Arc::new(Still), Arc::new(Silent)).unwrap();
    // Whoever writes to it hangs until somebody reads.
    let note = folder.path().join("buffer.db.check");
    assert!(std::process::Command::new("mkfifo").arg(&note).status().unwrap().success());
    let told = block_on(async {
        let mut failed = std::pin::pin!(buffer.failed());
        assert!(tokio::time::timeout(Duration::ZERO, &mut failed).await.is_err());
        let shared = Arc::clone(&buffer.shared);
        let fails = std::thread::spawn(move || {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
            shared.fail(&rusqlite::Error::SqliteFailure(code, None))
        });
        let told = tokio::time::timeout(Duration::from_secs(10), failed).await;
        assert!(std::fs::read_to_string(&note).unwrap().contains("checks the whole file"));
        fails.join().unwrap();
        told
    });
    assert!(told.is_ok(), "told only once the note was written");
}
