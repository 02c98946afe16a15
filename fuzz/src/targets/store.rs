//! What is read back from the database: rows, bodies, and the file as a whole.

use crate::house::Still;
use kkt_adapter::{
    buffer::{
        SqliteBuffer, SqliteOptions,
        sqlite::{self, OpenError},
    },
    domain::{
        document::{Confirmation, DocumentKind, FiscalDoc},
        entry::{Actor, Change, NewEntry, SendOutcome, Settlement},
        ids::ReceiptId,
        receipt::Receipt,
    },
    ports::{Buffer, BufferError, ListFilter, Lookup, Silent},
};
use rusqlite::types::Value;
use std::{cell::RefCell, path::Path, sync::Arc};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

const RECEIPT: &str = r#"{"pos_id":"POS-001","type":"sale","items":[{"name":"Оправа","price":100.00,"quantity":2,"total":200.00,"vat_rate":20}],"payments":[{"type":"cash","amount":200.00}]}"#;
const FISCAL: &str = r#"{"fiscal_doc_number":1,"fiscal_sign":"1234567890","fiscal_datetime":"2026-01-15T13:00:00","fn_number":"9999078902012345","kkt_number":"0000000001","qr_code_data":"t=1","shift_number":1,"receipt_number":1,"ofd_name":"ОФД","inn":"7700000000","rn_kkt":"0000000000000001","total":200.00}"#;

/// What the OFD is sent: other bytes than the body, as ever.
const WIRE: &[u8] = b"{\"wire\":true}";

/// Changes to the columns of a good row: column, kind, length, bytes. What is read under the right checksum is written
/// and read as the same; under a wrong one it is damage.
pub fn row(mut data: &[u8]) {
    let id = vec![0x01, 0x9a, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1];
    let text = |text: &str| Value::Text(text.into());
    let mut columns = [
        Value::Blob(id),
        text("key-1"),
        Value::Integer(0),
        text("POS-001"),
        text("POS-001"),
        Value::Integer(5),
        Value::Blob(vec![7; 32]),
        text(r#"["a note"]"#),
        text(FISCAL),
        Value::Integer(3),
        text("500"),
        text(r#"{"ofd_id":"1","timestamp":"2"}"#),
        Value::Integer(1_795_447_820_000_000),
        Value::Integer(1_795_447_821_000_000),
        Value::Integer(1_795_447_822_000_000),
        Value::Null,
        Value::Null,
        Value::Integer(1),
    ];
    while let [column, kind, length, rest @ ..] = data {
        let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        data = rest;
        let number = || bytes.iter().take(8).fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
        columns[usize::from(*column) % 18] = match kind % 5 {
            0 => Value::Null,
            1 => Value::Integer(number()),
            2 => Value::Blob(bytes.to_vec()),
            3 => Value::Real(f64::from_bits(number().cast_unsigned())),
            _ => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        };
    }
    let _ = sqlite::fuzz_row(&columns);
}

/// The first byte says what the rest is read as: body, fiscal document, confirmation. It is stored again as the same.
pub fn parts(data: &[u8]) {
    fn same<T: serde_json_part::Part>(data: &[u8]) {
        let Ok(part) = serde_json::from_slice::<T>(data) else { return };
        let stored = serde_json::to_vec(&part).expect("a part is JSON");
        assert_eq!(serde_json::from_slice::<T>(&stored).expect("its own form"), part, "read, stored, read");
    }
    let Some((kind, data)) = data.split_first() else { return };
    match kind % 3 {
        0 => {
            same::<Receipt>(data);
            if let Ok(receipt) = serde_json::from_slice::<Receipt>(data) {
                let stored = receipt.canonical();
                let read: Receipt = serde_json::from_slice(&stored).expect("its own form");
                assert_eq!(read.canonical(), stored, "the canonical bytes are canonical");
            }
        }
        1 => same::<FiscalDoc>(data),
        _ => same::<Confirmation>(data),
    }
}

mod serde_json_part {
    /// What can be stored as JSON.
    pub trait Part: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug {}
    impl<T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug> Part for T {}
}

/// Keys of the documents in the file, and their ids.
fn documents() -> [(&'static str, ReceiptId); 3] {
    [("key-1", 1), ("key-2", 2), ("key-3", 3)]
        .map(|(key, n)| (key, ReceiptId(Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0000 | n))))
}

fn new_entry(receipt: &Receipt, key: &str, id: ReceiptId) -> NewEntry {
    NewEntry {
        id,
        key: key.parse().expect("a key"),
        kind: DocumentKind::Receipt,
        pos_id: "POS-001".parse().expect("a till"),
        device: "POS-001".parse().expect("a device"),
        hash: receipt.hash(),
        receipt: Some(receipt.clone()),
        notes: Vec::new(),
        request_id: None,
        created_at: jiff::Timestamp::from_second(1_795_447_820).expect("a second of 2026"),
    }
}

/// A good store: its folder as a crash leaves it (a database and a WAL that was not checkpointed).
struct Place {
    folder: TempDir,
    runtime: Runtime,
    database: Vec<u8>,
    wal: Vec<u8>,
}

fn options(folder: &Path) -> SqliteOptions {
    SqliteOptions { min_free_disk_bytes: 0, readers: 1, ..SqliteOptions::new(folder.join("buffer.db")) }
}

impl Place {
    fn made() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let open = || {
            SqliteBuffer::open(options(folder.path()), Arc::new(Still), Arc::new(Silent)).expect("a store")
        };
        let receipt: Receipt = serde_json::from_str(RECEIPT).expect("a receipt");
        let fill = async |buffer: &SqliteBuffer, key: &str, id: ReceiptId, fd: u32| {
            let new = new_entry(&receipt, key, id);
            buffer.append(buffer.reserve().expect("room"), new, true).await.expect("stored");
            let fiscal =
                FiscalDoc { fiscal_doc_number: fd, ..serde_json::from_str(FISCAL).expect("a document") };
            let wire = WIRE.to_vec();
            let printed =
                Change::Printed { fiscal: Box::new(fiscal), wire, by: Actor::system(), why: String::new() };
            buffer.apply(id, printed).await.expect("printed");
        };
        let [first, second, third] = documents();
        let (buffer, copied) = (open(), folder.path().join("buffer.db"));
        runtime.block_on(fill(&buffer, first.0, first.1, 1));
        drop(buffer);
        // The WAL stays at a stop: what is to be in the database itself is moved there.
        let conn = rusqlite::Connection::open(&copied).expect("a database");
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("a checkpoint");
        drop(conn);
        let buffer = open();
        runtime.block_on(async {
            fill(&buffer, second.0, second.1, 2).await;
            fill(&buffer, third.0, third.1, 3).await;
            let outcome = SendOutcome::Synced(Confirmation { ofd_id: "1".into(), timestamp: "2".into() });
            buffer.settle(vec![Settlement { id: second.1, outcome }]).await.expect("settled");
        });
        let read = |suffix: &str| {
            let mut path = copied.clone().into_os_string();
            path.push(suffix);
            std::fs::read(path).unwrap_or_default()
        };
        let (database, wal) = (read(""), read("-wal"));
        drop(buffer);
        let (page, pages) = (4_096, 12);
        assert!(database.len() >= pages * page && wal.len() > page, "both files hold documents");
        Self { folder, runtime, database, wal }
    }
}

thread_local! {
    static PLACE: RefCell<Place> = RefCell::new(Place::made());
}

/// Changes to the files of a good store: which file (or where it ends), offset, byte. P8: it starts whatever they are,
/// unless it says in words that the file is a newer program's; what it then serves of a document is what was stored.
pub fn database(data: &[u8]) {
    PLACE.with_borrow(|Place { folder, runtime, database, wal }| {
        let (mut database, mut wal) = (database.clone(), wal.clone());
        for change in data.as_chunks::<5>().0 {
            let [which, offset @ .., byte] = *change;
            let file = if which & 1 == 0 { &mut database } else { &mut wal };
            let at = u32::from_be_bytes([0, offset[0], offset[1], offset[2]]) as usize % file.len().max(1);
            match which >> 6 {
                3 => file.truncate(at),
                _ => _ = file.get_mut(at).map(|old| *old = byte),
            }
        }
        let path = folder.path().join("case");
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("a temporary folder");
        // A store of ours has been here.
        for (name, bytes) in [("buffer.db", &database[..]), ("buffer.db-wal", &wal), ("buffer.db.lock", b"")]
        {
            std::fs::write(path.join(name), bytes).expect("a temporary file can be written");
        }
        for _ in 0..STARTS_MAX {
            let Some(buffer) = started(&path) else { return };
            runtime.block_on(served_is_what_was_stored(&buffer));
            if runtime.block_on(sells(&buffer)) {
                return;
            }
        }
        panic!("P8: it starts and cannot sell, again and again");
    });
}

/// Starts within which the adapter sells again: one may end at the first write, and the next then checks and repairs.
const STARTS_MAX: usize = 3;

fn started(folder: &Path) -> Option<SqliteBuffer> {
    match SqliteBuffer::open(options(folder), Arc::new(Still), Arc::new(Silent)) {
        Ok(buffer) => Some(buffer),
        Err(OpenError::Newer { .. }) => None,
        Err(error) => panic!("P8: the start is refused: {error}"),
    }
}

async fn served_is_what_was_stored(buffer: &SqliteBuffer) {
    let receipt: Receipt = serde_json::from_str(RECEIPT).expect("a receipt");
    for (key, id) in documents() {
        match buffer.find(Lookup::Key(key.parse().expect("a key"))).await {
            Ok(Some(entry)) => {
                assert_eq!((entry.id, entry.hash), (id, receipt.hash()));
                assert!(entry.receipt.is_none_or(|read| read == receipt), "a changed body is served");
            }
            Ok(None) | Err(BufferError::Damaged(_) | BufferError::Failed(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    let _ = buffer.list(ListFilter { limit: 10, ..ListFilter::default() }).await;
    let device = "POS-001".parse().expect("a device");
    for document in buffer.next(&device, None, 10).await.unwrap_or_default() {
        assert_eq!(document.wire, WIRE, "P3: changed bytes would be sent");
    }
    let _ = buffer.stats().await;
}

/// Whether a sale is taken and what it became is stored.
async fn sells(buffer: &SqliteBuffer) -> bool {
    let receipt: Receipt = serde_json::from_str(RECEIPT).expect("a receipt");
    let id = ReceiptId(Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_00FF));
    let new = new_entry(&receipt, "the next sale", id);
    let stored = match buffer.append(buffer.reserve().expect("room"), new, true).await {
        Ok(_) | Err(BufferError::Damaged(_)) => true,
        Err(BufferError::Failed(_)) => false,
        Err(error) => panic!("P8: a sale is refused: {error}"),
    };
    let settled = buffer.settle(Vec::new()).await.is_ok();
    stored && settled
}
