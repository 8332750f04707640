//! `broker workload add|rotate|list`: the MCP servers that may call.

mod add;
mod change;
mod list;
mod rotate;
mod secret;

use super::Outcome;
use clap::Subcommand;

#[derive(Subcommand)]
pub(super) enum WorkloadCommand {
    /// Add an MCP server to the configuration, with a fresh secret or a token of its own. Asks for what is not given.
    Add(Box<add::Add>),
    /// Give an MCP server another secret; the earlier ones work for a while longer.
    Rotate(rotate::Rotate),
    /// List the MCP servers of the configuration and how each proves who it is.
    List(list::List),
}

pub(super) fn run(command: &WorkloadCommand) -> Outcome {
    match command {
        WorkloadCommand::Add(add) => add::run(add),
        WorkloadCommand::Rotate(rotate) => rotate::run(rotate),
        WorkloadCommand::List(list) => list::run(list),
    }
}
