//! The disk is full or fails at the n-th write or sync: the kernel's own answers, put in by `strace`.

use super::{
    child::{Said, command},
    fixture::open,
    look::{look, nothing_lost, workbench},
    rng::{Rng, number, seed},
};
use std::process::Stdio;

/// Documents a till that a child stores: some 300 writes to the WAL.
const DOCUMENTS: u32 = 8;

/// What fails.
#[derive(Debug, Clone, Copy)]
struct Fault {
    call: &'static str,
    error: &'static str,
    /// From the n-th on, or only it: an fsync that fails once and then says that all is well is the harder case.
    for_good: bool,
}

const SYNCS: [Fault; 2] = [
    Fault { call: "fsync,fdatasync", error: "EIO", for_good: false },
    Fault { call: "fsync,fdatasync", error: "EIO", for_good: true },
];

/// One child with one fault, then a restart without.
fn case(fault: Fault, n: u64, fresh: bool) -> Result<bool, String> {
    let folder = workbench();
    if !fresh {
        drop(open(folder.path()));
    }
    let text = |suffix: &str| folder.path().join(format!("buffer.db{suffix}")).display().to_string();
    let (db, wal) = (text(""), text("-wal"));
    let calls = format!("trace={}", fault.call);
    let dots = if fault.for_good { "+" } else { "" };
    let inject = format!("inject={}:error={}:when={n}{dots}", fault.call, fault.error);
    let strace =
        ["strace", "-f", "-qq", "-o", "/dev/null", "-P", &db, "-P", &wal, "-e", &calls, "-e", &inject];
    let output = command(&strace, folder.path(), DOCUMENTS)
        .stdout(Stdio::piped())
        .output()
        .expect("strace is here (Debian package strace)");
    let mut said = Said::default();
    said.hear(&String::from_utf8_lossy(&output.stdout));
    if !output.status.success() {
        return Err(format!("the child died: {}", String::from_utf8_lossy(&output.stderr)));
    }
    if said.after_failure > 0 {
        return Err(format!("{} acknowledgements after the failure", said.after_failure));
    }
    if fault.error == "ENOSPC" && said.failed > 0 {
        return Err("a full disk stopped the store for good".into());
    }
    let found = look(folder.path()).map_err(|error| format!("the restart: {error}"))?;
    nothing_lost(&found, &said.acknowledged)?;
    Ok(said.failed + said.full > 0 || said.unopened.is_some())
}

// P1, P7, P8: «disk full, I/O error».
#[test]
fn a_full_or_failing_disk_loses_nothing_acknowledged_and_after_a_failed_sync_nothing_is_acknowledged() {
    let mut rng = Rng::new(seed("I/O errors"));
    let highest = number("CRASH_CALLS", 300);
    // Each n with each error, once or for good; a fresh store for some of the low ones, where the tables are made.
    let mut cases: Vec<(Fault, u64, bool)> = Vec::new();
    for n in 1..=highest {
        for error in ["ENOSPC", "EIO"] {
            let fault = Fault { call: "write,pwrite64", error, for_good: rng.chance(50) };
            cases.push((fault, n, n <= 60 && rng.chance(50)));
        }
        // A child makes fewer syncs than that.
        if n <= highest / 4 {
            cases.push((*rng.pick(&SYNCS), n, n <= 10 && rng.chance(50)));
        }
    }
    let half = |from: usize| {
        let (mut met, mut failures) = (0, Vec::new());
        for (fault, n, fresh) in cases.iter().skip(from).step_by(2) {
            match case(*fault, *n, *fresh) {
                Ok(hit) => met += usize::from(hit),
                Err(why) => failures.push(format!("{fault:?} at {n}, fresh {fresh}: {why}")),
            }
        }
        (met, failures)
    };
    let ((even, mut failures), (odd, more)) = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        (half(0), other.join().unwrap())
    });
    failures.extend(more);
    println!("{} runs, in {} of them somebody was told", cases.len(), even + odd);
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures[..failures.len().min(20)].join("\n"));
    assert!((even + odd) * 2 > cases.len(), "the faults hardly ever met anything");
}

// P7: a file system that is really full.
#[test]
fn on_a_disk_that_is_full_every_document_is_refused_or_kept() {
    let out = workbench();
    let folder = workbench();
    let script = format!(
        "mount -t tmpfs -o size=700k none {disk} && \"$@\"; cp {disk}/buffer.db* {out}/",
        disk = folder.path().display(),
        out = out.path().display()
    );
    let words = ["unshare", "-Urm", "sh", "-c", &script, "sh"];
    let output = command(&words, folder.path(), 1_000).stdout(Stdio::piped()).output().unwrap();
    let mut said = Said::default();
    said.hear(&String::from_utf8_lossy(&output.stdout));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(said.full > 0 && said.failed == 0, "{said:?}\n{errors}");
    assert!(said.acknowledged.len() > 5, "{said:?}\n{errors}");
    std::fs::remove_file(out.path().join("buffer.db-shm")).unwrap();
    let found = look(out.path()).unwrap();
    nothing_lost(&found, &said.acknowledged).unwrap();
    println!("{} documents kept, {} refused", said.acknowledged.len(), said.full);
}

// P7, P8: the disk is full when the machine comes up again.
#[test]
fn on_a_disk_that_is_full_the_start_succeeds_and_with_room_again_it_sells_again() {
    let (out, folder, errors) = (workbench(), workbench(), workbench());
    // The note in the lock needs a block of the disk that an earlier start gave away.
    let script = format!(
        "mount -t tmpfs -o size=4m none {disk} && \"$@\" && : > {disk}/buffer.db.lock && \
         {{ cat /dev/zero > {disk}/filler || true; }} && \
         echo FULL_NOW && STORAGE_CHILD_FIRST=4 STORAGE_CHILD_DOCUMENTS=40 \"$@\" && \
         rm {disk}/filler && echo ROOM_NOW && STORAGE_CHILD_FIRST=41 STORAGE_CHILD_DOCUMENTS=43 \"$@\" && \
         cp {disk}/buffer.db* {out}/ 2> {errors}/cp",
        disk = folder.path().display(),
        out = out.path().display(),
        errors = errors.path().display(),
    );
    let words = ["unshare", "-Urm", "sh", "-c", &script, "sh"];
    let output = command(&words, folder.path(), 3).stdout(Stdio::piped()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let told = || format!("{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}", told());
    let (full, room) = text.split_once("FULL_NOW").and_then(|(_, rest)| rest.split_once("ROOM_NOW")).unwrap();
    let heard = |text: &str| {
        let mut said = Said::default();
        said.hear(text);
        assert!(said.unopened.is_none() && said.failed == 0, "{said:?}\n{}", told());
        said
    };
    assert!(heard(full).full > 0, "the disk was not full: {}", told());
    let after = heard(room);
    assert!(after.full == 0 && after.acknowledged.len() == 9, "{after:?}");
    std::fs::remove_file(out.path().join("buffer.db-shm")).unwrap();
    nothing_lost(&look(out.path()).unwrap(), &heard(&text).acknowledged).unwrap();
}
