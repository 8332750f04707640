//! `broker workload add`.

use super::{
    super::{ConfigFile, Outcome, ask::Asker, output},
    change::{TAKES_EFFECT, change},
    secret::{Handover, settle},
};
use crate::{
    config::{
        Config, duration,
        edit::{NewAcceptance, NewCredential, NewWorkload, add_workload},
    },
    domain::{Clock, SystemClock, WorkloadId},
};
use clap::Args;
use std::{io, process::ExitCode};

#[derive(Args)]
pub(in crate::cli) struct Add {
    /// Its id: 1 to 63 of a-z, 0-9, '-', '_' and '.'.
    id: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
    /// Its name for people, on consent pages.
    #[arg(long)]
    name: Option<String>,
    /// Whose assertions it may present: the name of an entry of `issuers`.
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// An audience minted for it at that issuer: its resource URI. Repeatable.
    #[arg(long, value_name = "URI")]
    audience: Vec<String>,
    /// Its own OAuth client id at that issuer. Repeatable.
    #[arg(long, value_name = "ID")]
    client_id: Vec<String>,
    /// An AI client that may obtain assertions for it; without any, all may. Repeatable.
    #[arg(long, value_name = "ID")]
    agent: Vec<String>,
    /// A role, for policy. Repeatable.
    #[arg(long)]
    role: Vec<String>,
    /// A tenant it serves; without any, all. Repeatable.
    #[arg(long)]
    tenant: Vec<String>,
    /// A provider it may ask for; without any, all. Repeatable.
    #[arg(long)]
    provider: Vec<String>,
    /// When its secret stops working, from now, such as 90d.
    #[arg(long, value_name = "DURATION", conflicts_with = "jwt_issuer")]
    expires_in: Option<String>,
    /// It shows a signed token instead of a secret, such as a Kubernetes service account's: of this entry of `issuers`.
    #[arg(long, value_name = "NAME", requires_all = ["jwt_audience", "jwt_subject"],
          conflicts_with_all = ["secret_file", "own_secret"])]
    jwt_issuer: Option<String>,
    /// The audience of that token.
    #[arg(long, value_name = "URI", requires = "jwt_issuer")]
    jwt_audience: Option<String>,
    /// The subject of that token, such as system:serviceaccount:tools:notes-server.
    #[arg(long, value_name = "SUB", requires = "jwt_issuer")]
    jwt_subject: Option<String>,
    #[command(flatten)]
    handover: Handover,
    /// Keep no copy of the configuration as it was.
    #[arg(long)]
    no_backup: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(add: &Add) -> Outcome {
    let asker = Asker::new(add.handover.no_input);
    let id = asker.needed(add.id.as_ref(), "Id of the MCP server", "its ID")?;
    WorkloadId::parse(&id)?;
    let display_name = asker.needed(add.name.as_ref(), "Its name for people", "--name")?;
    let accepts = accepts(add, &asker)?;
    let end = end(add)?;
    let (ready, credential) = match (&add.jwt_issuer, &add.jwt_audience, &add.jwt_subject) {
        (Some(issuer), Some(audience), Some(subject)) => {
            let [issuer, audience, subject] = [issuer, audience, subject].map(Clone::clone);
            (None, NewCredential::Jwt { issuer, audience, subject })
        }
        _ => {
            let ready = add.handover.prepare(&asker, add.json)?;
            let sha256 = ready.sha256.clone();
            (Some(ready), NewCredential::StaticSecret { sha256, not_after: end })
        }
    };
    let presents = accepts.is_some();
    let workload = NewWorkload {
        id: id.clone(),
        display_name,
        credential,
        accepts,
        roles: add.role.clone(),
        tenants: add.tenant.clone(),
        providers: add.provider.clone(),
    };
    let changed = change(&add.file.config, !add.no_backup, |text| add_workload(text, &workload));
    let (copy, secret_file) = settle(changed, ready)?;
    if add.json {
        let report = serde_json::json!({ "workload": id, "config": add.file.config, "kept": copy, "secret_file": secret_file });
        output::line(&report.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!("added {id} to {}", add.file.config.display()))?;
    for (what, name) in [("the secret is in", &secret_file), ("the file as it was is", &copy)] {
        if let Some(name) = name {
            output::line(&format!("{what} {name}"))?;
        }
    }
    if !presents {
        output::line("It can act for nobody yet: say under `accepts` whose assertions it may present.")?;
    }
    output::line(TAKES_EFFECT)?;
    Ok(ExitCode::SUCCESS)
}

/// RFC 3339 without fractions: people read it.
pub(super) fn whole_seconds(time: crate::domain::Timestamp) -> String {
    format!("{}Z", time.rfc3339().split('.').next().unwrap_or_default())
}

fn end(add: &Add) -> Result<Option<String>, String> {
    let Some(text) = &add.expires_in else { return Ok(None) };
    let life = duration::parse(text).ok_or("--expires-in is a whole number and a unit, such as 90d")?;
    Ok(Some(whole_seconds(SystemClock::default().now().plus(life))))
}

/// What is given, else what is answered; `None` = it presents nobody's assertion yet.
fn accepts(add: &Add, asker: &Asker) -> io::Result<Option<NewAcceptance>> {
    let issuers: Vec<String> = match Config::load(&add.file.config) {
        Ok(config) => config.issuers.into_iter().map(|issuer| issuer.name).collect(),
        // What is wrong with the file is said where it is changed.
        Err(_) => Vec::new(),
    };
    let only = if let [only] = &issuers[..] { Some(only.clone()) } else { None };
    let (mut audiences, client_ids) = (add.audience.clone(), add.client_id.clone());
    let mut issuer = add.issuer.clone();
    let given = !audiences.is_empty() || !client_ids.is_empty();
    if issuer.is_none() && given {
        issuer = only.clone();
        if issuer.is_none() && !asker.is_there() {
            return Err(io::Error::other("--issuer is missing: the configuration does not have exactly one"));
        }
    }
    if issuer.is_none() && asker.is_there() && (given || !issuers.is_empty()) {
        let question = format!("Whose assertions it may present, one of: {}", issuers.join(", "));
        issuer = Some(asker.text(&question, only.as_deref())?).filter(|name| !name.is_empty());
    }
    let Some(issuer) = issuer else { return Ok(None) };
    if !given {
        audiences =
            vec![asker.needed(None, "The audience minted for it there (its resource URI)", "--audience")?];
    }
    Ok(Some(NewAcceptance { issuer, audiences, client_ids, agents: add.agent.clone() }))
}
