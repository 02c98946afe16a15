//! `cargo xtask mutants`: does a test notice when a decision of the breaker is changed?

use crate::run::{cargo, succeed, target_dir};
use anyhow::bail;
use clap::Args;

/// The breaker's files in which a fault would decide wrongly.
const FILES: [&str; 5] = ["permit.rs", "state.rs", "state/**", "window.rs", "window/**"];
/// Histories a run of the property test; the shrunk ones of 10,000 were found in far fewer.
const CASES: &str = "300";

#[derive(Args)]
pub struct MutantsArgs {
    /// Only the k-th of n parts, as k/n with k from 0.
    #[arg(long)]
    shard: Option<String>,
    /// Only the mutants whose name matches this regular expression.
    #[arg(long)]
    only: Option<String>,
}

/// Changes the code in one place at a time, as listed in `target/mutants.out`, and runs the breaker's tests on each.
///
/// # Errors
/// A mutant that no test noticed, unless `.cargo/mutants.toml` says why; or cargo-mutants is not here, with the command
/// that installs it.
pub fn run(args: &MutantsArgs) -> anyhow::Result<()> {
    if cargo().args(["mutants", "--version"]).output().map_or(true, |output| !output.status.success()) {
        bail!("cargo-mutants is not here; install it: cargo install cargo-mutants --locked");
    }
    let mut command = cargo();
    command.args(["mutants", "--package", "circuit-breaker", "--all-features", "--no-shuffle"]);
    for file in FILES {
        command.arg("--file").arg(format!("crates/circuit-breaker/src/{file}"));
    }
    if let Some(shard) = &args.shard {
        command.args(["--shard", shard]);
    }
    if let Some(only) = &args.only {
        command.args(["--re", only]);
    }
    // Without the examples and the code in the docs: they show how things are used and hold no rule.
    command.args(["--minimum-test-timeout", "60", "--output"]).arg(target_dir());
    command.args(["--", "--lib", "--tests"]).env("BREAKER_CASES", CASES);
    succeed(&mut command)
}
