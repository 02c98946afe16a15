//! `bad_disk.c`, made into the library that `LD_PRELOAD` takes.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// Compiles it into that folder.
pub fn library(folder: &Path) -> PathBuf {
    let library = folder.join("bad_disk.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/bad_disk.c");
    let status =
        Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status();
    assert!(status.expect("cc is here (Debian package gcc)").success());
    library
}
