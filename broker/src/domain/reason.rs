//! The one list of reason codes (AIP-193 `ErrorInfo.reason`, and the audit log's). Same reason ⇔ same client action.

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)+) => {
        /// Why something was refused or went wrong.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable UPPER_SNAKE code.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// One sentence for the documentation: what it means and what to do.
            pub fn explanation(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+),)+
                }
            }

            /// Reads a code.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|r| r.as_str() == text)
            }
        }
    };
}

reasons! {
    /// The call carries no workload credential: send it in `authorization` metadata.
    WorkloadCredentialMissing = "WORKLOAD_CREDENTIAL_MISSING",
    /// The workload credential is malformed, expired, unknown or not for this broker: get a fresh one.
    WorkloadCredentialInvalid = "WORKLOAD_CREDENTIAL_INVALID",
    /// The request needs the user's SSO assertion and has none: send it; nothing is served from a shared credential instead.
    AssertionMissing = "ASSERTION_MISSING",
    /// The assertion is malformed, over a size limit, or its signature or claims are wrong: sign the user in again.
    AssertionInvalid = "ASSERTION_INVALID",
    /// The assertion's time is over: get a fresh one from the IdP.
    AssertionExpired = "ASSERTION_EXPIRED",
    /// The assertion was used before and its issuer allows one use: get a fresh one from the IdP.
    AssertionReplayed = "ASSERTION_REPLAYED",
    /// The assertion was minted for another server: use the one your own server received.
    AssertionAudience = "ASSERTION_AUDIENCE",
    /// The assertion's issuer is not configured: an operator must add it.
    IssuerUnknown = "ISSUER_UNKNOWN",
    /// The issuer's keys cannot be fetched right now: retry later.
    IssuerUnavailable = "ISSUER_UNAVAILABLE",
    /// Policy does not allow this: the rule is named in the metadata; ask the operator.
    PolicyDenied = "POLICY_DENIED",
    /// A policy could not be evaluated, so the answer is no: an operator must mend it.
    PolicyError = "POLICY_ERROR",
    /// The caller lacks the role that this method needs.
    RoleMissing = "ROLE_MISSING",
    /// The method has no row in the gate table, so nobody may call it.
    MethodNotAllowed = "METHOD_NOT_ALLOWED",
    /// Someone or something involved is blocked until an administrator lifts it.
    Blocked = "BLOCKED",
    /// What the call relies on was revoked meanwhile: start again.
    Revoked = "REVOKED",
    /// The provider is not configured: check the name.
    ProviderUnknown = "PROVIDER_UNKNOWN",
    /// A scope is not one this provider offers: check the list in the metadata.
    ScopeUnknown = "SCOPE_UNKNOWN",
    /// A field is missing, malformed or too big: see BadRequest for which.
    InvalidArgument = "INVALID_ARGUMENT",
    /// No such thing, or it is not yours to see.
    NotFound = "NOT_FOUND",
    /// Somebody changed it at the same time: read it again and retry.
    Conflict = "CONFLICT",
    /// The request id was used for a different request: use a fresh one.
    RequestIdReused = "REQUEST_ID_REUSED",
    /// The token that answered this request id is gone: retry with a fresh request id.
    RequestIdStale = "REQUEST_ID_STALE",
    /// The audit log cannot be written, so nothing is issued: retry later.
    AuditUnavailable = "AUDIT_UNAVAILABLE",
    /// The database cannot be reached: retry later.
    StoreUnavailable = "STORE_UNAVAILABLE",
    /// A stored row failed its integrity check and is not served: the owner must connect again, and an operator should look.
    RecordQuarantined = "RECORD_QUARANTINED",
    /// A key is missing or cannot be used: an operator must look.
    KeyUnavailable = "KEY_UNAVAILABLE",
    /// The provider did not answer, or answered nonsense: retry after the delay given.
    ProviderUnavailable = "PROVIDER_UNAVAILABLE",
    /// The provider asks to slow down: retry after the delay given.
    ProviderRateLimited = "PROVIDER_RATE_LIMITED",
    /// The provider refuses the broker's own client: an operator must mend its credentials.
    ProviderClientRejected = "PROVIDER_CLIENT_REJECTED",
    /// The provider refused the grant for good: the user must connect again.
    ProviderGrantRejected = "PROVIDER_GRANT_REJECTED",
    /// The provider's token lives longer than policy allows: an operator must allow long-lived tokens here.
    TokenOutlivesGrant = "TOKEN_OUTLIVES_GRANT",
    /// Too many requests: retry after the delay given.
    RateLimited = "RATE_LIMITED",
    /// The broker has too much to do: retry after the delay given.
    Overloaded = "OVERLOADED",
    /// The caller's deadline passed before it could be served.
    DeadlineExceeded = "DEADLINE_EXCEEDED",
    /// Too many consents of this user are open: finish or let them expire.
    TooManyConsents = "TOO_MANY_CONSENTS",
    /// The user declined.
    ConsentDeclined = "CONSENT_DECLINED",
    /// Nobody finished the consent in time.
    ConsentExpired = "CONSENT_EXPIRED",
    /// Somebody else opened the link.
    ConsentUserMismatch = "CONSENT_USER_MISMATCH",
    /// The callback came into another browser than the one that left.
    ConsentOtherBrowser = "CONSENT_OTHER_BROWSER",
    /// The callback's issuer is not the provider's (RFC 9207).
    ConsentIssuerMismatch = "CONSENT_ISSUER_MISMATCH",
    /// The provider granted none of the scopes asked for, or fewer than the connection has already.
    ConsentScopesReduced = "CONSENT_SCOPES_REDUCED",
    /// A different account than the connection's was used at the provider.
    ConsentAccountChanged = "CONSENT_ACCOUNT_CHANGED",
    /// Something in the broker went wrong; the log has it under the trace id.
    Internal = "INTERNAL",
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_follow_aip_193() {
        let mut seen = HashSet::new();
        for reason in Reason::ALL {
            let code = reason.as_str();
            assert!(seen.insert(code), "{code} twice");
            assert!(code.len() <= 63 && code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{code}");
            assert_eq!(Reason::parse(code), Some(*reason));
            assert!(!reason.explanation().is_empty());
        }
    }
}
