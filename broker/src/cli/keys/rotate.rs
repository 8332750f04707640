//! `broker keys rotate`.

use super::{
    super::{ConfigFile, Outcome, config::load, output, runtime},
    tenants,
};
use crate::{
    app::KeyDesk,
    crash::CrashPoints,
    domain::{SystemClock, SystemRng},
    usecase::Rotated,
};
use clap::Args;
use serde_json::{Value, json};
use std::{process::ExitCode, sync::Arc};

#[derive(Args)]
#[group(id = "whose", required = true, multiple = false, args = ["tenant", "all_tenants"])]
pub(in crate::cli) struct Rotate {
    #[command(flatten)]
    file: ConfigFile,
    /// Which tenant.
    #[arg(long)]
    tenant: Option<String>,
    /// Every tenant of the configuration.
    #[arg(long)]
    all_tenants: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(rotate: &Rotate) -> Outcome {
    let config = load(&rotate.file.config)?;
    let tenants = tenants(&config, rotate.tenant.as_deref())?;
    runtime()?.block_on(async {
        let (clock, rng) = (Arc::new(SystemClock::default()), Arc::new(SystemRng::default()));
        let desk = KeyDesk::open(&config, clock, rng, CrashPoints::of_this_process()?).await?;
        let log = desk.log().await?;
        let mut rotated = Vec::new();
        for tenant in &tenants {
            // Told at once: should a later one fail, these are there.
            let done = log.rotate(tenant).await.map_err(|error| format!("{tenant}: {error}"))?;
            if !rotate.json {
                output::line(&sentence(&done))?;
            }
            rotated.push(done);
        }
        log.close().await?;
        if rotate.json {
            let one = |done: &Rotated| {
                json!({
                    "tenant": done.tenant.as_str(), "key": done.key.id, "previous": done.previous,
                    "wrapped_by": done.key.wrapped_by, "created_at": done.key.created_at.rfc3339(),
                })
            };
            output::line(&Value::from(rotated.iter().map(one).collect::<Vec<_>>()).to_string())?;
        } else {
            output::line("Every replica wraps with it within about 5 seconds. Then: broker keys rewrap")?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn sentence(done: &Rotated) -> String {
    let Rotated { tenant, key, previous } = done;
    format!("{tenant}: {} wraps what is new; {previous} still opens", key.id)
}
