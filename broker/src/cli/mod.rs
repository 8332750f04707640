//! The command line. Human output on a terminal, `--json` where there is something to read by program.
//!
//! Exit codes: 0 done; 1 it did not work; 2 wrong usage (clap's); 3 a check found problems (`config check`, `audit verify`,
//! `policy test`, `health`), or something is left to do (`keys rewrap`).

mod ask;
mod audit;
mod completions;
mod config;
mod health;
mod init;
mod keys;
mod log;
mod output;
mod policy;
mod provider;
mod replace;
mod serve;
mod workload;

use clap::{Args, Parser, Subcommand};
use std::{path::PathBuf, process::ExitCode};

const EXIT_CODES: &str = "Exit codes: 0 done; 1 it did not work; 2 wrong usage; \
3 a check found problems (`config check`, `audit verify`, `policy test`, `health`), \
or something is left to do (`keys rewrap`).";

/// It did not work.
pub const EXIT_FAILED: u8 = 1;
/// A check found problems.
pub const EXIT_PROBLEMS: u8 = 3;

/// The token broker: short-lived grants for MCP servers, each decided by policy and written down first.
#[derive(Parser)]
#[command(name = "broker", version, about, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write a starter configuration, a policy and fresh keys (mode 0600) into a directory.
    Init(init::Init),
    /// Run the broker until SIGTERM.
    Serve(ConfigFile),
    /// Ask a running broker whether it serves.
    Health(health::Health),
    /// Bring the database to this version's schema.
    Migrate(serve::Migrate),
    /// Check the configuration, or print its JSON schema.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Read and verify the audit log.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Add MCP servers to the configuration, give them other secrets, list them.
    #[command(subcommand)]
    Workload(workload::WorkloadCommand),
    /// Look at the providers of the configuration.
    #[command(subcommand)]
    Provider(provider::ProviderCommand),
    /// Try the rules before anybody asks in earnest.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Look at the keys, never at a key itself; rotate them.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Print a script that completes this command line in a shell.
    Completions(completions::Completions),
}

/// Which configuration.
#[derive(Args, Clone)]
pub(crate) struct ConfigFile {
    /// The configuration file.
    #[arg(long, short, env = "BROKER_CONFIG", default_value = "broker.yaml")]
    config: PathBuf,
}

/// What a command came to: an exit code, or a sentence for stderr.
type Outcome = Result<ExitCode, Box<dyn std::error::Error>>;

/// Runs a command.
pub fn run(cli: Cli) -> ExitCode {
    let outcome = match cli.command {
        Command::Init(init) => init::run(&init),
        Command::Serve(file) => serve::serve(&file),
        Command::Health(health) => health::run(&health),
        Command::Migrate(migrate) => serve::migrate(&migrate),
        Command::Config(command) => config::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Workload(command) => workload::run(&command),
        Command::Provider(command) => provider::run(&command),
        Command::Policy(command) => policy::run(&command),
        Command::Keys(command) => keys::run(&command),
        Command::Completions(completions) => completions::run(&completions),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("broker: {error}");
        ExitCode::from(EXIT_FAILED)
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, std::io::Error> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
