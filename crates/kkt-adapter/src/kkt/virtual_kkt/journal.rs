//! The journal of an emulated ФН: every document it ever made, in order, as records of 80 bytes.
//!
//! ```text
//!  0 kind   1 version   2 0 0   4 key (16)   20 ФД   24 fiscal sign   28 shift   32 receipt   36 0 0 0 0
//! 40 total in kopecks   48 time, Unix s   56 local time, s as if UTC   64 shift opened, Unix s   72 checksum
//! ```
//!
//! Numbers are little-endian; the checksum is the first 8 bytes of SHA-256 over the 72 before it. Each record
//! carries the whole state of the ФН after it, so opening a journal reads its last record only, whatever its
//! length, and nothing of it is held in memory. The file is opened anew for each operation: thousands of
//! devices cost no file handles.

use crate::domain::ids::ReceiptId;
use sha2::{Digest, Sha256};
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};
use uuid::Uuid;

/// Bytes of a record.
const RECORD: usize = 80;
/// Bytes of a record that the checksum covers.
const COVERED: usize = 72;
/// Format of the record.
const VERSION: u8 = 1;
/// Records read at once when the journal is searched.
const CHUNK: u64 = 1_024;

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// Приход.
    Sale,
    /// Возврат прихода.
    Refund,
    /// Чек коррекции прихода.
    Correction,
    /// Отчёт об открытии смены.
    ShiftOpen,
    /// Отчёт о закрытии смены.
    ShiftClose,
}

impl RecordKind {
    const ALL: [Self; 5] = [Self::Sale, Self::Refund, Self::Correction, Self::ShiftOpen, Self::ShiftClose];

    fn code(self) -> u8 {
        match self {
            Self::Sale => 1,
            Self::Refund => 2,
            Self::Correction => 3,
            Self::ShiftOpen => 4,
            Self::ShiftClose => 5,
        }
    }

    /// Whether it is a shift document.
    #[must_use]
    pub fn is_shift(self) -> bool {
        matches!(self, Self::ShiftOpen | Self::ShiftClose)
    }
}

/// One document as the ФН remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// What it is.
    pub kind: RecordKind,
    /// The caller's key.
    pub key: ReceiptId,
    /// ФД number.
    pub fd: u32,
    /// Fiscal sign.
    pub sign: u32,
    /// Number of its shift.
    pub shift: u32,
    /// Receipts made in the shift so far, this one included.
    pub receipts: u32,
    /// Sum in kopecks; 0 for shift documents.
    pub total: i64,
    /// When, Unix seconds.
    pub at: i64,
    /// Local date and time, in seconds as if it were UTC.
    pub local: i64,
    /// When the shift was opened, Unix seconds.
    pub since: i64,
}

fn checksum(covered: &[u8]) -> [u8; 8] {
    let digest = Sha256::digest(covered);
    let mut sum = [0; 8];
    sum.copy_from_slice(&digest[..8]);
    sum
}

fn u32_at(bytes: &[u8; RECORD], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn i64_at(bytes: &[u8; RECORD], at: usize) -> i64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    i64::from_le_bytes(eight)
}

impl Record {
    fn encode(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[0] = self.kind.code();
        bytes[1] = VERSION;
        bytes[4..20].copy_from_slice(self.key.0.as_bytes());
        for (at, number) in [(20, self.fd), (24, self.sign), (28, self.shift), (32, self.receipts)] {
            bytes[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        for (at, number) in [(40, self.total), (48, self.at), (56, self.local), (64, self.since)] {
            bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        let sum = checksum(&bytes[..COVERED]);
        bytes[COVERED..].copy_from_slice(&sum);
        bytes
    }

    fn decode(bytes: &[u8; RECORD]) -> Option<Self> {
        if bytes[1] != VERSION || bytes[COVERED..] != checksum(&bytes[..COVERED]) {
            return None;
        }
        Some(Self {
            kind: RecordKind::ALL.into_iter().find(|kind| kind.code() == bytes[0])?,
            key: ReceiptId(Uuid::from_slice(&bytes[4..20]).ok()?),
            fd: u32_at(bytes, 20),
            sign: u32_at(bytes, 24),
            shift: u32_at(bytes, 28),
            receipts: u32_at(bytes, 32),
            total: i64_at(bytes, 40),
            at: i64_at(bytes, 48),
            local: i64_at(bytes, 56),
            since: i64_at(bytes, 64),
        })
    }
}

/// What the journal knows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sought {
    /// This record, the latest under the key.
    Record(Record),
    /// No record names the key.
    Absent,
    /// A record names it but is damaged.
    Damaged,
}

/// The journal of one device.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
}

impl Journal {
    /// Opens the journal, making it if there is none, and cuts what does not read at its end: a record torn by
    /// a kill, or pages lost with the power; a journal that loses more than a record is copied to `journal.damaged`
    /// before. Answers the last whole record and the bytes that were cut.
    ///
    /// # Errors
    /// The operating system's.
    pub fn open(path: &Path) -> io::Result<(Self, Option<Record>, u64)> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let length = file.metadata()?.len();
        let mut count = length / RECORD as u64;
        let mut last = None;
        while count > 0 {
            last = Record::decode(&read_record(&file, count - 1)?);
            if last.is_some() {
                break;
            }
            count -= 1;
        }
        let cut = length - count * RECORD as u64;
        if cut > RECORD as u64 {
            // More than a torn record: what is cut is kept for people, unless an earlier one lies there.
            let aside = path.with_extension("damaged");
            let _ = OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(aside)
                .and_then(|mut copy| io::copy(&mut File::open(path)?, &mut copy));
        }
        if cut > 0 {
            file.set_len(count * RECORD as u64)?;
        }
        Ok((Self { path: path.into() }, last, cut))
    }

    /// Appends a record with one write(2). It is not fsynced, see the module's folder.
    ///
    /// # Errors
    /// The operating system's; nothing of the record is left then, or a torn one that the next call cuts.
    pub fn append(&self, record: &Record) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        let length = file.metadata()?.len();
        let end = length - length % RECORD as u64;
        if let Err(error) = file.write_all_at(&record.encode(), end) {
            // A disk that is full takes less than a record: what it took is cut now or by the next opening.
            let _ = file.set_len(end);
            return Err(error);
        }
        Ok(())
    }

    /// Looks for a key from the end backwards. The document asked for is nearly always among the last; a key
    /// that was never printed costs one pass over the file (80 MB for a million documents).
    ///
    /// # Errors
    /// The operating system's.
    pub fn find(&self, key: ReceiptId) -> io::Result<Sought> {
        let file = File::open(&self.path)?;
        let mut end = file.metadata()?.len() / RECORD as u64;
        let mut buffer = Vec::new();
        while end > 0 {
            let start = end.saturating_sub(CHUNK);
            buffer.resize((end - start) as usize * RECORD, 0);
            file.read_exact_at(&mut buffer, start * RECORD as u64)?;
            for record in buffer.as_chunks::<RECORD>().0.iter().rev() {
                if record[4..20] == *key.0.as_bytes() {
                    return Ok(Record::decode(record).map_or(Sought::Damaged, Sought::Record));
                }
            }
            end = start;
        }
        Ok(Sought::Absent)
    }

    /// Every record, oldest first, damaged ones left out. For checks of the whole; it holds all in memory.
    ///
    /// # Errors
    /// The operating system's.
    pub fn all(&self) -> io::Result<Vec<Record>> {
        let bytes = std::fs::read(&self.path)?;
        Ok(bytes.as_chunks::<RECORD>().0.iter().filter_map(Record::decode).collect())
    }
}

fn read_record(file: &File, index: u64) -> io::Result<[u8; RECORD]> {
    let mut bytes = [0; RECORD];
    file.read_exact_at(&mut bytes, index * RECORD as u64)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fd: u32) -> Record {
        Record {
            kind: RecordKind::Sale,
            key: ReceiptId::new(),
            fd,
            sign: u32::MAX - fd,
            shift: 7,
            receipts: fd,
            total: i64::from(fd) * 100,
            at: 1_800_000_000,
            local: 1_800_010_800,
            since: 1_799_999_000,
        }
    }

    #[test]
    fn a_record_torn_at_any_byte_is_cut_and_the_ones_before_it_stand() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let records = [record(1), record(2), record(3)];
        for torn in 0..RECORD as u64 {
            let _ = std::fs::remove_file(&path);
            let (journal, last, _) = Journal::open(&path).unwrap();
            assert_eq!(last, None);
            for one in &records {
                journal.append(one).unwrap();
            }
            OpenOptions::new().write(true).open(&path).unwrap().set_len(2 * RECORD as u64 + torn).unwrap();
            let (journal, last, cut) = Journal::open(&path).unwrap();
            assert_eq!((last, cut), (Some(records[1]), torn));
            assert_eq!(journal.find(records[2].key).unwrap(), Sought::Absent);
            assert_eq!(journal.find(records[0].key).unwrap(), Sought::Record(records[0]));
            journal.append(&records[2]).unwrap();
            assert_eq!(journal.all().unwrap(), records);
        }
    }

    #[test]
    fn a_flipped_bit_is_never_taken_for_a_document() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (journal, ..) = Journal::open(&path).unwrap();
        let records = [record(1), record(2)];
        for one in &records {
            journal.append(one).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        for bit in 0..RECORD * 8 {
            let mut bytes = whole.clone();
            bytes[RECORD + bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bytes).unwrap();
            assert_ne!(journal.find(records[1].key).unwrap(), Sought::Record(records[1]), "bit {bit}");
            let (_, last, cut) = Journal::open(&path).unwrap();
            assert_eq!((last, cut), (Some(records[0]), RECORD as u64), "bit {bit}");
        }
    }

    #[test]
    fn a_key_is_found_wherever_it_stands_in_a_long_journal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (journal, ..) = Journal::open(&path).unwrap();
        let records: Vec<Record> = (1..=3_000).map(record).collect();
        let bytes: Vec<u8> = records.iter().flat_map(Record::encode).collect();
        std::fs::write(&path, bytes).unwrap();
        for index in [0, 1, 951, 952, 1_975, 1_976, 2_999] {
            assert_eq!(journal.find(records[index].key).unwrap(), Sought::Record(records[index]));
        }
        assert_eq!(journal.find(ReceiptId::new()).unwrap(), Sought::Absent);
    }
}
