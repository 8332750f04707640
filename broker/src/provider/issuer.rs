//! Mix-up defence (RFC 9207).

use super::ProviderError;
use crate::domain::{ProviderSpec, provider::IssParameter};

/// Checks the `iss` of an authorization response by simple string comparison (RFC 9207 §2.4). To be called before
/// the code is sent anywhere (CO5).
///
/// # Errors
/// [`ProviderError::IssuerMismatch`] when it differs, is missing where the provider sends it always, or is there for
/// a provider whose issuer is not known.
pub fn check_iss(spec: &ProviderSpec, iss: Option<&str>) -> Result<(), ProviderError> {
    let ok = match (&spec.iss, iss) {
        (IssParameter::Required(expected) | IssParameter::IfPresent(expected), Some(iss)) => expected == iss,
        (IssParameter::Required(_), None) | (IssParameter::Unknown, Some(_)) => false,
        (IssParameter::IfPresent(_) | IssParameter::Unknown, None) => true,
    };
    if ok { Ok(()) } else { Err(ProviderError::IssuerMismatch) }
}
