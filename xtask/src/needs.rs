//! Programs that tests need and cargo does not bring.

use crate::run::succeed;
use anyhow::bail;
use std::process::{Command, Stdio};

/// One such program.
struct Need {
    program: &'static str,
    package: &'static str,
    why: &'static str,
}

const NEEDS: &[Need] = &[
    Need { program: "cc", package: "gcc libc6-dev", why: "compiles the bundled SQLite and links every test" },
    Need {
        program: "strace",
        package: "strace",
        why: "records the writes of the buffer for the power-loss model, and makes them fail",
    },
];

fn is_there(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Checks that all are there; with `install`, fetches what is missing by apt.
///
/// # Errors
/// Names every program that is missing and the package that brings it.
pub fn check(install: bool) -> anyhow::Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| !is_there(need.program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !install {
        let list: Vec<String> = missing
            .iter()
            .map(|need| format!("  {} ({}; Debian package {})", need.program, need.why, need.package))
            .collect();
        bail!("the tests need programs that are not here:\n{}\nrun it again with --install", list.join("\n"));
    }
    let apt = |args: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        succeed(&mut command)
    };
    apt(&["update", "-q"])?;
    let mut args = vec!["install", "-y", "-q", "--no-install-recommends"];
    args.extend(missing.iter().flat_map(|need| need.package.split(' ')));
    apt(&args)
}
