//! app

use crate::{cli::DemoOptions, config::Config};
use std::process::ExitCode;

/// Placeholder until the rooms are joined.
///
/// # Errors
/// Always.
pub async fn serve(config: Config, warnings: Vec<String>) -> anyhow::Result<()> {
    let _ = (config, warnings);
    anyhow::bail!("the rooms are not joined yet")
}

/// Placeholder until the rooms are joined.
///
/// # Errors
/// Always.
pub async fn demo(options: DemoOptions) -> anyhow::Result<ExitCode> {
    let _ = options;
    anyhow::bail!("the rooms are not joined yet")
}
