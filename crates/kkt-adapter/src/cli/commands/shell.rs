//! `completions`, `man`: what a shell and `man` want to know of the command line.

use crate::cli::{Cli, Failure, say};
use clap::CommandFactory;
use clap_complete::Shell;
use std::{io::Write as _, path::Path, process::ExitCode};

/// Prints the completions.
#[must_use]
pub fn completions(shell: Shell) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut <Cli as CommandFactory>::command(), "kkt-adapter", &mut text);
    print(&text)
}

/// Prints the manual page, or writes that of every command into `dir`.
///
/// # Errors
/// [`Failure::Usage`] if the folder cannot be written to.
pub fn man(dir: Option<&Path>) -> Result<ExitCode, Failure> {
    let failed = |error: std::io::Error| {
        let place = dir.map_or_else(String::new, |dir| format!(" into {}", dir.display()));
        Failure::Usage(format!("the manual cannot be written{place}: {error}"))
    };
    let Some(dir) = dir else {
        let mut text = Vec::new();
        clap_mangen::Man::new(<Cli as CommandFactory>::command()).render(&mut text).map_err(failed)?;
        return Ok(print(&text));
    };
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(<Cli as CommandFactory>::command(), dir).map_err(failed)?;
    say(&format!("written into {}", dir.display()));
    Ok(ExitCode::SUCCESS)
}

/// That nobody reads it (a closed pipe) is no error.
fn print(text: &[u8]) -> ExitCode {
    let _ = std::io::stdout().write_all(text);
    ExitCode::SUCCESS
}
