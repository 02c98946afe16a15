//! What the tests of the buffer share.

use jiff::Timestamp;
use kkt_adapter::{
    buffer::{MemoryBuffer, SqliteBuffer, SqliteOptions},
    domain::{
        document::{Confirmation, DocumentKind, FiscalDoc},
        entry::{Actor, Change, NewEntry, SendOutcome, Settlement},
        ids::{DeviceId, ReceiptId},
        money::{Kopecks, Quantity},
        receipt::{Item, Payment, PaymentKind, Receipt, ReceiptKind},
    },
    ports::{Appended, Buffer, Clock, Monotonic, Observer, Silent},
};
use rusqlite::Connection;
use std::{
    ops::Range,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tempfile::TempDir;

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    wall: Mutex<Timestamp>,
    monotonic: Mutex<Duration>,
}

impl ManualClock {
    pub fn new() -> Arc<Self> {
        let wall = "2026-01-15T10:00:00Z".parse().unwrap();
        Arc::new(Self { wall: Mutex::new(wall), monotonic: Mutex::default() })
    }

    pub fn advance(&self, by: Duration) {
        *self.wall.lock().unwrap() += by;
        *self.monotonic.lock().unwrap() += by;
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(*self.monotonic.lock().unwrap())
    }

    fn wall(&self) -> Timestamp {
        *self.wall.lock().unwrap()
    }
}

/// Counts the commits.
#[derive(Debug, Default)]
pub struct Commits(AtomicU64);

impl Commits {
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Observer for Commits {
    fn fsync(&self, _took: Duration) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A buffer with its clock; the folder goes with it.
pub struct Bench {
    pub buffer: Arc<dyn Buffer>,
    pub clock: Arc<ManualClock>,
    pub name: &'static str,
    _folder: Option<TempDir>,
}

impl Bench {
    pub fn clock_wall(&self) -> Timestamp {
        self.clock.wall()
    }
}

pub fn memory(capacity: u64) -> Bench {
    let clock = ManualClock::new();
    let buffer = Arc::new(MemoryBuffer::new(capacity, clock.clone()));
    Bench { buffer, clock, name: "memory", _folder: None }
}

pub fn sqlite(capacity: u64) -> Bench {
    let clock = ManualClock::new();
    let folder = tempfile::tempdir().unwrap();
    let buffer = Arc::new(open_with(folder.path(), capacity, clock.clone(), Arc::new(Silent)));
    Bench { buffer, clock, name: "SQLite", _folder: Some(folder) }
}

pub fn options(folder: &Path) -> SqliteOptions {
    SqliteOptions { min_free_disk_bytes: 0, readers: 2, ..SqliteOptions::new(folder.join("buffer.db")) }
}

pub fn open_with(
    folder: &Path,
    capacity: u64,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
) -> SqliteBuffer {
    SqliteBuffer::open(SqliteOptions { capacity, ..options(folder) }, clock, observer).unwrap()
}

pub fn open(folder: &Path) -> SqliteBuffer {
    open_with(folder, 1_000_000, ManualClock::new(), Arc::new(Silent))
}

/// Runs one test over every implementation.
pub fn over_both<F: Future<Output = ()>>(capacity: u64, test: impl Fn(Bench) -> F) {
    for bench in [memory(capacity), sqlite(capacity)] {
        println!("over {}", bench.name);
        block_on(test(bench));
    }
}

pub fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

pub fn receipt(pos: &str) -> Receipt {
    Receipt {
        pos_id: pos.parse().unwrap(),
        kind: ReceiptKind::Sale,
        items: vec![Item {
            name: "Оправа".into(),
            price: Kopecks(10_000),
            quantity: Quantity(2_000_000),
            total: Kopecks(20_000),
            vat_rate: Some(20),
            subject: None,
            method: None,
        }],
        payments: vec![Payment { kind: PaymentKind::Cash, amount: Kopecks(20_000) }],
        taxation: None,
        cashier: None,
        buyer: None,
        correction: None,
    }
}

pub fn entry_of(pos: &str, key: &str) -> NewEntry {
    let receipt = receipt(pos);
    NewEntry {
        id: ReceiptId::new(),
        key: key.parse().unwrap(),
        kind: DocumentKind::Receipt,
        pos_id: pos.parse().unwrap(),
        device: pos.parse().unwrap(),
        hash: receipt.hash(),
        receipt: Some(receipt),
        notes: vec!["a note".into()],
        request_id: Some("till-7.request".parse().unwrap()),
        created_at: "2026-01-15T09:59:59.123456Z".parse().unwrap(),
    }
}

pub fn entry(key: &str) -> NewEntry {
    entry_of("POS-001", key)
}

pub fn fiscal(fd: u32) -> FiscalDoc {
    FiscalDoc {
        fiscal_doc_number: fd,
        fiscal_sign: "1234567890".into(),
        fiscal_datetime: "2026-01-15T13:00:00".into(),
        fn_number: "9999078902012345".into(),
        kkt_number: "0000000001".into(),
        qr_code_data: "t=20260115T1300&s=200.00&fn=9999078902012345&i=1&fp=1234567890&n=1".into(),
        shift_number: 1,
        receipt_number: fd,
        ofd_name: "ОФД".into(),
        inn: "7700000000".into(),
        rn_kkt: "0000000000000001".into(),
        total: Kopecks(20_000),
    }
}

pub fn printed(fd: u32) -> Change {
    Change::Printed {
        fiscal: Box::new(fiscal(fd)),
        wire: format!("{{\"fd\":{fd}}}").into_bytes(),
        by: Actor::system(),
        why: String::new(),
    }
}

pub fn person() -> Actor {
    Actor("Мария".into())
}

pub fn synced(id: ReceiptId) -> Settlement {
    let confirmation = Confirmation { ofd_id: "ofd-1".into(), timestamp: "2026-01-15T10:00:01Z".into() };
    Settlement { id, outcome: SendOutcome::Synced(confirmation) }
}

pub fn dead(id: ReceiptId) -> Settlement {
    Settlement { id, outcome: SendOutcome::Dead { error: "code 4: wrong INN".into() } }
}

pub fn attempt_failed(id: ReceiptId) -> Settlement {
    Settlement { id, outcome: SendOutcome::AttemptFailed { error: "500".into() } }
}

/// Stores a document as `accepted`.
pub async fn accept(buffer: &dyn Buffer, new: NewEntry) -> ReceiptId {
    let id = new.id;
    let stored = buffer.append(buffer.reserve().unwrap(), new, false).await.unwrap();
    assert!(matches!(stored, Appended::Stored));
    id
}

/// Stores a document and prints it.
pub async fn print(buffer: &dyn Buffer, new: NewEntry, fd: u32) -> ReceiptId {
    let id = new.id;
    let stored = buffer.append(buffer.reserve().unwrap(), new, true).await.unwrap();
    assert!(matches!(stored, Appended::Stored));
    buffer.apply(id, printed(fd)).await.unwrap();
    id
}

pub fn device(name: &str) -> DeviceId {
    name.parse().unwrap()
}

pub async fn lane(buffer: &dyn Buffer, name: &str) -> Vec<u32> {
    buffer.next(&device(name), None, 100).await.unwrap().into_iter().map(|document| document.fd).collect()
}

/// Moves what the WAL of a stopped buffer holds into the file.
pub fn checkpointed(folder: &Path) -> Connection {
    let conn = Connection::open(folder.join("buffer.db")).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    conn
}

/// The bytes of the file in which the first page of a table or an index lies, all of it being in the file.
pub fn root_page(folder: &Path, name: &str) -> Range<usize> {
    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?";
    let page: u32 = checkpointed(folder).query_row(sql, [name], |row| row.get(0)).unwrap();
    (page as usize - 1) * 4_096..page as usize * 4_096
}
