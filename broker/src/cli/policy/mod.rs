//! `broker policy test|explain`: what the configured rules say, before anybody asks in earnest (PO6).

mod answer;
mod explain;
mod question;
mod table;

use super::{ConfigFile, Outcome};
use crate::{
    config::Config,
    policy::{Policy, PolicySet, Settings},
};
use clap::Subcommand;
use std::error::Error;

#[derive(Subcommand)]
pub(super) enum PolicyCommand {
    /// Put a table of questions to the configured rules and compare the answers; exits with 3 when one differs.
    Test(table::Test),
    /// Say in words what the configured rules answer to one question, which of them decide, and what is missing.
    Explain(Box<explain::Explain>),
}

pub(super) fn run(command: &PolicyCommand) -> Outcome {
    match command {
        PolicyCommand::Test(test) => table::run(test),
        PolicyCommand::Explain(explain) => explain::run(explain),
    }
}

/// The configuration, its rules, and a decider by them.
struct Rules {
    config: Config,
    set: PolicySet,
    policy: Policy,
}

impl Rules {
    fn load(file: &ConfigFile) -> Result<Self, Box<dyn Error>> {
        // The rules are asked, and nobody is called: it needs no secret, and whoever writes rules may read none.
        let config = Config::load_without_secrets(&file.config)?;
        let set = PolicySet::load_files(&config.policy.files)?;
        let settings = Settings {
            default_max_ttl: config.grants.default_max_ttl,
            max_token_outlive: config.grants.max_token_outlive,
            ..Settings::default()
        };
        let policy = Policy::new(set.clone(), settings);
        Ok(Self { config, set, policy })
    }
}
