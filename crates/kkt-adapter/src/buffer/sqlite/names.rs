//! Tills and devices by number, with their figures: held in memory by the writer, written in the same
//! transaction as what they count.

use super::store::Fault;
use crate::{
    buffer::{
        books::{Books, Column, Tally},
        rules::FD_MAX,
    },
    ports::Counts,
};
use rusqlite::{Connection, Error, params};
use std::{collections::HashMap, ops::RangeInclusive};

/// No file has more of them, so a higher number is a rotten one; and there is always a next one.
const N_MAX: i64 = u32::MAX as i64;

/// One row of `names`.
#[derive(Debug, Clone, Default)]
struct Name {
    n: i64,
    till: bool,
    device: bool,
    last_fd: Option<u32>,
    tally: Tally,
    dirty: bool,
}

fn in_range(column: usize, number: i64, range: RangeInclusive<i64>) -> rusqlite::Result<i64> {
    if range.contains(&number) { Ok(number) } else { Err(Error::IntegralValueOutOfRange(column, number)) }
}

/// All of them. As many as tills and devices ever named: thousands, not millions.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_name: HashMap<String, Name>,
    next_n: i64,
    dirty: Vec<String>,
    /// One of the dirty ones has no row yet.
    fresh: bool,
}

impl Names {
    /// Reads them all.
    ///
    /// # Errors
    /// SQLite's; [`Error::IntegralValueOutOfRange`] if a number is one that this program never wrote.
    pub(super) fn load(conn: &Connection) -> rusqlite::Result<Self> {
        let mut names = Self { next_n: 1, ..Self::default() };
        let mut statement = conn.prepare(
            "SELECT n, name, till, device, last_fd, unprinted, pending, synced, dead, resolved, cancelled FROM names",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let count = |index| row.get::<_, i64>(index).map(|count| u64::try_from(count).unwrap_or(0));
            let counts = Counts {
                unprinted: count(5)?,
                pending: count(6)?,
                synced: count(7)?,
                dead: count(8)?,
                cancelled: count(10)?,
            };
            let name = Name {
                n: in_range(0, row.get(0)?, 1..=N_MAX)?,
                till: row.get(2)?,
                device: row.get(3)?,
                last_fd: row.get(4)?,
                tally: Tally { counts, resolved: count(9)? },
                dirty: false,
            };
            if let Some(fd) = name.last_fd {
                in_range(4, i64::from(fd), 0..=i64::from(FD_MAX))?;
            }
            names.next_n = names.next_n.max(name.n + 1);
            names.by_name.insert(row.get(1)?, name);
        }
        Ok(names)
    }

    /// The figures by till.
    pub(super) fn books(&self) -> Books {
        let mut books = Books::default();
        for (text, name) in self.by_name.iter().filter(|(_, name)| name.till) {
            if let Ok(pos_id) = text.parse() {
                books.add(pos_id, name.tally);
            }
        }
        books
    }

    fn entry(&mut self, text: &str) -> &mut Name {
        if !self.by_name.contains_key(text) {
            let fresh = Name { n: self.next_n, ..Name::default() };
            self.next_n += 1;
            self.fresh = true;
            self.by_name.insert(text.to_owned(), fresh);
        }
        let name = self.by_name.get_mut(text).expect("it was just made if it was not there");
        if !name.dirty {
            name.dirty = true;
            self.dirty.push(text.to_owned());
        }
        name
    }

    /// The number of a till.
    pub(super) fn till(&mut self, text: &str) -> i64 {
        let name = self.entry(text);
        name.till = true;
        name.n
    }

    /// The number of a device.
    pub(super) fn device(&mut self, text: &str) -> i64 {
        let name = self.entry(text);
        name.device = true;
        name.n
    }

    /// Moves a document of a till.
    pub(super) fn shift(&mut self, pos_id: &str, from: Option<Column>, to: Option<Column>) {
        self.entry(pos_id).tally.shift(from, to);
    }

    /// Raises the highest ФД number of a device; not to one that no ФН comes to.
    pub(super) fn raise_fd(&mut self, device: &str, fd: u32) {
        let name = self.entry(device);
        if fd > FD_MAX {
            return;
        }
        name.last_fd = name.last_fd.max(Some(fd));
    }

    /// Sets the figures to zero, before they are counted anew.
    pub(super) fn clear_figures(&mut self) {
        let all: Vec<String> = self.by_name.keys().cloned().collect();
        for text in all {
            self.entry(&text).tally = Tally::default();
        }
    }

    /// The figures of a number, to be counted anew.
    pub(super) fn set_figures(&mut self, n: i64, column: Column, count: u64) {
        let Some(text) = self.by_name.iter().find(|(_, name)| name.n == n).map(|(text, _)| text.clone())
        else {
            return;
        };
        self.entry(&text).tally.add(column, count);
    }

    /// Writes names that have no row yet: a later write of the same transaction reads them.
    pub(super) fn flush_fresh(&mut self, conn: &Connection) -> Result<(), Fault> {
        if self.fresh { self.flush(conn) } else { Ok(()) }
    }

    /// Writes what changed, in the running transaction.
    pub(super) fn flush(&mut self, conn: &Connection) -> Result<(), Fault> {
        self.fresh = false;
        for text in self.dirty.drain(..) {
            let Some(name) = self.by_name.get_mut(&text) else { continue };
            name.dirty = false;
            let Tally { counts, resolved } = name.tally;
            let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            conn.prepare_cached(
                "INSERT INTO names (n, name, till, device, last_fd, unprinted, pending, synced, dead, resolved, \
                 cancelled) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) \
                 ON CONFLICT (n) DO UPDATE SET till = ?3, device = ?4, last_fd = ?5, unprinted = ?6, \
                 pending = ?7, synced = ?8, dead = ?9, resolved = ?10, cancelled = ?11",
            )?
            .execute(params![
                name.n,
                text,
                name.till,
                name.device,
                name.last_fd,
                number(counts.unprinted),
                number(counts.pending),
                number(counts.synced),
                number(counts.dead),
                number(resolved),
                number(counts.cancelled),
            ])?;
        }
        Ok(())
    }
}
