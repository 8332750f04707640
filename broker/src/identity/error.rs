//! What can be wrong with a caller's credentials. No variant holds anything out of a token.

use crate::domain::Reason;

/// Why a token was refused. Names of claims come from the standards or from operator configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than 16 KiB.
    #[error("the token is too large")]
    TooLarge,
    /// Not a JWS in compact form (RFC 7515 §7.1).
    #[error("the token is malformed: {0}")]
    Malformed(&'static str),
    /// A JWE (RFC 7516): the broker does not decrypt.
    #[error("the token is encrypted; configure the issuer to send signed tokens")]
    Encrypted,
    /// A member name occurs twice in one JSON object.
    #[error("the token has a duplicate member")]
    DuplicateMember,
    /// JSON nested deeper than 16 levels.
    #[error("the token is nested too deeply")]
    TooDeep,
    /// More than 64 claims or header parameters.
    #[error("the token has too many claims")]
    TooManyClaims,
    /// The header has `crit`.
    #[error("the token has a critical header extension")]
    CriticalHeader,
    /// The header's `typ` is not one this issuer's tokens have.
    #[error("the token is of a type that is not accepted from this issuer")]
    TypeNotAllowed,
    /// The header's `alg` is not among the issuer's configured ones.
    #[error("the token's algorithm is not allowed for this issuer")]
    AlgorithmNotAllowed,
    /// No issuer with this `iss` is configured.
    #[error("the token's issuer is not configured")]
    IssuerUnknown,
    /// Several issuers share this `iss`, and tenant and audience do not tell which one is meant.
    #[error("the token's issuer cannot be told apart from another one with the same name")]
    IssuerAmbiguous,
    /// The issuer's keys cannot be had, or are too old to be believed.
    #[error("the issuer's keys are not available")]
    KeysUnavailable,
    /// The issuer has no usable key with this `kid`.
    #[error("the token is signed with a key that its issuer does not publish")]
    UnknownKey,
    /// The token names no key, and several could be meant.
    #[error("the token names no key, and its issuer has several")]
    AmbiguousKey,
    /// The key named is for another algorithm.
    #[error("the token's algorithm is not that of its key")]
    AlgorithmMismatch,
    /// The signature is wrong.
    #[error("the token's signature is wrong")]
    BadSignature,
    /// A required claim is missing.
    #[error("the claim {0} is missing")]
    ClaimMissing(String),
    /// A claim has the wrong JSON type or a value out of bounds.
    #[error("the claim {0} has a wrong type or value")]
    ClaimInvalid(String),
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` lies ahead.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `iat` of a logout token lies more than five minutes back: it is kept or replayed.
    #[error("the token is too old")]
    TooOld,
    /// `iat` lies ahead.
    #[error("the token was issued in the future")]
    IssuedInFuture,
    /// `exp` − `iat` is above the issuer's maximum, or not positive.
    #[error("the token lives longer than this issuer's tokens may")]
    LifetimeTooLong,
    /// No audience of the token is one that is accepted here.
    #[error("the token was minted for another audience")]
    AudienceNotAccepted,
    /// An audience beside the accepted one is not allowed.
    #[error("the token has a further audience that is not allowed")]
    AudienceExtra,
    /// `azp`, `client_id` or `act` names a client that may not have obtained this token, or none where one is needed.
    #[error("the token was obtained by a client that is not accepted here")]
    ClientNotAccepted,
    /// The tenant claim's value is not one that is configured.
    #[error("the token's tenant is not configured")]
    TenantUnknown,
    /// The workload does not serve this tenant.
    #[error("the token's tenant is not served by this workload")]
    TenantNotServed,
    /// The token is a declared workload's own: it speaks for no person.
    #[error("the token is a workload's own and speaks for no person")]
    NotAPerson,
    /// No workload is declared with this issuer, audience and subject.
    #[error("no workload is declared for this token")]
    WorkloadUnknown,
    /// The ID token's `nonce` is not the one that was sent (OpenID Connect Core §3.1.3.7).
    #[error("the token does not belong to this sign-in")]
    NonceMismatch,
}

impl TokenError {
    pub(super) fn claim_missing(name: &str) -> Self {
        Self::ClaimMissing(name.to_owned())
    }

    pub(super) fn claim_invalid(name: &str) -> Self {
        Self::ClaimInvalid(name.to_owned())
    }
}

/// Why a caller was refused. The display text is the public sentence; it holds nothing out of a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// No `authorization` was sent.
    #[error("the call carries no workload credential")]
    CredentialMissing,
    /// `authorization` is not `Bearer` and one token.
    #[error("the workload credential is not a bearer token")]
    CredentialMalformed,
    /// A static secret that belongs to no workload.
    #[error("the workload credential is unknown")]
    CredentialUnknown,
    /// A static secret whose time is over.
    #[error("the workload credential has expired")]
    CredentialExpired,
    /// A workload's token was refused.
    #[error("the workload credential was refused: {0}")]
    Credential(#[source] TokenError),
    /// No assertion was sent where one is needed.
    #[error("the call carries no assertion")]
    AssertionMissing,
    /// A person's token was refused.
    #[error("the assertion was refused: {0}")]
    Assertion(#[source] TokenError),
    /// An identity provider's logout token was refused.
    #[error("the logout token was refused: {0}")]
    LogoutToken(#[source] TokenError),
}

impl IdentityError {
    /// The reason code for the caller.
    pub fn reason(&self) -> Reason {
        match self {
            Self::CredentialMissing => Reason::WorkloadCredentialMissing,
            Self::CredentialMalformed | Self::CredentialUnknown | Self::CredentialExpired => {
                Reason::WorkloadCredentialInvalid
            }
            Self::Credential(TokenError::KeysUnavailable)
            | Self::Assertion(TokenError::KeysUnavailable)
            | Self::LogoutToken(TokenError::KeysUnavailable) => Reason::IssuerUnavailable,
            Self::Credential(_) => Reason::WorkloadCredentialInvalid,
            Self::AssertionMissing => Reason::AssertionMissing,
            Self::Assertion(TokenError::Expired) => Reason::AssertionExpired,
            Self::Assertion(TokenError::IssuerUnknown) => Reason::IssuerUnknown,
            Self::Assertion(
                TokenError::AudienceNotAccepted | TokenError::AudienceExtra | TokenError::ClientNotAccepted,
            ) => Reason::AssertionAudience,
            Self::Assertion(_) | Self::LogoutToken(_) => Reason::AssertionInvalid,
        }
    }
}
