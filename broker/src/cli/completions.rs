//! `broker completions`: a script for the shell, from the definition of the command line itself.

use super::{Cli, Outcome, output};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::process::ExitCode;

#[derive(Args)]
pub(super) struct Completions {
    /// For which shell.
    shell: Shell,
}

pub(super) fn run(completions: &Completions) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(completions.shell, &mut Cli::command(), "broker", &mut script);
    output::line(String::from_utf8(script)?.trim_end())?;
    Ok(ExitCode::SUCCESS)
}
