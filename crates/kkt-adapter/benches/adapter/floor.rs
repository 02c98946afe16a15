//! The physical floor: what the disk and SQLite alone can do, in the same folder and the same run.

use rusqlite::Connection;
use std::{
    fs::{File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::{Duration, Instant},
};

/// About what a receipt's row holds.
const ROW: [u8; 700] = [7; 700];

/// Appends and syncs one record at a time; the time of each.
pub fn fdatasync(folder: &Path, rounds: usize) -> Vec<Duration> {
    let mut file: File =
        OpenOptions::new().create(true).truncate(true).write(true).open(folder.join("floor.bin")).unwrap();
    // Written once before, so that the size of the file does not change while it is measured, as in a recycled WAL.
    file.write_all(&vec![0; 4096 * 64]).unwrap();
    file.sync_all().unwrap();
    (0..rounds)
        .map(|round| {
            file.seek(SeekFrom::Start((round % 64) as u64 * 4096)).unwrap();
            file.write_all(&[1; 4096]).unwrap();
            let began = Instant::now();
            file.sync_data().unwrap();
            began.elapsed()
        })
        .collect()
}

/// Commits `batch` rows a transaction; the time of each commit.
pub fn sqlite(folder: &Path, commits: usize, batch: usize) -> Vec<Duration> {
    let path = folder.join(format!("floor-{batch}.db"));
    let mut connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB) STRICT").unwrap();
    let mut id = 0_i64;
    (0..commits)
        .map(|_| {
            let began = Instant::now();
            let transaction = connection.transaction().unwrap();
            for _ in 0..batch {
                id += 1;
                transaction
                    .prepare_cached("INSERT INTO t VALUES (?1, ?2)")
                    .unwrap()
                    .execute((id, &ROW[..]))
                    .unwrap();
            }
            transaction.commit().unwrap();
            began.elapsed()
        })
        .collect()
}
