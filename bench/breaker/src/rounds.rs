//! Runs all rows round by round, so that a drift of the machine falls on every subject alike.
use std::sync::Arc;

use crate::cases::Case;
use crate::harness::{Effort, Machine, Round, Subject};

/// One cell of the table: a subject in a row with a number of threads, and its rounds.
pub struct Cell {
    pub case: &'static str,
    pub subject: &'static str,
    pub threads: usize,
    pub rounds: Vec<Round>,
}

impl Cell {
    /// Nanoseconds a call in the fastest round.
    pub fn min(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(f64::NAN)
    }

    /// Nanoseconds a call in the median round.
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn sorted(&self) -> Vec<f64> {
        let mut nanos: Vec<f64> = self.rounds.iter().map(Round::nanos).collect();
        nanos.sort_by(f64::total_cmp);
        nanos
    }
}

/// A cell being measured.
struct Track<'a> {
    cell: Cell,
    case: &'a Case,
    make: &'a dyn Fn() -> Arc<dyn Subject>,
    effort: Effort,
    rounds: usize,
    kept: Arc<dyn Subject>,
    calls: u32,
}

/// Measures every subject of `cases` in `rounds` rounds. The error says which subject left the state it was measured
/// in: its figures would be those of another row.
pub fn measure(machine: &Machine, cases: &[Case], rounds: usize, scale: f64) -> Result<Vec<Cell>, String> {
    let mut tracks: Vec<Track<'_>> = Vec::new();
    for case in cases {
        for &threads in case.threads {
            for entry in &case.entries {
                let effort = Effort { round: entry.effort.round.mul_f64(scale), ..entry.effort };
                let kept = (entry.make)();
                let calls = machine.calibrate(&kept, threads, &effort);
                let cell = Cell { case: case.name, subject: entry.subject, threads, rounds: vec![] };
                let (make, rounds) = (&*entry.make, rounds.min(entry.rounds_max));
                tracks.push(Track { cell, case, make, effort, rounds, kept, calls });
            }
        }
    }
    let count = tracks.len();
    for n in 0..rounds {
        for i in 0..count {
            // Each round begins with another subject, so that none always follows the same neighbour.
            let track = &mut tracks[(i + n * 7) % count];
            if n < track.rounds {
                if track.case.fresh {
                    track.kept = (track.make)();
                }
                let round = machine.round(&track.kept, track.cell.threads, track.calls, &track.effort);
                track.cell.rounds.push(round);
            }
        }
    }
    if let Some(track) = tracks.iter().find(|track| !track.kept.fits()) {
        return Err(format!("{} left the state of {}", track.cell.subject, track.cell.case));
    }
    Ok(tracks.into_iter().map(|track| track.cell).collect())
}
