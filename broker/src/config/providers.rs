//! `providers`: from what is written to what the broker works with.

use super::{
    check::{Check, is_loopback},
    provider_raw::{
        RawAccess, RawClient, RawClientAuth, RawEnvironment, RawIssParameter, RawNarrowing, RawPkce,
        RawProvider, RawRevocationEnds, RawRotation, RawScope,
    },
};
use crate::domain::{
    ProviderId, ProviderSpec, Scope, ScopeSet,
    provider::{
        AccountLookup, ClientAuth, Environment, Expiry, IssParameter, Narrowing, Pkce, ProviderClient,
        RevocationEnds, RevokeStyle, Rotation, ScopeAccess, ScopeSpec,
    },
};
use http::{HeaderName, HeaderValue};
use std::{collections::BTreeSet, net::IpAddr, time::Duration};

/// Parameters the broker sets itself; fixed ones must not replace them.
const OWN_PARAMETERS: [&str; 9] = [
    "client_id",
    "code_challenge",
    "code_challenge_method",
    "nonce",
    "redirect_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

pub(super) fn check(raw: &[RawProvider], check: &mut Check<'_>) -> Vec<ProviderSpec> {
    let mut seen = BTreeSet::new();
    let mut providers = Vec::new();
    for (n, raw) in raw.iter().enumerate() {
        let path = format!("providers[{n}]");
        if !seen.insert(&raw.id) {
            check.problem(&format!("{path}.id"), "is used twice");
        }
        providers.extend(provider(&path, raw, check));
    }
    providers
}

/// Whether a range in CIDR notation is one of this machine's own addresses.
fn is_loopback_range(text: &str) -> bool {
    let address = text.split_once('/').and_then(|(address, _)| address.parse::<IpAddr>().ok());
    address.is_some_and(|address| address.is_loopback())
}

fn provider(path: &str, raw: &RawProvider, check: &mut Check<'_>) -> Option<ProviderSpec> {
    let at = |key: &str| format!("{path}.{key}");
    let id = check.parse(&at("id"), ProviderId::parse(&raw.id));
    let display_name = check.words(&at("display_name"), &raw.display_name);
    let authorize_url = check.url(&at("authorize_url"), &raw.authorize_url);
    let token_url = check.url(&at("token_url"), &raw.token_url);
    let revoke = match &raw.revocation_url {
        Some(url) => check.url(&at("revocation_url"), url).map(RevokeStyle::Rfc7009),
        None => Some(RevokeStyle::Unsupported),
    };
    if token_url.as_ref().is_some_and(is_loopback)
        && !raw.allowed_networks.iter().any(|n| is_loopback_range(n))
    {
        let message =
            "does not allow this machine, where token_url is: write [\"127.0.0.0/8\"] if that is meant";
        check.problem(&at("allowed_networks"), message);
    }
    let account = account(path, raw, check);
    let client = client(&at("client"), &raw.client, check);
    let scopes = scopes(&at("scopes"), &raw.scopes, check);
    let technical_scopes = technical_scopes(&at("technical_scopes"), raw, &scopes, check);
    let minutes = Duration::from_secs(300);
    let (header_name, header_prefix) = header(path, raw, check);
    Some(ProviderSpec {
        display_name,
        environment: match raw.environment {
            Some(RawEnvironment::Sandbox) => Environment::Sandbox,
            Some(RawEnvironment::Production) | None => Environment::Production,
        },
        authorize_params: authorize_params(path, raw, check),
        iss: iss(path, raw, check),
        pkce: pkce(path, raw, check),
        scopes,
        technical_scopes,
        scope_separator: scope_separator(path, raw, check),
        narrowing: match raw.narrowing {
            Some(RawNarrowing::RefreshWithScope) => Narrowing::RefreshWithScope,
            Some(RawNarrowing::None) | None => Narrowing::None,
        },
        revocation_ends: match raw.revocation_ends {
            Some(RawRevocationEnds::OwnAuthorization) => RevocationEnds::OwnAuthorization,
            Some(RawRevocationEnds::EveryAuthorization) | None => RevocationEnds::EveryAuthorization,
        },
        rotation: rotation(path, raw, check),
        refresh_kills_access_token: raw.refresh_kills_access_token,
        expiry: expiry(path, raw, check),
        refresh_margin: check.duration(&at("refresh_margin"), raw.refresh_margin.as_ref(), minutes),
        refuses_early_refresh: raw.refuses_early_refresh,
        idle_limit: limit(&at("idle_limit"), raw.idle_limit.as_ref(), check),
        absolute_limit: limit(&at("absolute_limit"), raw.absolute_limit.as_ref(), check),
        header_name,
        header_prefix,
        allowed_networks: check.networks(&at("allowed_networks"), &raw.allowed_networks),
        ca_file: raw.ca_file.as_ref().map(|file| check.file(&at("ca_file"), file)),
        id: id?,
        authorize_url: authorize_url?,
        token_url: token_url?,
        revoke: revoke?,
        account: account?,
        client: client?,
    })
}

fn account(path: &str, raw: &RawProvider, check: &mut Check<'_>) -> Option<AccountLookup> {
    let url = check.url(&format!("{path}.account.url"), &raw.account.url);
    let pointers = [("id_pointer", &raw.account.id_pointer), ("label_pointer", &raw.account.label_pointer)];
    for (key, pointer) in pointers {
        if !pointer.starts_with('/') {
            check.problem(&format!("{path}.account.{key}"), "is not a JSON pointer such as /id (RFC 6901)");
        }
    }
    Some(AccountLookup {
        url: url?,
        id_pointer: raw.account.id_pointer.clone(),
        label_pointer: raw.account.label_pointer.clone(),
    })
}

fn client(path: &str, raw: &RawClient, check: &mut Check<'_>) -> Option<ProviderClient> {
    let id = check.text(&format!("{path}.id"), &raw.id, 512);
    let secret = check.secret(&format!("{path}.secret"), &raw.secret)?;
    let auth = match raw.auth {
        Some(RawClientAuth::Post) => ClientAuth::Post,
        Some(RawClientAuth::Basic) | None => ClientAuth::Basic,
    };
    Some(ProviderClient { id, secret, auth })
}

fn scopes(path: &str, raw: &[RawScope], check: &mut Check<'_>) -> Vec<ScopeSpec> {
    if raw.is_empty() {
        check.problem(path, "is empty: nothing could be granted");
    }
    let mut seen = BTreeSet::new();
    let mut scopes = Vec::new();
    for (n, raw) in raw.iter().enumerate() {
        let description = check.words(&format!("{path}[{n}].description"), &raw.description);
        let scope_path = format!("{path}[{n}].scope");
        let Some(scope) = check.parse(&scope_path, Scope::parse(&raw.scope)) else { continue };
        if !seen.insert(scope.clone()) {
            check.problem(&scope_path, "is given twice");
        }
        let access = match raw.access {
            RawAccess::Read => ScopeAccess::Read,
            RawAccess::Write => ScopeAccess::Write,
        };
        scopes.push(ScopeSpec { scope, description, access });
    }
    scopes
}

fn technical_scopes(path: &str, raw: &RawProvider, scopes: &[ScopeSpec], check: &mut Check<'_>) -> ScopeSet {
    let set = check.parse(path, ScopeSet::parse(&raw.technical_scopes)).unwrap_or_default();
    if scopes.iter().any(|spec| set.contains(&spec.scope)) {
        check.problem(path, "has a scope that is in scopes too: it is either asked for always or granted");
    }
    set
}

fn authorize_params(path: &str, raw: &RawProvider, check: &mut Check<'_>) -> Vec<(String, String)> {
    for name in raw.authorize_params.keys() {
        if OWN_PARAMETERS.contains(&name.as_str()) {
            check.problem(&format!("{path}.authorize_params.{name}"), "is set by the broker itself");
        }
    }
    raw.authorize_params.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn iss(path: &str, raw: &RawProvider, check: &mut Check<'_>) -> IssParameter {
    let issuer_path = format!("{path}.issuer");
    match &raw.issuer {
        Some(issuer) => {
            check.url(&issuer_path, issuer);
            match raw.iss_parameter {
                Some(RawIssParameter::Required) => IssParameter::Required(issuer.clone()),
                Some(RawIssParameter::IfPresent) | None => IssParameter::IfPresent(issuer.clone()),
            }
        }
        None => {
            if raw.iss_parameter.is_some() {
                check.problem(&issuer_path, "is missing: iss_parameter has nothing to compare with");
            }
            IssParameter::Unknown
        }
    }
}

fn pkce(path: &str, raw: &RawProvider, check: &mut Check<'_>) -> Pkce {
    if raw.pkce == Some(RawPkce::Off) {
        let message =
            "is off: a stolen authorization code can be redeemed; only for a provider that breaks on PKCE";
        check.warning(&format!("{path}.pkce"), message);
        return Pkce::Off;
    }
    Pkce::S256
}

fn scope_separator(path: &str, raw: &RawProvider, check: &mut Check<'_>) -> char {
    let separator = raw.scope_separator.unwrap_or(' ');
    if !matches!(separator, ' ' | ',' | '+' | ';') {
        check.problem(&format!("{path}.scope_separator"), "is not a space, ',', '+' or ';'");
    }
    separator
}

fn rotation(path: &str, raw: &RawProvider, check: &mut Check<'_>) -> Rotation {
    let grace_path = format!("{path}.rotation_grace");
    match (raw.rotation, &raw.rotation_grace) {
        (Some(RawRotation::WithGrace), Some(_)) => {
            Rotation::WithGrace(check.duration(&grace_path, raw.rotation_grace.as_ref(), Duration::ZERO))
        }
        (Some(RawRotation::WithGrace), None) => {
            check.problem(&grace_path, "is missing: rotation is with_grace");
            Rotation::SingleUse
        }
        (_, Some(_)) => {
            check.problem(&grace_path, "belongs to rotation: with_grace");
            Rotation::SingleUse
        }
        (Some(RawRotation::None), None) => Rotation::None,
        (Some(RawRotation::SingleUse) | None, None) => Rotation::SingleUse,
        (Some(RawRotation::FamilyRevoking), None) => Rotation::FamilyRevoking,
    }
}

fn limit(path: &str, text: Option<&String>, check: &mut Check<'_>) -> Option<Duration> {
    text.map(|text| check.duration(path, Some(text), Duration::ZERO))
}

fn expiry(path: &str, raw: &RawProvider, check: &mut Check<'_>) -> Expiry {
    let lifetime_path = format!("{path}.default_token_lifetime");
    if raw.tokens_never_expire {
        if raw.default_token_lifetime.is_some() {
            check.problem(&lifetime_path, "contradicts tokens_never_expire: true");
        }
        return Expiry::Never;
    }
    let hour = Duration::from_secs(3600);
    Expiry::GivenOr(check.duration(&lifetime_path, raw.default_token_lifetime.as_ref(), hour))
}

fn header(path: &str, raw: &RawProvider, check: &mut Check<'_>) -> (String, String) {
    let name = raw.header_name.clone().unwrap_or_else(|| "authorization".to_owned()).to_ascii_lowercase();
    let prefix = raw.header_prefix.clone().unwrap_or_else(|| "Bearer ".to_owned());
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        check.problem(&format!("{path}.header_name"), "is not a header name");
    }
    if HeaderValue::from_str(&prefix).is_err() {
        check.problem(&format!("{path}.header_prefix"), "cannot stand in a header");
    }
    (name, prefix)
}
