//! Failures, sorted by what the caller should do about them.

use std::fmt;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The domain of the broker's own reasons (AIP-193).
const DOMAIN: &str = "broker.v1";
/// Longest text taken over from a status, in characters.
const MESSAGE_LIMIT: usize = 500;
/// The assertion was used before, and its issuer allows one use.
const REPLAYED: &str = "ASSERTION_REPLAYED";

/// Why a call did not succeed. Each variant asks for one kind of action; [`Error::reason`] names the cause exactly.
///
/// A missing consent is no error: see [`Outcome`](crate::Outcome).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The broker does not accept this workload's own credential: get a fresh one, or have the operator declare the workload.
    WorkloadCredential(Failure),
    /// The broker does not accept the user's assertion: have the user sign in again, at the right audience. For
    /// `ASSERTION_REPLAYED` nobody needs to sign in: a fresh assertion from the IdP is enough.
    Assertion(Failure),
    /// Not allowed, by policy, a block or a revocation: tell the user; retrying does not help.
    Denied(Failure),
    /// The request itself is wrong, or names what does not exist: mend the caller.
    InvalidRequest(Failure),
    /// Not now: try again, after [`Error::retry_after`] when it is given.
    Unavailable(Failure),
    /// The deadline passed first. The broker may have acted; a repeat with the same request id is safe.
    DeadlineExceeded(Failure),
    /// The broker's operator has to mend something: report it.
    Operator(Failure),
    /// The broker's answer makes no sense to this version of the client: report it.
    Protocol(Failure),
    /// This client is set up wrongly, for example a file that cannot be read: mend the setup.
    Configuration(Failure),
}

/// What is known about a failure. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    reason: String,
    message: String,
    retry_after: Option<Duration>,
    retryable: bool,
}

impl Error {
    /// The stable UPPER_SNAKE reason: the broker's own, or one of the client's (`TRANSPORT`, `DEADLINE_EXCEEDED`, `PROTOCOL`,
    /// `CONFIGURATION`, `STREAM_ENDED`, `INTERRUPTED`, `BUSY`), or `UNKNOWN` when the peer gave none.
    pub fn reason(&self) -> &str {
        &self.failure().reason
    }

    /// One sentence from whoever noticed.
    pub fn message(&self) -> &str {
        &self.failure().message
    }

    /// How long to wait before trying again, when that is known: mostly because the broker said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.failure().retry_after
    }

    /// One sentence on what to do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::WorkloadCredential(_) => {
                "Get a fresh workload credential, or ask the operator to declare this workload."
            }
            Self::Assertion(_) if self.is_replayed() => {
                "Send a fresh token: from the IdP, or the one that the MCP client's own refresh brings."
            }
            Self::Assertion(_) => {
                "Have the user sign in again and send the token that was issued for this server."
            }
            Self::Denied(_) => "Tell the user that it is not allowed; the operator decides.",
            Self::InvalidRequest(_) => "Correct the request; the same one will be refused again.",
            Self::Unavailable(_) => "Try again later.",
            Self::DeadlineExceeded(_) => "Try again with the same request id, or allow more time.",
            Self::Operator(_) => "Report it to the broker's operator.",
            Self::Protocol(_) => "Report it: broker and client do not understand each other.",
            Self::Configuration(_) => "Correct how this client is set up.",
        }
    }

    /// Whether the same call may be sent again: the broker could not take it, and said nothing against a repeat.
    pub(crate) fn is_retryable(&self) -> bool {
        self.failure().retryable
    }

    /// Whether an earlier, still valid grant may be kept in spite of this failure: nobody said no.
    pub(crate) fn keeps_authority(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::DeadlineExceeded(_))
    }

    /// Whether the assertion was good for one use and had it. Says nothing against what it was used for.
    pub(crate) fn is_replayed(&self) -> bool {
        self.reason() == REPLAYED
    }

    pub(crate) fn configuration(message: impl Into<String>) -> Self {
        Self::Configuration(Failure::own("CONFIGURATION", message))
    }

    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::Protocol(Failure::own("PROTOCOL", message))
    }

    pub(crate) fn deadline() -> Self {
        Self::DeadlineExceeded(Failure::own("DEADLINE_EXCEEDED", "the deadline of this call passed"))
    }

    pub(crate) fn stream_ended() -> Self {
        Self::Unavailable(Failure::own("STREAM_ENDED", "the stream ended before the consent did"))
    }

    #[cfg(feature = "tower")]
    pub(crate) fn busy(wait: Duration) -> Self {
        let failure = Failure::own("BUSY", "too many tokens are being verified");
        Self::Unavailable(Failure { retry_after: Some(wait), ..failure })
    }

    pub(crate) fn lost() -> Self {
        Self::Unavailable(Failure::own("INTERRUPTED", "the request was interrupted inside this process"))
    }

    fn failure(&self) -> &Failure {
        match self {
            Self::WorkloadCredential(failure)
            | Self::Assertion(failure)
            | Self::Denied(failure)
            | Self::InvalidRequest(failure)
            | Self::Unavailable(failure)
            | Self::DeadlineExceeded(failure)
            | Self::Operator(failure)
            | Self::Protocol(failure)
            | Self::Configuration(failure) => failure,
        }
    }
}

impl Failure {
    fn own(reason: &str, message: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into(), retry_after: None, retryable: false }
    }
}

impl From<Status> for Error {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let reason =
            details.error_info().filter(|info| info.domain == DOMAIN).map(|info| info.reason.clone());
        let retry_after = details.retry_info().and_then(|info| info.retry_delay);
        let local = std::error::Error::source(&status).is_some();
        // A connection that broke under a call is UNKNOWN to tonic; to the caller it is a broker that cannot be reached.
        let code = if local && status.code() == Code::Unknown { Code::Unavailable } else { status.code() };
        let failure = Failure {
            message: status.message().chars().take(MESSAGE_LIMIT).collect(),
            retry_after,
            // RESOURCE_EXHAUSTED without a delay may be a limit that time does not lift, such as the size of a message.
            retryable: code == Code::Unavailable
                || (code == Code::ResourceExhausted && retry_after.is_some()),
            reason: String::new(),
        };
        match reason {
            Some(reason) => by_reason(&reason, code)(Failure { reason, ..failure }),
            // The transport reports its own expiry of our `grpc-timeout` as CANCELLED.
            None if local && code == Code::Cancelled => Self::deadline(),
            None if local => by_code(code)(Failure { reason: "TRANSPORT".to_owned(), ..failure }),
            None => by_code(code)(Failure { reason: "UNKNOWN".to_owned(), ..failure }),
        }
    }
}

/// Reasons that the gRPC code alone would sort wrongly; all others follow their code.
fn by_reason(reason: &str, code: Code) -> fn(Failure) -> Error {
    match reason {
        "WORKLOAD_CREDENTIAL_MISSING" | "WORKLOAD_CREDENTIAL_INVALID" => Error::WorkloadCredential,
        "ASSERTION_MISSING" | "ASSERTION_INVALID" | "ASSERTION_EXPIRED" | "ASSERTION_REPLAYED"
        | "ASSERTION_AUDIENCE" | "ISSUER_UNKNOWN" => Error::Assertion,
        "BLOCKED" | "REVOKED" | "POLICY_DENIED" | "ROLE_MISSING" | "TOKEN_OUTLIVES_GRANT" => Error::Denied,
        "POLICY_ERROR" | "RECORD_QUARANTINED" | "PROVIDER_CLIENT_REJECTED" | "INTERNAL" => Error::Operator,
        "REQUEST_ID_STALE" => Error::InvalidRequest,
        _ => by_code(code),
    }
}

fn by_code(code: Code) -> fn(Failure) -> Error {
    match code {
        Code::Unauthenticated => Error::WorkloadCredential,
        Code::PermissionDenied => Error::Denied,
        Code::InvalidArgument | Code::NotFound | Code::OutOfRange | Code::AlreadyExists => {
            Error::InvalidRequest
        }
        Code::FailedPrecondition => Error::Denied,
        Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::Cancelled => Error::Unavailable,
        Code::DeadlineExceeded => Error::DeadlineExceeded,
        Code::Unimplemented | Code::Ok => Error::Protocol,
        Code::Internal | Code::DataLoss | Code::Unknown => Error::Operator,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.reason(), self.message(), self.advice())
    }
}

impl std::error::Error for Error {}
