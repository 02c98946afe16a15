//! The definition of the command line.

use crate::config::{Sources, units};
use clap::{Args, Parser, Subcommand};
use std::{ffi::OsString, path::PathBuf, time::Duration};

/// Takes fiscal receipts at the till, prints them and delivers them to the OFD, whatever the network does
///
/// Without a command it serves.
#[derive(Debug, Parser)]
#[command(name = "kkt-adapter", version, args_conflicts_with_subcommands = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Files,
}

/// The exit codes of every command, as the help, the man page and the module's table say them.
const EXIT_CODES: &str = "Exit codes:
  0  done
  1  the adapter said no, or could not do it
  2  the command line or the configuration is wrong
  3  the adapter cannot be reached";

impl Cli {
    /// The command; `serve` if none was given.
    #[must_use]
    pub fn command(self) -> Command {
        self.command.unwrap_or(Command::Serve(self.serve))
    }
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve receipts: the adapter itself (default)
    Serve(Files),
    /// Check, show or print the configuration
    #[command(subcommand, after_help = EXIT_CODES)]
    Config(ConfigCommand),
    /// Show an outage of the OFD from end to end in under a minute, on free ports
    Demo(DemoOptions),
    /// Run the simulator of an OFD
    OfdSim(ofd_sim::cli::Args),
    /// See and steer the circuit breakers of a running adapter
    #[command(subcommand, after_help = EXIT_CODES)]
    Breaker(BreakerCommand),
    /// See and settle the dead letters of a running adapter
    #[command(subcommand, after_help = EXIT_CODES)]
    Dlq(DlqCommand),
    /// See the buffer of a running adapter; check, export, or fill from the Python adapter that of a stopped one
    #[command(subcommand, after_help = EXIT_CODES)]
    Buffer(BufferCommand),
    /// Print the completions for a shell
    ///
    /// bash: kkt-adapter completions bash > /etc/bash_completion.d/kkt-adapter. The Debian package installs them.
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man {
        /// Write the page of every command into this folder instead
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// Where the configuration comes from, besides the environment
#[derive(Debug, Clone, Default, Args)]
pub struct Files {
    /// Read the configuration from this TOML file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Listen here instead of server.listen
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Keep everything in this folder: buffer.url becomes sqlite://DIR/buffer.db
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
}

impl Files {
    /// The sources, together with this environment.
    pub fn sources(self, variables: impl IntoIterator<Item = (OsString, OsString)>) -> Sources {
        Sources {
            file: self.config,
            variables: variables.into_iter().collect(),
            listen: self.listen,
            data_dir: self.data_dir,
        }
    }
}

/// Check, show or print the configuration
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Tell everything that is wrong, without starting anything
    Check {
        /// Where the configuration comes from
        #[command(flatten)]
        files: Files,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print what is in effect and where each value came from
    Show {
        /// Where the configuration comes from
        #[command(flatten)]
        files: Files,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a file with every setting at its default
    Default,
}

/// Options of the demonstration
#[derive(Debug, Clone, Default, Args)]
pub struct DemoOptions {
    /// Plain lines, on a terminal too
    #[arg(long)]
    pub plain: bool,
}

/// How to reach a running adapter
#[derive(Debug, Clone, Args)]
pub struct Remote {
    /// Where the adapter listens
    #[arg(long, global = true, default_value = "http://127.0.0.1:8000", value_name = "URL")]
    pub url: String,
    /// File with the token
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Trust the certificates of this PEM file instead of the system's
    #[arg(long, global = true, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// Print the adapter's answer as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Wait this long for an answer
    #[arg(long, global = true, default_value = "10s", value_name = "DURATION", value_parser = duration)]
    pub timeout: Duration,
}

/// See and steer the circuit breakers of a running adapter
#[derive(Debug, Subcommand)]
pub enum BreakerCommand {
    /// List all breakers
    List(Remote),
    /// Show one breaker
    Show {
        /// `ofd` or `device:<id>`
        key: String,
        /// How to reach the adapter
        #[command(flatten)]
        remote: Remote,
    },
    /// Reject every call, until released or for a while: nothing is sent, receipts go on
    ForceOpen {
        /// `ofd` or `device:<id>`
        key: String,
        /// Why, for the audit trail
        #[arg(long)]
        reason: String,
        /// Release it after this, such as 10m
        #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
        for_how_long: Option<Duration>,
        /// How to reach the adapter
        #[command(flatten)]
        remote: Remote,
    },
    /// Permit every call, until released
    ForceClosed {
        /// `ofd` or `device:<id>`
        key: String,
        /// Why, for the audit trail
        #[arg(long)]
        reason: String,
        /// How to reach the adapter
        #[command(flatten)]
        remote: Remote,
    },
    /// Back from a forced state to CLOSED
    Release {
        /// `ofd` or `device:<id>`
        key: String,
        /// Why, for the audit trail
        #[arg(long)]
        reason: Option<String>,
        /// How to reach the adapter
        #[command(flatten)]
        remote: Remote,
    },
    /// To CLOSED from any state
    Reset {
        /// `ofd` or `device:<id>`
        key: String,
        /// Why, for the audit trail
        #[arg(long)]
        reason: Option<String>,
        /// How to reach the adapter
        #[command(flatten)]
        remote: Remote,
    },
    /// Print a line at each change of state, until interrupted
    Watch {
        /// Ask this often
        #[arg(long, default_value = "1s", value_name = "DURATION", value_parser = duration)]
        interval: Duration,
        /// How to reach the adapter
        #[command(flatten)]
        remote: Remote,
    },
}

/// See and settle the dead letters of a running adapter
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// List the dead letters
    List(Remote),
    /// Set aside the first document of a lane, which the OFD does not take, so that the lane goes on
    ///
    /// While nothing else is delivered the adapter cannot tell such a document from an OFD that is down: ask the OFD first.
    Park {
        /// `receipt_id` of the document; `stuck` in the health names it
        id: String,
        /// Why, for the audit trail
        #[arg(long)]
        reason: String,
        /// How to reach the adapter
        #[command(flatten)]
        remote: Remote,
    },
    /// Send a dead letter again, its attempts at zero
    Requeue {
        /// `receipt_id` of the dead letter
        id: String,
        /// Why, for the audit trail
        #[arg(long)]
        reason: Option<String>,
        /// How to reach the adapter
        #[command(flatten)]
        remote: Remote,
    },
    /// Close a dead letter that was settled by other means
    Resolve {
        /// `receipt_id` of the dead letter
        id: String,
        /// What was done about it, for the audit trail
        #[arg(long)]
        note: String,
        /// How to reach the adapter
        #[command(flatten)]
        remote: Remote,
    },
}

/// See the buffer of a running adapter; check, export, or fill from the Python adapter that of a stopped one
#[derive(Debug, Subcommand)]
pub enum BufferCommand {
    /// Print how many documents stand where, of a running adapter
    Stats(Remote),
    /// Check every document of a stopped adapter's buffer; changes nothing
    Verify {
        /// Where the buffer is
        #[command(flatten)]
        stopped: Stopped,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Write every document of a stopped adapter's buffer as a line of JSON, oldest first
    Export {
        /// Where the buffer is
        #[command(flatten)]
        stopped: Stopped,
        /// Write to this new file instead of the standard output; only its owner may read it
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Take over the buffer.db of the Python adapter into a stopped adapter's buffer
    ///
    /// What waits there goes to the OFD under its own id and is never printed again; failed receipts become dead
    /// letters; the keys of synced ones answer replays. FILE is only read. Doing it twice changes nothing, and a run
    /// that was interrupted is finished by the next. Exit code 1 if a row could not be taken over: each is named.
    Import {
        /// The buffer.db of the Python adapter, which must be stopped; a buffer.db-wal beside it belongs to it
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Where the buffer is
        #[command(flatten)]
        stopped: Stopped,
        /// Only report what would be done
        #[arg(long)]
        dry_run: bool,
        /// The report as JSON
        #[arg(long)]
        json: bool,
    },
}

/// Where the buffer of a stopped adapter is, besides the environment
#[derive(Debug, Clone, Args)]
pub struct Stopped {
    /// Read the configuration from this TOML file
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The folder of the adapter
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<String>,
}

impl Stopped {
    /// The configuration in which the buffer is named.
    #[must_use]
    pub fn files(self) -> Files {
        Files { config: self.config, listen: None, data_dir: self.data_dir }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration(text)
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "must be a whole number with its unit (ms, s, m, h, d), such as 10m".into())
}
