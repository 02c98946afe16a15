//! The `ofd-sim` command.

use clap::Parser;

#[derive(Parser)]
#[command(name = "ofd-sim", version, about)]
struct Command {
    #[command(flatten)]
    args: ofd_sim::cli::Args,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let command = Command::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    Ok(ofd_sim::cli::run(command.args).await?)
}
