//! The program `kkt-adapter`. What it can do stands in `cli`, how it is joined in `app`.

use clap::Parser as _;
use kkt_adapter::{
    app,
    cli::{Cli, Command, Failure, commands, say, warn},
    config,
};
use std::{env, future::Future, process::ExitCode, time::Duration};

fn main() -> ExitCode {
    // Whatever a library or an emulated device writes is for its owner alone.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let cli = Cli::parse();
    let outcome = match cli.command() {
        Command::Serve(files) => serve(&files.sources(env::vars_os())),
        Command::Demo(options) => block_on(async { app::demo(options.plain).await.map_err(Failure::of) }),
        Command::OfdSim(args) => ofd_sim(args),
        Command::Config(command) => commands::config(&command, env::vars_os()),
        Command::Breaker(command) => block_on(commands::breaker(command)),
        Command::Dlq(command) => block_on(commands::dlq(command)),
        Command::Completions { shell } => Ok(commands::completions(shell)),
        Command::Man { dir } => commands::man(dir.as_deref()),
        Command::Buffer(command) => block_on(commands::buffer(command, env::vars_os())),
    };
    outcome.unwrap_or_else(|failure| {
        warn(&format!("error: {failure}"));
        failure.exit_code()
    })
}

fn serve(sources: &config::Sources) -> Result<ExitCode, Failure> {
    let loaded = config::load(sources)?;
    block_on(async {
        app::serve(loaded, sources).await.map_err(Failure::of)?;
        Ok(ExitCode::SUCCESS)
    })
}

fn ofd_sim(args: ofd_sim::cli::Args) -> Result<ExitCode, Failure> {
    kkt_adapter::telemetry::start_log("info", false).map_err(Failure::of)?;
    block_on(async {
        ofd_sim::cli::run(args).await.map_err(Failure::of)?;
        say("stopped");
        Ok(ExitCode::SUCCESS)
    })
}

fn block_on(work: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::of)?;
    let outcome = runtime.block_on(work);
    // What still reads from a disk that hangs must not hold up the exit (promise P11).
    runtime.shutdown_timeout(Duration::from_millis(500));
    outcome
}
