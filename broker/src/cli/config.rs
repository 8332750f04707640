//! `broker config check|schema`.

use super::{ConfigFile, EXIT_PROBLEMS, Outcome, output};
use crate::{
    config::{Config, Problem, Problems, SCHEMA},
    policy::{PolicyProblem, PolicySet},
};
use clap::{Args, Subcommand};
use std::{path::Path, process::ExitCode};

#[derive(Subcommand)]
pub(super) enum ConfigCommand {
    /// Check the configuration and the policies it names: every problem at once, never a value.
    Check(Check),
    /// Print the JSON schema of the configuration.
    Schema,
}

#[derive(Args)]
pub(super) struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

/// Reads a configuration for a command that needs it.
pub(super) fn load(path: &Path) -> Result<Config, Problems> {
    Config::load(path)
}

pub(super) fn run(command: &ConfigCommand) -> Outcome {
    match command {
        ConfigCommand::Schema => {
            output::line(SCHEMA.trim_end())?;
            Ok(ExitCode::SUCCESS)
        }
        ConfigCommand::Check(check) => run_check(check),
    }
}

fn run_check(check: &Check) -> Outcome {
    let (problems, warnings) = match Config::load(&check.file.config) {
        Ok(config) => (policy_problems(&config), config.warnings),
        Err(found) => (found.problems, found.warnings),
    };
    if check.json {
        let list = |items: &[Problem]| -> Vec<serde_json::Value> {
            items.iter().map(|p| serde_json::json!({ "path": p.path, "message": p.message })).collect()
        };
        let report = serde_json::json!({ "problems": list(&problems), "warnings": list(&warnings) });
        output::line(&report.to_string())?;
    } else {
        for problem in &problems {
            output::line(&format!("problem: {problem}"))?;
        }
        for warning in &warnings {
            output::line(&format!("warning: {warning}"))?;
        }
        if problems.is_empty() {
            output::line(&format!("{} is in order.", check.file.config.display()))?;
        }
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_PROBLEMS) })
}

fn policy_problems(config: &Config) -> Vec<Problem> {
    let problem =
        |found: PolicyProblem| Problem { path: "policy.files".to_owned(), message: found.to_string() };
    match PolicySet::load_files(&config.policy.files) {
        Ok(_) => Vec::new(),
        Err(found) => found.0.into_iter().map(problem).collect(),
    }
}
