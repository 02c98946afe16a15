//! A shop comes from the Python adapter: its `buffer.db` is taken over.

use super::harness::{Adapter, Setup, run, simulator, until};
use ofd_sim::Plan;
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    process::Command,
};
use uuid::Uuid;

const SCHEMA: &str = "
    CREATE TABLE receipts (id TEXT PRIMARY KEY, pos_id TEXT NOT NULL, created_at INTEGER NOT NULL,
        hlc_local_time INTEGER NOT NULL, hlc_logical_counter INTEGER NOT NULL, hlc_server_time INTEGER,
        fiscal_doc TEXT NOT NULL, status TEXT NOT NULL, retry_count INTEGER DEFAULT 0, last_error TEXT, synced_at INTEGER,
        CHECK (status IN ('pending', 'syncing', 'synced', 'failed')));
    CREATE TABLE dlq (id TEXT PRIMARY KEY, original_receipt_id TEXT NOT NULL, failed_at INTEGER NOT NULL,
        reason TEXT NOT NULL, fiscal_doc TEXT NOT NULL, retry_attempts INTEGER NOT NULL, last_error TEXT,
        resolved_at INTEGER, resolved_by TEXT);
    CREATE TABLE buffer_events (id INTEGER PRIMARY KEY AUTOINCREMENT, event_type TEXT NOT NULL, receipt_id TEXT,
        timestamp INTEGER NOT NULL, metadata TEXT);";

const DAY: i64 = 1_760_000_000;

/// A file as the Python adapter writes it.
struct Old {
    conn: Connection,
    path: PathBuf,
}

impl Old {
    fn new(folder: &Path) -> Self {
        let path = folder.join("old.db");
        let conn = Connection::open(&path).unwrap();
        conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
        conn.execute_batch(SCHEMA).unwrap();
        Self { conn, path }
    }

    fn receipt(&self, status: &str, pos: &str, hlc: (i64, i64), fiscal_doc: &str) -> Uuid {
        let id = old_id(hlc.0 as u64 * 1_000 + hlc.1 as u64);
        let synced_at = (status == "synced").then_some(DAY + 60);
        self.conn
            .execute(
                "INSERT INTO receipts VALUES (?, ?, ?, ?, ?, NULL, ?, ?, 3, 'OFD returned 503', ?)",
                params![id.to_string(), pos, DAY + hlc.0, DAY + hlc.0, hlc.1, fiscal_doc, status, synced_at],
            )
            .unwrap();
        self.conn
            .execute(
                "INSERT INTO buffer_events (event_type, receipt_id, timestamp, metadata) VALUES ('receipt_added', ?, ?, '{}')",
                params![id.to_string(), DAY],
            )
            .unwrap();
        id
    }

    fn letter(&self, receipt: Uuid, fiscal_doc: &str, resolved_by: Option<&str>) {
        let at = resolved_by.map(|_| DAY + 9_000);
        self.conn
            .execute(
                "INSERT INTO dlq VALUES (?, ?, ?, 'max_retries_exceeded', ?, 20, 'OFD returned 400', ?, ?)",
                params![
                    format!("dlq-{receipt}"),
                    receipt.to_string(),
                    DAY + 8_000,
                    fiscal_doc,
                    at,
                    resolved_by
                ],
            )
            .unwrap();
    }

    /// The old adapter has stopped, or was killed with its WAL left behind.
    fn stop(self, cleanly: bool) -> PathBuf {
        if cleanly {
            drop(self.conn);
            return self.path;
        }
        let copy = self.path.with_file_name("killed.db");
        for suffix in ["", "-wal"] {
            let name = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
            std::fs::copy(name(&self.path), name(&copy)).unwrap();
        }
        copy
    }
}

/// An id as random as a UUIDv4 to look at and the same in every run, not in the order of the numbers.
fn old_id(number: u64) -> Uuid {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Uuid::from_u64_pair(mixed & !0xf000 | 0x4000, mixed.rotate_left(32) >> 2 | 1 << 63)
}

/// What the Python adapter stores once a receipt is on paper.
fn printed(key: &str, total: &str, fd: u32) -> String {
    let mut doc = sold(key, total);
    let printed = json!({
        "fiscal_doc_number": fd, "fiscal_sign": "0A1B2C3D4E", "fiscal_datetime": "2025-10-09T08:53:20.123456Z",
        "fn_number": "9999999999999999", "kkt_number": "0000000000001234",
        "qr_code_data": format!("t=20251009T0853&s={total}&fn=9999999999999999&i={fd}&fp=0A1B2C3D4E&n=1"),
        "shift_number": 1, "receipt_number": fd, "ofd_name": "ОФД", "inn": "7707083893",
        "rn_kkt": "0000000000001234", "total": total.parse::<f64>().unwrap(),
    });
    doc.as_object_mut().unwrap().extend(printed.as_object().unwrap().clone());
    doc.to_string()
}

/// What it stores before.
fn sold(key: &str, total: &str) -> Value {
    json!({
        "type": "sale",
        "items": [{"name": "Оправа", "price": total, "quantity": "1", "total": total, "vat_rate": 20}],
        "payments": [{"type": "cash", "amount": total}],
        "idempotency_key": key,
    })
}

fn import(setup: &Setup, file: &Path, more: &[&str]) -> (Option<i32>, String, String) {
    let mut args = vec!["buffer", "import", file.to_str().unwrap()];
    args.extend(more);
    run(setup.command(&args))
}

fn report(setup: &Setup, file: &Path, more: &[&str]) -> Value {
    let mut args = vec!["--json"];
    args.extend(more);
    let (code, out, err) = import(setup, file, &args);
    assert_eq!(code, Some(0), "{out}{err}");
    serde_json::from_str(&out).unwrap()
}

fn bytes(file: &Path) -> Vec<(String, Vec<u8>)> {
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    let mut found: Vec<_> = std::fs::read_dir(file.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&name))
        .map(|path| (path.display().to_string(), std::fs::read(&path).unwrap()))
        .collect();
    found.sort();
    found
}

async fn receipt(adapter: &Adapter, id: Uuid) -> Value {
    adapter.get(&format!("/v1/kkt/receipt/{id}")).await
}

// P2, P3, P5. The old ФД numbers began anew in between, so they are no order; a killed adapter leaves its WAL.
#[tokio::test]
async fn what_waited_is_delivered_once_each_under_its_own_id_in_the_order_of_the_old_clock_and_never_printed()
{
    let sim = simulator().await;
    let setup = Setup::new(&sim.base_url());
    let old = Old::new(setup.path());
    let fourth = old.receipt("pending", "POS-001", (20, 0), &printed("k4", "40.00", 1));
    let first = old.receipt("pending", "POS-001", (10, 0), &printed("k1", "10.00", 7));
    let third = old.receipt("syncing", "POS-001", (10, 2), &printed("k3", "30.00", 8));
    let second = old.receipt("pending", "POS-001", (10, 1), &printed("k2", "20.00", 9));
    let file = old.stop(false);
    let before = bytes(&file);
    let found = report(&setup, &file, &[]);
    assert_eq!(
        (&found["pending"], &found["unreadable"], &found["events"]),
        (&json!(4), &json!(0), &json!(4)),
        "{found}"
    );
    assert_eq!(bytes(&file), before, "the old file is only read");

    let adapter = setup.start();
    adapter.until_delivered().await;
    let mut ledger = sim.ledger();
    ledger.sort_by_key(|document| document.first_seq);
    let got: Vec<_> =
        ledger.iter().map(|document| (document.key.clone(), document.counted, document.fd)).collect();
    let expected = [(first, 7), (second, 9), (third, 8), (fourth, 1)].map(|(id, fd)| (id.to_string(), 1, fd));
    assert_eq!(got, expected);
    // P4: a retry of the old key is answered with the old document, and nothing is printed.
    let (status, replayed, answer) = adapter.sell_as("POS-001", "k2", "20.00").await.unwrap();
    assert_eq!((status, replayed, answer["status"].as_str()), (200, true, Some("printed")), "{answer}");
    assert_eq!(
        (&answer["fiscal_doc"]["fiscal_doc_number"], answer["receipt_id"].as_str()),
        (&json!(9), Some(second.to_string().as_str()))
    );
    assert_eq!(adapter.sell_as("POS-001", "k2", "21.00").await.unwrap().0, 409);
    assert_eq!(sim.ledger().len(), 4, "not one document more");
    // What is printed here comes after.
    let sold = adapter.sell("POS-001").await;
    assert!(
        sold["fiscal_doc"]["fiscal_doc_number"].as_u64().unwrap() > 9,
        "an emulated ФН goes on counting: {sold}"
    );
}

#[tokio::test]
async fn failed_ones_are_dead_letters_that_a_person_settles_and_synced_ones_answer_replays() {
    let sim = simulator().await;
    let setup = Setup::new(&sim.base_url());
    let old = Old::new(setup.path());
    let synced = old.receipt("synced", "POS-001", (1, 0), &printed("k-synced", "10.00", 1));
    let failed = old.receipt("failed", "POS-001", (2, 0), &printed("k-failed", "20.00", 2));
    old.letter(failed, &printed("k-failed", "20.00", 2), None);
    let resolved = old.receipt("failed", "POS-001", (3, 0), &printed("k-resolved", "30.00", 3));
    old.letter(resolved, &printed("k-resolved", "30.00", 3), Some("anna"));
    let alone = old.receipt("failed", "POS-001", (4, 0), &printed("k-alone", "40.00", 4));
    let unprinted = old.receipt("pending", "POS-001", (5, 0), &sold("k-unprinted", "50.00").to_string());
    let broken = old.receipt("pending", "POS-001", (6, 0), "{\"type\": NaN");
    let orphan = old_id(77);
    old.letter(orphan, &printed("k-orphan", "60.00", 5), None);
    let found = report(&setup, &old.stop(true), &[]);
    assert_eq!(
        (&found["dead"], &found["resolved"], &found["synced"], &found["pending"]),
        (&json!(5), &json!(1), &json!(1), &json!(0)),
        "{found}"
    );
    let problems: Vec<&str> =
        found["problems"].as_array().unwrap().iter().map(|line| line.as_str().unwrap()).collect();
    for id in [unprinted, broken, orphan] {
        assert!(problems.iter().any(|line| line.contains(&id.to_string())), "{id} is named: {problems:?}");
    }

    let adapter = setup.start();
    let letters = adapter.get("/v1/kkt/dlq").await;
    assert_eq!(letters["dlq_size"], 5, "{letters}");
    assert_eq!(sim.ledger().len(), 0, "nothing was sent by itself");
    let (_, replayed, answer) = adapter.sell_as("POS-001", "k-synced", "10.00").await.unwrap();
    assert_eq!((replayed, &answer["fiscal_doc"]["fiscal_doc_number"]), (true, &json!(1)), "{answer}");
    assert_eq!(receipt(&adapter, synced).await["state"], "synced");
    let closed = receipt(&adapter, resolved).await;
    assert_eq!(closed["resolved"]["note"], "resolved in the Python adapter by anna", "{closed}");
    let why = receipt(&adapter, failed).await["last_error"].clone();
    assert_eq!(why, "max_retries_exceeded: OFD returned 400");
    for id in [failed, alone] {
        let (status, answer) = adapter.post(&format!("/v1/kkt/dlq/{id}/requeue"), &json!({})).await;
        assert_eq!(status, 200, "{answer}");
    }
    adapter.until_delivered().await;
    assert_eq!(sim.ledger().len(), 2);
    // Nobody knows whether these are on paper: they are never sent nor printed by the adapter.
    for id in [unprinted, broken] {
        let (status, answer) = adapter.post(&format!("/v1/kkt/dlq/{id}/requeue"), &json!({})).await;
        assert_eq!((status, answer["type"].as_str()), (409, Some("nothing_to_send")), "{answer}");
        let (status, _) =
            adapter.post(&format!("/v1/kkt/dlq/{id}/resolve"), &json!({"note": "on paper, FD 12"})).await;
        assert_eq!(status, 200);
    }
    assert_eq!(adapter.get("/v1/kkt/dlq").await["dlq_size"], 1);
}

// The old adapter made two receipts of one key; both were printed, both are delivered.
#[tokio::test]
async fn two_receipts_of_one_key_are_both_delivered_and_the_second_is_named() {
    let sim = simulator().await;
    let setup = Setup::new(&sim.base_url());
    let old = Old::new(setup.path());
    let first = old.receipt("pending", "POS-001", (1, 0), &printed("same", "10.00", 1));
    let second = old.receipt("pending", "POS-001", (2, 0), &printed("same", "10.00", 2));
    let found = report(&setup, &old.stop(true), &[]);
    assert!(found["problems"][0].as_str().unwrap().contains(&second.to_string()), "{found}");
    let adapter = setup.start();
    adapter.until_delivered().await;
    assert_eq!(sim.ledger().len(), 2);
    let (_, _, answer) = adapter.sell_as("POS-001", "same", "10.00").await.unwrap();
    assert_eq!(answer["receipt_id"], first.to_string());
}

// The number on the paper is all that a support person has of it.
#[tokio::test]
async fn what_was_taken_over_is_found_by_the_number_on_its_paper() {
    let sim = simulator().await;
    let setup = Setup::new(&sim.base_url());
    let old = Old::new(setup.path());
    old.receipt("pending", "POS-001", (1, 0), &printed("first", "10.00", 4711));
    old.receipt("pending", "POS-001", (2, 0), &printed("second", "20.00", 7));
    let dead = old.receipt("failed", "POS-002", (3, 0), &printed("third", "30.00", 4711));
    old.letter(dead, &printed("third", "30.00", 4711), None);
    report(&setup, &old.stop(true), &[]);
    // One of them rots: it must not keep the others from being found.
    let rotten = old_id(2_000);
    let conn = Connection::open(setup.path().join("data/buffer.db")).unwrap();
    let spoil = "UPDATE documents SET fiscal = '{' WHERE id = ?";
    assert_eq!(conn.execute(spoil, [rotten.as_bytes()]).unwrap(), 1);
    drop(conn);
    let adapter = setup.start();
    let found = async |path: &str, list: &str| {
        let page = adapter.get(path).await;
        let keys = page[list].as_array().unwrap_or_else(|| panic!("{page}")).iter();
        keys.map(|one| one["idempotency_key"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found("/v1/kkt/receipts?fd=4711", "receipts").await, ["third", "first"]);
    assert_eq!(found("/v1/kkt/receipts?fd=4711&pos_id=POS-001", "receipts").await, ["first"]);
    assert_eq!(found("/v1/kkt/dlq?fd=4711", "dead_letters").await, ["third"]);
    assert_eq!(found("/v1/kkt/receipts?fd=4712", "receipts").await, Vec::<String>::new());
}

#[tokio::test]
async fn importing_twice_changes_nothing_and_a_dry_run_changes_nothing_at_all() {
    let sim = simulator().await;
    sim.set_faults(Plan::fail_always(503));
    let setup = Setup::new(&sim.base_url());
    let old = Old::new(setup.path());
    for n in 0..5 {
        old.receipt("pending", "POS-001", (n, 0), &printed(&format!("k{n}"), "10.00", 1));
    }
    let file = old.stop(true);
    let dry = report(&setup, &file, &["--dry-run"]);
    assert_eq!(dry["pending"], 5);
    assert!(!setup.path().join("data").exists(), "a dry run makes no buffer");
    assert_eq!(report(&setup, &file, &[])["pending"], 5);
    let stored = bytes(&setup.path().join("data/buffer.db"));
    let dry = report(&setup, &file, &["--dry-run"]);
    assert_eq!((&dry["pending"], &dry["already_there"]), (&json!(0), &json!(5)));
    let again = report(&setup, &file, &[]);
    assert_eq!((&again["pending"], &again["already_there"]), (&json!(0), &json!(5)), "{again}");
    let after = bytes(&setup.path().join("data/buffer.db"));
    assert_eq!(stored.len(), after.len());
    let adapter = setup.start();
    until("five wait", async || (adapter.pending().await == 5).then_some(())).await;
    let (code, _, err) = import(&setup, &file, &[]);
    assert_eq!(code, Some(1));
    assert!(err.contains("is in use by another kkt-adapter"), "{err}");
}

// Killed after its first slice, the import is finished by the next run.
#[tokio::test]
async fn an_import_that_was_killed_goes_on_where_it_stopped() {
    let sim = simulator().await;
    let setup = Setup::new(&sim.base_url());
    let old = Old::new(setup.path());
    old.conn.execute_batch("BEGIN").unwrap();
    for n in 0..1_500 {
        old.receipt("pending", "POS-001", (n, 0), &printed(&format!("k{n}"), "10.00", 1));
    }
    old.conn.execute_batch("COMMIT").unwrap();
    let file = old.stop(true);
    let mut command: Command = setup.command(&["buffer", "import", file.to_str().unwrap()]);
    command.env("FAIL_POINT", "import.slice:1");
    let (code, out, err) = run(command);
    assert_eq!(code, None, "aborted: {out}{err}");
    let found = report(&setup, &file, &[]);
    assert_eq!((&found["already_there"], &found["pending"]), (&json!(1_000), &json!(500)), "{found}");
    let adapter = setup.start();
    adapter.until_delivered().await;
    let ledger = sim.ledger();
    assert_eq!(
        (ledger.len(), ledger.iter().filter(|document| document.counted == 1).count()),
        (1_500, 1_500)
    );
}

#[tokio::test]
async fn a_row_that_cannot_be_taken_over_is_named_and_the_exit_code_says_so() {
    let sim = simulator().await;
    let setup = Setup::new(&sim.base_url());
    let old = Old::new(setup.path());
    old.receipt("pending", "POS-001", (1, 0), &printed("k1", "10.00", 1));
    let doc = printed("k2", "20.00", 2);
    let values = "INSERT INTO receipts VALUES (?, ?, ?, ?, 0, NULL, ?, 'pending', 0, NULL, NULL)";
    old.conn.execute(values, params![None::<String>, "POS-001", DAY, DAY, doc]).unwrap();
    old.conn.execute(values, params!["receipt-17", "Касса 1", DAY, DAY + 5, doc]).unwrap();
    let (code, out, err) = import(&setup, &old.stop(true), &[]);
    assert_eq!(code, Some(1), "{out}{err}");
    assert!(out.contains("receipts, row 2: it has no id") && err.contains("keep the file"), "{out}{err}");
    // One that is odd but whole is taken over, and what is different here is said.
    assert!(
        out.contains("id receipt-17: its id is no UUID") && out.contains("its pos_id \"Касса 1\""),
        "{out}"
    );
    let adapter = setup.start();
    adapter.until_delivered().await;
    assert_eq!(sim.ledger().len(), 2);
    assert_eq!(adapter.get("/v1/kkt/receipt/k2").await["state"], "synced");
}

#[test]
fn what_is_no_buffer_of_a_stopped_python_adapter_is_refused_and_left_alone() {
    let setup = Setup::new("http://127.0.0.1:1");
    let file = setup.path().join("text.db");
    std::fs::write(&file, "not a database").unwrap();
    let (code, _, err) = import(&setup, &file, &[]);
    assert_eq!((code, err.contains("is not a database")), (Some(2), true), "{err}");
    let other = setup.path().join("other.db");
    Connection::open(&other).unwrap().execute_batch("CREATE TABLE receipts (id TEXT, pos_id TEXT)").unwrap();
    let (code, _, err) = import(&setup, &other, &[]);
    assert_eq!((code, err.contains("receipts has no created_at")), (Some(2), true), "{err}");
    // Running: it holds the file open.
    let old = Old::new(setup.path());
    old.receipt("pending", "POS-001", (1, 0), &printed("k1", "10.00", 1));
    let (code, _, err) = import(&setup, &old.path, &[]);
    let holder = format!("is open in process {}", std::process::id());
    assert_eq!((code, err.contains(&holder)), (Some(2), true), "{err}");
    // Ours.
    let file = old.stop(true);
    let (code, _, _) = import(&setup, &file, &[]);
    assert_eq!(code, Some(0));
    let (code, _, err) = import(&setup, &setup.path().join("data/buffer.db"), &[]);
    assert_eq!((code, err.contains("a buffer of this adapter")), (Some(2), true), "{err}");
}
