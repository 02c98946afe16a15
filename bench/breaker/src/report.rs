//! The table: medians with ratios, the goals met or missed, the overlap, and the file of figures.
use std::path::Path;
use std::{fs, io};

use serde::Serialize;

use crate::allocations::Allocations;
use crate::cases::{Bound, Case, Goal, OURS};
use crate::harness::Round;
use crate::memory;
use crate::rounds::Cell;

/// The columns of the table.
const SUBJECTS: [&str; 7] =
    [OURS, "recloser", "failsafe", "circuit_breaker", "breaker", "circuitbreaker-rs", "tower-resilience"];
const MEMORY_GOAL_BYTES: f64 = 512.0;

/// One line of the file of figures.
#[derive(Serialize)]
struct Figure {
    case: &'static str,
    subject: &'static str,
    threads: usize,
    ns_min: f64,
    ns_median: f64,
}

/// All that one run has measured.
pub struct Report<'a> {
    pub cases: &'a [Case],
    pub cells: Vec<Cell>,
    pub memory: Vec<memory::Row>,
    pub allocations: Vec<Allocations>,
}

impl Report<'_> {
    /// Prints the whole in one table, every row with its ratios, then overlap, memory, allocations and goals.
    pub fn print(&self) {
        self.print_summary();
        for case in self.cases {
            self.print_case(case);
        }
        self.print_overlap();
        self.print_memory();
        self.print_allocations();
        self.print_goals();
    }

    /// Writes the figures for programs to read.
    pub fn write_json(&self, path: &Path) -> io::Result<()> {
        let round = |nanos: f64| (nanos * 100.0).round() / 100.0;
        let figures: Vec<Figure> = self
            .cells
            .iter()
            .map(|cell| Figure {
                case: cell.case,
                subject: cell.subject,
                threads: cell.threads,
                ns_min: round(cell.min()),
                ns_median: round(cell.median()),
            })
            .collect();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, serde_json::to_string_pretty(&figures)? + "\n")
    }

    fn cell(&self, case: &str, subject: &str, threads: usize) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.case == case && cell.subject == subject && cell.threads == threads)
    }

    fn median(&self, case: &str, subject: &str, threads: usize) -> f64 {
        self.cell(case, subject, threads).map_or(f64::NAN, Cell::median)
    }

    /// Cases down, subjects across, medians; the form in which the crate's README shows them.
    fn print_summary(&self) {
        println!("\n### Medians, nanoseconds of thread time a call\n");
        println!("| | threads | floor | {} |", SUBJECTS.join(" | "));
        println!("|---|--:|--:|{}", "--:|".repeat(SUBJECTS.len()));
        for case in self.cases {
            let Some(floor) = case.floor else { continue };
            for &threads in case.threads {
                let name = floor(threads);
                let floor = short(self.median("floor", name, threads));
                let medians = SUBJECTS.map(|subject| short(self.median(case.name, subject, threads)));
                println!("| {} | {threads} | {floor} ({name}) | {} |", case.name, medians.join(" | "));
            }
        }
    }

    fn print_case(&self, case: &Case) {
        println!("\n### {}: {}\n", case.name, case.what);
        println!("| subject | threads | ns median | ns min | × floor | × ours | × own 1 thread |");
        println!("|---|--:|--:|--:|--:|--:|--:|");
        for &threads in case.threads {
            if let Some(floor) = case.floor {
                let (name, nanos) = (floor(threads), self.median("floor", floor(threads), threads));
                println!("| *floor: {name}* | {threads} | {nanos:.1} | | | | |");
            }
            for entry in &case.entries {
                self.print_line(case, entry.subject, threads);
            }
        }
    }

    fn print_line(&self, case: &Case, subject: &str, threads: usize) {
        let Some(cell) = self.cell(case.name, subject, threads) else { return };
        let median = cell.median();
        let ratio = |base: f64| if base.is_nan() { String::new() } else { format!("{:.2}", median / base) };
        let floor = case.floor.map_or(f64::NAN, |floor| self.median("floor", floor(threads), threads));
        let ours = self.median(case.name, OURS, threads);
        let one = if threads == 1 { f64::NAN } else { self.median(case.name, subject, 1) };
        let (over_floor, over_ours, over_one) = (ratio(floor), ratio(ours), ratio(one));
        let min = cell.min();
        println!(
            "| {subject} | {threads} | {median:.1} | {min:.1} | {over_floor} | {over_ours} | {over_one} |"
        );
    }

    fn print_overlap(&self) {
        println!(
            "\n### How far two threads overlapped, and rounds measured again because one had lost its CPU\n"
        );
        println!(
            "| row | subject | median overlap | least | measured again | last round: thread 0 from–to µs | thread 1 |"
        );
        println!("|---|---|--:|--:|--:|---|---|");
        for cell in self.cells.iter().filter(|cell| cell.threads == 2) {
            let mut overlaps: Vec<f64> = cell.rounds.iter().map(|round| round.overlap() * 100.0).collect();
            overlaps.sort_by(f64::total_cmp);
            let (Some(least), Some(last)) = (overlaps.first(), cell.rounds.last()) else { continue };
            let median = overlaps[overlaps.len() / 2];
            let again: u32 = cell.rounds.iter().map(|round| round.repeats).sum();
            let laps = laps(last).join(" | ");
            println!(
                "| {} | {} | {median:.1} % | {least:.1} % | {again} | {laps} |",
                cell.case, cell.subject
            );
        }
    }

    fn print_memory(&self) {
        if self.memory.is_empty() {
            return;
        }
        println!(
            "\n### Memory a breaker, bytes, handle included (100,000 of them in a process of their own)\n"
        );
        println!("| subject | configuration | resident | allocated |");
        println!("|---|---|--:|--:|");
        for row in &self.memory {
            let bytes = row.bytes;
            println!("| {} | {} | {:.0} | {:.0} |", row.subject, row.what, bytes.resident, bytes.allocated);
        }
    }

    fn print_allocations(&self) {
        println!("\n### Allocations a call\n");
        println!("| row | subject | allocations |");
        println!("|---|---|--:|");
        for row in &self.allocations {
            println!("| {} | {} | {:.2} |", row.case, row.subject, row.per_call);
        }
    }

    fn print_goals(&self) {
        println!("\n### Goals\n");
        println!(
            "With two threads an empty loop takes {:.2} times as long as with one, and so may a call.\n",
            self.sharing()
        );
        println!("| row | threads | goal | ours | | fastest in the row |");
        println!("|---|--:|--:|--:|---|---|");
        for case in self.cases.iter().filter(|case| case.floor.is_some()) {
            for &threads in case.threads {
                let goal = case.goals.iter().find(|goal| goal.threads == threads);
                self.print_goal(case, threads, goal);
            }
        }
        // The goal is for breakers that are not contended, in the row's own rule; the others are for information.
        if let Some(row) = self.memory.iter().find(|row| row.subject == OURS) {
            let verdict = verdict(row.bytes.resident, MEMORY_GOAL_BYTES);
            println!("| memory, {} | | ≤ 512 B | {:.0} B | {verdict} | |", row.what, row.bytes.resident);
        }
        for row in self.allocations.iter().filter(|row| row.subject == OURS) {
            let verdict = verdict(row.per_call, 0.0);
            println!("| allocations, {} | | 0 | {:.2} | {verdict} | |", row.case, row.per_call);
        }
    }

    fn print_goal(&self, case: &Case, threads: usize, goal: Option<&Goal>) {
        let ours = self.median(case.name, OURS, threads);
        let bound = goal.map(|goal| self.bound(case, goal));
        let wanted = bound.map_or_else(|| "—".to_owned(), |nanos| format!("≤ {nanos:.1}"));
        let verdict = bound.map_or("", |nanos| verdict(ours, nanos));
        let row = self.cells.iter().filter(|cell| cell.case == case.name && cell.threads == threads);
        let fastest = row.min_by(|a, b| a.median().total_cmp(&b.median())).map_or("", |cell| cell.subject);
        println!("| {} | {threads} | {wanted} | {ours:.1} | {verdict} | {fastest} |", case.name);
    }

    /// How much longer an empty loop takes with two threads than with one: twice, where their CPUs share a core.
    fn sharing(&self) -> f64 {
        let empty = |threads| self.median("floor", "empty loop", threads);
        (empty(2) / empty(1)).max(1.0)
    }

    fn bound(&self, case: &Case, goal: &Goal) -> f64 {
        match goal.bound {
            Bound::Nanos(nanos) => nanos,
            Bound::TimesOneThread(times) => times * self.sharing() * self.median(case.name, OURS, 1),
            Bound::FloorPlus(floor, nanos) => self.median("floor", floor, goal.threads) + nanos,
        }
    }
}

/// Two figures are all that the noise leaves; nothing where nothing was measured.
fn short(nanos: f64) -> String {
    match nanos {
        _ if nanos.is_nan() => String::new(),
        0.0..10.0 => format!("{nanos:.1}"),
        _ => format!("{nanos:.0}"),
    }
}

fn verdict(value: f64, bound: f64) -> &'static str {
    if value <= bound { "met" } else { "**missed**" }
}

/// From when to when each thread ran, in microseconds since the first of them began.
fn laps(round: &Round) -> Vec<String> {
    let Some(zero) = round.laps.iter().map(|lap| lap.start).min() else { return vec![] };
    let micros = |at: std::time::Instant| (at - zero).as_nanos() as f64 / 1_000.0;
    round.laps.iter().map(|lap| format!("{:.1}–{:.1}", micros(lap.start), micros(lap.stop))).collect()
}
