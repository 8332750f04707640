//! What the broker knows about a provider. Catalog entries are data: no code per vendor (PR1).

use super::{ProviderId, Scope, ScopeSet, SecretString};
use std::time::Duration;
use url::Url;

/// Whether a scope can change something. Shown to people and visible to policy.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ScopeAccess {
    /// Reads only.
    Read,
    /// Can change or delete.
    Write,
}

impl ScopeAccess {
    /// `read` or `write`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// One scope a provider offers, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScopeSpec {
    /// The scope-token.
    pub scope: Scope,
    /// What it allows, as a sentence for the consent page.
    pub description: String,
    /// Read or write.
    pub access: ScopeAccess,
}

/// How the broker authenticates at the token endpoint (RFC 6749 §2.3.1): exactly one way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientAuth {
    /// `client_secret_basic`.
    Basic,
    /// `client_secret_post`.
    Post,
}

/// The broker's own client at the provider.
#[derive(Clone, Debug)]
pub struct ProviderClient {
    /// `client_id`.
    pub id: String,
    /// `client_secret`.
    pub secret: SecretString,
    /// How it is sent.
    pub auth: ClientAuth,
}

/// Whether PKCE S256 is used (CO4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pkce {
    /// Always, unless the provider is known to break on it.
    S256,
    /// The operator opted out, visibly.
    Off,
}

/// What is known about RFC 9207 `iss` in the authorization response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IssParameter {
    /// The provider's issuer is this; `iss` must be there and equal.
    Required(String),
    /// The provider's issuer is this; `iss` must be equal if it is there.
    IfPresent(String),
    /// No issuer is known: an `iss` that is there is refused.
    Unknown,
}

/// Whether a refresh can ask for fewer scopes (RFC 6749 §6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Narrowing {
    /// `scope` on refresh yields a narrower access token.
    RefreshWithScope,
    /// The access token always carries everything granted.
    None,
}

/// What a refresh does to the refresh token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rotation {
    /// It stays.
    None,
    /// It is replaced, and the old one works a while longer.
    WithGrace(Duration),
    /// It is replaced and the old one is dead; using it again is refused.
    SingleUse,
    /// It is replaced and the old one is dead; using it again ends everything that came of the same authorization (RFC 9700 §4.14.2).
    FamilyRevoking,
}

impl Rotation {
    /// Whether sending a refresh token once more does harm, or nothing but a refusal comes of it.
    pub fn is_single_use(self) -> bool {
        matches!(self, Self::SingleUse | Self::FamilyRevoking)
    }

    /// As in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::WithGrace(_) => "with_grace",
            Self::SingleUse => "single_use",
            Self::FamilyRevoking => "family_revoking",
        }
    }
}

/// What an absent or odd `expires_in` means (RF8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expiry {
    /// The provider says; absent, null or 0 means this long, because nothing else is known.
    GivenOr(Duration),
    /// The provider's access tokens never expire; absent, null or 0 means just that.
    Never,
}

/// How tokens are revoked (RFC 7009).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RevokeStyle {
    /// POST of `token` and `token_type_hint` with client authentication.
    Rfc7009(Url),
    /// The provider has no such endpoint.
    Unsupported,
}

/// What revoking one token ends at the provider.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RevocationEnds {
    /// What came of the same authorization, and nothing else (RFC 7009 section 2.1).
    OwnAuthorization,
    /// Everything that this person has authorized this client for: also a connection that stands beside the token.
    EveryAuthorization,
}

/// Where the account behind a token is looked up (CO11).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountLookup {
    /// GET with the access token as bearer.
    pub url: Url,
    /// JSON pointer (RFC 6901) to the stable id.
    pub id_pointer: String,
    /// JSON pointer to what people call the account.
    pub label_pointer: String,
}

/// Sandbox or production: visible to policy (PO1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Environment {
    /// The real thing.
    Production,
    /// A place to try things.
    Sandbox,
}

impl Environment {
    /// `production` or `sandbox`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Sandbox => "sandbox",
        }
    }
}

/// One provider.
#[derive(Clone, Debug)]
pub struct ProviderSpec {
    /// Its name in configuration, requests and the log.
    pub id: ProviderId,
    /// Its name for people.
    pub display_name: String,
    /// Sandbox or production.
    pub environment: Environment,
    /// Authorization endpoint.
    pub authorize_url: Url,
    /// Fixed extra parameters of the authorization request, e.g. `access_type=offline`.
    pub authorize_params: Vec<(String, String)>,
    /// Token endpoint.
    pub token_url: Url,
    /// Revocation.
    pub revoke: RevokeStyle,
    /// What that ends.
    pub revocation_ends: RevocationEnds,
    /// Account lookup.
    pub account: AccountLookup,
    /// What is known of `iss`.
    pub iss: IssParameter,
    /// PKCE.
    pub pkce: Pkce,
    /// The broker's client.
    pub client: ProviderClient,
    /// Scopes people can be asked for.
    pub scopes: Vec<ScopeSpec>,
    /// Technical scopes always asked for besides, e.g. `offline_access`; never part of a grant.
    pub technical_scopes: ScopeSet,
    /// Between scopes in requests.
    pub scope_separator: char,
    /// Whether refreshes narrow.
    pub narrowing: Narrowing,
    /// What refreshes do to the refresh token.
    pub rotation: Rotation,
    /// A refresh kills earlier access tokens: never narrow by refresh while one is live (RF10).
    pub refresh_kills_access_token: bool,
    /// What a missing expiry means.
    pub expiry: Expiry,
    /// Refresh this long before expiry, clamped to half the lifetime.
    pub refresh_margin: Duration,
    /// The provider refuses a refresh while the access token is still good (RF10).
    pub refuses_early_refresh: bool,
    /// A refresh token that is not used for so long is over; `None` = no such limit is known.
    pub idle_limit: Option<Duration>,
    /// After so long the person must connect again, however often it was refreshed; `None` = no such limit is known.
    pub absolute_limit: Option<Duration>,
    /// The header a grant's token goes into, e.g. `authorization`.
    pub header_name: String,
    /// What stands before the token there, e.g. `Bearer `.
    pub header_prefix: String,
    /// Private address ranges (CIDR) this provider's hosts may resolve to; empty = public only (NE2).
    pub allowed_networks: Vec<String>,
    /// File with extra CA certificates (PEM) for this provider's hosts.
    pub ca_file: Option<std::path::PathBuf>,
}

impl ProviderSpec {
    /// Whether a token for fewer scopes can be had beside the others, given a refresh token.
    pub fn can_narrow(&self) -> bool {
        self.narrowing == Narrowing::RefreshWithScope && !self.refresh_kills_access_token
    }

    /// How long before its end a token that lives for `lifetime` is refreshed: not at all before it where that would be refused, or
    /// would end a grant that is in somebody's hands (RF10).
    pub fn margin(&self, lifetime: Duration) -> Duration {
        if self.refuses_early_refresh || self.refresh_kills_access_token {
            return Duration::ZERO;
        }
        self.refresh_margin.min(lifetime / 2)
    }

    /// The scope's entry, if the provider offers it.
    pub fn scope(&self, scope: &Scope) -> Option<&ScopeSpec> {
        self.scopes.iter().find(|s| s.scope == *scope)
    }
}
