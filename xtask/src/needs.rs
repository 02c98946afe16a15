//! Programs that tests need and cargo does not bring.

use crate::{
    python,
    run::{succeed, target_dir},
};
use anyhow::bail;
use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

/// One such program.
struct Need {
    program: &'static str,
    package: &'static str,
    why: &'static str,
}

const NEEDS: &[Need] = &[
    Need { program: "cc", package: "gcc libc6-dev", why: "compiles the bundled SQLite and links every test" },
    Need { program: "c++", package: "g++", why: "compiles libFuzzer" },
    Need { program: "faketime", package: "faketime", why: "sets the wall clock of a running adapter" },
    Need { program: "promtool", package: "prometheus", why: "checks and unit-tests the alert rules" },
    Need { program: "amtool", package: "prometheus-alertmanager", why: "checks who is told of the alerts" },
    // By its path: a shell has a `kill` of its own, which the tests cannot start.
    Need { program: "/usr/bin/kill", package: "procps", why: "sends the adapter its signals" },
    Need { program: "jq", package: "jq", why: "reads answers in the runbooks' commands" },
    Need {
        program: "chromium",
        package: "chromium fonts-dejavu-core",
        why: "drives the dashboard; without a font it has no text to lay out",
    },
    Need {
        program: "npm",
        package: "npm",
        why: "fetches axe-core, which looks for barriers in the dashboard",
    },
    Need {
        program: "curl",
        package: "curl",
        why: "runs the examples of the API's document as they stand there",
    },
    Need {
        program: "python3",
        package: "python3 python3-venv",
        why: "runs schemathesis and the validator of the API's document",
    },
    Need { program: "systemd-analyze", package: "systemd", why: "checks the service unit" },
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

/// The script that the accessibility tests run in the page; no part of the product.
const AXE: &str = "axe-core@4.14.1";

/// Where `tests/dashboard` looks for it.
fn axe() -> PathBuf {
    target_dir().join("npm/node_modules/axe-core/axe.min.js")
}

/// Checks that all are there; with `install`, fetches what is missing by apt, npm and pip.
///
/// # Errors
/// Names every program that is missing and the package that brings it.
pub fn check(install: bool) -> anyhow::Result<()> {
    programs(install, |_| true)?;
    python::check(install)?;
    if axe().exists() {
        return Ok(());
    }
    if !install {
        bail!(
            "the tests of the dashboard need {AXE} from npm, which is not here; run it again with --install"
        );
    }
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"])
        .arg(target_dir().join("npm"));
    succeed(npm.arg(AXE))
}

/// As [`check`], for one program.
///
/// # Errors
/// As [`check`].
pub fn check_only(program: &str, install: bool) -> anyhow::Result<()> {
    programs(install, |need| need.program == program)
}

fn programs(install: bool, wanted: impl Fn(&Need) -> bool) -> anyhow::Result<()> {
    let missing: Vec<&Need> = NEEDS.iter().filter(|need| wanted(need) && !is_there(need.program)).collect();
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
    apt(missing.iter().flat_map(|need| need.package.split(' ')))
}

/// Installs Debian packages.
///
/// # Errors
/// What apt failed with.
pub fn apt<'a>(packages: impl IntoIterator<Item = &'a str>) -> anyhow::Result<()> {
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    succeed(apt().args(["update", "-q"]))?;
    succeed(apt().args(["install", "-y", "-q", "--no-install-recommends"]).args(packages))
}
