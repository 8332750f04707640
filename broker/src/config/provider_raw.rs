//! `providers`, as written: see [`crate::domain::ProviderSpec`] for what becomes of it.

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One downstream system and how tokens for it are obtained.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProvider {
    /// Its id in requests, redirect URIs and the log: 1 to 63 of a-z, 0-9, '-', '_' and '.'. Never change it: it is
    /// part of what is sealed.
    pub(super) id: String,
    /// Its name for people, on consent pages.
    pub(super) display_name: String,
    /// Whether this is the real thing; visible to policy. Default production.
    pub(super) environment: Option<RawEnvironment>,
    /// Authorization endpoint.
    pub(super) authorize_url: String,
    /// Fixed extra parameters of the authorization request, such as access_type: offline.
    #[serde(default)]
    pub(super) authorize_params: BTreeMap<String, String>,
    /// Token endpoint.
    pub(super) token_url: String,
    /// Revocation endpoint (RFC 7009). Absent: the provider has none, and revoking ends at the broker.
    pub(super) revocation_url: Option<String>,
    /// What revoking one token ends there: what came of the same authorization, or everything this person has authorized the broker's
    /// client for. Default `every_authorization`: then nothing is revoked beside a connection that is to go on. Where it is
    /// `own_authorization`, the tokens that a wider connection replaces are revoked too.
    pub(super) revocation_ends: Option<RawRevocationEnds>,
    /// Where the account behind a token is looked up.
    pub(super) account: RawAccount,
    /// The provider's own issuer identifier, to check `iss` in its answers (RFC 9207).
    pub(super) issuer: Option<String>,
    /// Whether the provider always sends `iss`. Needs `issuer`. Default if_present.
    pub(super) iss_parameter: Option<RawIssParameter>,
    /// Proof key for code exchange. Default s256; off only for a provider known to break on it.
    pub(super) pkce: Option<RawPkce>,
    /// The broker's own client at the provider. Its redirect URI is `public_url` followed by /oauth/callback/{id}.
    pub(super) client: RawClient,
    /// The scopes people can be asked for. Others are refused.
    pub(super) scopes: Vec<RawScope>,
    /// Technical scopes always asked for besides, such as offline_access; never part of a grant.
    #[serde(default)]
    pub(super) technical_scopes: Vec<String>,
    /// What stands between scopes in requests. Default a space.
    pub(super) scope_separator: Option<char>,
    /// Whether a refresh can ask for fewer scopes (RFC 6749 §6). Default none.
    pub(super) narrowing: Option<RawNarrowing>,
    /// What a refresh does to the refresh token. Default single_use, the cautious choice.
    pub(super) rotation: Option<RawRotation>,
    /// With rotation with_grace: how long the old refresh token still works.
    pub(super) rotation_grace: Option<String>,
    /// Whether a refresh kills earlier access tokens. Default false.
    #[serde(default)]
    pub(super) refresh_kills_access_token: bool,
    /// How long an access token lives when the provider does not say. Default 1h.
    pub(super) default_token_lifetime: Option<String>,
    /// Whether access tokens never expire unless the provider says so. Default false. Such tokens are issued only by
    /// rules with @long_lived("allow").
    #[serde(default)]
    pub(super) tokens_never_expire: bool,
    /// How long before its expiry a token is refreshed. Default 5m.
    pub(super) refresh_margin: Option<String>,
    /// Whether a refresh is refused while the access token is still good. Default false.
    #[serde(default)]
    pub(super) refuses_early_refresh: bool,
    /// After how long without use a refresh token is over. Default: no such limit is known. Connections in use are refreshed before it.
    pub(super) idle_limit: Option<String>,
    /// After how long the person must connect again, however often the token was refreshed. Default: no such limit is known.
    pub(super) absolute_limit: Option<String>,
    /// The header a token goes into. Default authorization.
    pub(super) header_name: Option<String>,
    /// What stands before the token there. Default "Bearer ".
    pub(super) header_prefix: Option<String>,
    /// Private address ranges (CIDR) its hosts may resolve to. Default: public addresses only.
    #[serde(default)]
    pub(super) allowed_networks: Vec<String>,
    /// Further certificate authorities for its hosts, PEM.
    pub(super) ca_file: Option<String>,
}

/// The real thing or a place to try things.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawEnvironment {
    Production,
    Sandbox,
}

/// Whether `iss` must be there.
#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawIssParameter {
    Required,
    IfPresent,
}

/// Proof key for code exchange (RFC 7636).
#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawPkce {
    S256,
    Off,
}

/// What revoking one token ends.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawRevocationEnds {
    /// What came of the same authorization (RFC 7009).
    OwnAuthorization,
    /// Everything the person has authorized the client for.
    EveryAuthorization,
}

/// Whether refreshes narrow.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawNarrowing {
    RefreshWithScope,
    None,
}

/// What a refresh does to the refresh token.
#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawRotation {
    /// The refresh token stays.
    None,
    /// It is replaced, and the old one works a while longer.
    WithGrace,
    /// It is replaced, and the old one is refused.
    SingleUse,
    /// It is replaced, and using the old one again ends everything that came of the same authorization.
    FamilyRevoking,
}

/// How the client authenticates at the token endpoint (RFC 6749 §2.3.1).
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawClientAuth {
    Basic,
    Post,
}

/// The broker's own client.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawClient {
    /// Its id.
    pub(super) id: String,
    /// Its secret, as ${file:/path} or ${env:NAME}.
    pub(super) secret: String,
    /// How the secret is sent. Default basic.
    pub(super) auth: Option<RawClientAuth>,
}

/// Where the account behind a token is looked up: GET with the token as bearer, answered with JSON.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAccount {
    /// The address.
    pub(super) url: String,
    /// Where the account's stable id stands in the answer: a JSON pointer such as /id (RFC 6901).
    pub(super) id_pointer: String,
    /// Where its name for people stands, such as /login.
    pub(super) label_pointer: String,
}

/// One scope, in words.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScope {
    /// The scope, as the provider spells it.
    pub(super) scope: String,
    /// What it allows, as a sentence for the consent page.
    pub(super) description: String,
    /// Whether it can change something.
    pub(super) access: RawAccess,
}

/// Read or write.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawAccess {
    Read,
    Write,
}
