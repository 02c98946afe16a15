//! `cargo xtask bench adapter`: the durable path over HTTP beside the disk and SQLite alone, in one run.
//!
//! Client (this process), adapter and simulator are three processes on one machine and share its cores. All figures of a
//! run are comparable with each other; absolute ones are the machine's. `docs/performance.md` says what they mean.

#![allow(clippy::unwrap_used)]

mod backlog;
mod client;
mod drain;
mod floor;
mod goals;
mod measure;
mod offline;
mod process;
mod receipts;

use floor::Floor;
use serde_json::{Value, json};
use std::{path::PathBuf, time::Duration};

/// The numbers of a run.
pub struct Args {
    /// How long each load is counted, and how long it goes on before.
    each: Duration,
    warm_up: Duration,
    /// Receipts that wait, of how many rows.
    waiting: usize,
    rows: usize,
    /// Receipts that drain.
    drain: usize,
    /// Commits of the floor.
    rounds: usize,
    /// Parts to run; empty: all.
    only: Vec<String>,
    /// Loads with so many connections only; for profiling.
    connections: Option<usize>,
    quick: bool,
}

impl Args {
    fn parse() -> Self {
        let given: Vec<String> = std::env::args().skip(1).collect();
        let quick = given.iter().any(|arg| arg == "--quick");
        let only = given.iter().filter(|arg| ["receipts", "backlog", "drain"].contains(&arg.as_str()));
        let (each, warm_up) = (Duration::from_secs(5), Duration::from_secs(1));
        let mut args = Self {
            each,
            warm_up,
            waiting: 300_000,
            rows: 1_000_000,
            drain: 10_000,
            rounds: 4_000,
            only: only.cloned().collect(),
            connections: given.iter().find_map(|arg| arg.parse().ok()),
            quick,
        };
        if quick {
            (args.each, args.warm_up) = (Duration::from_secs(2), Duration::from_millis(500));
            (args.waiting, args.rows, args.drain, args.rounds) = (30_000, 60_000, 4_000, 2_000);
        }
        args
    }

    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|one| one == part)
    }
}

fn main() {
    let args = Args::parse();
    let folder = tempfile::tempdir_in(target()).unwrap();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("{cores} cores, {}", if args.quick { "a quick run" } else { "a full run" });
    let floor = Floor::measure(folder.path(), args.rounds);
    floor.print();
    let mut results = vec![json!({"case": "machine", "cores": cores, "quick": args.quick}), floor.json()];
    if args.wants("receipts") {
        receipts::print_head();
        let wanted = |case: &receipts::Case| args.connections.is_none_or(|only| only == case.connections);
        for case in receipts::Case::ALL.into_iter().filter(wanted) {
            results.push(receipts::run(folder.path(), &args, &floor, case));
        }
    }
    if args.wants("drain") {
        println!("a backlog drains");
        results.extend(drain::Case::ALL.map(|case| drain::run(folder.path(), &args, case)));
    }
    if args.wants("backlog") {
        results.extend(backlog::run(folder.path(), &args));
    }
    results.extend(goals::print(&results, &floor));
    let file = target().join("bench/adapter.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, serde_json::to_string_pretty(&Value::from(results)).unwrap()).unwrap();
    println!("written to {}", file.display());
}

/// The build folder, which lies on a real disk (a temporary folder may be memory).
fn target() -> PathBuf {
    let exe = std::env::current_exe().unwrap();
    exe.ancestors().nth(3).expect("target/<profile>/deps/adapter").to_owned()
}
