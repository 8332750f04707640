//! What an operator declares about issuers and workloads. The configuration is read elsewhere; these are its results.

use super::Algorithm;
use crate::domain::{RealmId, TenantId, Timestamp, WorkloadId};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use url::Url;

/// One issuer and its contract (ID3–ID6).
///
/// A claim is named by its name, or, when it lies deeper, by a JSON pointer such as `/realm_access/roles` (RFC 6901).
#[derive(Clone, Debug)]
pub struct IssuerSpec {
    /// The operator's name for it; other parts of the configuration refer to it.
    pub name: String,
    /// The `iss` value, compared byte for byte.
    pub issuer: String,
    /// The realm its people belong to.
    pub realm: RealmId,
    /// Which tenant its people belong to.
    pub tenant: TenantRule,
    /// The algorithms its tokens may be signed with.
    pub algorithms: Vec<Algorithm>,
    /// Where its keys come from.
    pub keys: KeySource,
    /// How long its keys are kept and how often they are fetched.
    pub key_times: KeyTimes,
    /// Which claims name the person.
    pub subject: SubjectClaims,
    /// The claim with the person's roles, a list of strings; `None` = no roles from this issuer.
    pub roles_claim: Option<String>,
    /// The claims a display name is taken from: the first one present. For display only.
    pub label_claims: Vec<String>,
    /// Which `typ` its tokens may have.
    pub typ: TypRule,
    /// The longest lifetime (`exp` − `iat`) of its tokens.
    pub max_lifetime: Duration,
    /// How far its clock may be off; at most 60 s.
    pub skew: Duration,
    /// Claims that must be present, with the string they must equal if one is given.
    pub required_claims: BTreeMap<String, Option<String>>,
    /// Audiences that may stand beside an accepted one, and are never enough by themselves.
    pub further_audiences: BTreeSet<String>,
    /// Whether each of its assertions, as a workload presents them, is good for one use (ID12).
    pub one_time_assertions: bool,
    /// The broker's own audience at this issuer, for people who call the broker themselves and for workloads whose
    /// client id the token names.
    pub broker_audience: Option<String>,
    /// The clients through which people call the broker themselves; never a workload's.
    pub person_clients: BTreeSet<String>,
}

impl IssuerSpec {
    /// A contract with the strict defaults: `sub`, no roles, `typ` absent, `JWT` or `at+jwt`, at most 24 h, 60 s skew.
    pub fn new(
        name: &str,
        issuer: &str,
        realm: RealmId,
        tenant: TenantRule,
        algorithms: Vec<Algorithm>,
        keys: KeySource,
    ) -> Self {
        Self {
            name: name.to_owned(),
            issuer: issuer.to_owned(),
            realm,
            tenant,
            algorithms,
            keys,
            key_times: KeyTimes::default(),
            subject: SubjectClaims::default(),
            roles_claim: None,
            label_claims: vec!["name".to_owned(), "preferred_username".to_owned()],
            typ: TypRule::default(),
            max_lifetime: Duration::from_secs(24 * 60 * 60),
            skew: Duration::from_secs(60),
            required_claims: BTreeMap::new(),
            further_audiences: BTreeSet::new(),
            one_time_assertions: false,
            broker_audience: None,
            person_clients: BTreeSet::new(),
        }
    }
}

/// Which tenant an issuer's people belong to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TenantRule {
    /// All to this one.
    Fixed(TenantId),
    /// A claim says; only the values listed are accepted.
    Claim {
        /// The claim, a string.
        name: String,
        /// The claim's value → the operator's name for the tenant.
        tenants: BTreeMap<String, TenantId>,
    },
}

/// Which claims name the person.
///
/// One claim is taken as it is. Several are joined with `:` after `%` and `:` inside each were written `%25` and
/// `%3A`, so that no two different lists give the same name (Entra: `["tid", "oid"]`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SubjectClaims(pub Vec<String>);

impl Default for SubjectClaims {
    fn default() -> Self {
        Self(vec!["sub".to_owned()])
    }
}

/// Which `typ` header values are accepted; compared as media types, so without regard to case and to `application/`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypRule {
    /// The values.
    pub allowed: Vec<String>,
    /// Whether a token may have none.
    pub absent: bool,
}

impl Default for TypRule {
    fn default() -> Self {
        Self { allowed: vec!["JWT".to_owned(), "at+jwt".to_owned()], absent: true }
    }
}

/// Where an issuer's keys come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KeySource {
    /// OpenID Connect Discovery below `iss`.
    Discovery,
    /// A JWK set at this address (Kubernetes: `/openid/v1/jwks`).
    JwksUri(Url),
    /// This JWK set, as bytes of JSON.
    Static(Vec<u8>),
}

/// How long keys are kept and how often they are fetched, on the monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyTimes {
    /// Older keys are fetched anew in the background while they go on serving.
    pub refresh_after: Duration,
    /// Older keys verify nothing: the bound for removed keys and for an issuer that is down.
    pub max_age: Duration,
    /// Between two fetches, whatever unknown key ids arrive.
    pub min_interval: Duration,
    /// After a failed fetch.
    pub retry_interval: Duration,
}

impl Default for KeyTimes {
    fn default() -> Self {
        Self {
            refresh_after: Duration::from_secs(300),
            max_age: Duration::from_secs(3600),
            min_interval: Duration::from_secs(30),
            retry_interval: Duration::from_secs(5),
        }
    }
}

/// An MCP server that may call.
#[derive(Clone, Debug)]
pub struct WorkloadSpec {
    /// Its name.
    pub id: WorkloadId,
    /// What people see; from the operator, never from the caller (ID16).
    pub display_name: String,
    /// How it proves who it is; any one is enough, so they can be rotated with overlap.
    pub credentials: Vec<CredentialSpec>,
    /// Whose assertions it may present: issuer name → what it accepts from there.
    pub accepts: BTreeMap<String, Acceptance>,
    /// Its roles.
    pub roles: Arc<BTreeSet<String>>,
    /// The tenants it serves; `None` = all.
    pub tenants: Option<BTreeSet<TenantId>>,
}

/// What a workload accepts from one issuer (ID4, ID10).
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Acceptance {
    /// Audiences minted for this workload: its resource URI or its client id. No other workload's.
    pub audiences: BTreeSet<String>,
    /// Its own OAuth client ids at the issuer. No other workload's.
    pub client_ids: BTreeSet<String>,
    /// AI clients that may obtain assertions for it. If this or `client_ids` is not empty, a client that the token
    /// names must be in one of them; if this is not empty, the token must name one.
    pub agents: BTreeSet<String>,
}

/// One credential of a workload.
#[derive(Clone, PartialEq, Eq)]
pub enum CredentialSpec {
    /// A static secret, kept as its hash.
    StaticSecret {
        /// SHA-256 of the secret's text.
        sha256: [u8; 32],
        /// Refused from this time on; `None` = no end.
        not_after: Option<Timestamp>,
    },
    /// A signed token, such as a Kubernetes projected service-account token.
    Jwt {
        /// The issuer's configured name.
        issuer: String,
        /// The audience it must be minted for.
        audience: String,
        /// The subject claim.
        subject: String,
    },
}

/// The hash stays out of logs.
impl std::fmt::Debug for CredentialSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::StaticSecret { not_after, .. } => write!(f, "StaticSecret(not_after: {not_after:?})"),
            Self::Jwt { issuer, audience, subject } => write!(f, "Jwt({issuer}, {audience}, {subject})"),
        }
    }
}
