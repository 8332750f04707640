//! `broker keys rewrap`.

use super::{
    super::{ConfigFile, EXIT_PROBLEMS, Outcome, config::load, output, runtime},
    tenants,
};
use crate::{
    app::KeyDesk,
    crash::CrashPoints,
    domain::{SystemClock, SystemRng, TenantId},
    storage::{Uses, WrappedKey},
    vault::{Pace, Rewrap, Rewrapped},
};
use clap::Args;
use serde_json::{Value, json};
use std::{
    error::Error,
    io::{self, IsTerminal, Write},
    num::NonZeroU32,
    process::ExitCode,
    sync::Arc,
};

#[derive(Args)]
pub(in crate::cli) struct RewrapAll {
    #[command(flatten)]
    file: ConfigFile,
    /// Which tenant; every tenant of the configuration, every other one that still has keys, and the system's keys, where none is named.
    #[arg(long)]
    tenant: Option<String>,
    /// Most rows a second, such as 200/s.
    #[arg(long, default_value = "500/s", value_parser = rate)]
    rate: NonZeroU32,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

fn rate(text: &str) -> Result<NonZeroU32, String> {
    let number = text.strip_suffix("/s").unwrap_or(text);
    number.parse().map_err(|_| "it is a whole number of rows from 1, and /s, such as 200/s".to_owned())
}

/// What was done for one tenant, and what is left.
struct Done {
    tenant: TenantId,
    rewrapped: Rewrapped,
    /// Keys of its own that are wrapped by another root key now.
    keys: u64,
    /// Per key, the newest first.
    uses: Vec<(String, Uses)>,
}

impl Done {
    fn left(&self) -> u64 {
        self.uses.iter().skip(1).map(|(_, uses)| uses.sum()).sum()
    }
}

pub(super) fn run(rewrap: &RewrapAll) -> Outcome {
    let config = load(&rewrap.file.config)?;
    let tenants = tenants(&config, rewrap.tenant.as_deref())?;
    runtime()?.block_on(async {
        let (clock, rng) = (Arc::new(SystemClock::default()), Arc::new(SystemRng::default()));
        let desk = KeyDesk::open(&config, clock, rng, CrashPoints::of_this_process()?).await?;
        let system = if rewrap.tenant.is_none() { desk.rewrap_by_root("").await? } else { 0 };
        let (work, mut pace, mut all) = (desk.rewrap(), desk.pace(rewrap.rate), Vec::new());
        for tenant in &tenants {
            if desk.has_keys(tenant).await? {
                all.push(of_tenant(&desk, &work, &mut pace, tenant.clone()).await?);
            }
        }
        let mut failed = false;
        let others = if rewrap.tenant.is_none() { desk.tenants_with_keys().await? } else { Vec::new() };
        for tenant in others.into_iter().filter(|tenant| !tenants.contains(tenant)) {
            // Perhaps nobody has its root key any more: that keeps no other tenant waiting.
            match of_tenant(&desk, &work, &mut pace, tenant.clone()).await {
                Ok(done) => all.push(done),
                Err(error) => {
                    failed = true;
                    writeln!(io::stderr(), "{tenant}, which is not in the configuration: {error}").ok();
                }
            }
        }
        let by_others = desk.wrapped_by_other_roots().await?;
        report(rewrap.json, system, &all, &by_others)?;
        Ok(if failed || !by_others.is_empty() || all.iter().any(|done| done.left() > 0) {
            ExitCode::from(EXIT_PROBLEMS)
        } else {
            ExitCode::SUCCESS
        })
    })
}

async fn of_tenant(
    desk: &KeyDesk,
    work: &Rewrap,
    pace: &mut Pace,
    tenant: TenantId,
) -> Result<Done, Box<dyn Error>> {
    let keys = desk.rewrap_by_root(tenant.as_str()).await?;
    let to_do: u64 = work.uses(&tenant).await?.iter().skip(1).map(|(_, uses)| uses.sum()).sum();
    let shown = io::stderr().is_terminal();
    let mut tell = |done: &Rewrapped| {
        if shown {
            // A terminal that went away is no reason to stop.
            write!(io::stderr(), "\r{tenant}: {} of {to_do} ", done.rows.sum()).ok();
        }
    };
    let rewrapped = work.tenant(&tenant, pace, &mut tell).await;
    if shown {
        writeln!(io::stderr()).ok();
    }
    let rewrapped = rewrapped?;
    let uses = work.uses(&tenant).await?;
    if rewrapped.rows.sum() + keys > 0 {
        let log = desk.log().await?;
        let newest = uses.first().map_or("", |(key, _)| key.as_str());
        log.rewrapped(&tenant, newest, rewrapped.rows, keys).await?;
        log.close().await?;
    }
    Ok(Done { tenant, rewrapped, keys, uses })
}

fn report(as_json: bool, system: u64, all: &[Done], by_others: &[WrappedKey]) -> io::Result<()> {
    if as_json {
        let tenants: Vec<_> = all.iter().map(of_json).collect();
        let by_others: Vec<_> = by_others
            .iter()
            .map(|key| json!({ "tenant": key.tenant, "key": key.id, "wrapped_by": key.wrapped_by }))
            .collect();
        let said = json!({ "system_keys": system, "tenants": tenants, "by_other_root_keys": by_others });
        return output::line(&said.to_string());
    }
    let mut rows = Vec::new();
    for done in all {
        for (n, (key, uses)) in done.uses.iter().enumerate() {
            let state = if n == 0 { "wraps" } else { "opens" };
            let numbers = [uses.tokens, uses.consents, uses.subject_keys].map(|number| number.to_string());
            let names = [done.tenant.as_str(), key, state].map(str::to_owned);
            rows.push(names.into_iter().chain(numbers).collect());
        }
    }
    output::table(&["TENANT", "KEY", "STATE", "TOKENS", "CONSENTS", "PEOPLE'S KEYS"], &rows)?;
    for done in all {
        let (tenant, rows, left) = (&done.tenant, done.rewrapped.rows.sum(), done.left());
        let keys = if done.keys > 0 {
            format!(", {} of its keys by the root key", done.keys)
        } else {
            String::new()
        };
        output::line(&format!("{tenant}: {rows} wrapped anew{keys}; {left} left with older keys"))?;
        if done.rewrapped.unusable > 0 {
            output::line(&format!(
                "{tenant}: {} of them cannot be wrapped anew: they were edited, or a key is missing",
                done.rewrapped.unusable
            ))?;
        }
    }
    if system > 0 {
        output::line(&format!("{system} keys of the system are wrapped by the root key that wraps"))?;
    }
    for key in by_others {
        let whose = if key.tenant.is_empty() { "the system" } else { &key.tenant };
        output::line(&format!("{whose}: {} is still wrapped by the root key {}", key.id, key.wrapped_by))?;
    }
    output::line(
        "Older keys stay: a tenant's oldest makes the pseudonyms of its log, and a spool or a backup may need any.",
    )
}

fn of_json(done: &Done) -> Value {
    let uses = |uses: &Uses| json!({ "tokens": uses.tokens, "consents": uses.consents, "subject_keys": uses.subject_keys });
    let keys: Vec<_> =
        done.uses.iter().map(|(key, wraps)| json!({ "key": key, "wraps": uses(wraps) })).collect();
    json!({
        "tenant": done.tenant.as_str(), "rewrapped": uses(&done.rewrapped.rows), "tenant_keys": done.keys,
        "unusable": done.rewrapped.unusable, "left": done.left(), "keys": keys,
    })
}
