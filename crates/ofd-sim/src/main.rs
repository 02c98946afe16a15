//! The `ofd-sim` command.

use clap::Parser;
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "ofd-sim", version, about)]
struct Command {
    #[command(flatten)]
    args: ofd_sim::cli::Args,
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Command::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match ofd_sim::cli::run(command.args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ofd-sim: {error}");
            ExitCode::FAILURE
        }
    }
}
