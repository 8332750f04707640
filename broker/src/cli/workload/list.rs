//! `broker workload list`.

use super::super::{ConfigFile, Outcome, config::load, output};
use crate::{
    config::{Credential, Workload},
    domain::{Clock, SystemClock, Timestamp},
};
use clap::Args;
use serde_json::{Value, json};
use std::{collections::BTreeSet, fmt::Display, process::ExitCode};

#[derive(Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    file: ConfigFile,
    /// Print a JSON list.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(list: &List) -> Outcome {
    let config = load(&list.file.config)?;
    let now = SystemClock::default().now();
    if list.json {
        let all: Vec<Value> = config.workloads.iter().map(|workload| described(workload, now)).collect();
        output::line(&Value::from(all).to_string())?;
    } else {
        let rows: Vec<_> = config.workloads.iter().map(|workload| row(workload, now)).collect();
        output::table(&["WORKLOAD", "NAME", "CREDENTIALS", "ACTS FOR PEOPLE OF", "PROVIDERS"], &rows)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn state(not_after: Option<Timestamp>, now: Timestamp) -> &'static str {
    if not_after.is_some_and(|end| end <= now) { "expired" } else { "valid" }
}

/// Everything but the hash of a secret.
fn described(workload: &Workload, now: Timestamp) -> Value {
    let credentials: Vec<Value> = workload
        .credentials
        .iter()
        .map(|credential| match credential {
            Credential::StaticSecret { not_after, .. } => json!({
                "kind": "static_secret", "state": state(*not_after, now), "not_after": not_after.map(Timestamp::rfc3339),
            }),
            Credential::Jwt { issuer, audience, subject } => {
                json!({ "kind": "jwt", "issuer": issuer, "audience": audience, "subject": subject })
            }
        })
        .collect();
    let accepts: Vec<Value> = workload
        .accepts
        .iter()
        .map(|(issuer, accepted)| {
            json!({
                "issuer": issuer, "audiences": accepted.audiences, "client_ids": accepted.client_ids, "agents": accepted.agents,
            })
        })
        .collect();
    json!({
        "id": workload.id, "display_name": workload.display_name, "credentials": credentials, "accepts": accepts,
        "roles": workload.roles, "tenants": workload.tenants, "providers": workload.providers,
    })
}

fn row(workload: &Workload, now: Timestamp) -> Vec<String> {
    let credential = |credential: &Credential| match credential {
        Credential::StaticSecret { not_after: None, .. } => "secret".to_owned(),
        Credential::StaticSecret { not_after: Some(end), .. } => {
            let until = super::add::whole_seconds(*end);
            format!("secret ({} {until})", if *end <= now { "expired" } else { "until" })
        }
        Credential::Jwt { issuer, .. } => format!("token of {issuer}"),
    };
    let issuers: Vec<&str> = workload.accepts.keys().map(String::as_str).collect();
    vec![
        workload.id.to_string(),
        workload.display_name.clone(),
        workload.credentials.iter().map(credential).collect::<Vec<_>>().join(", "),
        if issuers.is_empty() { "nobody".to_owned() } else { issuers.join(", ") },
        any(workload.providers.as_ref()),
    ]
}

fn any<T: Display>(named: Option<&BTreeSet<T>>) -> String {
    named.map_or("any".to_owned(), |set| set.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}
