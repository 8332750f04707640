//! Each reason asks for one kind of action.

use super::fake::failure;
use crate::Error;
use std::collections::HashMap;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// Proves: CL1
#[test]
fn cl1_reasons_are_typed_by_what_to_do() {
    let kind = |code, reason: &str| match Error::from(failure(code, reason, None)) {
        Error::WorkloadCredential(_) => "credential",
        Error::Assertion(_) => "assertion",
        Error::Denied(_) => "denied",
        Error::InvalidRequest(_) => "request",
        Error::Unavailable(_) => "unavailable",
        Error::DeadlineExceeded(_) => "deadline",
        Error::Operator(_) => "operator",
        Error::Protocol(_) => "protocol",
        Error::Configuration(_) => "configuration",
    };
    let expected = [
        (Code::Unauthenticated, "WORKLOAD_CREDENTIAL_INVALID", "credential"),
        (Code::Unauthenticated, "ASSERTION_EXPIRED", "assertion"),
        (Code::Unauthenticated, "ASSERTION_AUDIENCE", "assertion"),
        (Code::Unauthenticated, "ASSERTION_REPLAYED", "assertion"),
        (Code::InvalidArgument, "ASSERTION_MISSING", "assertion"),
        (Code::PermissionDenied, "POLICY_DENIED", "denied"),
        (Code::PermissionDenied, "POLICY_ERROR", "operator"),
        (Code::FailedPrecondition, "BLOCKED", "denied"),
        (Code::FailedPrecondition, "TOKEN_OUTLIVES_GRANT", "denied"),
        (Code::NotFound, "PROVIDER_UNKNOWN", "request"),
        (Code::InvalidArgument, "REQUEST_ID_REUSED", "request"),
        (Code::Aborted, "REQUEST_ID_STALE", "request"),
        (Code::Aborted, "CONFLICT", "unavailable"),
        (Code::Unavailable, "AUDIT_UNAVAILABLE", "unavailable"),
        (Code::Unavailable, "PROVIDER_UNAVAILABLE", "unavailable"),
        (Code::ResourceExhausted, "RATE_LIMITED", "unavailable"),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED", "deadline"),
        (Code::Internal, "INTERNAL", "operator"),
        (Code::FailedPrecondition, "RECORD_QUARANTINED", "operator"),
        (Code::FailedPrecondition, "PROVIDER_CLIENT_REJECTED", "operator"),
        (Code::PermissionDenied, "A_REASON_OF_TOMORROW", "denied"),
    ];
    for (code, reason, wanted) in expected {
        assert_eq!(kind(code, reason), wanted, "{reason}");
        assert_eq!(Error::from(failure(code, reason, None)).reason(), reason);
    }
}

/// Proves: CL1, ID12
#[test]
fn id12_who_used_an_assertion_twice_needs_a_fresh_one_and_no_new_sign_in() {
    let advice = |reason| Error::from(failure(Code::Unauthenticated, reason, None)).advice();
    assert!(advice("ASSERTION_REPLAYED").contains("fresh token"));
    assert!(!advice("ASSERTION_REPLAYED").contains("sign in"));
    assert!(advice("ASSERTION_EXPIRED").contains("sign in again"));
}

/// Proves: CL1
#[test]
fn cl1_details_are_kept_and_bounded() {
    let error = Error::from(failure(Code::Unavailable, "OVERLOADED", Some(Duration::from_millis(1500))));
    assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
    assert_eq!(error.message(), "the broker says OVERLOADED");
    assert!(error.to_string().contains("OVERLOADED") && error.to_string().contains(error.advice()));
    let long = Error::from(Status::internal("x".repeat(100_000)));
    assert_eq!((long.reason(), long.message().len()), ("UNKNOWN", 500));
}

/// A reason of somebody else's domain is not the broker's.
#[test]
fn reasons_of_other_domains_are_not_taken_over() {
    let details = ErrorDetails::with_error_info("BLOCKED", "proxy.example", HashMap::new());
    let error = Error::from(Status::with_error_details(Code::Unavailable, "proxy", details));
    assert!(matches!(error, Error::Unavailable(_)));
    assert_eq!(error.reason(), "UNKNOWN");
}
