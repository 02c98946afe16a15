//! One byte of the file changes, each in turn: the shop sells, and what is served is what was stored (P3, P8).
//!
//! The file is small, so that each of its pages matters. The gate takes one byte in [`STRIDE`]; `BYTES_STRIDE=1` takes all
//! of them.

use crate::fixture::*;
use kkt_adapter::{
    buffer::{SqliteBuffer, sqlite::OpenError},
    domain::ids::ReceiptId,
    ports::{Buffer, BufferError, Lookup, Silent},
};
use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

const STRIDE: usize = 23;
/// Bytes that are zero among zeros are room that no page uses.
const NEAR: usize = 8;
/// One start may end at its first write, and the next then looks at everything and repairs.
const STARTS_MAX: usize = 2;

/// What became of the changed files.
#[derive(Debug, Default)]
struct Seen {
    /// It served, and nobody noticed: the byte was in no use.
    unnoticed: AtomicUsize,
    /// A document was set aside, or the file was.
    noticed: AtomicUsize,
    /// It took a restart to sell.
    restarted: AtomicUsize,
}

struct Stored {
    bytes: Vec<u8>,
    ids: [ReceiptId; 4],
}

/// A file with a document of each kind that matters: confirmed, waiting for the OFD, dead, waiting for its device.
fn stored() -> Stored {
    let folder = tempfile::tempdir().unwrap();
    let ids = block_on(async {
        let buffer = open(folder.path());
        let mut ids = [ReceiptId::default(); 4];
        for (n, id) in (1..).zip(&mut ids[..3]) {
            *id = print(&buffer, entry(&key(n as usize - 1)), n).await;
        }
        ids[3] = accept(&buffer, entry(&key(3))).await;
        buffer.settle(vec![synced(ids[0]), dead(ids[2])]).await.unwrap();
        buffer.close().await;
        ids
    });
    drop(checkpointed(folder.path()));
    Stored { bytes: fs::read(folder.path().join("buffer.db")).unwrap(), ids }
}

fn key(n: usize) -> String {
    format!("key-{n}")
}

/// Starts until it sells; what each start serves was stored.
async fn sells_within(folder: &Path, ids: &[ReceiptId; 4], seen: &Seen) -> Result<(), String> {
    for start in 0..STARTS_MAX {
        let buffer = match SqliteBuffer::open(options(folder), ManualClock::new(), Arc::new(Silent)) {
            Ok(buffer) => buffer,
            // One byte of the version's number says so: a newer program's file is left alone.
            Err(OpenError::Newer { .. }) => return Ok(()),
            Err(error) => return Err(format!("the start is refused: {error}")),
        };
        for (n, id) in ids.iter().enumerate() {
            match buffer.find(Lookup::Key(key(n).parse().unwrap())).await {
                Ok(Some(found))
                    if found.id == *id
                        && found.receipt.as_ref().is_none_or(|read| *read == receipt("POS-001")) => {}
                Ok(None) | Err(BufferError::Damaged(_) | BufferError::Failed(_)) => {}
                other => return Err(format!("served what was not stored: {other:?}")),
            }
        }
        for document in buffer.next(&device("POS-001"), None, 10).await.unwrap_or_default() {
            let same = (1..=3).any(|fd| document.wire == format!("{{\"fd\":{fd}}}").as_bytes());
            if !same {
                return Err(format!(
                    "would send what was not stored: {}",
                    String::from_utf8_lossy(&document.wire)
                ));
            }
        }
        let sold = buffer.append(buffer.reserve().unwrap(), entry("the next sale"), true).await;
        if sold.is_ok() {
            let damaged = buffer.stats().await.is_ok_and(|stats| stats.damaged > 0);
            let aside = fs::read_dir(folder).unwrap().count() > 4;
            let count = if damaged || aside { &seen.noticed } else { &seen.unnoticed };
            count.fetch_add(1, Ordering::Relaxed);
            seen.restarted.fetch_add(start, Ordering::Relaxed);
            return Ok(());
        }
    }
    Err("it starts and does not sell, again and again".into())
}

#[test]
fn whichever_byte_of_the_file_changes_the_shop_sells_and_nothing_else_is_served() {
    let stride = std::env::var("BYTES_STRIDE").map_or(STRIDE, |text| text.parse().unwrap());
    let Stored { bytes, ids } = stored();
    let places: Vec<usize> = (0..bytes.len())
        .filter(|at| bytes[at.saturating_sub(NEAR)..bytes.len().min(at + NEAR)].iter().any(|byte| *byte != 0))
        .step_by(stride)
        .collect();
    let (seen, next, faults) = (Seen::default(), AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(at) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                    for change in [0x01, 0xFF] {
                        let folder = tempfile::tempdir().unwrap();
                        let mut changed = bytes.clone();
                        changed[*at] ^= change;
                        fs::write(folder.path().join("buffer.db"), changed).unwrap();
                        fs::write(folder.path().join("buffer.db.lock"), "").unwrap();
                        if let Err(fault) = block_on(sells_within(folder.path(), &ids, &seen)) {
                            faults.lock().unwrap().push(format!("byte {at} changed by {change:#x}: {fault}"));
                        }
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    println!("{} bytes: {seen:?}", places.len());
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    assert!(
        count(&seen.noticed) > count(&seen.unnoticed) / 4,
        "the bytes that count were among them: {seen:?}"
    );
}
