//! The file of each released version, opened by today's program: migrated, complete, and going on.
//!
//! A version's file is written once, by the program of that version, and never changes:
//! `cargo test -p kkt-adapter --test buffer -- --ignored released::write_the_file_of_this_version`.

use crate::fixture::*;
use kkt_adapter::{
    buffer::sqlite::verify,
    domain::{entry::Change, ids::ReceiptId, lifecycle::State},
    ports::{Appended, Buffer, ListFilter, Lookup},
};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The schema that today's program writes.
const SCHEMA_TODAY: i64 = 2;

/// Keys of the file, each with the state its document is in and its ФД number.
const DOCUMENTS: [(&str, State, Option<u32>); 9] = [
    ("synced", State::Synced, Some(1)),
    ("dead", State::Dead, Some(2)),
    ("resolved", State::Dead, Some(3)),
    ("tried", State::Printed, Some(4)),
    ("printed", State::Printed, Some(5)),
    ("buffered", State::Buffered, None),
    ("cancelled", State::Cancelled, None),
    ("unknown", State::PrintUnknown, None),
    ("accepted", State::Accepted, None),
];

fn file(schema: i64) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/buffer/released/schema-{schema}.db"))
}

fn id_of(key: &str) -> ReceiptId {
    let n = DOCUMENTS.iter().position(|(known, ..)| *known == key).unwrap() as u128;
    ReceiptId(Uuid::from_u128(0x019b_bcd0_0000_7000_8000_0000_0000_0000 + n))
}

/// One document in each state in which a stopped adapter can leave it.
async fn fill(buffer: &dyn Buffer) {
    for (key, _, fd) in DOCUMENTS {
        let mut new = entry(key);
        new.id = id_of(key);
        let now = !matches!(key, "cancelled" | "accepted");
        buffer.append(buffer.reserve().unwrap(), new, now).await.unwrap();
        if let Some(fd) = fd {
            buffer.apply(id_of(key), printed(fd)).await.unwrap();
        }
    }
    let reason = || "paper out".to_owned();
    buffer.apply(id_of("buffered"), Change::NotPrinted { reason: reason(), by: person() }).await.unwrap();
    buffer.apply(id_of("unknown"), Change::PrintUnknown { reason: reason() }).await.unwrap();
    buffer.apply(id_of("cancelled"), Change::Cancel { by: person(), why: reason() }).await.unwrap();
    let ends = [
        synced(id_of("synced")),
        dead(id_of("dead")),
        dead(id_of("resolved")),
        attempt_failed(id_of("tried")),
    ];
    buffer.settle(ends.into()).await.unwrap();
    let note = "settled with the OFD by hand".to_owned();
    buffer.apply(id_of("resolved"), Change::Resolve { by: person(), note }).await.unwrap();
}

#[test]
#[ignore = "writes the file of the schema that is new; never for one that was released"]
fn write_the_file_of_this_version() {
    let target = file(SCHEMA_TODAY);
    assert!(!target.exists(), "{} is released and never changes", target.display());
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let buffer = open(folder.path());
        fill(&buffer).await;
        buffer.close().await;
    });
    // One file without its WAL, as small as it gets.
    let conn = rusqlite::Connection::open(folder.path().join("buffer.db")).unwrap();
    conn.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    drop(conn);
    std::fs::create_dir_all(target.parent().unwrap()).unwrap();
    std::fs::copy(folder.path().join("buffer.db"), target).unwrap();
}

// P1, P8: «migrations tested from each released version's file».
#[test]
fn the_file_of_every_released_version_opens_with_everything_in_it_and_goes_on() {
    for schema in 1..=SCHEMA_TODAY {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("buffer.db");
        std::fs::copy(file(schema), &path).unwrap();
        block_on(async {
            let buffer = open(folder.path());
            for (key, state, fd) in DOCUMENTS {
                let found = buffer.find(Lookup::Key(key.parse().unwrap())).await.unwrap().unwrap();
                assert_eq!((found.id, found.state), (id_of(key), state), "schema {schema}: {key}");
                assert_eq!(found.fiscal, fd.map(fiscal), "schema {schema}: {key}");
                assert_eq!(found.receipt, Some(receipt("POS-001")), "schema {schema}: {key}");
                assert_eq!(
                    (found.hash, &found.notes),
                    (receipt("POS-001").hash(), &vec!["a note".to_owned()])
                );
                let audit = buffer.audit(Some(found.id.to_string()), 10).await.unwrap();
                assert!(
                    audit.iter().any(|line| line.action == "accepted"),
                    "schema {schema}: {key}: {audit:?}"
                );
            }
            let tried = buffer.find(Lookup::Id(id_of("tried"))).await.unwrap().unwrap();
            assert_eq!((tried.attempts, tried.last_error.as_deref()), (1, Some("500")));
            let total = buffer.stats().await.unwrap().total;
            // A dead letter that a person closed is no longer open.
            assert_eq!(
                (total.unprinted, total.pending, total.synced, total.dead, total.cancelled),
                (3, 2, 1, 1, 1)
            );
            assert_eq!(buffer.last_fd(&device("POS-001")).await.unwrap(), Some(5));
            assert_eq!(lane(&buffer, "POS-001").await, [4, 5], "what waits for the OFD, in order");
            let listed = buffer.list(ListFilter { limit: 20, ..ListFilter::default() }).await.unwrap();
            assert_eq!(listed.entries.len(), DOCUMENTS.len());

            // It goes on: a known key stays known, a new one is stored, sent, and survives the next start.
            let answer = buffer.append(buffer.reserve().unwrap(), entry("synced"), true).await.unwrap();
            assert!(matches!(answer, Appended::Known(known) if known.id == id_of("synced")));
            print(&buffer, entry("new"), 6).await;
            buffer.settle(vec![synced(id_of("tried"))]).await.unwrap();
            buffer.close().await;
            assert_eq!(lane(&open(folder.path()), "POS-001").await, [5, 6]);
        });
        assert_eq!(verify(&path).unwrap().fault_count, 0, "schema {schema}");
        let conn = rusqlite::Connection::open(&path).unwrap();
        let now: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        assert_eq!(now, SCHEMA_TODAY, "the file was migrated; a new schema wants a file of its own here");
    }
}
