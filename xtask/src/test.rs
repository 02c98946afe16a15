//! `cargo xtask test`: what CI runs, in the order in which faults are cheapest to find.

use crate::{
    fuzz, needs,
    run::{cargo, succeed, target_dir},
    tidy,
};
use clap::Args;
use std::time::Instant;

#[derive(Args)]
pub struct TestArgs {
    /// Fetch by apt what the tests need and is not here.
    #[arg(long)]
    install: bool,
    /// Only the steps whose name contains this.
    #[arg(long)]
    only: Option<String>,
}

type Step = (&'static str, fn() -> anyhow::Result<()>);

const STEPS: &[Step] = &[
    ("format", || succeed(cargo().args(["fmt", "--all", "--check"]))),
    ("tidy", tidy::run),
    ("lints", || {
        let args = ["clippy", "--workspace", "--all-targets", "--all-features", "--quiet", "--"];
        succeed(cargo().args(args).args(["-D", "warnings"]))
    }),
    ("breaker without features", || {
        // Without coarse-clock it takes the clock that other systems than Linux have.
        let args = ["test", "-q", "-p", "circuit-breaker", "--no-default-features", "--lib"];
        let states = ["clock", "closed", "open", "half_open"].iter().flat_map(|test| ["--test", test]);
        succeed(cargo().args(args).args(states))
    }),
    ("tests", || succeed(cargo().args(["test", "--workspace", "--all-features", "--no-fail-fast"]))),
    ("loom", || {
        let mut command = cargo();
        command
            .args(["test", "-p", "circuit-breaker", "--release", "--test", "loom"])
            .env("RUSTFLAGS", "--cfg loom")
            .env("LOOM_MAX_PREEMPTIONS", "3")
            .env("CARGO_TARGET_DIR", target_dir().join("loom"));
        succeed(&mut command)
    }),
    ("fuzz", fuzz::gate),
    ("docs", || {
        let mut command = cargo();
        command.args(["doc", "--workspace", "--no-deps", "--all-features", "--quiet"]);
        succeed(command.env("RUSTDOCFLAGS", "-D warnings"))
    }),
];

/// Runs the steps and prints what each took.
///
/// # Errors
/// The first step that fails; nothing is skipped in silence.
pub fn run(args: &TestArgs) -> anyhow::Result<()> {
    needs::check(args.install)?;
    let began = Instant::now();
    let mut took = Vec::new();
    for (name, step) in STEPS {
        if args.only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        println!("── {name}");
        let step_began = Instant::now();
        step().map_err(|error| error.context(format!("step «{name}» failed")))?;
        took.push((name, step_began.elapsed()));
    }
    println!("\nAll steps passed:");
    for (name, time) in &took {
        println!("  {name:<26} {:>7.1} s", time.as_secs_f64());
    }
    println!("  {:<26} {:>7.1} s", "in all", began.elapsed().as_secs_f64());
    Ok(())
}
