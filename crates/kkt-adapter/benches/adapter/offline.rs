//! Fills a buffer without HTTP, through its own port, so that a million receipts take a minute.

use super::client::pos_id;
use jiff::Timestamp;
use kkt_adapter::{
    buffer::{SqliteBuffer, SqliteOptions},
    domain::{
        document::{self, Confirmation, DocumentKind, FiscalDoc},
        entry::{Actor, Change, NewEntry, SendOutcome, Settlement},
        ids::ReceiptId,
        money::{Kopecks, Quantity},
        receipt::{Item, Payment, PaymentKind, Receipt, ReceiptKind},
    },
    ports::{Buffer, Clock, Monotonic, Pending, Silent},
};
use std::{path::Path, sync::Arc, time::Instant};

/// Receipts that are taken, printed and settled together.
const CHUNK: usize = 1_000;

struct SystemClock(Instant);

impl Clock for SystemClock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(self.0.elapsed())
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Fills the buffer of an adapter that will run in `folder`: `settled` receipts that the OFD has confirmed, then `waiting`
/// ones that it has not, in turn over `devices` devices.
pub fn fill(folder: &Path, settled: usize, waiting: usize, devices: usize) {
    let mut options = SqliteOptions::new(folder.join("data/buffer.db"));
    (options.capacity, options.min_free_disk_bytes) = (u64::MAX, 0);
    let buffer =
        SqliteBuffer::open(options, Arc::new(SystemClock(Instant::now())), Arc::new(Silent)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut from = 0;
        for (upto, confirmed) in [(settled, true), (settled + waiting, false)] {
            while from < upto {
                let numbers: Vec<usize> = (from..upto.min(from + CHUNK)).collect();
                chunk(&buffer, &numbers, devices, confirmed).await;
                from += numbers.len();
            }
        }
        buffer.close().await;
    });
}

async fn chunk(buffer: &SqliteBuffer, numbers: &[usize], devices: usize, confirmed: bool) {
    let entries: Vec<NewEntry> = numbers.iter().map(|number| entry(*number, devices)).collect();
    let append = |entry: &NewEntry| buffer.append(buffer.reserve().unwrap(), entry.clone(), true);
    all(entries.iter().map(append).collect()).await;
    let print =
        |(number, entry): (&usize, &NewEntry)| buffer.apply(entry.id, printed(*number / devices + 1, entry));
    all(numbers.iter().zip(&entries).map(print).collect()).await;
    if confirmed {
        let outcomes = entries.iter().map(|entry| {
            let timestamp = "2026-01-15T10:00:01Z".into();
            let confirmation = Confirmation { ofd_id: format!("ofd-{}", entry.id), timestamp };
            Settlement { id: entry.id, outcome: SendOutcome::Synced(confirmation) }
        });
        buffer.settle(outcomes.collect()).await.unwrap();
    }
}

async fn all<T>(writes: Vec<Pending<T>>) {
    for write in writes {
        write.await.unwrap();
    }
}

fn entry(number: usize, devices: usize) -> NewEntry {
    let pos_id = pos_id(number % devices);
    let receipt = Receipt {
        pos_id: pos_id.parse().unwrap(),
        kind: ReceiptKind::Sale,
        items: vec![Item {
            name: "Оправа".into(),
            price: Kopecks(10_000),
            quantity: Quantity(2_000_000),
            total: Kopecks(20_000),
            vat_rate: Some(22),
            subject: None,
            method: None,
        }],
        payments: vec![Payment { kind: PaymentKind::Cash, amount: Kopecks(20_000) }],
        taxation: None,
        cashier: None,
        buyer: None,
        correction: None,
    };
    NewEntry {
        request_id: None,
        id: ReceiptId::new(),
        key: format!("offline-{number}").parse().unwrap(),
        kind: DocumentKind::Receipt,
        pos_id: receipt.pos_id.clone(),
        device: pos_id.parse().unwrap(),
        hash: receipt.hash(),
        receipt: Some(receipt),
        notes: Vec::new(),
        created_at: Timestamp::now(),
    }
}

fn printed(fd: usize, entry: &NewEntry) -> Change {
    let fd = u32::try_from(fd).unwrap();
    let fiscal = FiscalDoc {
        fiscal_doc_number: fd,
        fiscal_sign: "1234567890".into(),
        fiscal_datetime: "2026-01-15T13:00:00".into(),
        fn_number: "9999078902012345".into(),
        kkt_number: "0000000001".into(),
        qr_code_data: format!("t=20260115T1300&s=200.00&fn=9999078902012345&i={fd}&fp=1234567890&n=1"),
        shift_number: 1,
        receipt_number: fd,
        ofd_name: "ОФД".into(),
        inn: "7700000000".into(),
        rn_kkt: "0000000000000001".into(),
        total: Kopecks(20_000),
    };
    let wire = document::wire(entry.id, entry.kind, &entry.pos_id, entry.receipt.as_ref(), &fiscal);
    Change::Printed { fiscal: Box::new(fiscal), wire, by: Actor::system(), why: String::new() }
}
