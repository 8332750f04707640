//! `broker provider list`.

use super::{ConfigFile, Outcome, output};
use crate::config::Config;
use crate::domain::{
    ProviderSpec,
    provider::{Expiry, IssParameter, Narrowing, Pkce, RevokeStyle},
};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::process::ExitCode;
use url::Url;

#[derive(Subcommand)]
pub(super) enum ProviderCommand {
    /// List the providers of the configuration, with the redirect URI to register at each.
    List(List),
}

#[derive(Args)]
pub(super) struct List {
    #[command(flatten)]
    file: ConfigFile,
    /// Print a JSON list.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(command: &ProviderCommand) -> Outcome {
    let ProviderCommand::List(list) = command;
    let config = Config::load_without_secrets(&list.file.config)?;
    let public = &config.public_url;
    if list.json {
        let all: Vec<Value> = config.providers.iter().map(|spec| described(spec, public)).collect();
        output::line(&Value::from(all).to_string())?;
    } else {
        let rows: Vec<_> = config.providers.iter().map(|spec| row(spec, public)).collect();
        output::table(
            &["PROVIDER", "NAME", "ENVIRONMENT", "SCOPES", "NARROWS", "REVOKES", "REDIRECT URI"],
            &rows,
        )?;
    }
    Ok(ExitCode::SUCCESS)
}

fn redirect_uri(spec: &ProviderSpec, public: &Url) -> String {
    format!("{}/oauth/callback/{}", public.as_str().trim_end_matches('/'), spec.id)
}

/// Everything but the client's secret.
fn described(spec: &ProviderSpec, public: &Url) -> Value {
    let scopes: Vec<Value> = spec
        .scopes
        .iter()
        .map(|scope| json!({ "scope": scope.scope, "description": scope.description, "access": scope.access.as_str() }))
        .collect();
    let revocation_url = match &spec.revoke {
        RevokeStyle::Rfc7009(url) => Some(url.as_str()),
        RevokeStyle::Unsupported => None,
    };
    let issuer = match &spec.iss {
        IssParameter::Required(issuer) | IssParameter::IfPresent(issuer) => Some(issuer),
        IssParameter::Unknown => None,
    };
    json!({
        "id": spec.id, "display_name": spec.display_name, "environment": spec.environment.as_str(),
        "client_id": spec.client.id, "redirect_uri": redirect_uri(spec, public), "scopes": scopes,
        "authorize_url": spec.authorize_url.as_str(), "token_url": spec.token_url.as_str(), "revocation_url": revocation_url,
        "issuer": issuer, "pkce": spec.pkce == Pkce::S256, "narrows": spec.narrowing == Narrowing::RefreshWithScope,
        "rotation": spec.rotation.as_str(),
        "tokens_never_expire": spec.expiry == Expiry::Never,
    })
}

fn row(spec: &ProviderSpec, public: &Url) -> Vec<String> {
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let scopes: Vec<&str> = spec.scopes.iter().map(|scope| scope.scope.as_str()).collect();
    vec![
        spec.id.to_string(),
        spec.display_name.clone(),
        spec.environment.as_str().to_owned(),
        scopes.join(" "),
        yes(spec.can_narrow()),
        yes(spec.revoke != RevokeStyle::Unsupported),
        redirect_uri(spec, public),
    ]
}
