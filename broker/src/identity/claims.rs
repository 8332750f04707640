//! The claims of a token whose signature is right, read against its issuer's contract (ID4–ID6).

use super::{
    IssuerSpec, TenantRule, TokenError,
    json::{Json, Object},
    subject_claims::{lookup, optional_text, subject_id},
};
use crate::domain::{Subject, TenantId, Timestamp};
use std::{collections::BTreeSet, sync::Arc};

const MAX_LABEL_CHARS: usize = 200;
/// 9999-12-31T23:59:59Z, the last second that RFC 3339 can write.
const LAST_SECOND: i64 = 253_402_300_799;

/// When a token is good. Seconds or fractions of one, UTC, without skew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TokenTimes {
    /// `iat`.
    pub issued_at: Timestamp,
    /// `exp`.
    pub expires_at: Timestamp,
    /// `nbf`.
    pub not_before: Option<Timestamp>,
}

/// Verified claims: types and bounds checked, signature right. Time and audience are checked at every use.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Claims {
    /// The person or service named, by the issuer's mapping.
    pub subject: Subject,
    /// `aud`, as a list.
    pub audiences: Vec<String>,
    /// `azp` or `client_id`: who obtained the token.
    pub client_id: Option<String>,
    /// `act.sub` (RFC 8693 §4.1): who acts.
    pub actor: Option<String>,
    /// When it is good.
    pub times: TokenTimes,
    /// Roles, if the issuer's contract names a claim for them.
    pub roles: Arc<BTreeSet<String>>,
    /// `acr`.
    pub acr: Option<String>,
    /// `auth_time`.
    pub auth_time: Option<Timestamp>,
    /// `sid`.
    pub sid: Option<String>,
    /// `jti`.
    pub jti: Option<String>,
    /// `nonce`.
    pub nonce: Option<String>,
    /// A name to show, at most 200 characters; `""` = none.
    pub label: String,
}

/// Personal data: not printed.
impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Claims({:?})", self.subject)
    }
}

impl Claims {
    /// Reads what depends on the token and the contract alone.
    pub(super) fn read(claims: &Object, spec: &IssuerSpec) -> Result<Self, TokenError> {
        required(claims, spec)?;
        let times = times(claims, spec)?;
        Ok(Self {
            subject: Subject {
                tenant: tenant(claims, &spec.tenant)?,
                realm: spec.realm.clone(),
                id: subject_id(claims, &spec.subject)?,
            },
            audiences: audiences(claims)?,
            client_id: client_id(claims)?,
            actor: actor(claims)?,
            times,
            roles: Arc::new(roles(claims, spec.roles_claim.as_deref())?),
            acr: text(claims, "acr")?,
            auth_time: auth_time(claims, times.issued_at.plus(spec.skew))?,
            sid: text(claims, "sid")?,
            jti: text(claims, "jti")?,
            nonce: text(claims, "nonce")?,
            label: label(claims, &spec.label_claims)?,
        })
    }
}

impl TokenTimes {
    /// Whether the token is good now, to within the issuer's skew.
    pub(super) fn check(&self, spec: &IssuerSpec, now: Timestamp) -> Result<(), TokenError> {
        if now >= self.expires_at.plus(spec.skew) {
            return Err(TokenError::Expired);
        }
        let latest = now.plus(spec.skew);
        if self.issued_at > latest {
            return Err(TokenError::IssuedInFuture);
        }
        if self.not_before.is_some_and(|not_before| not_before > latest) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }
}

fn required(claims: &Object, spec: &IssuerSpec) -> Result<(), TokenError> {
    // A security event or logout token speaks about a person, not for one (RFC 8417 §2, OIDC Back-Channel Logout §2.4).
    if claims.contains_key("events") {
        return Err(TokenError::claim_invalid("events"));
    }
    for (name, wanted) in &spec.required_claims {
        match (lookup(claims, name), wanted) {
            (None, _) => return Err(TokenError::claim_missing(name)),
            (Some(Json::Null), _) => return Err(TokenError::claim_invalid(name)),
            (Some(Json::String(value)), Some(wanted)) if value == wanted => {}
            (Some(_), None) => {}
            (Some(_), Some(_)) => return Err(TokenError::claim_invalid(name)),
        }
    }
    Ok(())
}

/// The tenant by the issuer's rule; also what tells issuers of equal `iss` apart.
pub(super) fn tenant(claims: &Object, rule: &TenantRule) -> Result<TenantId, TokenError> {
    match rule {
        TenantRule::Fixed(tenant) => Ok(tenant.clone()),
        TenantRule::Claim { name, tenants } => {
            let value = optional_text(claims, name)?.ok_or_else(|| TokenError::claim_missing(name))?;
            tenants.get(value).cloned().ok_or(TokenError::TenantUnknown)
        }
    }
}

/// RFC 7519 §4.1.3: one string or a list of them. An empty list or string is for nobody.
pub(super) fn audiences(claims: &Object) -> Result<Vec<String>, TokenError> {
    let list = match claims.get("aud") {
        None => return Err(TokenError::claim_missing("aud")),
        Some(Json::String(one)) => vec![one.clone()],
        Some(Json::Array(items)) => strings(items, "aud")?,
        Some(_) => return Err(TokenError::claim_invalid("aud")),
    };
    if list.is_empty() || list.iter().any(String::is_empty) {
        return Err(TokenError::claim_invalid("aud"));
    }
    Ok(list)
}

fn strings(items: &[Json], name: &str) -> Result<Vec<String>, TokenError> {
    let text = |item: &Json| match item {
        Json::String(text) => Ok(text.clone()),
        _ => Err(TokenError::claim_invalid(name)),
    };
    items.iter().map(text).collect()
}

/// `azp` (OpenID Connect Core §2) or `client_id` (RFC 9068 §2.2); if both, they must agree.
pub(super) fn client_id(claims: &Object) -> Result<Option<String>, TokenError> {
    match (text(claims, "azp")?, text(claims, "client_id")?) {
        (Some(azp), Some(client_id)) if azp != client_id => Err(TokenError::claim_invalid("client_id")),
        (azp, client_id) => Ok(azp.or(client_id)),
    }
}

fn actor(claims: &Object) -> Result<Option<String>, TokenError> {
    match claims.get("act") {
        None => Ok(None),
        Some(Json::Object(act)) => text(act, "sub").map_err(|_| TokenError::claim_invalid("act")),
        Some(_) => Err(TokenError::claim_invalid("act")),
    }
}

fn times(claims: &Object, spec: &IssuerSpec) -> Result<TokenTimes, TokenError> {
    let required = |name| time(claims, name)?.ok_or_else(|| TokenError::claim_missing(name));
    let times = TokenTimes {
        expires_at: required("exp")?,
        issued_at: required("iat")?,
        not_before: time(claims, "nbf")?,
    };
    let lifetime = times.expires_at.since(times.issued_at);
    if lifetime.is_zero() || lifetime > spec.max_lifetime {
        return Err(TokenError::LifetimeTooLong);
    }
    Ok(times)
}

/// The age of a login limits what it is good for, so nobody may have logged in after the token was made.
fn auth_time(claims: &Object, latest: Timestamp) -> Result<Option<Timestamp>, TokenError> {
    match time(claims, "auth_time")? {
        Some(at) if at > latest => Err(TokenError::claim_invalid("auth_time")),
        at => Ok(at),
    }
}

/// A NumericDate (RFC 7519 §2): a JSON number from 1970 to 9999.
pub(super) fn time(claims: &Object, name: &str) -> Result<Option<Timestamp>, TokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Json::Integer(seconds)) if (0..=LAST_SECOND).contains(seconds) => {
            Ok(Some(Timestamp::from_unix_seconds(*seconds)))
        }
        Some(Json::Float(seconds)) if (0.0..=LAST_SECOND as f64).contains(seconds) => {
            Ok(Some(Timestamp::from_micros((seconds * 1e6) as i64)))
        }
        Some(_) => Err(TokenError::claim_invalid(name)),
    }
}

fn roles(claims: &Object, name: Option<&str>) -> Result<BTreeSet<String>, TokenError> {
    let Some((name, value)) = name.and_then(|name| Some((name, lookup(claims, name)?))) else {
        return Ok(BTreeSet::new());
    };
    let Json::Array(items) = value else { return Err(TokenError::claim_invalid(name)) };
    let roles = strings(items, name)?;
    if roles.iter().any(|role| role.is_empty() || role.chars().any(char::is_control)) {
        return Err(TokenError::claim_invalid(name));
    }
    Ok(roles.into_iter().collect())
}

pub(super) fn text(claims: &Object, name: &str) -> Result<Option<String>, TokenError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Json::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(TokenError::claim_invalid(name)),
    }
}

fn label(claims: &Object, names: &[String]) -> Result<String, TokenError> {
    for name in names {
        if let Some(text) = optional_text(claims, name)? {
            return Ok(text.chars().filter(|c| !misleading(*c)).take(MAX_LABEL_CHARS).collect());
        }
    }
    Ok(String::new())
}

/// Controls, and the invisible characters that reorder or hide what people read.
fn misleading(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}
