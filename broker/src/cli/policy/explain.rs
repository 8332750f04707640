//! `broker policy explain`.

use super::{
    super::{ConfigFile, Outcome, output},
    Rules,
    question::{Action, Asked, Person},
};
use clap::Args;
use std::{process::ExitCode, sync::Arc};

#[derive(Args)]
pub(in crate::cli) struct Explain {
    #[command(flatten)]
    file: ConfigFile,
    /// What is asked.
    #[arg(long, value_enum, default_value_t)]
    action: Action,
    /// The person's subject claim.
    #[arg(long, value_name = "ID")]
    subject: Option<String>,
    /// Who vouches for the person: the name of an entry of `issuers`; may be left out where there is one.
    #[arg(long, value_name = "NAME", requires = "subject")]
    issuer: Option<String>,
    /// The person's tenant, where the issuer serves several.
    #[arg(long, requires = "subject")]
    tenant: Option<String>,
    /// A role or group of the person. Repeatable.
    #[arg(long, requires = "subject")]
    role: Vec<String>,
    /// The MCP server.
    #[arg(long, value_name = "ID")]
    workload: Option<String>,
    /// The provider.
    #[arg(long, value_name = "ID")]
    provider: Option<String>,
    /// A scope. Repeatable.
    #[arg(long)]
    scope: Vec<String>,
    /// The tool, in the server's words.
    #[arg(long, default_value = "")]
    tool: String,
    /// The purpose, in the server's words.
    #[arg(long, default_value = "")]
    purpose: String,
    /// How long the grant should last, such as 15m.
    #[arg(long, value_name = "DURATION")]
    ttl: Option<String>,
    /// The AI client.
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    /// How the person signed in, in the IdP's words.
    #[arg(long)]
    acr: Option<String>,
    /// How long ago the person signed in, such as 20m.
    #[arg(long, value_name = "DURATION")]
    login_age: Option<String>,
    /// The time of the call (RFC 3339); now, when left out.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(explain: &Explain) -> Outcome {
    let rules = Rules::load(&explain.file)?;
    let answer = explain.asked().put(&rules)?;
    if explain.json {
        output::line(&answer.json().to_string())?;
    } else {
        for line in answer.words(&rules) {
            output::line(&line)?;
        }
        output::line(&format!("by version {} of the rules", answer.version))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Explain {
    fn asked(&self) -> Asked {
        let person = |id: &String| Person {
            id: id.clone(),
            issuer: self.issuer.clone(),
            tenant: self.tenant.clone(),
            roles: Arc::new(self.role.iter().cloned().collect()),
        };
        Asked {
            subject: self.subject.as_ref().map(person),
            workload: self.workload.clone(),
            action: self.action,
            provider: self.provider.clone(),
            scopes: self.scope.clone(),
            tool: self.tool.clone(),
            purpose: self.purpose.clone(),
            requested_ttl: self.ttl.clone(),
            client_id: self.client_id.clone(),
            acr: self.acr.clone(),
            login_age: self.login_age.clone(),
            now: self.at.clone(),
        }
    }
}
