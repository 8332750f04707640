//! `workloads`: the MCP servers that may call (ID2, ID4, ID16).

use super::check::Check;
use crate::domain::{ProviderId, TenantId, Timestamp, WorkloadId, sha256};
use schemars::JsonSchema;
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// One MCP server that may call.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWorkload {
    /// Its id: 1 to 63 of a-z, 0-9, '-', '_' and '.'.
    id: String,
    /// Its name for people, on consent pages.
    display_name: String,
    /// How it proves who it is. Any one is enough, so that they can be rotated with overlap.
    credentials: Vec<RawCredential>,
    /// Whose assertions it may present.
    #[serde(default)]
    pub(super) accepts: Vec<RawAcceptance>,
    /// Its roles, for policy.
    #[serde(default)]
    roles: Vec<String>,
    /// The tenants it serves. Absent: all.
    tenants: Option<Vec<String>>,
    /// The providers it may ask for, policy permitting. Absent: all.
    providers: Option<Vec<String>>,
}

/// One credential: either `static_secret_sha256` or `jwt`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawCredential {
    /// SHA-256 of a random secret of at least 32 characters, as 64 lower-case hex digits.
    static_secret_sha256: Option<String>,
    /// When the static secret stops working, RFC 3339 in UTC such as 2027-01-31T00:00:00Z. Absent: never.
    not_after: Option<String>,
    /// A signed token, such as a Kubernetes projected service-account token.
    jwt: Option<RawJwt>,
}

/// A signed token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawJwt {
    /// The name of an entry of `issuers`.
    issuer: String,
    /// The audience it is minted for.
    audience: String,
    /// Its subject, such as system:serviceaccount:tools:notes-server.
    subject: String,
}

/// Whose assertions a workload may present, and for whom they were minted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAcceptance {
    /// The name of an entry of `issuers`.
    pub(super) issuer: String,
    /// Audiences minted for this workload: its resource URI or its client id. No other workload's.
    #[serde(default)]
    audiences: Vec<String>,
    /// Its own OAuth client ids at the issuer. No other workload's.
    #[serde(default)]
    client_ids: Vec<String>,
    /// AI clients that may obtain assertions for it. Empty: not restricted.
    #[serde(default)]
    agents: Vec<String>,
}

/// One MCP server that may call.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its id.
    pub id: WorkloadId,
    /// Its name for people.
    pub display_name: String,
    /// Its credentials.
    pub credentials: Vec<Credential>,
    /// Issuer name → what it accepts from there.
    pub accepts: BTreeMap<String, Acceptance>,
    /// Its roles.
    pub roles: Arc<BTreeSet<String>>,
    /// The tenants it serves; `None` = all.
    pub tenants: Option<BTreeSet<TenantId>>,
    /// The providers it may ask for; `None` = all.
    pub providers: Option<BTreeSet<ProviderId>>,
}

/// One credential.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A static secret, kept as its hash.
    StaticSecret {
        /// SHA-256 of the secret.
        sha256: [u8; 32],
        /// Refused from this time on; `None` = no end.
        not_after: Option<Timestamp>,
    },
    /// A signed token.
    Jwt {
        /// The issuer's configured name.
        issuer: String,
        /// Its audience.
        audience: String,
        /// Its subject.
        subject: String,
    },
}

/// The hash stays out of logs.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::StaticSecret { not_after, .. } => write!(f, "StaticSecret(not_after: {not_after:?})"),
            Self::Jwt { issuer, audience, subject } => write!(f, "Jwt({issuer}, {audience}, {subject})"),
        }
    }
}

/// What a workload accepts from one issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acceptance {
    /// Audiences minted for it.
    pub audiences: BTreeSet<String>,
    /// Its own client ids there.
    pub client_ids: BTreeSet<String>,
    /// AI clients that may obtain assertions for it; empty = not restricted.
    pub agents: BTreeSet<String>,
}

/// What the rest of the file defines; `None` where that section could not be read.
pub(super) struct Known<'a> {
    pub(super) issuers: Option<&'a BTreeSet<String>>,
    pub(super) tenants: Option<&'a BTreeSet<String>>,
    pub(super) providers: Option<&'a BTreeSet<String>>,
}

pub(super) fn check(raw: &[RawWorkload], known: &Known<'_>, check: &mut Check<'_>) -> Vec<Workload> {
    let mut seen = BTreeSet::new();
    // (issuer, audience or client) → the workload that has it: shared, it would let one server use another's (ID10).
    let mut taken = BTreeSet::new();
    let mut workloads = Vec::new();
    for (n, raw) in raw.iter().enumerate() {
        let path = format!("workloads[{n}]");
        if !seen.insert(&raw.id) {
            check.problem(&format!("{path}.id"), "is used twice");
        }
        for (m, accepted) in raw.accepts.iter().enumerate() {
            for (key, texts) in [("audiences", &accepted.audiences), ("client_ids", &accepted.client_ids)] {
                for (k, text) in texts.iter().enumerate() {
                    if !taken.insert((&accepted.issuer, key, text)) {
                        let message = "is given twice: no two workloads may share one";
                        check.problem(&format!("{path}.accepts[{m}].{key}[{k}]"), message);
                    }
                }
            }
        }
        workloads.extend(workload(&path, raw, known, check));
    }
    workloads
}

fn workload(path: &str, raw: &RawWorkload, known: &Known<'_>, check: &mut Check<'_>) -> Option<Workload> {
    let id = check.parse(&format!("{path}.id"), WorkloadId::parse(&raw.id));
    let display_name = check.words(&format!("{path}.display_name"), &raw.display_name);
    if raw.credentials.is_empty() {
        check.problem(&format!("{path}.credentials"), "is empty: this workload could never call");
    }
    let each = raw.credentials.iter().enumerate();
    let credentials = each
        .filter_map(|(n, raw)| credential(&format!("{path}.credentials[{n}]"), raw, known, check))
        .collect();
    let accepts = acceptances(path, raw, known, check);
    let roles = texts(&format!("{path}.roles"), &raw.roles, check);
    let tenants = raw.tenants.as_ref().map(|list| {
        references(&format!("{path}.tenants"), list, known.tenants, "tenants", TenantId::parse, check)
    });
    let providers = raw.providers.as_ref().map(|list| {
        references(&format!("{path}.providers"), list, known.providers, "providers", ProviderId::parse, check)
    });
    Some(Workload { id: id?, display_name, credentials, accepts, roles: roles.into(), tenants, providers })
}

fn credential(
    path: &str,
    raw: &RawCredential,
    known: &Known<'_>,
    check: &mut Check<'_>,
) -> Option<Credential> {
    match (&raw.static_secret_sha256, &raw.jwt) {
        (Some(hash), None) => {
            let sha256 = hash_of(&format!("{path}.static_secret_sha256"), hash, check);
            let not_after = match &raw.not_after {
                None => None,
                Some(text) => {
                    let bad = "is not a time such as 2027-01-31T00:00:00Z";
                    Some(
                        check
                            .parse(&format!("{path}.not_after"), Timestamp::parse_rfc3339(text).ok_or(bad))?,
                    )
                }
            };
            Some(Credential::StaticSecret { sha256: sha256?, not_after })
        }
        (None, Some(jwt)) => {
            if raw.not_after.is_some() {
                check.problem(&format!("{path}.not_after"), "belongs to static_secret_sha256");
            }
            refer(&format!("{path}.jwt.issuer"), &jwt.issuer, known.issuers, "issuers", check);
            Some(Credential::Jwt {
                issuer: jwt.issuer.clone(),
                audience: check.text(&format!("{path}.jwt.audience"), &jwt.audience, 512),
                subject: check.text(&format!("{path}.jwt.subject"), &jwt.subject, 512),
            })
        }
        _ => {
            check.problem(path, "needs exactly one of static_secret_sha256 and jwt");
            None
        }
    }
}

fn hash_of(path: &str, text: &str, check: &mut Check<'_>) -> Option<[u8; 32]> {
    let bytes = data_encoding::HEXLOWER.decode(text.as_bytes()).ok();
    let Some(hash) = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) else {
        check.problem(path, "is not a SHA-256 as 64 lower-case hex digits");
        return None;
    };
    if is_weak(&hash) {
        check.problem(path, "is the hash of an empty, default or example secret: make a random one");
        return None;
    }
    Some(hash)
}

/// VA7: hashes of secrets nobody should begin with.
fn is_weak(hash: &[u8; 32]) -> bool {
    let known =
        ["", "\n", "secret", "password", "changeme", "change-me", "example", "test", "token", "broker"];
    let hashes = |text: &&str| sha256(text.as_bytes()) == *hash;
    hash == &[0; 32] || known.iter().any(hashes)
}

fn acceptances(
    path: &str,
    raw: &RawWorkload,
    known: &Known<'_>,
    check: &mut Check<'_>,
) -> BTreeMap<String, Acceptance> {
    let mut accepts = BTreeMap::new();
    for (n, raw) in raw.accepts.iter().enumerate() {
        let path = format!("{path}.accepts[{n}]");
        let issuer_path = format!("{path}.issuer");
        refer(&issuer_path, &raw.issuer, known.issuers, "issuers", check);
        if raw.audiences.is_empty() && raw.client_ids.is_empty() {
            check.problem(
                &path,
                "needs audiences or client_ids: without them no assertion is this workload's",
            );
        }
        let acceptance = Acceptance {
            audiences: texts(&format!("{path}.audiences"), &raw.audiences, check),
            client_ids: texts(&format!("{path}.client_ids"), &raw.client_ids, check),
            agents: texts(&format!("{path}.agents"), &raw.agents, check),
        };
        if accepts.insert(raw.issuer.clone(), acceptance).is_some() {
            check.problem(&issuer_path, "is given twice");
        }
    }
    accepts
}

fn texts(path: &str, texts: &[String], check: &mut Check<'_>) -> BTreeSet<String> {
    texts.iter().enumerate().map(|(n, text)| check.text(&format!("{path}[{n}]"), text, 512)).collect()
}

fn refer(path: &str, name: &str, known: Option<&BTreeSet<String>>, section: &str, check: &mut Check<'_>) {
    if known.is_some_and(|known| !known.contains(name)) {
        check.problem(path, format!("names no entry of {section}"));
    }
}

fn references<T: Ord, E: std::fmt::Display>(
    path: &str,
    texts: &[String],
    known: Option<&BTreeSet<String>>,
    section: &str,
    parse: fn(&str) -> Result<T, E>,
    check: &mut Check<'_>,
) -> BTreeSet<T> {
    let mut result = BTreeSet::new();
    for (n, text) in texts.iter().enumerate() {
        let path = format!("{path}[{n}]");
        refer(&path, text, known, section, check);
        result.extend(check.parse(&path, parse(text)));
    }
    result
}
