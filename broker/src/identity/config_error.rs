//! Why declared issuers and workloads cannot be used together.

use super::jwk::KeySetError;
use crate::domain::WorkloadId;

/// What is wrong with the declarations. Names come from configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityConfigError {
    /// Two issuers have the same name.
    #[error("two issuers are named {0}")]
    IssuerNameTwice(String),
    /// An issuer declares something that cannot be.
    #[error("issuer {issuer}: {problem}")]
    Issuer {
        /// Its name.
        issuer: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// An issuer's static keys are not usable.
    #[error("issuer {issuer}: static keys: {problem}")]
    StaticKeys {
        /// Its name.
        issuer: String,
        /// What is wrong.
        problem: KeySetError,
    },
    /// Two issuers have the same `iss` and neither tenant nor audience tells them apart (ID6).
    #[error(
        "issuers {0} and {1} have the same iss, and neither a tenant claim nor audiences tell them apart"
    )]
    IssuersAlike(String, String),
    /// Two workloads have the same name.
    #[error("two workloads are named {0}")]
    WorkloadTwice(WorkloadId),
    /// A workload refers to an issuer that is not declared.
    #[error("workload {workload}: no issuer is named {issuer}")]
    NoSuchIssuer {
        /// Which workload.
        workload: WorkloadId,
        /// What it refers to.
        issuer: String,
    },
    /// Two workloads share something by which they must be told apart (ID10).
    #[error("workloads {first} and {second} share {what}")]
    Shared {
        /// One of them.
        first: WorkloadId,
        /// The other.
        second: WorkloadId,
        /// `a static secret`, `a token identity`, `an audience` or `a client id`.
        what: &'static str,
    },
    /// A workload claims what is the broker's own or a person's client.
    #[error("workload {workload}: {problem}")]
    Workload {
        /// Which workload.
        workload: WorkloadId,
        /// What is wrong.
        problem: &'static str,
    },
}
