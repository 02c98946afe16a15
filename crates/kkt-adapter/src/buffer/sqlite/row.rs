//! How a document lies in its row, and the checksum by which a row that rotted is told (promise P8).
//!
//! The checksum covers what the row means (names as text, not their numbers), so a damaged `names` row shows
//! too. It is the first 8 bytes of a SHA-256 over the fields in the order of [`Raw`], each with its length.

use crate::{
    buffer::rules::Document,
    domain::{
        document::DocumentKind,
        ids::{DeviceId, IdempotencyKey, PosId, ReceiptId, RequestId},
        lifecycle::State,
        receipt::BodyHash,
    },
};
use jiff::Timestamp;
use rusqlite::Row;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// `SELECT` of everything [`read`] needs, then the given text (`FROM documents d …`); further columns go before
/// the `;`.
macro_rules! select {
    ($($more:literal),* ; $($tail:expr),+) => {
        concat!(
            "SELECT d.seq, d.id, d.key, d.kind, \
             (SELECT name FROM names WHERE n = d.pos), (SELECT name FROM names WHERE n = d.device), \
             d.state, d.hash, d.notes, d.fiscal, d.attempts, d.last_error, d.confirmation, d.created_at, \
             d.printed_at, d.ended_at, d.resolved_at, d.resolved_note, d.kept, d.checksum",
            $($more,)* " ", $($tail),+
        )
    };
}
pub(super) use select;

/// The first column after those of [`read`].
pub(super) const MORE: usize = 20;

/// A row or a part that is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    pub seq: i64,
    pub part: Part,
}

/// Which part of a document is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Document,
    Body,
    Wire,
}

impl Part {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Body => "body",
            Self::Wire => "wire",
        }
    }
}

/// The number of a state in the file; they never change.
pub(super) const fn state_code(state: State) -> i64 {
    match state {
        State::Accepted => 0,
        State::Printing => 1,
        State::Buffered => 2,
        State::Printed => 3,
        State::PrintUnknown => 4,
        State::Synced => 5,
        State::Dead => 6,
        State::Cancelled => 7,
    }
}

/// The state of a number.
pub(super) fn state_of(code: i64) -> Option<State> {
    State::ALL.into_iter().find(|state| state_code(*state) == code)
}

fn kind_code(kind: DocumentKind) -> i64 {
    match kind {
        DocumentKind::Receipt => 0,
        DocumentKind::ShiftOpen => 1,
        DocumentKind::ShiftClose => 2,
    }
}

/// By what a key is looked up: most of an index entry's bytes would else be the key itself.
pub(super) fn key_hash(key: &str) -> i64 {
    first_8(Sha256::digest(key.as_bytes()).into())
}

/// A body or wire bytes as they lie in the file.
pub(super) struct PartBytes {
    pub bytes: Vec<u8>,
    pub checksum: i64,
}

impl PartBytes {
    /// Of this document.
    pub(super) fn new(id: ReceiptId, bytes: Vec<u8>) -> Self {
        let checksum = part_checksum(id, &bytes);
        Self { bytes, checksum }
    }
}

/// The checksum of a body or of wire bytes, bound to the document they belong to.
pub(super) fn part_checksum(id: ReceiptId, bytes: &[u8]) -> i64 {
    first_8(Sha256::new().chain_update(id.0.as_bytes()).chain_update(bytes).finalize().into())
}

/// Whether the bytes are the document's body. Bodies and wires have checksums of one form, so where a rotten schema names the
/// table of the one for the other only this tells.
pub(super) fn is_body(document: &Document, bytes: &[u8]) -> bool {
    BodyHash::of(bytes) == document.hash
}

fn first_8(digest: [u8; 32]) -> i64 {
    let (first, _) = digest.split_first_chunk::<8>().expect("32 bytes hold 8");
    i64::from_be_bytes(*first)
}

/// The row as it is bound and read.
#[derive(Debug, PartialEq)]
pub(super) struct Raw {
    pub id: [u8; 16],
    pub key: String,
    pub kind: i64,
    pub pos: String,
    pub device: String,
    pub state: i64,
    pub hash: [u8; 32],
    pub notes: Option<String>,
    pub fiscal: Option<String>,
    pub attempts: i64,
    pub last_error: Option<String>,
    pub confirmation: Option<String>,
    pub created_at: i64,
    pub printed_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub resolved_at: Option<i64>,
    pub resolved_note: Option<String>,
    pub kept: i64,
}

/// The column `notes`: a list of texts, and with it, where there is one, the id of the request. It stands here and
/// not in a column of its own, which the rows of earlier files would lack.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Notes {
    Alone(Vec<String>),
    Of { request_id: RequestId, notes: Vec<String> },
}

fn notes_column(document: &Document) -> Option<Notes> {
    let notes = document.notes.clone();
    match document.request_id.clone() {
        Some(request_id) => Some(Notes::Of { request_id, notes }),
        None => (!notes.is_empty()).then_some(Notes::Alone(notes)),
    }
}

impl Raw {
    /// The row of a document.
    pub(super) fn of(document: &Document) -> Self {
        let json = "a document's parts have only string keys and exact numbers";
        let time = |at: Timestamp| at.as_microsecond();
        Self {
            id: *document.id.0.as_bytes(),
            key: document.key.as_str().to_owned(),
            kind: kind_code(document.kind),
            pos: document.pos_id.as_str().to_owned(),
            device: document.device.as_str().to_owned(),
            state: state_code(document.state),
            hash: document.hash.0,
            notes: notes_column(document).map(|notes| serde_json::to_string(&notes).expect(json)),
            fiscal: document.fiscal.as_ref().map(|fiscal| serde_json::to_string(fiscal).expect(json)),
            attempts: i64::from(document.attempts),
            last_error: document.last_error.clone(),
            confirmation: document.confirmation.as_ref().map(|c| serde_json::to_string(c).expect(json)),
            created_at: time(document.created_at),
            printed_at: document.printed_at.map(time),
            ended_at: document.ended_at.map(time),
            resolved_at: document.resolved.as_ref().map(|(at, _)| time(*at)),
            resolved_note: document.resolved.as_ref().map(|(_, note)| note.clone()),
            kept: i64::from(document.kept),
        }
    }

    /// The checksum over the content.
    pub(super) fn checksum(&self) -> i64 {
        let mut sum = Sum(Sha256::new());
        sum.bytes(&self.id);
        sum.bytes(self.key.as_bytes());
        sum.number(Some(self.kind));
        sum.bytes(self.pos.as_bytes());
        sum.bytes(self.device.as_bytes());
        sum.number(Some(self.state));
        sum.bytes(&self.hash);
        sum.text(self.notes.as_deref());
        sum.text(self.fiscal.as_deref());
        sum.number(Some(self.attempts));
        sum.text(self.last_error.as_deref());
        sum.text(self.confirmation.as_deref());
        sum.number(Some(self.created_at));
        sum.number(self.printed_at);
        sum.number(self.ended_at);
        sum.number(self.resolved_at);
        sum.text(self.resolved_note.as_deref());
        sum.number(Some(self.kept));
        first_8(sum.0.finalize().into())
    }

    fn get(row: &Row<'_>) -> rusqlite::Result<(Self, i64)> {
        let raw = Self {
            id: row.get(1)?,
            key: row.get(2)?,
            kind: row.get(3)?,
            pos: row.get(4)?,
            device: row.get(5)?,
            state: row.get(6)?,
            hash: row.get(7)?,
            notes: row.get(8)?,
            fiscal: row.get(9)?,
            attempts: row.get(10)?,
            last_error: row.get(11)?,
            confirmation: row.get(12)?,
            created_at: row.get(13)?,
            printed_at: row.get(14)?,
            ended_at: row.get(15)?,
            resolved_at: row.get(16)?,
            resolved_note: row.get(17)?,
            kept: row.get(18)?,
        };
        Ok((raw, row.get(19)?))
    }

    fn document(self) -> Option<Document> {
        let time = |micros: i64| Timestamp::from_microsecond(micros).ok();
        let resolved = match (self.resolved_at, self.resolved_note) {
            (Some(at), Some(note)) => Some((time(at)?, note)),
            (None, None) => None,
            _ => return None,
        };
        let (notes, request_id) = match self.notes {
            Some(json) => match serde_json::from_str(&json).ok()? {
                Notes::Alone(notes) => (notes, None),
                Notes::Of { notes, request_id } => (notes, Some(request_id)),
            },
            None => (Vec::new(), None),
        };
        Some(Document {
            id: ReceiptId(Uuid::from_bytes(self.id)),
            key: self.key.parse::<IdempotencyKey>().ok()?,
            kind: match self.kind {
                0 => DocumentKind::Receipt,
                1 => DocumentKind::ShiftOpen,
                2 => DocumentKind::ShiftClose,
                _ => return None,
            },
            pos_id: self.pos.parse::<PosId>().ok()?,
            device: self.device.parse::<DeviceId>().ok()?,
            state: state_of(self.state)?,
            hash: BodyHash(self.hash),
            notes,
            request_id,
            fiscal: match self.fiscal {
                Some(json) => Some(serde_json::from_str(&json).ok()?),
                None => None,
            },
            attempts: u32::try_from(self.attempts).ok()?,
            last_error: self.last_error,
            confirmation: match self.confirmation {
                Some(json) => Some(serde_json::from_str(&json).ok()?),
                None => None,
            },
            created_at: time(self.created_at)?,
            printed_at: optional(self.printed_at, time)?,
            ended_at: optional(self.ended_at, time)?,
            resolved,
            kept: self.kept != 0,
        })
    }
}

fn optional<T>(value: Option<i64>, read: impl Fn(i64) -> Option<T>) -> Option<Option<T>> {
    match value {
        Some(value) => read(value).map(Some),
        None => Some(None),
    }
}

struct Sum(Sha256);

impl Sum {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
    }

    fn text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.bytes(text.as_bytes()),
            None => self.0.update(u64::MAX.to_be_bytes()),
        }
    }

    fn number(&mut self, number: Option<i64>) {
        match number {
            Some(number) => self.bytes(&number.to_be_bytes()),
            None => self.0.update(u64::MAX.to_be_bytes()),
        }
    }
}

/// Reads a row that was selected by `select!`. Whatever cannot be read as it was written is damage: reading a
/// column of a row at hand does no I/O.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Result<(i64, Document), Damage>> {
    let seq: i64 = row.get(0)?;
    let damage = Damage { seq, part: Part::Document };
    let Ok((raw, checksum)) = Raw::get(row) else { return Ok(Err(damage)) };
    if raw.checksum() != checksum {
        return Ok(Err(damage));
    }
    Ok(raw.document().map(|document| (seq, document)).ok_or(damage))
}

/// For the fuzzer: reads a row of these columns (those of `select!` from the id on) under the checksum that its content
/// has, so that the bytes get past it. Says whether they made a document.
///
/// # Panics
/// If a document that was read is written and read as another one, or a wrong checksum is not noticed.
#[cfg(fuzzing)]
#[must_use]
pub fn reads(columns: &[rusqlite::types::Value; 18]) -> bool {
    let conn = rusqlite::Connection::open_in_memory().expect("memory");
    let marks = ["?"; 18].join(", ");
    let sql = format!("SELECT 1, {marks}, ?");
    let mut statement = conn.prepare(&sql).expect("a row");
    let mut under = |columns: &[rusqlite::types::Value; 18], checksum: i64| {
        let checksum = rusqlite::types::Value::Integer(checksum);
        let all = rusqlite::params_from_iter(columns.iter().chain([&checksum]));
        statement
            .query_row(all, |row| Ok((Raw::get(row).ok().map(|(raw, _)| raw.checksum()), read(row)?)))
            .expect("a row at hand does no I/O")
    };
    let (right, under_zero) = under(columns, 0);
    let Some(right) = right else {
        assert!(under_zero.is_err());
        return false;
    };
    assert!(right == 0 || under_zero.is_err(), "a wrong checksum is damage");
    let (_, Ok((_, document))) = under(columns, right) else { return false };
    let again = Raw::of(&document);
    assert_eq!(again.document().as_ref(), Some(&document), "read, written, read");
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_keeps_its_number_in_the_file() {
        let codes: Vec<_> = State::ALL.iter().map(|state| (state.as_str(), state_code(*state))).collect();
        assert_eq!(
            codes,
            [
                ("accepted", 0),
                ("printing", 1),
                ("buffered", 2),
                ("printed", 3),
                ("print_unknown", 4),
                ("synced", 5),
                ("dead", 6),
                ("cancelled", 7)
            ]
        );
        assert_eq!(state_of(8), None);
    }

    #[test]
    fn a_number_that_is_missing_is_not_a_number_that_is_zero() {
        let sum = |number| {
            let mut sum = Sum(Sha256::new());
            sum.number(number);
            sum.0.finalize()
        };
        assert_ne!(sum(None), sum(Some(0)));
    }
}
