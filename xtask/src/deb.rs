//! `cargo xtask deb`: the Debian package, by cargo-deb.

use crate::run::{cargo, succeed, target_dir};
use anyhow::Context;
use std::{fs, process::Command};

/// Completions by shell, and the name under which each shell looks for them.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "kkt-adapter.bash"), ("zsh", "_kkt-adapter"), ("fish", "kkt-adapter.fish")];

/// Builds the program, has it write its manual and its completions, and packs all into `target/debian`.
///
/// # Errors
/// What failed; without cargo-deb it says how to get it.
pub fn run() -> anyhow::Result<()> {
    succeed(cargo().args(["build", "--release", "--locked", "-p", "kkt-adapter"]))?;
    let program = target_dir().join("release/kkt-adapter");
    // Where the package's list of files (crates/kkt-adapter/Cargo.toml) looks for them.
    let made = target_dir().join("release/package-files");
    if made.exists() {
        fs::remove_dir_all(&made)?;
    }
    fs::create_dir_all(&made)?;
    succeed(Command::new(&program).args(["man", "--dir"]).arg(&made))?;
    for (shell, name) in COMPLETIONS {
        let output = Command::new(&program).args(["completions", shell]).output()?;
        anyhow::ensure!(output.status.success(), "kkt-adapter completions {shell}: {}", output.status);
        fs::write(made.join(name), output.stdout)?;
    }
    succeed(cargo().args(["deb", "-p", "kkt-adapter", "--no-build"]))
        .context("cargo-deb makes the package: cargo install cargo-deb --locked")
}
