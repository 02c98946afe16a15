//! A sector that cannot be read, at every place of the file and of its WAL.

use super::{
    bad_disk,
    child::{Said, command},
    fixture::{entry_of, open, print, synced},
    look::{look, workbench},
    rng::{Rng, number, seed},
};
use kkt_adapter::ports::Buffer;
use std::{collections::BTreeMap, os::unix::fs::MetadataExt, path::Path, process::Stdio};

const BLOCK: u64 = 4_096;
const DOCUMENTS: u32 = 40;

/// A stopped store: most of it in the database, the last documents in the WAL only.
fn filled(folder: &Path) {
    let fill = |documents: std::ops::RangeInclusive<u32>| {
        let buffer = open(folder);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for n in documents {
                let id = print(&buffer, entry_of("POS-9", &format!("before-{n}")), n).await;
                if n % 2 == 0 {
                    buffer.settle(vec![synced(id)]).await.unwrap();
                }
            }
            buffer.close().await;
        });
    };
    fill(1..=DOCUMENTS);
    let conn = rusqlite::Connection::open(folder.join("buffer.db")).unwrap();
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(conn);
    fill(DOCUMENTS + 1..=DOCUMENTS + 5);
}

/// Starts twice on a store with that block bad; what is kept is counted.
fn case(shim: &Path, file: &str, block: u64) -> Result<usize, String> {
    let folder = workbench();
    filled(folder.path());
    let inode = folder.path().join(file).metadata().unwrap().ino();
    let (preload, bad) =
        (format!("LD_PRELOAD={}", shim.display()), format!("UNREADABLE={inode}:{}", block * BLOCK));
    let mut acknowledged = BTreeMap::new();
    for start in ["the first start", "the second start"] {
        let first = if acknowledged.is_empty() { 1 } else { 2 };
        let output = command(&["env", &preload, &bad], folder.path(), first)
            .env("STORAGE_CHILD_FIRST", first.to_string())
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        let mut said = Said::default();
        said.hear(&String::from_utf8_lossy(&output.stdout));
        if let Some(why) = said.unopened {
            return Err(format!("{start}: {why}"));
        }
        if said.failed + said.full > 0 || said.acknowledged.is_empty() || !output.status.success() {
            return Err(format!("{start} does not serve: {}", String::from_utf8_lossy(&output.stdout)));
        }
        acknowledged.extend(said.acknowledged);
    }
    let found = look(folder.path())?;
    match acknowledged.keys().find(|key| !found.states.contains_key(*key)) {
        Some(key) => Err(format!("{key} was acknowledged afterwards and is lost")),
        None => Ok(found.states.keys().filter(|key| key.starts_with("before-")).count()),
    }
}

// P8
#[test]
fn a_sector_that_cannot_be_read_is_set_aside_with_what_it_held_and_the_rest_serves() {
    let tools = workbench();
    let shim = bad_disk::library(tools.path());
    let sample = workbench();
    filled(sample.path());
    let blocks = |file: &str| sample.path().join(file).metadata().unwrap().len() / BLOCK;
    let mut rng = Rng::new(seed("unreadable sectors"));
    let most = number("CRASH_SECTORS", 40);
    let mut cases = vec![("buffer.db", 0), ("buffer.db-wal", 0)];
    for file in ["buffer.db", "buffer.db-wal"] {
        let all = blocks(file);
        cases.extend((0..(most / 2).min(all)).map(|_| (file, rng.between(0, all - 1))));
    }
    let half = |from: usize| {
        let (mut kept, mut failures) = (Vec::new(), Vec::new());
        for (file, block) in cases.iter().skip(from).step_by(2) {
            match case(&shim, file, *block) {
                Ok(count) => kept.push((*file, *block, count)),
                Err(why) => failures.push(format!("block {block} of {file}: {why}")),
            }
        }
        (kept, failures)
    };
    let ((mut kept, mut failures), (more_kept, more)) = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        (half(0), other.join().unwrap())
    });
    kept.extend(more_kept);
    failures.extend(more);
    println!("{} cases; documents kept of {}: {kept:?}", cases.len(), DOCUMENTS + 5);
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures.join("\n"));
    // What stands in the database is whole where only the WAL is not.
    for (file, block, count) in kept.iter().filter(|(file, ..)| *file == "buffer.db-wal") {
        assert!(*count >= DOCUMENTS as usize, "block {block} of {file}: {count} kept");
    }
}
