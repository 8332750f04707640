//! Refusals as the broker words them.

use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Every reason the broker refuses a call for, with its gRPC code.
pub const REASONS: &[(&str, Code)] = &[
    ("WORKLOAD_CREDENTIAL_MISSING", Code::Unauthenticated),
    ("WORKLOAD_CREDENTIAL_INVALID", Code::Unauthenticated),
    ("ASSERTION_MISSING", Code::Unauthenticated),
    ("ASSERTION_INVALID", Code::Unauthenticated),
    ("ASSERTION_EXPIRED", Code::Unauthenticated),
    ("ASSERTION_REPLAYED", Code::Unauthenticated),
    ("ASSERTION_AUDIENCE", Code::Unauthenticated),
    ("ISSUER_UNKNOWN", Code::Unauthenticated),
    ("ISSUER_UNAVAILABLE", Code::Unavailable),
    ("POLICY_DENIED", Code::PermissionDenied),
    ("POLICY_ERROR", Code::PermissionDenied),
    ("ROLE_MISSING", Code::PermissionDenied),
    ("METHOD_NOT_ALLOWED", Code::PermissionDenied),
    ("BLOCKED", Code::PermissionDenied),
    ("REVOKED", Code::Aborted),
    ("PROVIDER_UNKNOWN", Code::NotFound),
    ("SCOPE_UNKNOWN", Code::InvalidArgument),
    ("INVALID_ARGUMENT", Code::InvalidArgument),
    ("NOT_FOUND", Code::NotFound),
    ("CONFLICT", Code::Aborted),
    ("REQUEST_ID_REUSED", Code::InvalidArgument),
    ("REQUEST_ID_STALE", Code::Aborted),
    ("AUDIT_UNAVAILABLE", Code::Unavailable),
    ("STORE_UNAVAILABLE", Code::Unavailable),
    ("RECORD_QUARANTINED", Code::FailedPrecondition),
    ("KEY_UNAVAILABLE", Code::Unavailable),
    ("PROVIDER_UNAVAILABLE", Code::Unavailable),
    ("PROVIDER_RATE_LIMITED", Code::Unavailable),
    ("PROVIDER_CLIENT_REJECTED", Code::FailedPrecondition),
    ("PROVIDER_GRANT_REJECTED", Code::FailedPrecondition),
    ("TOKEN_OUTLIVES_GRANT", Code::PermissionDenied),
    ("RATE_LIMITED", Code::ResourceExhausted),
    ("OVERLOADED", Code::ResourceExhausted),
    ("DEADLINE_EXCEEDED", Code::DeadlineExceeded),
    ("TOO_MANY_CONSENTS", Code::ResourceExhausted),
    ("CONSENT_DECLINED", Code::FailedPrecondition),
    ("CONSENT_EXPIRED", Code::FailedPrecondition),
    ("CONSENT_USER_MISMATCH", Code::PermissionDenied),
    ("CONSENT_OTHER_BROWSER", Code::PermissionDenied),
    ("CONSENT_ISSUER_MISMATCH", Code::FailedPrecondition),
    ("CONSENT_SCOPES_REDUCED", Code::FailedPrecondition),
    ("CONSENT_ACCOUNT_CHANGED", Code::FailedPrecondition),
    ("INTERNAL", Code::Internal),
];

/// One refusal.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) reason: &'static str,
    code: Code,
    retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) fn new(reason: &str, retry_after: Option<Duration>) -> Self {
        let found = REASONS.iter().find(|(known, _)| *known == reason);
        let (reason, code) = *found.unwrap_or_else(|| panic!("the broker has no reason {reason}"));
        Self { reason, code, retry_after }
    }

    pub(super) fn to_status(&self) -> Status {
        let mut details = ErrorDetails::with_error_info(self.reason, "broker.v1", HashMap::new());
        if self.retry_after.is_some() {
            details.set_retry_info(self.retry_after);
        }
        Status::with_error_details(self.code, format!("refused by the fake broker: {}", self.reason), details)
    }
}
