//! The Python programs that hold the API against its document, in an environment of their own under `target`; no part
//! of the product.

use crate::{
    needs::apt,
    run::{root, succeed, target_dir},
};
use anyhow::bail;
use std::{fs, process::Command};

/// Versions are fixed, so that a new release of a tool is no new failure of ours.
const LIST: &str = "crates/kkt-adapter/tests/api/requirements.txt";

/// Checks that they are there; with `install`, fetches them by pip.
///
/// # Errors
/// Names what is missing.
pub fn check(install: bool) -> anyhow::Result<()> {
    let folder = target_dir().join("python");
    let wanted = fs::read_to_string(root().join(LIST))?;
    // Written last: an installation that was cut is none.
    let done = folder.join("installed.txt");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if !install {
        bail!("the tests of the API need the Python packages of {LIST}; run it again with --install");
    }
    // Debian keeps this part of Python in a package of its own.
    let whole = Command::new("python3").args(["-c", "import ensurepip, venv"]).output();
    if !whole.is_ok_and(|output| output.status.success()) {
        apt(["python3-venv"])?;
    }
    succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--requirement",
    ]);
    succeed(pip.arg(root().join(LIST)))?;
    Ok(fs::write(done, wanted)?)
}
