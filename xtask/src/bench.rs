//! `cargo xtask bench`: benchmarks, never part of the tests.

use crate::run::{cargo, root, succeed, target_dir};
use clap::{Args, Subcommand};

#[derive(Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The circuit breaker beside its peers and the floors; writes `target/bench/breaker.json`.
    Breaker {
        /// Passed on to the benchmark (`--help` lists them).
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// The durable path over HTTP beside the disk and SQLite alone; writes `target/bench/adapter.json`.
    Adapter {
        /// `--quick` for a short run.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
}

/// Runs one.
///
/// # Errors
/// What the benchmark failed with.
pub fn run(args: &BenchArgs) -> anyhow::Result<()> {
    match &args.what {
        What::Breaker { args } => {
            let mut command = cargo();
            command
                .args(["run", "--release", "--quiet", "--manifest-path"])
                .arg(root().join("bench/breaker/Cargo.toml"))
                .arg("--")
                .args(args)
                .env("CARGO_TARGET_DIR", target_dir().join("bench-build"));
            succeed(&mut command)
        }
        What::Adapter { args } => succeed(
            cargo().args(["bench", "--package", "kkt-adapter", "--bench", "adapter", "--"]).args(args),
        ),
    }
}
