//! Logout tokens: an issuer says that a person's session with it is over (OpenID Connect Back-Channel Logout 1.0 §2.4,
//! §2.6). They speak about a person and never for one: no other verification takes them, and this one takes nothing else.

use super::{
    IssuerSpec, TokenError, TypRule, acceptance,
    claims::{audiences, client_id, tenant, text, time},
    json::{Json, Object},
    subject_claims::subject_id,
};
use crate::domain::{LoggedOut, LogoutNames, Timestamp};
use std::time::Duration;

/// The member of `events` that makes a token a logout token.
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// Issuers send it at once; one that is older was kept by somebody.
const MAX_AGE: Duration = Duration::from_secs(300);

/// Sessions that their issuer has ended.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedLogout {
    names: LogoutNames,
    until: Timestamp,
}

impl VerifiedLogout {
    /// Whose.
    pub fn names(&self) -> &LogoutNames {
        &self.names
    }

    /// Sessions begun later than this are other ones, UTC: `iat` and the issuer's skew.
    pub fn until(&self) -> Timestamp {
        self.until
    }
}

/// Personal data: not printed.
impl std::fmt::Debug for VerifiedLogout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifiedLogout({})", self.names.issuer)
    }
}

/// Which `typ` a logout token may have: early issuers send none or `JWT`, later ones what §2.4 recommends.
pub(super) fn typ() -> TypRule {
    TypRule { allowed: vec!["JWT".to_owned(), "logout+jwt".to_owned()], absent: true }
}

/// Reads the claims of a token whose signature is right. The contract's required claims are those of people's tokens
/// and not asked for here; its tenant claim is.
pub(super) fn read(
    claims: &Object,
    spec: &IssuerSpec,
    client: &str,
    now: Timestamp,
) -> Result<VerifiedLogout, TokenError> {
    is_logout(claims)?;
    acceptance::for_client(&audiences(claims)?, client_id(claims)?.as_deref(), client)?;
    let issued_at = times(claims, spec, now)?;
    text(claims, "jti")?.ok_or_else(|| TokenError::claim_missing("jti"))?;
    let names = LogoutNames {
        tenant: tenant(claims, &spec.tenant)?,
        realm: spec.realm.clone(),
        issuer: spec.issuer.clone(),
        who: who(claims, spec)?,
    };
    Ok(VerifiedLogout { names, until: issued_at.plus(spec.skew) })
}

fn is_logout(claims: &Object) -> Result<(), TokenError> {
    let Some(events) = claims.get("events") else { return Err(TokenError::claim_missing("events")) };
    let Json::Object(events) = events else { return Err(TokenError::claim_invalid("events")) };
    if !matches!(events.get(EVENT), Some(Json::Object(_))) {
        return Err(TokenError::claim_invalid("events"));
    }
    // What has one is an ID token, whatever else it says.
    if claims.contains_key("nonce") {
        return Err(TokenError::claim_invalid("nonce"));
    }
    Ok(())
}

/// `iat`; with it, `exp` and `nbf`, where they are, checked to within the issuer's skew.
fn times(claims: &Object, spec: &IssuerSpec, now: Timestamp) -> Result<Timestamp, TokenError> {
    let issued_at = time(claims, "iat")?.ok_or_else(|| TokenError::claim_missing("iat"))?;
    let latest = now.plus(spec.skew);
    if issued_at > latest {
        return Err(TokenError::IssuedInFuture);
    }
    if now >= issued_at.plus(MAX_AGE).plus(spec.skew) {
        return Err(TokenError::TooOld);
    }
    if time(claims, "nbf")?.is_some_and(|not_before| not_before > latest) {
        return Err(TokenError::NotYetValid);
    }
    match time(claims, "exp")? {
        Some(end) if now >= end.plus(spec.skew) => Err(TokenError::Expired),
        Some(end) if end <= issued_at => Err(TokenError::claim_invalid("exp")),
        _ => Ok(issued_at),
    }
}

/// `sid`, `sub`, or both, which then have to fit both. Where people of this issuer are not known by `sub`, it names
/// nobody, and only `sid` says whose session it is.
fn who(claims: &Object, spec: &IssuerSpec) -> Result<LoggedOut, TokenError> {
    let (sid, sub) = (text(claims, "sid")?, text(claims, "sub")?);
    let by_sub = spec.subject.0 == ["sub"];
    let subject = match sub {
        Some(_) if by_sub => Some(subject_id(claims, &spec.subject)?),
        _ => None,
    };
    match (sid, subject) {
        (Some(sid), subject) => Ok(LoggedOut::Session { sid, subject }),
        (None, Some(subject)) => Ok(LoggedOut::Person { subject }),
        (None, None) => Err(TokenError::claim_missing(if by_sub { "sub" } else { "sid" })),
    }
}
