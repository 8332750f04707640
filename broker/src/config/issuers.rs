//! `issuers`: who vouches for people and for workloads, each with its contract (ID3–ID7).

use super::check::Check;
use crate::domain::{RealmId, SecretString, TenantId};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};
use url::Url;

/// The signature algorithms an issuer may use (RFC 7518 §3.1, RFC 8037 §3.1).
const ALGORITHMS: [&str; 5] = ["ES256", "ES384", "RS256", "PS256", "EdDSA"];
/// Claims that name a mailbox or change hands, and so never name a person.
const NOT_A_SUBJECT: [&str; 4] = ["email", "preferred_username", "upn", "name"];

/// One issuer and its contract. A claim is named by its name or, when it lies deeper, by a JSON pointer such as
/// /realm_access/roles (RFC 6901).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIssuer {
    /// The name by which the rest of this file refers to it: 1 to 63 of a-z, 0-9, '-', '_' and '.'.
    pub(super) name: String,
    /// The exact `iss` value of its tokens. Must be https, except on loopback.
    pub(super) issuer: String,
    /// The realm its people belong to. Issuers that share a realm must name the same person the same way. Never change
    /// it: it is part of who owns what.
    realm: String,
    /// The tenant its people belong to. Either this or `tenant_claim`.
    tenant: Option<String>,
    /// The claim that says which tenant, with the values accepted. Either this or `tenant`.
    tenant_claim: Option<RawTenantClaim>,
    /// The algorithms its tokens may be signed with: ES256, ES384, RS256, PS256, EdDSA.
    algorithms: Vec<String>,
    /// The claims that together name a person, never an e-mail address. Default `[sub]`; Entra: `[tid, oid]`.
    subject_claims: Option<Vec<String>>,
    /// The claim with the person's roles or groups, a list of strings. Absent: no roles from this issuer.
    roles_claim: Option<String>,
    /// The claims a name for display is taken from: the first one present. Default [name, preferred_username].
    label_claims: Option<Vec<String>>,
    /// The `typ` values its tokens may have. Default [JWT, at+jwt].
    types: Option<Vec<String>>,
    /// Whether its tokens may have no `typ`. Default true.
    type_may_be_absent: Option<bool>,
    /// Where its keys are. Default: discovered below `issuer` (OpenID Connect Discovery).
    jwks_uri: Option<String>,
    /// The file with a bearer token to fetch its keys with, read again each time: a Kubernetes API server asks for one, such as the
    /// broker's own projected service-account token. Only together with `jwks_uri`, so that it is shown to no address that another
    /// server names.
    keys_token_file: Option<String>,
    /// Private address ranges (CIDR) its hosts may resolve to. Default: public addresses only.
    #[serde(default)]
    allowed_networks: Vec<String>,
    /// Further certificate authorities for its hosts, PEM.
    ca_file: Option<String>,
    /// The longest lifetime (exp - iat) its tokens may have. Default 24h.
    max_token_lifetime: Option<String>,
    /// How far its clock may be off, at most 60s. Default 60s.
    clock_skew: Option<String>,
    /// Audiences that may stand beside an accepted one, and are never enough by themselves.
    #[serde(default)]
    further_audiences: Vec<String>,
    /// Whether each assertion of its people that a server shows is good for one grant, or one batch. Such an assertion must have a `jti`.
    /// A consent link does not use it up, nor does a repeat under the same `request_id`, which has to come with the same assertion. True
    /// once every replica has it, not before. Default false.
    #[serde(default)]
    one_time_assertions: bool,
    /// The client through which people sign in to the broker's own pages.
    login: Option<RawLogin>,
}

/// Which claim says the tenant.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawTenantClaim {
    /// The claim, a string.
    name: String,
    /// The claim's value, and the tenant it stands for. Other values are refused.
    tenants: BTreeMap<String, String>,
}

/// The client through which people sign in to the broker's own pages. Its redirect URI is `public_url` followed by
/// /login/callback. Where the issuer offers back-channel logout, register `public_url` followed by
/// /logout/backchannel/ and this issuer's name, with the session id (`sid`) required: signing out there then ends the
/// sessions on the broker's pages. An issuer whose people are known by another claim than `sub` can end sessions by
/// `sid` alone, and one with a `tenant_claim` has to send that claim in its logout tokens. Assertions of a session that
/// was ended are not refused by it; they run out by themselves.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawLogin {
    /// The client id at this issuer.
    client_id: String,
    /// The client secret, as ${file:/path} or ${env:NAME}. Absent: a public client.
    client_secret: Option<String>,
    /// The scopes asked for. Default `[openid]`.
    scopes: Option<Vec<String>>,
}

/// One issuer and its contract.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// Its name in the configuration.
    pub name: String,
    /// The exact `iss` value.
    pub issuer: String,
    /// The realm of its people.
    pub realm: RealmId,
    /// The tenant of its people.
    pub tenant: TenantRule,
    /// `alg` values accepted, each one of ES256, ES384, RS256, PS256 and EdDSA.
    pub algorithms: Vec<String>,
    /// Claims that together name a person.
    pub subject_claims: Vec<String>,
    /// The claim with roles.
    pub roles_claim: Option<String>,
    /// Claims for a display name.
    pub label_claims: Vec<String>,
    /// `typ` values accepted.
    pub types: Vec<String>,
    /// Whether `typ` may be absent.
    pub type_may_be_absent: bool,
    /// Where its keys are.
    pub keys: IssuerKeys,
    /// The file with the token that the fetch of its keys shows.
    pub keys_token_file: Option<PathBuf>,
    /// Private ranges its hosts may resolve to.
    pub allowed_networks: Vec<String>,
    /// Further certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Longest `exp` − `iat`.
    pub max_token_lifetime: Duration,
    /// How far its clock may be off.
    pub clock_skew: Duration,
    /// Audiences accepted beside an accepted one.
    pub further_audiences: Vec<String>,
    /// Whether each assertion is good for one grant, or one batch.
    pub one_time_assertions: bool,
    /// The client of the pages' sign-in.
    pub login: Option<Login>,
}

/// Which tenant an issuer's people belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantRule {
    /// All to this one.
    Fixed(TenantId),
    /// A claim says.
    Claim {
        /// The claim.
        name: String,
        /// The claim's value → the tenant.
        tenants: BTreeMap<String, TenantId>,
    },
}

/// Where an issuer's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IssuerKeys {
    /// OpenID Connect Discovery below `iss`.
    Discovery,
    /// A JWK set at this address.
    JwksUri(Url),
}

/// The client of the pages' sign-in.
#[derive(Clone, Debug)]
pub struct Login {
    /// Its id.
    pub client_id: String,
    /// Its secret; `None` = a public client.
    pub client_secret: Option<SecretString>,
    /// The scopes asked for; `openid` is always among them.
    pub scopes: Vec<String>,
}

pub(super) fn check(
    raw: &[RawIssuer],
    tenants: Option<&BTreeSet<String>>,
    check: &mut Check<'_>,
) -> Vec<Issuer> {
    let (mut names, mut values) = (BTreeSet::new(), BTreeSet::new());
    let mut issuers = Vec::new();
    for (n, entry) in raw.iter().enumerate() {
        let path = format!("issuers[{n}]");
        if !names.insert(&entry.name) {
            check.problem(&format!("{path}.name"), "is used twice");
        }
        if !values.insert(&entry.issuer) {
            check
                .problem(&format!("{path}.issuer"), "is used twice: its tokens could belong to either entry");
        }
        issuers.extend(issuer(&path, entry, tenants, check));
    }
    issuers
}

fn issuer(
    path: &str,
    raw: &RawIssuer,
    tenants: Option<&BTreeSet<String>>,
    check: &mut Check<'_>,
) -> Option<Issuer> {
    // A realm's name has the form wanted of an issuer's name too.
    check.parse(
        &format!("{path}.name"),
        RealmId::parse(&raw.name).map_err(|_| "is not a name of a-z, 0-9, '-', '_' and '.'"),
    );
    issuer_url(&format!("{path}.issuer"), &raw.issuer, check);
    let realm = check.parse(&format!("{path}.realm"), RealmId::parse(&raw.realm));
    let tenant = tenant(path, raw, tenants, check);
    let jwks_path = format!("{path}.jwks_uri");
    let keys = check.optional_url(&jwks_path, raw.jwks_uri.as_ref());
    let keys_token_file = keys_token_file(path, raw, check);
    let day = Duration::from_secs(86_400);
    let lifetime_path = format!("{path}.max_token_lifetime");
    let max_token_lifetime = check.duration(&lifetime_path, raw.max_token_lifetime.as_ref(), day);
    let skew_path = format!("{path}.clock_skew");
    let minute = Duration::from_secs(60);
    let clock_skew = check.duration(&skew_path, raw.clock_skew.as_ref(), minute);
    Some(Issuer {
        name: raw.name.clone(),
        issuer: raw.issuer.clone(),
        algorithms: algorithms(path, raw, check),
        subject_claims: subject_claims(path, raw, check),
        roles_claim: raw.roles_claim.as_ref().map(|c| check.text(&format!("{path}.roles_claim"), c, 256)),
        label_claims: list(
            path,
            "label_claims",
            raw.label_claims.as_ref(),
            &["name", "preferred_username"],
            check,
        ),
        types: list(path, "types", raw.types.as_ref(), &["JWT", "at+jwt"], check),
        type_may_be_absent: raw.type_may_be_absent.unwrap_or(true),
        keys: keys.map_or(IssuerKeys::Discovery, IssuerKeys::JwksUri),
        keys_token_file,
        allowed_networks: check.networks(&format!("{path}.allowed_networks"), &raw.allowed_networks),
        ca_file: raw.ca_file.as_ref().map(|file| check.file(&format!("{path}.ca_file"), file)),
        max_token_lifetime,
        clock_skew: check.at_most(&skew_path, clock_skew, minute),
        further_audiences: list(path, "further_audiences", Some(&raw.further_audiences), &[], check),
        one_time_assertions: raw.one_time_assertions,
        login: raw.login.as_ref().and_then(|raw| login(&format!("{path}.login"), raw, check)),
        realm: realm?,
        tenant: tenant?,
    })
}

fn keys_token_file(path: &str, raw: &RawIssuer, check: &mut Check<'_>) -> Option<PathBuf> {
    let path = format!("{path}.keys_token_file");
    let file = raw.keys_token_file.as_ref()?;
    if raw.jwks_uri.is_none() {
        check.problem(&path, "needs jwks_uri: the token is shown to no address that another server names");
    }
    Some(check.file(&path, file))
}

/// Compared byte for byte with `iss`, so it is kept as written; checked as a URL all the same.
fn issuer_url(path: &str, text: &str, check: &mut Check<'_>) {
    if let Some(url) = check.url(path, text)
        && url.query().is_some()
    {
        check.problem(path, "has a query (?…); an issuer has none (OpenID Connect Discovery §3)");
    }
}

fn tenant(
    path: &str,
    raw: &RawIssuer,
    tenants: Option<&BTreeSet<String>>,
    check: &mut Check<'_>,
) -> Option<TenantRule> {
    let mut known = |path: &str, text: &str| {
        let id = check.parse(path, TenantId::parse(text))?;
        if tenants.is_some_and(|tenants| !tenants.contains(text)) {
            check.problem(path, "names no entry of tenants");
        }
        Some(id)
    };
    match (&raw.tenant, &raw.tenant_claim) {
        (Some(id), None) => Some(TenantRule::Fixed(known(&format!("{path}.tenant"), id)?)),
        (None, Some(claim)) => {
            let mut map = BTreeMap::new();
            for (n, (value, id)) in claim.tenants.iter().enumerate() {
                let id = known(&format!("{path}.tenant_claim.tenants (entry {})", n + 1), id)?;
                map.insert(value.clone(), id);
            }
            let name = check.text(&format!("{path}.tenant_claim.name"), &claim.name, 256);
            if map.is_empty() {
                check.problem(&format!("{path}.tenant_claim.tenants"), "is empty: nobody could sign in");
            }
            Some(TenantRule::Claim { name, tenants: map })
        }
        _ => {
            check.problem(path, "needs exactly one of tenant and tenant_claim");
            None
        }
    }
}

fn algorithms(path: &str, raw: &RawIssuer, check: &mut Check<'_>) -> Vec<String> {
    let path = format!("{path}.algorithms");
    if raw.algorithms.is_empty() {
        check.problem(&path, "is empty: no token could be verified");
    }
    for (n, algorithm) in raw.algorithms.iter().enumerate() {
        if !ALGORITHMS.contains(&algorithm.as_str()) {
            let message = format!(
                "is not one of: {} (symmetric ones and none are never accepted)",
                ALGORITHMS.join(", ")
            );
            check.problem(&format!("{path}[{n}]"), message);
        }
    }
    raw.algorithms.clone()
}

fn subject_claims(path: &str, raw: &RawIssuer, check: &mut Check<'_>) -> Vec<String> {
    let claims = list(path, "subject_claims", raw.subject_claims.as_ref(), &["sub"], check);
    if claims.is_empty() {
        check.problem(&format!("{path}.subject_claims"), "is empty: nobody could be named");
    }
    for (n, claim) in claims.iter().enumerate() {
        if NOT_A_SUBJECT.contains(&claim.as_str()) {
            let message = "can change hands and so never names a person: use sub, or oid and tid";
            check.problem(&format!("{path}.subject_claims[{n}]"), message);
        }
    }
    claims
}

/// A list of texts, `default` when there is none.
fn list(
    path: &str,
    key: &str,
    texts: Option<&Vec<String>>,
    default: &[&str],
    check: &mut Check<'_>,
) -> Vec<String> {
    let Some(texts) = texts else { return default.iter().map(|&text| text.to_owned()).collect() };
    let texts = texts.iter().enumerate();
    texts.map(|(n, text)| check.text(&format!("{path}.{key}[{n}]"), text, 512)).collect()
}

fn login(path: &str, raw: &RawLogin, check: &mut Check<'_>) -> Option<Login> {
    let client_id = check.text(&format!("{path}.client_id"), &raw.client_id, 512);
    let secret = raw.client_secret.as_ref();
    let client_secret = secret.map(|text| check.secret(&format!("{path}.client_secret"), text));
    let mut scopes = list(path, "scopes", raw.scopes.as_ref(), &["openid"], check);
    if !scopes.iter().any(|scope| scope == "openid") {
        scopes.insert(0, "openid".to_owned());
    }
    let client_secret = match client_secret {
        Some(None) => return None,
        Some(secret) => secret,
        None => None,
    };
    Some(Login { client_id, client_secret, scopes })
}

/// ID6: people whose assertions are accepted need a way to sign in to the pages of their realm.
pub(super) fn warn_without_login(
    issuers: &[Issuer],
    assertion_issuers: &BTreeSet<&str>,
    check: &mut Check<'_>,
) {
    for (n, issuer) in issuers.iter().enumerate() {
        let has_login = issuers.iter().any(|other| other.realm == issuer.realm && other.login.is_some());
        if assertion_issuers.contains(issuer.name.as_str()) && !has_login {
            let message = "has no login, and no other issuer of its realm has one: its people cannot open consent pages";
            check.warning(&format!("issuers[{n}].login"), message);
        }
    }
}
