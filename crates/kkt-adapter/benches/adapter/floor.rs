//! The physical floor: what the disk and SQLite alone can do, in the same folder and the same run.

use super::measure::Times;
use rusqlite::Connection;
use serde_json::{Value, json};
use std::{
    fs::{File, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::Path,
    time::Instant,
};

/// About what a receipt's row holds.
const ROW: [u8; 700] = [7; 700];

/// What the rest of the run is measured by.
pub struct Floor {
    pub sync: Times,
    /// Rows a second, one a commit.
    pub single: f64,
    /// Rows a second, 64 a commit.
    pub batched: f64,
}

impl Floor {
    pub fn measure(folder: &Path, rounds: usize) -> Self {
        Self {
            sync: Times::new(fdatasync(folder, rounds)),
            single: sqlite(folder, rounds, 1),
            batched: sqlite(folder, rounds / 8, 64),
        }
    }

    pub fn print(&self) {
        println!("floor, each alone");
        println!(
            "  fdatasync, 4 KiB written before    {:>8.0} /s   p50 {:.3}  p99 {:.3} ms",
            self.sync.per_second(),
            self.sync.ms(0.5),
            self.sync.ms(0.99)
        );
        println!("  SQLite, one row a commit           {:>8.0} rows/s", self.single);
        println!("  SQLite, 64 rows a commit           {:>8.0} rows/s", self.batched);
    }

    pub fn json(&self) -> Value {
        json!({"case": "floor", "fdatasync_per_second": self.sync.per_second(),
            "fdatasync_p50_ms": self.sync.ms(0.5), "fdatasync_p99_ms": self.sync.ms(0.99),
            "sqlite_single_per_second": self.single, "sqlite_64_per_second": self.batched})
    }
}

/// Writes and syncs one block at a time; the time of each sync.
fn fdatasync(folder: &Path, rounds: usize) -> Vec<std::time::Duration> {
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

/// Rows a second, `batch` of them a commit, with SQLite's own checkpoints.
fn sqlite(folder: &Path, commits: usize, batch: usize) -> f64 {
    let path = folder.join(format!("floor-{batch}.db"));
    let mut connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "FULL").unwrap();
    connection.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, body BLOB) STRICT").unwrap();
    let began = Instant::now();
    for _ in 0..commits {
        let transaction = connection.transaction().unwrap();
        for _ in 0..batch {
            let sql = "INSERT INTO t (body) VALUES (?1)";
            transaction.prepare_cached(sql).unwrap().execute([&ROW[..]]).unwrap();
        }
        transaction.commit().unwrap();
    }
    (commits * batch) as f64 / began.elapsed().as_secs_f64()
}
