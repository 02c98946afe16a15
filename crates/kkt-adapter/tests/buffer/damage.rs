//! Rows that rotted: set aside, counted, their names still taken; the rest serves (P8).

use crate::fixture::*;
use kkt_adapter::{
    domain::{ids::ReceiptId, lifecycle::State},
    ports::{Appended, Buffer, BufferError, Clock, ListFilter, Lookup, Silent},
};
use std::{path::Path, sync::Arc, time::Duration};

/// Writes to the file of a stopped buffer as a failing disk would: without its checksum.
fn rot(folder: &Path, sql: &str, id: ReceiptId) {
    let conn = rusqlite::Connection::open(folder.join("buffer.db")).unwrap();
    assert_eq!(conn.execute(sql, [id.0.as_bytes()]).unwrap(), 1);
}

/// Three printed documents, the middle one rotten.
async fn with_rot(folder: &Path, sql: &str) -> (kkt_adapter::buffer::SqliteBuffer, [ReceiptId; 3]) {
    let buffer = open(folder);
    let mut ids = [ReceiptId::default(); 3];
    for (n, id) in (1..).zip(&mut ids) {
        *id = print(&buffer, entry(&format!("key-{n}")), n).await;
    }
    drop(buffer);
    rot(folder, sql, ids[1]);
    (open(folder), ids)
}

/// Waits until the writer has noted what readers saw: writes are done in the order of the calls.
async fn settle_down(buffer: &dyn Buffer) {
    buffer.settle(vec![]).await.unwrap();
}

#[test]
fn a_damaged_row_is_set_aside_and_the_rest_serves() {
    for sql in [
        "UPDATE documents SET hash = zeroblob(32) WHERE id = ?",
        "UPDATE documents SET fiscal = '{' WHERE id = ?",
        "UPDATE documents SET attempts = attempts + 1 WHERE id = ?",
        "UPDATE documents SET pos = 999 WHERE id = ?",
        "UPDATE documents SET created_at = created_at + 1 WHERE id = ?",
    ] {
        let folder = tempfile::tempdir().unwrap();
        block_on(async {
            let (buffer, ids) = with_rot(folder.path(), sql).await;
            assert_eq!(lane(&buffer, "POS-001").await, [1, 3], "{sql}");
            settle_down(&buffer).await;
            assert_eq!(buffer.stats().await.unwrap().damaged, 1, "{sql}");
            for by in [Lookup::Id(ids[1]), Lookup::Key("key-2".parse().unwrap())] {
                let found = buffer.find(by).await;
                assert!(matches!(found, Err(BufferError::Damaged(_))), "never «no such document»: {sql}");
            }
            let page = buffer.list(ListFilter { limit: 10, ..Default::default() }).await.unwrap();
            assert_eq!(page.entries.iter().map(|e| e.id).collect::<Vec<_>>(), [ids[2], ids[0]]);
            buffer.settle(vec![synced(ids[0]), synced(ids[1]), synced(ids[2])]).await.unwrap();
            assert_eq!(buffer.find(Lookup::Id(ids[2])).await.unwrap().unwrap().state, State::Synced);
            assert_eq!(buffer.stats().await.unwrap().damaged, 1, "each once");
            let line = buffer.audit(Some("buffer".into()), 1).await.unwrap().remove(0);
            assert_eq!(line.action, "set_aside");
        });
    }
}

// P4: never a second printout because the first one's row rotted
#[test]
fn the_key_of_a_damaged_document_stays_taken() {
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let (buffer, _) = with_rot(folder.path(), "UPDATE documents SET key = 'rotten' WHERE id = ?").await;
        for _ in 0..2 {
            let again = buffer.append(buffer.reserve().unwrap(), entry("key-2"), true).await;
            assert!(matches!(again, Err(BufferError::Damaged(_))), "{again:?}");
        }
        let other = buffer.append(buffer.reserve().unwrap(), entry("key-4"), true).await.unwrap();
        assert!(matches!(other, Appended::Stored));
        assert_eq!(buffer.stats().await.unwrap().damaged, 1);
    });
    let buffer = open(folder.path());
    assert_eq!(block_on(buffer.stats()).unwrap().damaged, 1, "a restart knows it");
}

// An index that no longer agrees with its table stops the writer; the next start rebuilds the file.
#[test]
fn an_index_that_rotted_is_found_by_the_writer_and_repaired_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let id = block_on(async {
        let buffer = open(folder.path());
        print(&buffer, entry("key-1"), 1).await
    });
    let conn = rusqlite::Connection::open(folder.path().join("buffer.db")).unwrap();
    let was: String = "CREATE INDEX documents_lane ON documents (device, fd) WHERE state = 3".into();
    conn.execute_batch("PRAGMA writable_schema = ON").unwrap();
    let change = "UPDATE sqlite_schema SET sql = ? WHERE name = 'documents_lane'";
    conn.execute(change, [was.replace("state = 3", "state = 77")]).unwrap();
    drop(conn);
    let conn = rusqlite::Connection::open(folder.path().join("buffer.db")).unwrap();
    conn.execute_batch("REINDEX documents_lane; PRAGMA writable_schema = ON").unwrap();
    conn.execute(change, [was]).unwrap();
    drop(conn);
    block_on(async {
        let buffer = open(folder.path());
        let result = buffer.settle(vec![synced(id)]).await;
        assert!(matches!(result, Err(BufferError::Failed(_))), "{result:?}");
    });
    block_on(async {
        let buffer = open(folder.path());
        buffer.settle(vec![synced(id)]).await.unwrap();
        assert_eq!(buffer.find(Lookup::Id(id)).await.unwrap().unwrap().state, State::Synced);
    });
}

#[test]
fn wire_bytes_that_rotted_are_never_sent_and_do_not_block_the_lane() {
    let folder = tempfile::tempdir().unwrap();
    let sql = "UPDATE wires SET wire = x'78' WHERE seq = (SELECT seq FROM documents WHERE id = ?)";
    block_on(async {
        let (buffer, ids) = with_rot(folder.path(), sql).await;
        let sent = buffer.next(&device("POS-001"), None, 1).await.unwrap();
        assert_eq!(sent[0].id, ids[0]);
        let after = buffer.next(&device("POS-001"), Some(1), 1).await.unwrap();
        assert_eq!(after[0].id, ids[2], "the page goes on behind it");
        settle_down(&buffer).await;
        let stats = buffer.stats().await.unwrap();
        assert_eq!((stats.damaged, stats.total.pending), (1, 3), "it still counts as unconfirmed");
        assert_eq!(buffer.find(Lookup::Id(ids[1])).await.unwrap().unwrap().fiscal, Some(fiscal(2)));
    });
}

#[test]
fn a_body_that_rotted_costs_only_itself_once_printed() {
    let folder = tempfile::tempdir().unwrap();
    let sql = "UPDATE bodies SET body = x'7b7d' WHERE seq = (SELECT seq FROM documents WHERE id = ?)";
    block_on(async {
        let (buffer, ids) = with_rot(folder.path(), sql).await;
        let found = buffer.find(Lookup::Id(ids[1])).await.unwrap().unwrap();
        assert_eq!((found.receipt, found.fiscal), (None, Some(fiscal(2))));
        assert_eq!(lane(&buffer, "POS-001").await, [1, 2, 3]);
        settle_down(&buffer).await;
        assert_eq!(buffer.stats().await.unwrap().damaged, 1);
    });
}

// P8: what rotted stays where it is, and everything younger is still cleaned up.
#[test]
fn rows_that_rotted_do_not_stop_retention() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let reopened = || open_with(folder.path(), 1_000, clock.clone(), Arc::new(Silent));
    let count = 60;
    block_on(async {
        let buffer = reopened();
        for n in 1..=count {
            let id = print(&buffer, entry(&format!("key-{n}")), n).await;
            buffer.settle(vec![synced(id)]).await.unwrap();
        }
        buffer.close().await;
    });
    // As many as a slice takes, and the oldest.
    let conn = rusqlite::Connection::open(folder.path().join("buffer.db")).unwrap();
    conn.execute("UPDATE documents SET attempts = attempts + 1 WHERE seq <= 20", []).unwrap();
    drop(conn);
    clock.advance(Duration::from_secs(8 * 86_400));
    block_on(async {
        let buffer = reopened();
        let age = Duration::from_secs(7 * 86_400);
        for _ in 0..6 {
            assert!(buffer.prune(clock.wall(), age, age, 10).await.unwrap() > 0, "more is left");
        }
        assert_eq!(buffer.prune(clock.wall(), age, age, 10).await.unwrap(), 0);
        buffer.close().await;
    });
    let conn = rusqlite::Connection::open(folder.path().join("buffer.db")).unwrap();
    let bodies: i64 = conn.query_row("SELECT count(*) FROM bodies", [], |row| row.get(0)).unwrap();
    assert_eq!(bodies, 20, "those of the rotten rows only");
}
