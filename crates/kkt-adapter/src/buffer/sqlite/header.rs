//! The first bytes of a database file that are the same in each of ours. SQLite reads no page of a file in which one of
//! them is wrong, although all documents may be whole: in a damaged file that was set aside they are put back, for what
//! can be read of it to be copied.

use std::{
    fs::OpenOptions,
    io::{self, ErrorKind, Read, Seek, Write},
    path::Path,
};

pub(super) const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Where, and what stands there (SQLite's file format, section 1.3). Counts that SQLite can do without are zero: the
/// size of the file, the list of free pages.
const CONSTANTS: [(usize, &[u8]); 7] = [
    (0, MAGIC),
    // Pages of 4,096 bytes, WAL, nothing reserved, the fractions of a page's payload.
    (16, &[0x10, 0, 2, 2, 0, 64, 32, 32]),
    (28, &[0; 12]),
    // The format of the schema; the default cache; no vacuum of its own; UTF-8.
    (44, &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
    (64, &[0; 4]),
    (72, &[0; 20]),
    // The version for which the size above holds: none.
    (92, &[0xFF; 4]),
];
const HEADER_BYTES: usize = 100;

/// Puts the constants back. A file that is shorter than a header is left as it is.
pub(super) fn restore(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut header = [0; HEADER_BYTES];
    match file.read_exact(&mut header) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
        read => read?,
    }
    for (at, bytes) in CONSTANTS {
        header[at..at + bytes.len()].copy_from_slice(bytes);
    }
    file.rewind()?;
    file.write_all(&header)
}
