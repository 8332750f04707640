//! Assertions that are good for one use (ID12): under which name it is remembered that one was used.

use super::{IssuerSpec, TokenError, claims::Claims};
use crate::domain::{AssertionUse, Canonical, sha256};
use std::time::Duration;

/// How far the database's clock, by which a use is forgotten, may be ahead of a broker's, by which the assertion is refused for its age.
const CLOCKS_APART: Duration = Duration::from_secs(600);

/// What has to be used up with a grant; `None` where the issuer does not ask for it. From the claims, never from the token's text: that of
/// an ECDSA signature can be changed. Asked at every use, remembered signature or not.
///
/// # Errors
/// [`TokenError::ClaimMissing`] without a `jti` (RFC 7519 §4.1.7).
pub(super) fn use_of(claims: &Claims, spec: &IssuerSpec) -> Result<Option<AssertionUse>, TokenError> {
    if !spec.one_time_assertions {
        return Ok(None);
    }
    let jti = claims.jti.as_deref().ok_or_else(|| TokenError::claim_missing("jti"))?;
    let mut key = Canonical::new("broker.v1 one-time assertion");
    key.text(&spec.issuer).text(jti);
    let expires_at = claims.times.expires_at.plus(spec.skew).plus(CLOCKS_APART);
    Ok(Some(AssertionUse { key: sha256(key.finish()), expires_at }))
}
