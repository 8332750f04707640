//! `broker keys list`: the root keys, and the keys that they wrap.

use super::super::{ConfigFile, Outcome, config::load, output, runtime};
use crate::{
    app,
    config::{Config, Storage},
    keys::FileKeyring,
    storage::WrappedKey,
};
use clap::Args;
use serde_json::{Value, json};
use std::{error::Error, process::ExitCode};

#[derive(Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    file: ConfigFile,
    /// Print a JSON list.
    #[arg(long)]
    json: bool,
}

/// One key, as it is shown.
struct Shown {
    id: String,
    kind: &'static str,
    tenant: String,
    wrapped_by: Option<String>,
    created: Option<String>,
    state: &'static str,
}

pub(super) fn run(list: &List) -> Outcome {
    let config = load(&list.file.config)?;
    let root = FileKeyring::load(&config.keys.file)?;
    let mut keys: Vec<Shown> = root.ids().enumerate().map(|(n, id)| root_key(n, id)).collect();
    let wrapped = runtime()?.block_on(wrapped(&config))?;
    keys.extend(wrapped.into_iter().map(|(key, newest)| wrapped_key(key, newest, &root)));
    if list.json {
        let all = keys.iter().map(|key| {
            json!({
                "id": key.id, "kind": key.kind, "tenant": key.tenant, "wrapped_by": key.wrapped_by,
                "created_at": key.created, "state": key.state,
            })
        });
        output::line(&Value::from(all.collect::<Vec<_>>()).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let tenant = |key: &Shown| if key.tenant.is_empty() { "-".to_owned() } else { key.tenant.clone() };
    let rows: Vec<_> = keys
        .into_iter()
        .map(|key| {
            let tenant = tenant(&key);
            vec![
                key.kind.to_owned(),
                tenant,
                key.id,
                key.state.to_owned(),
                dash(key.created),
                dash(key.wrapped_by),
            ]
        })
        .collect();
    output::table(&["KIND", "TENANT", "KEY", "STATE", "MADE", "WRAPPED BY"], &rows)?;
    Ok(ExitCode::SUCCESS)
}

fn root_key(n: usize, id: &str) -> Shown {
    let state = if n == 0 { "wraps" } else { "opens" };
    Shown { id: id.to_owned(), kind: "root", tenant: String::new(), wrapped_by: None, created: None, state }
}

/// A key whose root key is not in the file can be opened by nobody.
fn wrapped_key(key: WrappedKey, newest: bool, root: &FileKeyring) -> Shown {
    let state = match root.ids().any(|id| id == key.wrapped_by) {
        false => "ROOT KEY MISSING",
        true if newest => "wraps",
        true => "opens",
    };
    Shown {
        kind: if key.tenant.is_empty() { "system" } else { "tenant" },
        id: key.id,
        tenant: key.tenant,
        wrapped_by: Some(key.wrapped_by),
        created: Some(key.created_at.rfc3339()),
        state,
    }
}

/// The system's keys and those of every tenant, configured or not, newest first each, with whether it is the newest.
async fn wrapped(config: &Config) -> Result<Vec<(WrappedKey, bool)>, Box<dyn Error>> {
    // A broker that was never started has no database and no keys in it.
    if matches!(&config.storage, Storage::Sqlite { path } if !path.exists()) {
        return Ok(Vec::new());
    }
    let store = app::open_store_read_only(config).await?;
    let mut tenants = vec![String::new()];
    tenants.extend(config.tenants.iter().map(|tenant| tenant.id.as_str().to_owned()));
    for (tenant, _) in store.wrapped_keys.counts().await? {
        if !tenants.contains(&tenant) {
            tenants.push(tenant);
        }
    }
    let mut found = Vec::new();
    for tenant in &tenants {
        let keys = store.wrapped_keys.tenant_keys(tenant).await?;
        found.extend(keys.into_iter().enumerate().map(|(n, key)| (key, n == 0)));
    }
    Ok(found)
}
