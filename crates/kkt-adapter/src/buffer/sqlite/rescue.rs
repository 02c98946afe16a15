//! Documents that lost the name of their till or device, in a repair. One byte of `names` bears on all documents of a till,
//! although each of them is whole: their checksums cover the names as text, so the name that makes one right is its name.

use super::row::{self, select};
use crate::buffer::rules::Document;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::HashMap;

/// Names of the file that are tried: their pairs, where till and device differ.
const NAMES_MAX: usize = 64;
/// Documents of one till and device that are tried in vain: what they have in common is then not what rotted.
const FAILURES_MAX: u32 = 100;

/// The numbers of a document's till and device.
type Numbers = (i64, i64);

/// What was found out of the names of one file.
pub(super) struct Rescue {
    names: Vec<String>,
    found: HashMap<Numbers, (String, String)>,
    failures: HashMap<Numbers, u32>,
}

impl Rescue {
    /// Reads what names the file still has.
    pub(super) fn new(conn: &Connection) -> Self {
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut statement = conn.prepare("SELECT name FROM names LIMIT ?")?;
            let names = statement.query_map([NAMES_MAX as i64], |row| row.get::<_, String>(0))?;
            Ok(names.filter_map(Result::ok).collect())
        };
        Self { names: read().unwrap_or_default(), found: HashMap::new(), failures: HashMap::new() }
    }

    /// The document of a row that failed its checksum, if other names make it right.
    pub(super) fn document(&mut self, conn: &Connection, seq: i64) -> Option<Document> {
        let numbers = conn
            .prepare_cached("SELECT pos, device FROM documents WHERE seq = ?")
            .and_then(|mut s| s.query_row([seq], |row| Ok((row.get(0)?, row.get(1)?))))
            .ok()?;
        if let Some((till, device)) = self.found.get(&numbers) {
            return with_names(conn, seq, numbers, till, device);
        }
        let failures = self.failures.entry(numbers).or_insert(0);
        if *failures >= FAILURES_MAX {
            return None;
        }
        let sold_by = till_in_body(conn, seq);
        let candidates = || self.names.iter().chain(&sold_by);
        // The device of a till bears its name unless it is shared.
        let same = candidates().map(|name| (name, name));
        let pairs = candidates().flat_map(|till| candidates().map(move |device| (till, device)));
        let pairs = pairs.filter(|_| numbers.0 != numbers.1);
        for (till, device) in same.chain(pairs) {
            if let Some(document) = with_names(conn, seq, numbers, till, device) {
                tracing::warn!(till, device, "documents that had lost these names have them again");
                self.found.insert(numbers, (till.clone(), device.clone()));
                return Some(document);
            }
        }
        *failures += 1;
        None
    }
}

/// The till that the body names; whether the body is whole the document's checksum tells.
fn till_in_body(conn: &Connection, seq: i64) -> Option<String> {
    let body: Vec<u8> = conn
        .prepare_cached("SELECT body FROM bodies WHERE seq = ?")
        .and_then(|mut s| s.query_row([seq], |row| row.get(0)).optional())
        .ok()??;
    let body: serde_json::Value = serde_json::from_slice(&body).ok()?;
    Some(body.get("pos_id")?.as_str()?.to_owned())
}

/// The row as it reads under these names.
fn with_names(
    conn: &Connection,
    seq: i64,
    (till_number, device_number): Numbers,
    till: &str,
    device: &str,
) -> Option<Document> {
    // Stands before the table of that name.
    let sql = concat!(
        "WITH names (n, name) AS (VALUES (?2, ?3), (?4, ?5)) ",
        select!(; "FROM documents d WHERE d.seq = ?1")
    );
    let read = conn
        .prepare_cached(sql)
        .and_then(|mut s| s.query_row(params![seq, till_number, till, device_number, device], row::read));
    read.ok()?.ok().map(|(_, document)| document)
}
