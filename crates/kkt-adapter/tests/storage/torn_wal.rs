//! The WAL cut anywhere, or with a bit flipped in any frame.

use super::{
    look::{Found, look, workbench},
    rng::{Rng, number, seed},
};
use crate::fixture::*;
use kkt_adapter::{
    domain::{entry::Change, lifecycle::State},
    ports::Buffer,
};
use std::{collections::BTreeMap, path::Path};

const WAL_HEADER: usize = 32;
const FRAME: usize = 24 + 4096;
/// Commits of one store; a short WAL is read faster.
const COMMITS: usize = 20;

/// A store that was copied while it was open.
struct Copy {
    db: Vec<u8>,
    wal: Vec<u8>,
    /// After each commit: the length of the WAL, and where each document stood.
    commits: Vec<(usize, BTreeMap<String, State>)>,
}

/// Random steps, each a commit of its own.
fn copy(rng: &mut Rng) -> Copy {
    let folder = workbench();
    let buffer = open(folder.path());
    let file = |suffix: &str| std::fs::read(folder.path().join(format!("buffer.db{suffix}"))).unwrap();
    let mut states = BTreeMap::new();
    let mut commits = vec![(file("-wal").len(), states.clone())];
    let mut unfinished = Vec::new();
    let mut fd = 0;
    block_on(async {
        while commits.len() <= COMMITS {
            if unfinished.is_empty() || rng.chance(40) {
                let new = entry(&format!("key-{}", commits.len()));
                let (id, key) = (new.id, new.key.to_string());
                buffer.append(buffer.reserve().unwrap(), new, false).await.unwrap();
                states.insert(key.clone(), State::Accepted);
                unfinished.push((id, key));
            } else {
                let at = rng.between(0, unfinished.len() as u64 - 1) as usize;
                let (id, key) = unfinished[at].clone();
                let state = states.get_mut(&key).unwrap();
                *state = match *state {
                    State::Accepted => {
                        buffer.apply(id, Change::StartPrinting).await.unwrap();
                        State::Printing
                    }
                    State::Printing => {
                        fd += 1;
                        buffer.apply(id, printed(fd)).await.unwrap();
                        State::Printed
                    }
                    _ => {
                        buffer.settle(vec![synced(id)]).await.unwrap();
                        unfinished.remove(at);
                        State::Synced
                    }
                };
            }
            commits.push((file("-wal").len(), states.clone()));
        }
    });
    let (db, wal) = (file(""), file("-wal"));
    Copy { db, wal, commits }
}

/// Opens what is left; it must hold exactly the commits that lie before `whole` in the WAL.
fn check(copy: &Copy, wal: &[u8], whole: usize, folder: &Path) -> Result<(), String> {
    std::fs::write(folder.join("buffer.db"), &copy.db).unwrap();
    std::fs::write(folder.join("buffer.db-wal"), wal).unwrap();
    std::fs::write(folder.join("buffer.db.lock"), "").unwrap();
    let found = look(folder)?;
    let empty = BTreeMap::new();
    let expected =
        copy.commits.iter().rev().find(|(length, _)| *length <= whole).map_or(&empty, |(_, states)| states);
    let expected = Found { states: expected.clone(), damaged: 0, notice: None };
    if found == expected { Ok(()) } else { Err(format!("found {found:?}, expected {expected:?}")) }
}

/// All ways to damage one store.
fn sweep(seed: u64, every_512: bool) -> (usize, Vec<String>) {
    let mut rng = Rng::new(seed);
    let copy = copy(&mut rng);
    let frames = (copy.wal.len() - WAL_HEADER) / FRAME;
    let edge = |frame: usize| WAL_HEADER + frame * FRAME;
    let mut cuts: Vec<usize> = (0..=frames).map(edge).collect();
    match every_512 {
        true => cuts.extend((0..copy.wal.len()).step_by(512)),
        // One such cut a frame.
        false => {
            cuts.extend((0..frames).map(|frame| (edge(frame) / 512 + 1 + rng.between(0, 7) as usize) * 512))
        }
    }
    let (mut count, mut failures) = (0, Vec::new());
    let mut note = |what: String, outcome: Result<(), String>| {
        count += 1;
        if let Err(why) = outcome {
            failures.push(format!("CRASH_SEED={seed}, {what}: {why}"));
        }
    };
    for cut in cuts {
        let folder = workbench();
        let cut = cut.min(copy.wal.len());
        note(format!("cut at {cut}"), check(&copy, &copy.wal[..cut], cut, folder.path()));
    }
    for frame in 0..frames {
        let folder = workbench();
        let mut wal = copy.wal.clone();
        let bit = rng.between(0, FRAME as u64 * 8 - 1) as usize;
        wal[edge(frame) + bit / 8] ^= 1 << (bit % 8);
        note(format!("bit {bit} of frame {frame}"), check(&copy, &wal, edge(frame), folder.path()));
    }
    (count, failures)
}

// P1, P8: «torn WAL».
#[test]
fn a_wal_cut_or_flipped_anywhere_opens_with_every_commit_before_the_damage_and_nothing_of_it() {
    let first = seed("torn WAL");
    let stores = number("CRASH_COMMITS", 200) / COMMITS as u64;
    let every_512 = number("CRASH_EVERY_512", 0) > 0;
    let half = |from: u64| {
        (from..stores).step_by(2).map(|n| sweep(first + n, every_512)).fold(
            (0, Vec::new()),
            |mut sum, one| {
                sum.0 += one.0;
                sum.1.extend(one.1);
                sum
            },
        )
    };
    let ((even, mut failures), (odd, more)) = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        (half(0), other.join().unwrap())
    });
    failures.extend(more);
    println!("{} damaged files of {} commits", even + odd, stores * COMMITS as u64);
    assert!(failures.is_empty(), "{}:\n{}", failures.len(), failures[..failures.len().min(10)].join("\n"));
}
