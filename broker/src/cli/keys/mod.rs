//! `broker keys`: look at the keys, give a tenant a further one, wrap what is stored with it.

mod list;
mod rewrap;
mod rotate;

use super::Outcome;
use crate::{config::Config, domain::TenantId};
use clap::Subcommand;

#[derive(Subcommand)]
pub(super) enum KeysCommand {
    /// List the root keys of the key file and the keys in the database that they wrap; never a key itself.
    List(list::List),
    /// Give a tenant a further key. It wraps what is new, on every replica within about 5 seconds; the older ones still open. Brokers may
    /// go on serving.
    Rotate(rotate::Rotate),
    /// Wrap everything that is stored with its tenant's newest key, and every tenant's keys with the first root key of the key file.
    /// Brokers may go on serving; killed anywhere, run it again. Exit code 3: an older key still wraps something, or a
    /// root key that is not the first.
    Rewrap(rewrap::RewrapAll),
}

pub(super) fn run(command: &KeysCommand) -> Outcome {
    match command {
        KeysCommand::List(list) => list::run(list),
        KeysCommand::Rotate(rotate) => rotate::run(rotate),
        KeysCommand::Rewrap(rewrap) => rewrap::run(rewrap),
    }
}

/// The one that is named, or all of them.
fn tenants(config: &Config, named: Option<&str>) -> Result<Vec<TenantId>, String> {
    let all = config.tenants.iter().map(|tenant| tenant.id.clone());
    let Some(named) = named else { return Ok(all.collect()) };
    let found: Vec<_> = all.filter(|tenant| tenant.as_str() == named).collect();
    if found.is_empty() {
        Err(format!("no tenant of the configuration is called {named}"))
    } else {
        Ok(found)
    }
}
