//! `broker audit list|verify`: reads the database beside a running broker.

use super::{ConfigFile, EXIT_PROBLEMS, Outcome, config::load, output, runtime};
use crate::{
    app,
    audit::verify::{Verified, VerifyError, verify},
    domain::{Clock, Position, RealmId, Rng, Subject, SystemClock, SystemRng, TenantId, Timestamp},
    keys::{FileKeyring, KeyRing},
    storage::{AuditFilter, AuditRow, Store},
};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::{error::Error, io::IsTerminal, process::ExitCode, sync::Arc};

#[derive(Subcommand)]
pub(super) enum AuditCommand {
    /// List events, oldest first.
    List(List),
    /// Recompute every hash and MAC; names the first bad row and exits with 3.
    Verify(Verify),
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    file: ConfigFile,
    /// From this time on (RFC 3339).
    #[arg(long)]
    since: Option<String>,
    /// Before this time (RFC 3339).
    #[arg(long)]
    until: Option<String>,
    /// Only this tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Only this person, as REALM/SUBJECT; needs --tenant.
    #[arg(long, requires = "tenant")]
    subject: Option<String>,
    /// Only this workload.
    #[arg(long)]
    workload: Option<String>,
    /// Only this provider.
    #[arg(long)]
    provider: Option<String>,
    /// Only this outcome: allowed, denied, consent_required or failed.
    #[arg(long, value_parser = ["allowed", "denied", "consent_required", "failed"])]
    outcome: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    /// One event's canonical JSON per line.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct Verify {
    #[command(flatten)]
    file: ConfigFile,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &AuditCommand) -> Outcome {
    match command {
        AuditCommand::List(list) => runtime()?.block_on(run_list(list)),
        AuditCommand::Verify(verify) => runtime()?.block_on(run_verify(verify)),
    }
}

async fn open(file: &ConfigFile) -> Result<(Store, Arc<KeyRing>), Box<dyn Error>> {
    let config = load(&file.config)?;
    let keyring = FileKeyring::load(&config.keys.file)?;
    let store = app::open_store_read_only(&config).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let rng: Arc<dyn Rng> = Arc::new(SystemRng::default());
    let keys = app::open_keys(keyring, &store, &clock, &rng).await?;
    Ok((store, keys))
}

async fn run_list(list: &List) -> Outcome {
    let (store, keys) = open(&list.file).await?;
    let filter = filter(list, &keys).await?;
    let mut after: Option<Position> = None;
    let mut rows = Vec::new();
    let mut left = list.limit;
    while left > 0 {
        let page = store.audit_log.list(&filter, after.as_ref(), u32::try_from(left.min(500))?).await?;
        let Some(last) = page.last() else { break };
        after = Some(Position { stream: last.stream.clone(), seq: last.seq });
        left -= page.len();
        for row in page {
            if list.json {
                // Written anew: an edited body must not forge a line.
                let body: Value = serde_json::from_slice(&row.body)?;
                output::line(&body.to_string())?;
            } else {
                rows.push(cells(&row)?);
            }
        }
    }
    if !list.json {
        output::table(
            &["TIME", "KIND", "OUTCOME", "REASON", "WORKLOAD", "PROVIDER", "SUBJECT", "RULES"],
            &rows,
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn filter(list: &List, keys: &KeyRing) -> Result<AuditFilter, Box<dyn Error>> {
    let time = |name: &str, text: &Option<String>| -> Result<Option<Timestamp>, String> {
        let Some(text) = text else { return Ok(None) };
        let read = Timestamp::parse_rfc3339(text);
        read.map(Some).ok_or(format!("--{name} is not RFC 3339, e.g. 2026-01-31T08:00:00Z"))
    };
    let subject = match (&list.subject, &list.tenant) {
        (Some(subject), Some(tenant)) => {
            let (realm, id) = subject.split_once('/').ok_or("--subject is REALM/SUBJECT")?;
            let tenant = TenantId::parse(tenant)?;
            let subject = Subject { tenant, realm: RealmId::parse(realm)?, id: id.to_owned() };
            Some(keys.pseudonym(&subject).await?)
        }
        _ => None,
    };
    Ok(AuditFilter {
        from: time("since", &list.since)?,
        until: time("until", &list.until)?,
        tenant: list.tenant.clone(),
        subject,
        workload: list.workload.clone(),
        provider: list.provider.clone(),
        outcome: list.outcome.clone(),
    })
}

/// From the canonical bytes, not from the columns.
fn cells(row: &AuditRow) -> Result<Vec<String>, Box<dyn Error>> {
    let body: Value = serde_json::from_slice(&row.body)?;
    let text = |key: &str| body[key].as_str().unwrap_or("-").to_owned();
    let subject: String = text("subject").chars().take(12).collect();
    let rules = body["policy"]["rules"].as_array().map_or_else(
        || "-".to_owned(),
        |rules| rules.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
    );
    let texts = ["time", "kind", "outcome", "reason", "workload", "provider"].map(text);
    Ok(texts.into_iter().chain([subject, rules]).collect())
}

async fn run_verify(args: &Verify) -> Outcome {
    let (store, keys) = open(&args.file).await?;
    let show = std::io::stderr().is_terminal() && !args.json;
    let mut progress = |so_far: &Verified| {
        if show {
            eprint!("\r{} events in {} streams", so_far.events, so_far.streams);
        }
    };
    let verified = verify(&*store.ledger, &*store.audit_log, &keys.audit_keys(), &mut progress).await;
    if show {
        eprintln!();
    }
    match verified {
        Ok(verified) => {
            report(args.json, &verified)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(VerifyError::Bad(bad)) => {
            if args.json {
                let fault = bad.fault.to_string();
                let json = serde_json::json!({ "verified": false, "stream": bad.stream, "seq": bad.seq, "fault": fault });
                output::line(&json.to_string())?;
            } else {
                output::line(&format!("NOT VERIFIED: {bad}"))?;
            }
            Ok(ExitCode::from(EXIT_PROBLEMS))
        }
        Err(VerifyError::Store(error)) => Err(error.into()),
    }
}

fn report(json: bool, verified: &Verified) -> std::io::Result<()> {
    let Verified { streams, events, open, recovered } = verified;
    if json {
        let json = serde_json::json!({
            "verified": true, "streams": streams, "events": events, "open_streams": open, "recovered_streams": recovered,
        });
        return output::line(&json.to_string());
    }
    output::line(&format!(
        "verified: {events} events in {streams} streams ({open} open, {recovered} recovered)"
    ))
}
