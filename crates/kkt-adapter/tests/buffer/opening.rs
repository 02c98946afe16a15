//! What stands at the path when the store is opened: each case either serves or says what to do.

use crate::fixture::*;
use kkt_adapter::{
    buffer::{
        SqliteBuffer, SqliteOptions,
        sqlite::{OpenError, export, stats, verify},
    },
    domain::{entry::Actor, lifecycle::State},
    ports::{Buffer, BufferError, Lookup, Silent, damage_settled},
};
use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

fn try_open(options: SqliteOptions) -> Result<SqliteBuffer, OpenError> {
    SqliteBuffer::open(options, ManualClock::new(), Arc::new(Silent))
}

fn refused(path: PathBuf) -> String {
    match try_open(SqliteOptions { min_free_disk_bytes: 0, ..SqliteOptions::new(&path) }) {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => {
            let text = error.to_string();
            let names_it = path.ancestors().take(2).any(|named| text.contains(&named.display().to_string()));
            assert!(names_it, "{text}");
            text
        }
    }
}

#[test]
fn a_second_instance_is_refused_and_told_who_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let text = refused(folder.path().join("buffer.db"));
    assert!(text.contains("in use") && text.contains(&format!("process {}", std::process::id())), "{text}");
    for offline in
        [verify(&folder.path().join("buffer.db")).err(), stats(&folder.path().join("buffer.db")).err()]
    {
        assert!(matches!(offline, Some(OpenError::InUse { .. })));
    }
    drop(first);
    open(folder.path());
}

#[test]
fn a_path_that_cannot_be_a_store_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("a-folder")).unwrap();
    assert!(refused(at("a-folder")).contains("is a folder"));
    fs::write(at("file"), "text").unwrap();
    assert!(refused(at("file").join("buffer.db")).contains("writable"));
    fs::write(at("letter.txt"), "Dear all, this is not a database.").unwrap();
    assert!(refused(at("letter.txt")).contains("not a database"));
    assert_eq!(fs::read_to_string(at("letter.txt")).unwrap(), "Dear all, this is not a database.");
    let other = rusqlite::Connection::open(at("other.db")).unwrap();
    other.execute_batch("CREATE TABLE theirs (a); PRAGMA user_version = 99").unwrap();
    assert!(refused(at("other.db")).contains("another program"));
    drop(open(folder.path()));
    let newer = rusqlite::Connection::open(at("buffer.db")).unwrap();
    newer.execute_batch("CREATE TABLE of_a_later_time (a); PRAGMA user_version = 99").unwrap();
    drop(newer);
    let text = refused(at("buffer.db"));
    assert!(text.contains("schema 99") && text.contains("newer"), "{text}");
}

#[test]
fn the_folder_and_the_files_are_for_us_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("made/by/us");
    let buffer = open(&data);
    block_on(accept(&buffer, entry("key-1")));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for name in ["buffer.db", "buffer.db-wal", "buffer.db-shm", "buffer.db.lock"] {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
}

#[test]
fn what_the_promises_rest_on_is_set_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let conn = rusqlite::Connection::open(folder.path().join("buffer.db")).unwrap();
    let mode: String = conn.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

// A restart
#[test]
fn everything_is_there_after_a_restart_figures_included() {
    let folder = tempfile::tempdir().unwrap();
    let before = block_on(async {
        let buffer = open(folder.path());
        let done = print(&buffer, entry("key-1"), 1).await;
        print(&buffer, entry_of("POS-002", "key-2"), 7).await;
        accept(&buffer, entry("key-3")).await;
        buffer.settle(vec![synced(done)]).await.unwrap();
        buffer.stats().await.unwrap()
    });
    let after = block_on(async {
        let buffer = open(folder.path());
        assert_eq!(buffer.last_fd(&device("POS-002")).await.unwrap(), Some(7));
        buffer.stats().await.unwrap()
    });
    assert_eq!((before.total, before.used), (after.total, after.used));
    assert_eq!(before.per_pos, after.per_pos);
    assert_eq!(before.oldest_unconfirmed, after.oldest_unconfirmed);
}

/// A store with `count` printed documents, closed.
fn filled(folder: &Path, count: u32) {
    block_on(async {
        let buffer = open(folder);
        for n in 1..=count {
            print(&buffer, entry(&format!("key-{n}")), n).await;
        }
        buffer.close().await;
    });
}

async fn count_found(buffer: &SqliteBuffer, count: u32) -> u32 {
    let mut found = 0;
    for n in 1..=count {
        let by = Lookup::Key(format!("key-{n}").parse().unwrap());
        if let Ok(Some(entry)) = buffer.find(by).await {
            assert_eq!(entry.state, State::Printed);
            found += 1;
        }
    }
    found
}

fn set_aside(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm"))
        .collect();
    names.sort();
    names
}

/// Overwrites the page in which the table of documents has the given share of its rows.
fn break_a_page(folder: &Path, share: (i64, i64)) {
    let path = folder.join("buffer.db");
    let conn = checkpointed(folder);
    let pages: Vec<i64> = conn
        .prepare("SELECT pageno FROM dbstat WHERE name = 'documents' AND pagetype = 'leaf' ORDER BY path")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    drop(conn);
    let page = pages[(pages.len() as i64 * share.0 / share.1) as usize];
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&[0xA5; 4_096], (page as u64 - 1) * 4_096).unwrap();
}

// P8
#[test]
fn a_damaged_database_is_set_aside_and_what_can_be_read_is_saved() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 200);
    break_a_page(folder.path(), (1, 2));
    let buffer = open(folder.path());
    block_on(async {
        let found = count_found(&buffer, 200).await;
        assert!((150..200).contains(&found), "{found} of 200 saved from both ends");
        assert_eq!(set_aside(folder.path()).len(), 1);
        let health = buffer.health();
        assert!(health.ok && health.error.unwrap().contains("set aside"), "it serves, and is loud about it");
        let stats = buffer.stats().await.unwrap();
        assert_eq!(stats.total.pending, u64::from(found));
        assert_eq!(
            buffer.last_fd(&device("POS-001")).await.unwrap(),
            Some(200),
            "no ФД number is used twice"
        );
        print(&buffer, entry("after"), 201).await;
    });
    drop(buffer);
    let buffer = open(folder.path());
    assert_eq!(set_aside(folder.path()).len(), 1, "the next start finds nothing wrong");
    block_on(async { assert!(buffer.find(Lookup::Key("after".parse().unwrap())).await.unwrap().is_some()) });
}

// P2: an alarm that a person ended must not hide what is damaged in the new file.
#[test]
fn after_a_salvage_all_damage_is_open_again_and_each_has_its_line() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 200);
    {
        let conn = rusqlite::Connection::open(folder.path().join("buffer.db")).unwrap();
        conn.execute("UPDATE documents SET attempts = 9 WHERE seq IN (3, 4)", []).unwrap();
    }
    let buffer = open(folder.path());
    block_on(async {
        assert_eq!(count_found(&buffer, 200).await, 198);
        buffer.settle(vec![]).await.unwrap();
        let settled = damage_settled(2, jiff::Timestamp::UNIX_EPOCH, Actor::system(), "seen to");
        buffer.record(settled).await.unwrap();
        let stats = buffer.stats().await.unwrap();
        assert_eq!((stats.damaged, stats.damaged_open), (2, 0));
    });
    drop(buffer);
    break_a_page(folder.path(), (1, 2));
    let buffer = open(folder.path());
    block_on(async {
        assert_eq!(set_aside(folder.path()).len(), 1);
        let stats = buffer.stats().await.unwrap();
        assert_eq!((stats.damaged, stats.damaged_open), (2, 2));
        let lines = buffer.audit(Some("buffer".into()), 100).await.unwrap();
        let of_row_3 =
            lines.iter().filter(|line| line.action == "set_aside" && line.detail.starts_with("row 3:"));
        assert_eq!(of_row_3.count(), 2, "when it was found, and when it was found again: {lines:?}");
    });
}

// P8
#[test]
fn whatever_is_left_of_the_file_the_start_succeeds() {
    type Ruin = fn(&Path);
    let ruins: [(&str, Ruin); 7] = [
        ("a name that is no text", |path| {
            let conn = rusqlite::Connection::open(path).unwrap();
            conn.execute_batch("UPDATE names SET name = CAST(x'ff' AS TEXT)").unwrap();
        }),
        ("no header", |path| fs::write(path, [0_u8; 8_192]).unwrap()),
        ("cut to a page", |path| {
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(4_096).unwrap()
        }),
        ("cut in a page", |path| {
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(5_000).unwrap()
        }),
        ("ten bytes", |path| fs::write(path, "SQLite for").unwrap()),
        ("schema page gone", |path| {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.write_all_at(&[0xFF; 3_900], 100).unwrap();
        }),
        ("noise in the WAL", |path| fs::write(path.with_extension("db-wal"), [0xAB; 40_000]).unwrap()),
    ];
    for (name, ruin) in ruins {
        let folder = tempfile::tempdir().unwrap();
        filled(folder.path(), 20);
        drop(checkpointed(folder.path()));
        ruin(&folder.path().join("buffer.db"));
        for _ in 0..2 {
            let buffer = open(folder.path());
            block_on(async {
                let n = buffer.audit(None, 1_000).await.unwrap().len();
                accept(&buffer, entry(&format!("{name} {n}"))).await;
            });
        }
    }
}

// P8: found by the fuzzer. Where a store of ours has been, a header that names nobody is damage.
#[test]
fn a_header_that_no_longer_names_us_is_damage_and_all_documents_are_saved() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 20);
    let conn = rusqlite::Connection::open(folder.path().join("buffer.db")).unwrap();
    conn.pragma_update(None, "application_id", 7).unwrap();
    drop(conn);
    let buffer = open(folder.path());
    assert_eq!(block_on(count_found(&buffer, 20)), 20);
    assert_eq!(set_aside(folder.path()).len(), 1, "the damaged one is kept");
}

// P8: rot of one byte, wherever in the header it is, loses nothing that stands behind it.
#[test]
fn whichever_byte_of_the_header_rots_all_documents_are_served() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 20);
    drop(checkpointed(folder.path()));
    let good = fs::read(folder.path().join("buffer.db")).unwrap();
    for at in 0..100 {
        for change in [0x01, 0xFF] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("buffer.db");
            let mut bytes = good.clone();
            bytes[at] ^= change;
            fs::write(&path, bytes).unwrap();
            fs::write(path.with_extension("db.lock"), "").unwrap();
            let buffer = open(folder.path());
            assert_eq!(block_on(count_found(&buffer, 20)), 20, "byte {at} changed by {change:#x}");
            block_on(accept(&buffer, entry("the next sale")));
        }
    }
}

/// The schema as SQLite keeps it is changed behind its back.
fn rot_schema(folder: &Path, table: &str, from: &str, to: &str) {
    let conn = rusqlite::Connection::open(folder.join("buffer.db")).unwrap();
    conn.pragma_update(None, "writable_schema", true).unwrap();
    let sql = "UPDATE sqlite_schema SET sql = replace(sql, ?2, ?3) WHERE name = ?1 AND instr(sql, ?2)";
    assert_eq!(conn.execute(sql, [table, from, to]).unwrap(), 1);
}

// P8: found by the fuzzer. Everything can be read, and no sale could be written.
#[test]
fn a_column_whose_name_rotted_keeps_nobody_from_selling() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 20);
    rot_schema(folder.path(), "audit", "actor", "actof");
    let buffer = open(folder.path());
    block_on(async {
        assert_eq!(count_found(&buffer, 20).await, 20);
        accept(&buffer, entry("the next sale")).await;
    });
    assert_eq!(set_aside(folder.path()).len(), 1);
}

// An administrator may look into the file with tools of his own.
#[test]
fn an_index_and_statistics_that_a_person_added_are_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 20);
    let conn = rusqlite::Connection::open(folder.path().join("buffer.db")).unwrap();
    conn.execute_batch("CREATE INDEX by_hand ON audit (action); ANALYZE").unwrap();
    drop(conn);
    let buffer = open(folder.path());
    block_on(accept(&buffer, entry("the next sale")));
    assert_eq!(set_aside(folder.path()), [""; 0]);
}

// P8: found by changing each byte in turn. A line of another type than its column's must not end the salvage.
#[test]
fn lines_of_the_audit_that_rotted_cost_only_themselves() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 20);
    let lines = block_on(async { open(folder.path()).audit(None, 1_000).await.unwrap().len() });
    rot_schema(folder.path(), "audit", "STRICT", "");
    let conn = rusqlite::Connection::open(folder.path().join("buffer.db")).unwrap();
    let rotten = "UPDATE audit SET detail = CAST('é' AS BLOB) WHERE seq = 5; \
                  UPDATE audit SET actor = CAST(x'ff' AS TEXT) WHERE seq = 9; \
                  UPDATE audit SET at = 'noon' WHERE seq = 12";
    conn.execute_batch(rotten).unwrap();
    drop(conn);
    let buffer = open(folder.path());
    block_on(async {
        assert_eq!(count_found(&buffer, 20).await, 20);
        let saved = buffer.audit(None, 1_000).await.unwrap();
        assert_eq!(saved.iter().filter(|line| line.action != "salvaged").count(), lines - 3);
    });
}

// P8: found by the fuzzer. A name that only the index still has fails the first write: the start after it repairs.
#[test]
fn a_till_whose_name_rotted_sells_again_after_one_restart() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 20);
    let path = folder.path().join("buffer.db");
    let page = root_page(folder.path(), "names");
    let bytes = fs::read(&path).unwrap();
    let at = page.start + bytes[page].windows(7).position(|window| window == b"POS-001").unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(b"9", at as u64 + 6).unwrap();
    let sells = |buffer: &SqliteBuffer| {
        let next = entry("the next sale");
        block_on(buffer.append(buffer.reserve().unwrap(), next, true)).is_ok()
    };
    let buffer = open(folder.path());
    let at_once = sells(&buffer);
    drop(buffer);
    let buffer = open(folder.path());
    assert!(!at_once && sells(&buffer), "the first write found it ({})", !at_once);
    assert_eq!(set_aside(folder.path()).len(), 1);
}

// P8: a crash while the damaged file is being moved or copied
#[test]
fn a_salvage_that_was_cut_is_finished_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    filled(folder.path(), 30);
    assert!(fs::metadata(at("buffer.db-wal")).unwrap().len() > 0);
    fs::rename(at("buffer.db"), at("buffer.db.salvaging-20260101")).unwrap();
    let buffer = open(folder.path());
    block_on(async {
        assert_eq!(count_found(&buffer, 30).await, 30, "with what stood in the WAL only");
        print(&buffer, entry("new"), 31).await;
        buffer.close().await;
    });
    drop(buffer);
    fs::rename(at("buffer.db.damaged-20260101"), at("buffer.db.salvaging-20260101")).unwrap();
    let buffer = open(folder.path());
    block_on(async {
        assert_eq!(count_found(&buffer, 30).await, 30, "a second copy changes nothing");
        assert_eq!(buffer.stats().await.unwrap().total.pending, 31);
    });
}

/// A store that refuses an insert, and beside it another one of twenty documents that waits to be copied into it.
fn refusing_a_salvage(folder: &Path, table: &str, when: &str) {
    drop(open(folder));
    let conn = rusqlite::Connection::open(folder.join("buffer.db")).unwrap();
    let refusal = format!(
        "CREATE TRIGGER refusal BEFORE INSERT ON {table} WHEN {when} BEGIN SELECT RAISE(ABORT, 'never'); END"
    );
    conn.execute_batch(&refusal).unwrap();
    drop(conn);
    let other = tempfile::tempdir().unwrap();
    filled(other.path(), 20);
    for suffix in ["", "-wal"] {
        let from = other.path().join(format!("buffer.db{suffix}"));
        fs::copy(from, folder.join(format!("buffer.db.salvaging-20260101{suffix}"))).unwrap();
    }
}

// P8: whatever the new file will not take of the old one
#[test]
fn a_document_that_the_new_file_refuses_costs_only_itself_and_its_key_stays_taken() {
    let folder = tempfile::tempdir().unwrap();
    refusing_a_salvage(folder.path(), "documents", "NEW.key = 'key-7'");
    let buffer = open(folder.path());
    block_on(async {
        assert_eq!(count_found(&buffer, 20).await, 19);
        let again = buffer.append(buffer.reserve().unwrap(), entry("key-7"), true).await;
        assert!(matches!(again, Err(BufferError::Damaged(_))), "P4: never a second printout: {again:?}");
        accept(&buffer, entry("the next sale")).await;
    });
}

// P8: a copy that fails at its end would fail at every start
#[test]
fn a_salvage_that_cannot_end_is_left_and_the_shop_sells() {
    let folder = tempfile::tempdir().unwrap();
    refusing_a_salvage(folder.path(), "audit", "NEW.action = 'salvaged'");
    let buffer = open(folder.path());
    block_on(async {
        assert_eq!(count_found(&buffer, 20).await, 20, "what was copied before serves");
        accept(&buffer, entry("the next sale")).await;
    });
    assert_eq!(set_aside(folder.path()), ["buffer.db.damaged-20260101"], "the old file is kept");
}

/// The schema names the table `other` for `table`, as one changed byte does.
fn misdirect(folder: &Path, table: &str, other: &str) {
    let conn = rusqlite::Connection::open(folder.join("buffer.db")).unwrap();
    conn.pragma_update(None, "writable_schema", true).unwrap();
    let rot = "UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM sqlite_schema WHERE name = ?2) WHERE name = ?1";
    assert_eq!(conn.execute(rot, [table, other]).unwrap(), 1);
    // So that connections read it anew.
    conn.pragma_update(None, "schema_version", 999).unwrap();
}

// P3: found by changing each byte in turn. Bodies and wires have checksums of one form.
#[test]
fn a_schema_that_names_the_bodies_table_for_the_wires_sends_no_body() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3);
    let buffer = open(folder.path());
    assert_eq!(block_on(lane(&buffer, "POS-001")), [1, 2, 3]);
    misdirect(folder.path(), "wires", "bodies");
    assert_eq!(block_on(lane(&buffer, "POS-001")), [0; 0], "while it runs");
    drop(buffer);
    let buffer = open(folder.path());
    assert_eq!(set_aside(folder.path()).len(), 1, "the start found it");
    block_on(async {
        assert_eq!(lane(&buffer, "POS-001").await, [0; 0], "after the repair");
        assert_eq!(count_found(&buffer, 3).await, 3, "the bodies are whole");
    });
}

// P2: the other way round everything that the OFD needs is whole
#[test]
fn a_schema_that_names_the_wires_table_for_the_bodies_keeps_nothing_from_the_ofd() {
    let folder = tempfile::tempdir().unwrap();
    filled(folder.path(), 3);
    misdirect(folder.path(), "bodies", "wires");
    let buffer = open(folder.path());
    assert_eq!(set_aside(folder.path()).len(), 1, "the start found it");
    block_on(async {
        assert_eq!(lane(&buffer, "POS-001").await, [1, 2, 3]);
        assert_eq!(buffer.stats().await.unwrap().damaged, 3, "the bodies are lost, and told");
    });
}

// The audit is what a person decided, and why.
#[test]
fn a_salvage_that_sets_parts_aside_keeps_every_line_of_the_audit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("buffer.db");
    filled(folder.path(), 30);
    let conn = rusqlite::Connection::open(&path).unwrap();
    let lines = |conn: &rusqlite::Connection| -> Vec<(i64, String)> {
        let mut statement = conn.prepare("SELECT at, action || ' ' || hex(subject) FROM audit").unwrap();
        let found = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        found.map(Result::unwrap).collect()
    };
    let before = lines(&conn);
    // Parts that are lost while the documents are copied, and a file that has to be copied.
    conn.execute("UPDATE bodies SET body = x'00' WHERE seq IN (1, 15)", []).unwrap();
    conn.pragma_update(None, "application_id", 7).unwrap();
    drop(conn);
    let buffer = open(folder.path());
    block_on(buffer.close());
    drop(buffer);
    let conn = rusqlite::Connection::open(&path).unwrap();
    let mut after = lines(&conn);
    for line in &before {
        let at = after.iter().position(|found| found == line);
        after.swap_remove(at.unwrap_or_else(|| panic!("{line:?} is lost")));
    }
    let mut actions: Vec<&str> = after.iter().map(|(_, text)| text.split(' ').next().unwrap()).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["salvaged", "set_aside", "set_aside"], "what the salvage wrote itself");
}

// Two damaged databases, each with an audit that begins at 1.
#[test]
fn what_two_salvages_bring_together_keeps_both_audits_and_a_second_copy_adds_nothing() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (place, key) in [(&folder, "here"), (&other, "there")] {
        let buffer = open(place.path());
        block_on(accept(&buffer, entry(key)));
        block_on(buffer.close());
        drop(buffer);
        drop(checkpointed(place.path()));
    }
    let waiting = folder.path().join("buffer.db.salvaging-20260101");
    let mut accepted = Vec::new();
    for _ in 0..2 {
        fs::copy(other.path().join("buffer.db"), &waiting).unwrap();
        let buffer = open(folder.path());
        let audit = block_on(buffer.audit(None, 100)).unwrap();
        accepted.push(audit.iter().filter(|line| line.action == "accepted").count());
    }
    assert_eq!(accepted, [2, 2]);
}

// P8: a check that the service manager's patience or a crash cuts each time must not keep the shop closed.
#[test]
fn a_full_check_that_never_ends_is_begun_three_times_and_then_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let note = folder.path().join("buffer.db.check");
    filled(folder.path(), 200);
    // An index that lacks its rows: the full check finds it, the one of each start does not look for it.
    let conn = rusqlite::Connection::open(folder.path().join("buffer.db")).unwrap();
    conn.execute_batch(
        "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, 'state = 3', 'state = 77') \
         WHERE name = 'documents_lane'",
    )
    .unwrap();
    drop(conn);
    let conn = rusqlite::Connection::open(folder.path().join("buffer.db")).unwrap();
    conn.execute_batch(
        "REINDEX documents_lane; PRAGMA writable_schema = ON; \
         UPDATE sqlite_schema SET sql = replace(sql, 'state = 77', 'state = 3') WHERE name = 'documents_lane'",
    )
    .unwrap();
    drop(conn);
    fs::write(&note, "the next start checks the whole file\nbegun\nbegun\nbegun\n").unwrap();
    drop(open(folder.path()));
    assert_eq!(set_aside(folder.path()).len(), 0, "three starts have tried");
    fs::write(&note, "the next start checks the whole file\nbegun\nbegun\n").unwrap();
    drop(open(folder.path()));
    assert_eq!(set_aside(folder.path()).len(), 1, "the third looks");
    assert!(!note.exists(), "what was made anew is whole");
}

#[test]
fn the_offline_tools_check_count_and_export_a_stopped_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("buffer.db");
    filled(folder.path(), 5);
    let report = verify(&path).unwrap();
    assert_eq!((report.good, report.fault_count), (5, 0), "{report:?}");
    assert_eq!(stats(&path).unwrap().total.pending, 5);
    let mut out = Vec::new();
    assert_eq!(export(&path, &mut out).unwrap(), (5, 0));
    let lines: Vec<serde_json::Value> =
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0]["key"], "key-1");
    assert_eq!(lines[0]["fiscal_doc"]["fiscal_doc_number"], 1);
    assert_eq!(lines[0]["receipt"]["items"][0]["name"], "Оправа");
    assert_eq!(lines[0]["wire"], "{\"fd\":1}");
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute("UPDATE documents SET attempts = 9 WHERE seq = 2", []).unwrap();
    drop(conn);
    let report = verify(&path).unwrap();
    assert_eq!((report.good, report.fault_count), (4, 1));
    assert!(report.faults[0].contains("row 2"), "{report:?}");
    assert_eq!(export(&path, &mut std::io::sink()).unwrap(), (4, 1));
    assert!(matches!(verify(&folder.path().join("none.db")), Err(OpenError::Unusable { .. })));
    assert!(!folder.path().join("none.db").exists());
}

// P8: the power goes while a new database gets its first pages. Nobody was promised anything yet.
#[test]
fn a_new_database_torn_before_its_first_commit_begins_anew_without_an_alarm() {
    let (torn, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let conn = rusqlite::Connection::open(torn.path().join("buffer.db")).unwrap();
    // More than the cache holds: pages reach the file before the commit, the journal knows that it was empty.
    conn.execute_batch(
        "PRAGMA cache_size = 1; BEGIN; CREATE TABLE t (x); \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200) \
         INSERT INTO t SELECT randomblob(1000) FROM n",
    )
    .unwrap();
    for name in ["buffer.db", "buffer.db-journal"] {
        fs::copy(torn.path().join(name), folder.path().join(name)).unwrap();
    }
    let database = fs::OpenOptions::new().write(true).open(folder.path().join("buffer.db")).unwrap();
    database.write_all_at(&[0; 512], 0).unwrap();
    assert!(database.metadata().unwrap().len() > 4_096, "pages have reached the file");
    fs::write(folder.path().join("buffer.db.lock"), "").unwrap();
    let buffer = open(folder.path());
    assert_eq!(buffer.health().error, None);
    block_on(print(&buffer, entry("key-1"), 1));
}
