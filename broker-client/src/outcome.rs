//! What comes of a request: a grant, or the link that a user has to open first.

use crate::{AccessToken, ConsentUrl, Error};
use broker_proto::v1;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// What came of a request. Both are normal.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Use it now, for this user only.
    Grant(Grant),
    /// The user must act first: show them the link, then watch the consent and ask again.
    ConsentRequired(ConsentRequired),
}

/// A short-lived permission to act for one user at one provider.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Grant {
    /// Id of the grant, the one in the audit log.
    pub id: String,
    /// The token for the provider.
    pub access_token: AccessToken,
    /// Name of the HTTP header that carries the token, for example `authorization`.
    pub header_name: String,
    /// What stands before the token in that header, including any space.
    pub header_value_prefix: String,
    /// When the grant ends. Do not use the token after it, even if the provider still honours it.
    pub expire_time: SystemTime,
    /// Scopes truly granted.
    pub scopes: Vec<String>,
    /// Whether the token itself can do exactly what `scopes` says.
    pub narrowing: Narrowing,
    /// Whether the token itself ends when the grant ends.
    pub lifetime: Lifetime,
    /// When the provider stops honouring the token; `None` = never.
    pub token_expire_time: Option<SystemTime>,
    /// The connection it came from.
    pub connection_id: String,
    /// The account at the provider, for display.
    pub account_label: String,
    /// Where its audit event is written: stream and place in it.
    pub audit_position: (String, u64),
}

/// How a token's own scopes compare with its grant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Narrowing {
    /// The token can do exactly what the grant says.
    Exact,
    /// The token can do more than the grant says; guard it accordingly. Also what an unknown value is read as.
    ProviderCannotNarrow,
}

/// How a token's own life compares with its grant's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// The provider stops honouring the token no later than the grant ends.
    Enforced,
    /// The provider honours it for longer; discard it on time. Also what an unknown value is read as.
    OutlivesGrant,
}

/// The user has to act before a grant is possible.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConsentRequired {
    /// The consent to watch.
    pub consent_id: String,
    /// The link for the user.
    pub url: ConsentUrl,
    /// When the link stops working.
    pub expire_time: SystemTime,
    /// Why a user is needed.
    pub reason: v1::ConsentReason,
    /// The scopes that are not approved yet.
    pub missing_scopes: Vec<String>,
    /// One sentence for the user.
    pub message: String,
}

impl Grant {
    /// The value of the header [`header_name`](Self::header_name): prefix and token. Wiped when dropped.
    pub fn header_value(&self) -> Zeroizing<String> {
        let token = self.access_token.expose();
        let mut value = Zeroizing::new(String::with_capacity(self.header_value_prefix.len() + token.len()));
        value.push_str(&self.header_value_prefix);
        value.push_str(token);
        value
    }
}

impl TryFrom<v1::IssueGrantResponse> for Outcome {
    type Error = Error;

    fn try_from(response: v1::IssueGrantResponse) -> Result<Self, Error> {
        match response.outcome {
            Some(v1::issue_grant_response::Outcome::Grant(grant)) => Grant::try_from(grant).map(Self::Grant),
            Some(v1::issue_grant_response::Outcome::ConsentRequired(consent)) => {
                ConsentRequired::try_from(consent).map(Self::ConsentRequired)
            }
            None => Err(Error::protocol("the answer holds neither a grant nor a consent")),
        }
    }
}

impl TryFrom<v1::Grant> for Grant {
    type Error = Error;

    fn try_from(grant: v1::Grant) -> Result<Self, Error> {
        let access_token = AccessToken::new(grant.access_token);
        let position =
            grant.audit_position.ok_or_else(|| Error::protocol("a grant without an audit position"))?;
        if grant.id.is_empty() || access_token.expose().is_empty() || grant.header_name.is_empty() {
            return Err(Error::protocol("a grant without an id, a token or a header"));
        }
        let narrowing = match v1::GrantNarrowing::try_from(grant.narrowing) {
            Ok(v1::GrantNarrowing::Exact) => Narrowing::Exact,
            _ => Narrowing::ProviderCannotNarrow,
        };
        let lifetime = match v1::GrantLifetime::try_from(grant.lifetime) {
            Ok(v1::GrantLifetime::Enforced) => Lifetime::Enforced,
            _ => Lifetime::OutlivesGrant,
        };
        Ok(Self {
            id: grant.id,
            access_token,
            header_name: grant.header_name,
            header_value_prefix: grant.header_value_prefix,
            expire_time: required(grant.expire_time)?,
            scopes: grant.scopes,
            narrowing,
            lifetime,
            token_expire_time: grant.token_expire_time.map(|time| required(Some(time))).transpose()?,
            connection_id: grant.connection_id,
            account_label: grant.account_label,
            audit_position: (position.stream, position.seq),
        })
    }
}

impl TryFrom<v1::ConsentRequired> for ConsentRequired {
    type Error = Error;

    fn try_from(consent: v1::ConsentRequired) -> Result<Self, Error> {
        let reason = consent.reason();
        if consent.consent_id.is_empty() || consent.url.is_empty() {
            return Err(Error::protocol("a consent without an id or a link"));
        }
        Ok(Self {
            consent_id: consent.consent_id,
            url: ConsentUrl::new(consent.url),
            expire_time: required(consent.expire_time)?,
            reason,
            missing_scopes: consent.missing_scopes,
            message: consent.message,
        })
    }
}

pub(crate) fn required(time: Option<prost_types::Timestamp>) -> Result<SystemTime, Error> {
    let time = time.ok_or_else(|| Error::protocol("an answer without its time of expiry"))?;
    let in_range = || Error::protocol("a time out of range");
    let seconds = u64::try_from(time.seconds).map_err(|_| in_range())?;
    let nanos = u32::try_from(time.nanos).ok().filter(|nanos| *nanos < 1_000_000_000).ok_or_else(in_range)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(seconds, nanos)).ok_or_else(in_range)
}
