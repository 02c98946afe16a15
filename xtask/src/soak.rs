//! `cargo xtask soak`: crashes, a flapping OFD, failing cash registers and tills that repeat themselves, all at once.

use crate::run::{cargo, succeed};
use clap::Args;

#[derive(Args)]
pub struct SoakArgs {
    /// How long; the last round is finished.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_080))]
    minutes: u64,
    /// Runs an earlier one again, by the seed that it printed.
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs it and prints its table.
///
/// # Errors
/// A promise was broken; what was printed says which, and the seed.
pub fn run(args: &SoakArgs) -> anyhow::Result<()> {
    let mut command = cargo();
    command
        .args(["test", "--quiet", "-p", "kkt-adapter", "--test", "crash", "--"])
        .args(["--exact", "soak::everything_at_once_loses_nothing_doubles_nothing_and_keeps_the_order"])
        .args(["--ignored", "--nocapture"])
        .env("SOAK_SECONDS", (args.minutes * 60).to_string());
    if let Some(seed) = args.seed {
        command.env("CRASH_SEED", seed.to_string());
    }
    succeed(&mut command)
}
