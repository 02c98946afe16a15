//! What a write does to the file, inside the writer's transaction. Every rule is checked before the first
//! statement that changes anything, so a write that is refused harms none of its neighbours in the batch.

use super::{
    names::Names,
    row::{self, PartBytes, Raw, select},
};
use crate::{
    buffer::{
        books::{Column, Move},
        rules::{self, Document, Settled},
    },
    domain::{
        entry::{AuditEvent, Change, Entry, NewEntry, Settlement},
        ids::{PosId, ReceiptId},
        lifecycle::State,
        receipt::Receipt,
    },
    ports::{Appended, BufferError},
};
use jiff::Timestamp;
use rusqlite::{Connection, ToSql, params};
use std::collections::HashMap;
use uuid::Uuid;

/// Documents being printed that are held in memory; those beyond it are read from the file.
const PRINTING_MAX: usize = 1_024;

/// The highest number of a row. SQLite gives the next row the next number, and after its last one any: then nothing would
/// be in order any more.
pub(super) const SEQ_MAX: i64 = i64::MAX / 2;

/// Why a write was not done.
#[derive(Debug)]
pub(super) enum Fault {
    /// It broke its own rule: only its caller is told.
    Rule(BufferError),
    /// The storage failed: the whole batch is.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// The file, seen from the writer.
pub(super) struct Store {
    pub conn: Connection,
    pub names: Names,
    /// What the running transaction moved; booked once it is committed.
    pub moves: Vec<Move>,
    /// Documents that this store wrote as `printing`, with their rows: the next write of each comes within a print,
    /// and need not read what was written a moment ago. Nothing but that write changes them.
    pub printing: HashMap<ReceiptId, (i64, Document)>,
    /// Rows of `damaged`.
    pub damaged: u64,
    /// Wall time of the running batch.
    pub now: Timestamp,
}

/// How a subject of the audit lies in the file: 16 bytes if it is the id of a document.
pub(super) enum Subject<'a> {
    Id(Uuid),
    Name(&'a str),
}

impl<'a> Subject<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        match Uuid::parse_str(text) {
            Ok(id) if id.to_string() == text => Self::Id(id),
            _ => Self::Name(text),
        }
    }
}

impl ToSql for Subject<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            Self::Id(id) => Ok(id.as_bytes().as_slice().into()),
            Self::Name(text) => Ok((*text).into()),
        }
    }
}

impl Store {
    /// Over an open, migrated file.
    ///
    /// # Errors
    /// SQLite's; [`rusqlite::Error::IntegralValueOutOfRange`] if a number is one that this program never wrote.
    pub(super) fn load(conn: Connection) -> rusqlite::Result<Self> {
        for highest in ["SELECT max(seq) FROM documents", "SELECT max(seq) FROM audit"] {
            let seq: Option<i64> = conn.query_row(highest, [], |row| row.get(0))?;
            if let Some(seq) = seq.filter(|seq| *seq > SEQ_MAX) {
                return Err(rusqlite::Error::IntegralValueOutOfRange(0, seq));
            }
        }
        let names = Names::load(&conn)?;
        let damaged = conn.query_row("SELECT count(*) FROM damaged", [], |row| row.get::<_, i64>(0))?;
        Ok(Self {
            conn,
            names,
            moves: Vec::new(),
            printing: HashMap::new(),
            damaged: u64::try_from(damaged).unwrap_or(0),
            now: Timestamp::UNIX_EPOCH,
        })
    }

    /// Stores a document with its body, or finds what its key names.
    pub(super) fn append(
        &mut self,
        new: NewEntry,
        body: Option<PartBytes>,
        print_now: bool,
    ) -> Result<Appended, Fault> {
        if let Some(known) = self.known(&new)? {
            return Ok(Appended::Known(Box::new(known)));
        }
        let (document, _, audit) = rules::accept(new, print_now, self.now);
        let seq = self.insert(None, &document, body, None)?;
        for line in &audit {
            self.record(line)?;
        }
        self.remember(seq, document);
        Ok(Appended::Stored)
    }

    fn remember(&mut self, seq: i64, document: Document) {
        if document.state == State::Printing && self.printing.len() < PRINTING_MAX {
            self.printing.insert(document.id, (seq, document));
        }
    }

    fn known(&mut self, new: &NewEntry) -> Result<Option<Entry>, Fault> {
        let hash = row::key_hash(new.key.as_str());
        let mut found = Vec::new();
        {
            let sql = select!(; "FROM documents d WHERE d.key_hash = ?1 OR d.id = ?2");
            let mut statement = self.conn.prepare_cached(sql)?;
            let mut rows = statement.query(params![hash, new.id.0.as_bytes()])?;
            while let Some(row) = rows.next()? {
                found.push(row::read(row)?);
            }
        }
        for read in found {
            match read {
                Ok((seq, document)) if document.key == new.key || document.id == new.id => {
                    let receipt = self.body(seq, document.id)?;
                    return Ok(Some(document.into_entry(receipt)));
                }
                Ok(_) => {}
                Err(damage) => {
                    self.set_aside(damage)?;
                    return Err(Fault::Rule(BufferError::Damaged(new.key.to_string())));
                }
            }
        }
        if self.damaged > 0 {
            let sql = "SELECT 1 FROM damaged WHERE part = 'document' AND (key_hash = ?1 OR id = ?2)";
            if self.conn.prepare_cached(sql)?.exists(params![hash, new.id.0.as_bytes()])? {
                return Err(Fault::Rule(BufferError::Damaged(new.key.to_string())));
            }
        }
        Ok(None)
    }

    fn body(&mut self, seq: i64, id: ReceiptId) -> Result<Option<Receipt>, Fault> {
        match super::read::body(&self.conn, seq, id)? {
            Ok(receipt) => Ok(receipt),
            Err(damage) => {
                self.set_aside(damage)?;
                Ok(None)
            }
        }
    }

    /// Writes a new document with its parts and answers its row; `seq` only where a file is rebuilt.
    pub(super) fn insert(
        &mut self,
        seq: Option<i64>,
        document: &Document,
        body: Option<PartBytes>,
        wire: Option<&[u8]>,
    ) -> Result<i64, Fault> {
        self.insert_row(seq, document, body, wire, document.fd().map(i64::from))
    }

    /// Writes a document of another adapter with its parts. Lanes go by `place` instead of its ФД number, which was not
    /// counted by a ФН that this adapter knows.
    pub(super) fn insert_at(
        &mut self,
        document: &Document,
        body: Option<PartBytes>,
        wire: Option<&[u8]>,
        place: i64,
    ) -> Result<i64, Fault> {
        self.insert_row(None, document, body, wire, Some(place))
    }

    /// `place` is what the column `fd` takes: the ФД number, or a number below zero of what came from elsewhere.
    pub(super) fn insert_row(
        &mut self,
        seq: Option<i64>,
        document: &Document,
        body: Option<PartBytes>,
        wire: Option<&[u8]>,
        place: Option<i64>,
    ) -> Result<i64, Fault> {
        let pos = self.names.till(document.pos_id.as_str());
        let device = self.names.device(document.device.as_str());
        self.names.flush_fresh(&self.conn)?;
        let raw = Raw::of(document);
        self.conn
            .prepare_cached(
                "INSERT INTO documents (seq, id, key_hash, key, kind, pos, device, state, hash, notes, fiscal, fd, \
                 attempts, last_error, confirmation, created_at, printed_at, ended_at, resolved_at, \
                 resolved_note, kept, checksum) \
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                seq,
                raw.id,
                row::key_hash(&raw.key),
                raw.key,
                raw.kind,
                pos,
                device,
                raw.state,
                raw.hash,
                raw.notes,
                raw.fiscal,
                place,
                raw.attempts,
                raw.last_error,
                raw.confirmation,
                raw.created_at,
                raw.printed_at,
                raw.ended_at,
                raw.resolved_at,
                raw.resolved_note,
                raw.kept,
                raw.checksum(),
            ])?;
        let seq = self.conn.last_insert_rowid();
        if let Some(body) = body {
            // One that is there is of no document: its own was lost, or its number rotted.
            self.conn
                .prepare_cached("INSERT OR REPLACE INTO bodies (seq, body, checksum) VALUES (?, ?, ?)")?
                .execute(params![seq, body.bytes, body.checksum])?;
        }
        if let Some(wire) = wire {
            self.insert_wire(seq, document.id, wire)?;
        }
        if let Some(fd) = document.fd() {
            self.names.raise_fd(document.device.as_str(), fd);
        }
        self.moved(&document.pos_id, None, Some(Column::of(document)));
        Ok(seq)
    }

    fn insert_wire(&mut self, seq: i64, id: ReceiptId, wire: &[u8]) -> Result<(), Fault> {
        self.conn
            .prepare_cached("INSERT OR REPLACE INTO wires (seq, wire, checksum) VALUES (?, ?, ?)")?
            .execute(params![seq, wire, row::part_checksum(id, wire)])?;
        Ok(())
    }

    /// Makes one change.
    pub(super) fn apply(&mut self, id: ReceiptId, change: Change) -> Result<(), Fault> {
        let (seq, mut document) = match self.printing.remove(&id) {
            Some(found) => found,
            None => match self.document(id)? {
                None => return Err(Fault::Rule(BufferError::NotFound)),
                Some(Err(_)) => return Err(Fault::Rule(BufferError::Damaged(id.to_string()))),
                Some(Ok(found)) => found,
            },
        };
        let before = Column::of(&document);
        let changed = rules::change(&mut document, change, self.now).map_err(Fault::Rule)?;
        self.update(seq, &document)?;
        if let Some(wire) = changed.wire {
            self.insert_wire(seq, id, &wire)?;
            if let Some(fd) = document.fd() {
                self.names.raise_fd(document.device.as_str(), fd);
            }
        }
        self.record(&changed.audit)?;
        self.moved(&document.pos_id, Some(before), Some(Column::of(&document)));
        self.remember(seq, document);
        Ok(())
    }

    /// Makes durable what sends did.
    pub(super) fn settle(&mut self, outcomes: Vec<Settlement>) -> Result<(), Fault> {
        for Settlement { id, outcome } in outcomes {
            let (seq, mut document) = match self.document(id)? {
                Some(Ok(found)) => found,
                Some(Err(_)) => continue,
                // The lane had it from the file: if only its index lost it, it would be sent for ever.
                None => {
                    super::read::seq_of(&self.conn, id)?;
                    continue;
                }
            };
            let before = Column::of(&document);
            match rules::settle(&mut document, outcome, self.now) {
                Settled::Skipped => {}
                Settled::AuditOnly(line) => self.record(&line)?,
                Settled::Changed(line) => {
                    self.update(seq, &document)?;
                    self.record(&line)?;
                    self.moved(&document.pos_id, Some(before), Some(Column::of(&document)));
                }
            }
        }
        Ok(())
    }

    /// Writes a line of the audit.
    pub(super) fn record(&mut self, line: &AuditEvent) -> Result<(), Fault> {
        self.conn
            .prepare_cached("INSERT INTO audit (at, subject, action, actor, detail) VALUES (?, ?, ?, ?, ?)")?
            .execute(params![
                line.at.as_microsecond(),
                Subject::of(&line.subject),
                line.action,
                line.actor.0,
                line.detail
            ])?;
        Ok(())
    }

    fn document(&mut self, id: ReceiptId) -> Result<super::read::MaybeRow, Fault> {
        let found = super::read::document(&self.conn, id)?;
        if let Some(Err(damage)) = &found {
            self.set_aside(*damage)?;
        }
        Ok(found)
    }

    /// A place in the lane once given stays.
    pub(super) fn update(&mut self, seq: i64, document: &Document) -> Result<(), Fault> {
        let raw = Raw::of(document);
        self.conn
            .prepare_cached(
                "UPDATE documents SET state = ?, fiscal = ?, fd = coalesce(fd, ?), attempts = ?, last_error = ?, \
                 confirmation = ?, printed_at = ?, ended_at = ?, resolved_at = ?, resolved_note = ?, kept = ?, \
                 checksum = ? WHERE seq = ?",
            )?
            .execute(params![
                raw.state,
                raw.fiscal,
                document.fd(),
                raw.attempts,
                raw.last_error,
                raw.confirmation,
                raw.printed_at,
                raw.ended_at,
                raw.resolved_at,
                raw.resolved_note,
                raw.kept,
                raw.checksum(),
                seq,
            ])?;
        Ok(())
    }

    pub(super) fn moved(&mut self, pos_id: &PosId, from: Option<Column>, to: Option<Column>) {
        if from != to {
            self.names.shift(pos_id.as_str(), from, to);
            self.moves.push(Move { pos_id: pos_id.clone(), from, to });
        }
    }
}
