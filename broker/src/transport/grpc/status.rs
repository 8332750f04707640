//! The one place where a refusal becomes a gRPC status (AIP-193).

use crate::domain::{Reason, Refusal};
use std::collections::HashMap;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};
use tracing::Span;

/// `google.rpc.ErrorInfo.domain` of every reason.
pub const DOMAIN: &str = "broker.v1";

/// Same reason ⇔ same client action.
pub const fn code(reason: Reason) -> Code {
    match reason {
        Reason::WorkloadCredentialMissing
        | Reason::WorkloadCredentialInvalid
        | Reason::AssertionMissing
        | Reason::AssertionInvalid
        | Reason::AssertionExpired
        | Reason::AssertionReplayed
        | Reason::AssertionAudience
        | Reason::IssuerUnknown => Code::Unauthenticated,
        Reason::PolicyDenied
        | Reason::PolicyError
        | Reason::RoleMissing
        | Reason::MethodNotAllowed
        | Reason::Blocked
        | Reason::TokenOutlivesGrant
        | Reason::ConsentUserMismatch
        | Reason::ConsentOtherBrowser => Code::PermissionDenied,
        Reason::InvalidArgument | Reason::ScopeUnknown | Reason::RequestIdReused => Code::InvalidArgument,
        Reason::ProviderUnknown | Reason::NotFound => Code::NotFound,
        Reason::Conflict | Reason::RequestIdStale | Reason::Revoked => Code::Aborted,
        Reason::AuditUnavailable
        | Reason::StoreUnavailable
        | Reason::KeyUnavailable
        | Reason::IssuerUnavailable
        | Reason::ProviderUnavailable
        | Reason::ProviderRateLimited => Code::Unavailable,
        Reason::RateLimited | Reason::Overloaded | Reason::TooManyConsents => Code::ResourceExhausted,
        Reason::DeadlineExceeded => Code::DeadlineExceeded,
        Reason::ProviderClientRejected
        | Reason::ProviderGrantRejected
        | Reason::RecordQuarantined
        | Reason::ConsentDeclined
        | Reason::ConsentExpired
        | Reason::ConsentIssuerMismatch
        | Reason::ConsentScopesReduced
        | Reason::ConsentAccountChanged => Code::FailedPrecondition,
        Reason::Internal => Code::Internal,
    }
}

/// A refusal as a status with ErrorInfo and, where they help, RetryInfo and BadRequest.
pub fn to_status(refusal: &Refusal) -> Status {
    let code = code(refusal.reason);
    if matches!(code, Code::Internal | Code::Unavailable) {
        tracing::warn!(reason = refusal.reason.as_str(), error = ?refusal, "call failed");
    }
    Span::current().record("broker.reason", refusal.reason.as_str());
    let metadata: HashMap<String, String> =
        refusal.metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    let mut details = ErrorDetails::with_error_info(refusal.reason.as_str(), DOMAIN, metadata);
    if refusal.retry_after.is_some() {
        details.set_retry_info(refusal.retry_after);
    }
    if let Some(field) = refusal.field {
        details.add_bad_request_violation(field, refusal.sentence.clone());
    }
    Status::with_error_details(code, refusal.sentence.clone(), details)
}
