//! `cargo xtask pictures`: the pictures of the README, taken from a running adapter by headless Chromium.

use crate::{
    needs,
    run::{cargo, succeed},
};

/// Writes docs/pictures/*.png.
///
/// # Errors
/// What the browser or the adapter failed with.
pub fn run() -> anyhow::Result<()> {
    needs::check(false)?;
    let args = [
        "test",
        "-p",
        "kkt-adapter",
        "--test",
        "dashboard",
        "--",
        "--ignored",
        "--exact",
        "pictures::pictures",
    ];
    succeed(cargo().args(args))
}
