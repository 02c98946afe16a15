//! `cargo xtask mutants`: does a test notice when a decision of the breaker is changed?

use crate::run::{cargo, target_dir};
use anyhow::{Context, bail};
use clap::Args;
use std::{fs, path::Path};

/// The breaker's files in which a fault would decide wrongly.
const FILES: [&str; 5] = ["permit.rs", "state.rs", "state/**", "window.rs", "window/**"];
/// Histories a run of the property test; the shrunk ones of 10,000 were found in far fewer.
const CASES: &str = "300";
/// Built and run in seconds, and they notice most mutants.
const QUICK_TESTS: [&str; 4] = ["--test", "core", "--test", "properties"];
/// Without the examples and the code in the docs: they show how things are used and hold no rule.
const ALL_TESTS: [&str; 2] = ["--lib", "--tests"];

#[derive(Args)]
pub struct MutantsArgs {
    /// Only the k-th of n parts, as k/n with k from 0.
    #[arg(long)]
    shard: Option<String>,
    /// Only the mutants whose name matches this regular expression (and those that delete a field: cargo-mutants 27 adds
    /// them whatever it is).
    #[arg(long)]
    only: Option<String>,
}

/// Changes the code in one place at a time and runs the breaker's tests on each change: first the quick ones, as told in
/// `target/mutants/quick/mutants.out`, then all tests on what those did not notice, as told in `target/mutants/all`.
/// A test that never ends has noticed the mutant.
///
/// # Errors
/// A mutant that no test noticed, unless `.cargo/mutants.toml` says why; or cargo-mutants is not here, with the command
/// that installs it.
pub fn run(args: &MutantsArgs) -> anyhow::Result<()> {
    if cargo().args(["mutants", "--version"]).output().map_or(true, |output| !output.status.success()) {
        bail!("cargo-mutants is not here; install it: cargo install cargo-mutants --locked");
    }
    let mut select = Vec::new();
    for (option, value) in [("--shard", &args.shard), ("--re", &args.only)] {
        if let Some(value) = value {
            select.extend([option.to_owned(), value.clone()]);
        }
    }
    let unnoticed = missed("quick", &select, &QUICK_TESTS)?;
    if unnoticed.is_empty() {
        return Ok(());
    }
    println!("The quick tests did not notice {} mutants; now all tests on those.", unnoticed.len());
    let select: Vec<_> = unnoticed.iter().flat_map(|name| ["--re".to_owned(), exactly(name)]).collect();
    let missed = missed("all", &select, &ALL_TESTS)?;
    if !missed.is_empty() {
        bail!("no test noticed:\n{}", missed.join("\n"));
    }
    Ok(())
}

/// Runs these tests on the selected mutants; the names of those that they did not notice.
fn missed(stage: &str, select: &[String], tests: &[&str]) -> anyhow::Result<Vec<String>> {
    let folder = target_dir().join("mutants");
    let out = folder.join(stage);
    fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let mut command = cargo();
    command.args(["mutants", "--package", "circuit-breaker", "--all-features", "--no-shuffle"]);
    for file in FILES {
        command.arg("--file").arg(format!("crates/circuit-breaker/src/{file}"));
    }
    command.args(select).args(["--minimum-test-timeout", "60", "--output"]).arg(&out);
    command.arg("--").args(tests).env("BREAKER_CASES", CASES);
    // One target folder, so that the dependencies are built once and each mutant only changes the breaker.
    command.env("CARGO_TARGET_DIR", folder.join("build")).env("CARGO_PROFILE_DEV_DEBUG", "false");
    let status = command.status().with_context(|| format!("cannot start: {command:?}"))?;
    match status.code() {
        Some(0 | MISSED | TIMEOUT) => names(&out.join("mutants.out/missed.txt")),
        _ => bail!("{status}: cargo mutants"),
    }
}

/// What cargo-mutants exits with if a mutant was not noticed.
const MISSED: i32 = 2;
/// And if the tests did not end on one, and all others were noticed.
const TIMEOUT: i32 = 3;

fn names(list: &Path) -> anyhow::Result<Vec<String>> {
    let text = fs::read_to_string(list).with_context(|| list.display().to_string())?;
    Ok(text.lines().map(str::to_owned).collect())
}

/// A regular expression that matches this name alone.
fn exactly(name: &str) -> String {
    let mut pattern = String::from("^");
    for letter in name.chars() {
        if r"\.+*?()|[]{}^$".contains(letter) {
            pattern.push('\\');
        }
        pattern.push(letter);
    }
    pattern + "$"
}

#[cfg(test)]
mod tests {
    use super::exactly;

    #[test]
    fn a_name_is_matched_to_the_letter() {
        let name = "window.rs:118:63: replace >= with < in fired -> Option<f64>";
        assert_eq!(exactly(name), format!("^{}$", name.replace('.', r"\.")));
        assert_eq!(exactly("a |= b[0] + (1 * 2)"), r"^a \|= b\[0\] \+ \(1 \* 2\)$");
    }
}
