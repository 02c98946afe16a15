//! `cargo xtask …`: everything a developer runs that is more than one cargo command.

mod bench;
mod coverage;
mod deb;
mod fuzz;
mod mutants;
mod needs;
mod pictures;
mod python;
mod run;
mod sim;
mod soak;
mod test;
mod tidy;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer commands of the workspace")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Format, lints, walls and every test; the whole that CI runs.
    Test(test::TestArgs),
    /// The walls between the rooms, from the `use` lines, and the sizes of the files.
    Tidy,
    /// Line coverage of every crate, by cargo-tarpaulin.
    Coverage(coverage::CoverageArgs),
    /// The Debian package, into target/debian; needs cargo-deb.
    Deb,
    /// Mutation tests of the breaker's decisions, by cargo-mutants.
    Mutants(mutants::MutantsArgs),
    /// The dashboard's pictures for the README, into docs/pictures.
    Pictures,
    /// Crashes and faults of every kind under load; one table of what was lost, doubled or disordered.
    Soak(soak::SoakArgs),
    /// Coverage-guided fuzzing of every parser that takes outside bytes.
    Fuzz(fuzz::FuzzArgs),
    /// The adapter in a simulated world, each run from one seed; replays one with a readable trace.
    Sim(sim::SimArgs),
    /// Benchmarks beside peers and the physical floor, as ratios.
    Bench(bench::BenchArgs),
}

fn main() -> anyhow::Result<()> {
    match Args::parse().command {
        Command::Test(args) => test::run(&args),
        Command::Tidy => tidy::run(),
        Command::Coverage(args) => coverage::run(&args),
        Command::Deb => deb::run(),
        Command::Mutants(args) => mutants::run(&args),
        Command::Pictures => pictures::run(),
        Command::Soak(args) => soak::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Sim(args) => sim::run(&args),
        Command::Bench(args) => bench::run(&args),
    }
}
