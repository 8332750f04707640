//! `broker serve` and `broker migrate`.

use super::{ConfigFile, Outcome, config::load, log, output, runtime};
use crate::{
    app::{self, Sockets},
    config::Config,
    crash::CrashPoints,
    domain::{Clock, ProviderSpec, Rng, SecretString, SystemClock, SystemRng, provider::Rotation},
    lifecycle::{self, StopSignals},
    metrics::Metrics,
    storage::AppliedMigration,
};
use clap::Args;
use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

/// How long the traces of the last calls may take to be sent, after the drain.
const LAST_TRACES: Duration = Duration::from_secs(3);

pub(super) fn serve(file: &ConfigFile) -> Outcome {
    let config = load(&file.config)?;
    runtime()?.block_on(async {
        let points = CrashPoints::of_this_process()?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
        let rng: Arc<dyn Rng> = Arc::new(SystemRng::default());
        let metrics = Metrics::default();
        let logging = log::install(&config, Arc::clone(&rng), metrics.clone())?;
        let signals = StopSignals::catch()?;
        let sockets = Sockets::bind(&config)?;
        let running = app::start_with(&config, clock, rng, sockets, metrics, points).await?;
        for hint in next_steps(&config) {
            tracing::warn!("{hint}");
        }
        lifecycle::until_told(running, signals, config.limits.drain_timeout).await;
        logging.finish(LAST_TRACES).await;
        Ok(ExitCode::SUCCESS)
    })
}

/// A working broker that serves nobody yet says what to configure next.
fn next_steps(config: &Config) -> Vec<&'static str> {
    let mut hints = Vec::new();
    if config.issuers.is_empty() {
        hints.push("no issuer is configured: add your SSO under `issuers`, then run `broker config check`");
    }
    if config.workloads.is_empty() {
        hints.push("no workload is configured: add your MCP servers under `workloads`");
    }
    if config.providers.is_empty() {
        hints.push("no provider is configured: add a system to connect under `providers`");
    }
    let replaces = |spec: &ProviderSpec| spec.rotation != Rotation::None;
    if config.spool.directory.is_none() && config.providers.iter().any(replaces) {
        hints.push(
            "no spool is configured: a refresh token that its provider replaces while the database is away is lost; \
             name a directory under `spool`",
        );
    }
    hints
}

/// `broker migrate`.
#[derive(Args)]
pub(super) struct Migrate {
    #[command(flatten)]
    file: ConfigFile,
    /// PostgreSQL: a file with the URL of the database as its owner, not through a pooler. The role of the configuration then gets
    /// the rights of a serving broker and no other. Without it that role is the owner.
    #[arg(long, env = "BROKER_OWNER_URL_FILE")]
    owner_url_file: Option<PathBuf>,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn migrate(migrate: &Migrate) -> Outcome {
    let config = load(&migrate.file.config)?;
    let owner_url = match &migrate.owner_url_file {
        None => None,
        Some(file) => Some(SecretString::from(std::fs::read_to_string(file)?.trim_end().to_owned())),
    };
    let clock = SystemClock::default();
    let applied = runtime()?.block_on(app::migrate(&config, owner_url.as_ref(), &clock))?;
    if migrate.json {
        let one = |m: &AppliedMigration| serde_json::json!({ "version": m.version, "name": m.name });
        let list: Vec<_> = applied.iter().map(one).collect();
        output::line(&serde_json::json!({ "applied": list }).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    if applied.is_empty() {
        output::line("The database is up to date.")?;
    }
    for migration in applied {
        output::line(&format!("applied {:04} {}", migration.version, migration.name))?;
    }
    Ok(ExitCode::SUCCESS)
}
