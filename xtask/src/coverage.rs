//! `cargo xtask coverage`: line coverage of every crate, the adapter's own processes included.

use crate::run::{cargo, succeed, target_dir};
use anyhow::bail;
use clap::Args;

#[derive(Args)]
pub struct CoverageArgs {
    /// Only this crate.
    #[arg(long)]
    package: Option<String>,
    /// Passed on to the test programs, such as `-- --skip points`.
    #[arg(last = true)]
    args: Vec<String>,
}

/// Runs the tests under cargo-tarpaulin and prints its table.
///
/// # Errors
/// Names the command that installs cargo-tarpaulin if it is not here.
pub fn run(args: &CoverageArgs) -> anyhow::Result<()> {
    if cargo().args(["tarpaulin", "--version"]).output().map_or(true, |output| !output.status.success()) {
        bail!("cargo-tarpaulin is not here; install it: cargo install cargo-tarpaulin --locked");
    }
    let mut command = cargo();
    command
        .args([
            "tarpaulin",
            "--engine",
            "llvm",
            "--follow-exec",
            "--all-features",
            "--skip-clean",
            "--no-fail-fast",
        ])
        .args([
            "--exclude-files",
            "xtask/*",
            "--exclude-files",
            "*/tests/*",
            "--exclude-files",
            "*/benches/*",
        ])
        .args(["--exclude-files", "*/examples/*", "--exclude-files", "bench/*"])
        .args(["--timeout", "900", "--out", "Stdout", "--target-dir"])
        .arg(target_dir().join("coverage"));
    match &args.package {
        Some(package) => command.args(["--packages", package]),
        None => command.arg("--workspace"),
    };
    if !args.args.is_empty() {
        command.arg("--").args(&args.args);
    }
    succeed(&mut command)
}
