//! `cargo xtask sim`: the adapter in a simulated world on a virtual clock, each run from one seed.

use crate::run::{cargo, succeed};
use anyhow::{Context, bail, ensure};
use clap::Args;

#[derive(Args)]
pub struct SimArgs {
    /// Runs one seed and prints its trace: virtual time, who, what, from which state to which.
    #[arg(long, conflicts_with_all = ["seeds", "count"])]
    seed: Option<u64>,
    /// Runs the seeds from A up to, not including, B and names the first bad one.
    #[arg(long, value_name = "A..B", conflicts_with = "count")]
    seeds: Option<String>,
    /// Runs so many seeds, from 0.
    #[arg(long, default_value_t = 1_000)]
    count: u64,
    /// An optimised build: some minutes to build, then about ten times as many seeds a second.
    #[arg(long)]
    release: bool,
}

/// Runs it.
///
/// # Errors
/// A promise was broken; what was printed says which, and the seed.
pub fn run(args: &SimArgs) -> anyhow::Result<()> {
    let mut command = cargo();
    command.args(["test", "--quiet", "-p", "kkt-adapter", "--test", "sim"]);
    if args.release {
        command.arg("--release");
    }
    command.args(["--", "--nocapture", "--exact"]);
    if let Some(seed) = args.seed {
        command.args(["seeds::replay", "--ignored"]).env("SIM_SEED", seed.to_string());
        return succeed(&mut command);
    }
    let (from, to) = match &args.seeds {
        Some(range) => parse(range)?,
        None => (0, args.count),
    };
    ensure!(from < to, "there is no seed in {from}..{to}");
    command.arg("seeds::a_thousand_worlds_lose_nothing_double_nothing_and_keep_the_order");
    succeed(command.env("SIM_FROM", from.to_string()).env("SIM_TO", to.to_string()))
}

fn parse(range: &str) -> anyhow::Result<(u64, u64)> {
    let Some((from, to)) = range.split_once("..") else {
        bail!("--seeds takes a range A..B, as in 1000..2000, not {range:?}");
    };
    let number = |text: &str| text.parse().with_context(|| format!("{text:?} is not a seed"));
    Ok((number(from)?, number(to)?))
}
