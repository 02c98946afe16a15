//! Measures `circuit-breaker`, six other breakers and the floors of the machine in one run.
//!
//! ```text
//! cargo run --release --manifest-path bench/breaker/Cargo.toml -- [--quick] [--case FILTER] [--json FILE]
//! ```
//!
//! Prints the table with its ratios and goals, and writes `target/bench/breaker.json` below the repository's root.
//! A normal build of the repository never compiles this crate: it is a workspace of its own.
mod allocations;
mod cases;
mod harness;
mod memory;
mod report;
mod rounds;
mod subjects;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use std::{fs, thread};

use harness::Machine;
use lexopt::{Arg, ValueExt};

const HELP: &str = "\
Measures circuit-breaker, its peers and the floors of the machine.

Options:
  --quick        a fifth of the rounds; for a first look
  --case FILTER  only the rows whose name contains FILTER (the floors are always measured)
  --json FILE    where to write the figures; default target/bench/breaker.json below the repository's root
  --help         this text";

struct Options {
    quick: bool,
    filter: String,
    json: PathBuf,
}

fn main() -> ExitCode {
    match options().and_then(|options| options.map_or(Ok(()), |options| run(&options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("breaker-bench: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Reads the command line; `None` when there is nothing left to do.
fn options() -> Result<Option<Options>, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let json = root.join("target/bench/breaker.json");
    let mut options = Options { quick: false, filter: String::new(), json };
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next().map_err(|e| e.to_string())? {
        match argument {
            Arg::Long("hold") => {
                memory::child(value(&mut arguments)?.parse().map_err(|e| format!("--hold: {e}"))?);
                return Ok(None);
            }
            Arg::Long("quick") => options.quick = true,
            Arg::Long("case") => options.filter = value(&mut arguments)?,
            Arg::Long("json") => options.json = value(&mut arguments)?.into(),
            Arg::Long("help") => {
                println!("{HELP}");
                return Ok(None);
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(options))
}

fn value(arguments: &mut lexopt::Parser) -> Result<String, String> {
    arguments.value().and_then(|text| text.string()).map_err(|e| e.to_string())
}

fn run(options: &Options) -> Result<(), String> {
    let begun = Instant::now();
    let mut cases = cases::all();
    cases.retain(|case| case.floor.is_none() || case.name.contains(&options.filter));
    if cases.len() < 2 {
        return Err(format!("no row's name contains {:?}", options.filter));
    }
    let threads = 2;
    if thread::available_parallelism().map_or(1, usize::from) < threads {
        return Err("two CPUs are needed: with one, two threads never run at once".to_owned());
    }
    let machine = Machine::new(threads);
    println!("# Circuit breakers, nanoseconds of thread time a call\n");
    println!("CPU: {}; threads pinned to CPUs {:?}; load average before: {}", cpu(), machine.cpus, load());
    let (rounds, scale) = if options.quick { (31, 0.4) } else { (151, 1.0) };
    println!(
        "Medians over {rounds} rounds; in each round every subject runs once, each time in another order."
    );

    let cells = rounds::measure(&machine, &cases, rounds, scale)?;
    let memory = if options.filter.is_empty() || "memory".contains(&options.filter) {
        memory::measure().map_err(|e| format!("memory: {e}"))?
    } else {
        vec![]
    };
    let allocations = allocations::measure(&cases);
    let report = report::Report { cases: &cases, cells, memory, allocations };
    report.print();
    report.write_json(&options.json).map_err(|e| format!("{}: {e}", options.json.display()))?;
    println!("\nTook {:.0} s; load average after: {}", begun.elapsed().as_secs_f64(), load());
    println!(
        "Figures: {}",
        fs::canonicalize(&options.json).unwrap_or_else(|_| options.json.clone()).display()
    );
    Ok(())
}

fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}

fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
