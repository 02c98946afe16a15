//! `cargo xtask fuzz`: coverage-guided fuzzing of every parser that takes outside bytes, on the stable toolchain.
//!
//! libFuzzer is in the crate libfuzzer-sys; the counters it steers by come from flags that a stable compiler takes. The
//! only thing that cargo does not bring is a C++ compiler.

use crate::{
    needs,
    run::{cargo, root, succeed, target_dir},
};
use anyhow::{Context, bail, ensure};
use clap::Args;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

#[derive(Args)]
pub struct FuzzArgs {
    /// In all; each target gets its share.
    #[arg(long, default_value_t = GATE_SECONDS, value_parser = clap::value_parser!(u64).range(1..=604_800))]
    seconds: u64,
    /// Only this target.
    #[arg(long)]
    target: Option<String>,
    /// Mutates as this seed says, from the repository's inputs alone: what CI does. Without it from a random seed, which is
    /// printed, and from what earlier runs found.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    seed: Option<u32>,
    /// Only run this input, such as the one a failure names; needs `--target`.
    #[arg(long, requires = "target")]
    input: Option<PathBuf>,
    /// Afterwards keep some of the inputs that reach new code in `fuzz/corpus`.
    #[arg(long, conflicts_with = "seed")]
    keep: bool,
    /// Fetch by apt what it needs and is not here.
    #[arg(long)]
    install: bool,
}

/// The share of the whole gate.
const GATE_SECONDS: u64 = 300;
/// What the gate mutates by: a change is judged by what it changed, not by the luck of the day. New ground is for runs
/// without a seed.
const GATE_SEED: u32 = 54;
/// The instrumentation that libFuzzer reads: inline counters for each edge, and the operands of comparisons.
const FLAGS: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";
/// The target with a planted fault.
const CONTROL: &str = "control";
/// How long the planted fault may take to be found; it takes about a second.
const CONTROL_SECONDS: u64 = 60;
/// Longest input in bytes.
const INPUT_MAX: usize = 4_096;
/// Inputs of a target that the repository keeps.
const KEPT_MAX: usize = 40;
/// Longest of those, in bytes.
const KEPT_BYTES_MAX: usize = 1_024;

/// What CI runs: all targets, five minutes, one seed.
///
/// # Errors
/// As [`run`].
pub fn gate() -> anyhow::Result<()> {
    run(&FuzzArgs {
        seconds: GATE_SECONDS,
        target: None,
        seed: Some(GATE_SEED),
        input: None,
        keep: false,
        install: false,
    })
}

/// Runs it.
///
/// # Errors
/// An input that breaks a target, with the command that runs it again; or that the planted fault was not found.
pub fn run(args: &FuzzArgs) -> anyhow::Result<()> {
    needs::check_only("c++", args.install)?;
    let program = build()?;
    let scratch = Scratch::new()?;
    if let (Some(target), Some(input)) = (&args.target, &args.input) {
        return succeed(fuzzer(&program, target, &scratch).arg(fs::canonicalize(input)?));
    }
    let all = targets(&program, &scratch)?;
    if let Some(target) = &args.target {
        ensure!(all.contains(target), "no such target; there are {}", all.join(", "));
    }
    control(&program, &scratch)?;
    let chosen: Vec<String> = all
        .into_iter()
        .filter(|name| name != CONTROL && args.target.as_ref().is_none_or(|only| only == name))
        .collect();
    let jobs = thread::available_parallelism().map_or(1, usize::from).min(chosen.len());
    let share = (args.seconds * jobs as u64 / chosen.len() as u64).max(1);
    let seed = args.seed.unwrap_or_else(random_seed);
    println!("{} targets, {share} s each, {jobs} at once, seed {seed}", chosen.len());
    println!("{:<16} {:>10} {:>8} {:>8} {:>8}", "target", "inputs", "per s", "edges", "corpus");
    let left = Mutex::new(chosen.iter());
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(name) = left.lock().expect("no thread panics").next() {
                    if let Err(error) = one(
                        &program,
                        name,
                        &Run { seconds: share, seed, alone: args.seed.is_some() },
                        &scratch,
                    ) {
                        failures.lock().expect("no thread panics").push(format!("{error:#}"));
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("no thread panics");
    ensure!(failures.is_empty(), "{}", failures.join("\n"));
    if args.keep {
        chosen.iter().try_for_each(|name| keep(&program, name, &scratch))?;
    }
    Ok(())
}

fn build() -> anyhow::Result<PathBuf> {
    let version = Command::new("rustc").arg("-vV").output().context("rustc does not run")?;
    let version = String::from_utf8(version.stdout)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let folder = target_dir().join("fuzz-build");
    let mut command = cargo();
    command
        // With `--target`, build scripts and macros are built without the counters.
        .args(["build", "--release", "--quiet", "--target", host, "--manifest-path"])
        .arg(root().join("fuzz/Cargo.toml"))
        .env("CARGO_TARGET_DIR", &folder)
        .env("RUSTFLAGS", FLAGS);
    succeed(&mut command)?;
    Ok(folder.join(host).join("release/kkt-fuzz"))
}

/// Where targets put their files: in memory if there is such a file system, since most of their time goes into files.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let memory = Path::new("/dev/shm");
        let parent = if memory.is_dir() { memory.to_owned() } else { target_dir() };
        let folder = parent.join(format!("kkt-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is small and in a folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn fuzzer(program: &Path, target: &str, scratch: &Scratch) -> Command {
    let mut command = Command::new(program);
    command.env("FUZZ_TARGET", target).env("TMPDIR", &scratch.0);
    command
}

fn targets(program: &Path, scratch: &Scratch) -> anyhow::Result<Vec<String>> {
    let output = fuzzer(program, "", scratch).output()?;
    let names: Vec<String> = String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect();
    ensure!(names.iter().any(|name| name == CONTROL), "the fuzzer does not list its targets");
    Ok(names)
}

fn folder(kind: &str, target: &str) -> anyhow::Result<PathBuf> {
    let folder = target_dir().join("fuzz").join(kind).join(target);
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(folder)
}

/// The fuzzer finds a fault that random bytes would not: it sees the code it steers by.
fn control(program: &Path, scratch: &Scratch) -> anyhow::Result<()> {
    let began = Instant::now();
    // From the seed alone each time, and nothing it finds is kept.
    let grown = scratch.0.join(CONTROL);
    fs::create_dir_all(&grown)?;
    let output = fuzzer(program, CONTROL, scratch)
        .arg(format!("-max_total_time={CONTROL_SECONDS}"))
        .arg(format!("-artifact_prefix={}/", folder("artifacts", CONTROL)?.display()))
        .args([grown, root().join("fuzz/corpus").join(CONTROL)])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(text.contains("the planted fault"), "control: the planted fault was not found:\n{text}");
    println!("control: the planted fault was found in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// How one target is run.
struct Run {
    seconds: u64,
    seed: u32,
    /// Without what earlier runs found.
    alone: bool,
}

/// From the clock: two runs differ, and that is all that is asked of it.
#[expect(clippy::disallowed_methods, reason = "a seed, not a time")]
fn random_seed() -> u32 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.subsec_nanos().max(1))
}

fn one(program: &Path, name: &str, run: &Run, scratch: &Scratch) -> anyhow::Result<()> {
    let artifacts = folder("artifacts", name)?;
    let grown = if run.alone { scratch.0.join(format!("{name}-grown")) } else { folder("corpus", name)? };
    fs::create_dir_all(&grown)?;
    let began = Instant::now();
    let mut command = fuzzer(program, name, scratch);
    command
        .arg(format!("-max_total_time={}", run.seconds))
        .arg(format!("-seed={}", run.seed))
        .arg(format!("-max_len={INPUT_MAX}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .args(["-reload=0", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"])
        // New inputs go into the first folder.
        .args([&grown, &root().join("fuzz/corpus").join(name)]);
    let output = command.stdin(Stdio::null()).output()?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let kept = folder("logs", name)?.join("log");
    fs::write(&kept, &log)?;
    if !output.status.success() {
        let artifact = log.lines().find_map(|line| line.split("Test unit written to ").nth(1));
        let lines: Vec<&str> = log.lines().collect();
        let panic = lines.iter().position(|line| line.contains("panicked at"));
        // What is no panic is a time-out or memory, which libFuzzer sums up.
        let from = panic.unwrap_or_else(|| lines.len().saturating_sub(6));
        let said = &lines[from..lines.len().min(from + 4)];
        bail!(
            "{name}: {}\n  the whole log: {}\n  again: cargo xtask fuzz --target {name} --input {}",
            said.join("\n  "),
            kept.display(),
            artifact.unwrap_or("(no input was written)"),
        );
    }
    let last = log.lines().rfind(|line| line.contains(" cov: ")).unwrap_or_default();
    let after = |label: &str| {
        last.split_once(label).and_then(|(_, rest)| rest.split_whitespace().next()).unwrap_or("?").to_owned()
    };
    let inputs = log
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .map_or(0, |count| count.trim().parse::<u64>().unwrap_or(0));
    let rate = inputs / began.elapsed().max(Duration::from_secs(1)).as_secs();
    let (edges, corpus) = (after("cov: "), after("corp: "));
    println!("{name:<16} {inputs:>10} {rate:>8} {edges:>8} {corpus:>8}");
    Ok(())
}

/// Adds to the repository's corpus inputs that reach code it does not reach, as far as there is room.
fn keep(program: &Path, name: &str, scratch: &Scratch) -> anyhow::Result<()> {
    let kept = root().join("fuzz/corpus").join(name);
    let known = fs::read_dir(&kept)?.count();
    let merged = scratch.0.join(format!("{name}-merged"));
    fs::create_dir_all(&merged)?;
    let mut command = fuzzer(program, name, scratch);
    command.args(["-set_cover_merge=1", "-use_counters=0"]).arg(format!("-max_len={KEPT_BYTES_MAX}")).args([
        &merged,
        &folder("corpus", name)?,
        &kept,
    ]);
    succeed(command.stderr(Stdio::null()))?;
    // They were written in this order: the one that adds most first.
    let mut files = fs::read_dir(&merged)?
        .map(|entry| {
            let entry = entry?;
            Ok((entry.metadata()?.modified()?, entry.path()))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    files.sort();
    for (_, file) in files.iter().take(KEPT_MAX.saturating_sub(known)) {
        let name = file.file_name().context("an input has a name")?;
        fs::copy(file, kept.join(name))?;
    }
    Ok(())
}
