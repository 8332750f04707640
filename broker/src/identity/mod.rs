//! Who is calling and for whom: the one strict verifier of tokens.
//!
//! A token is parsed within bounds (an `UnverifiedToken`), its issuer is chosen among those configured, the key by
//! configuration, the signature checked with ring, the claims against the passed clock. Every failure is a
//! [`TokenError`]; nothing is ever treated as absent because it was bad.

mod acceptance;
mod build;
mod claims;
mod compact;
mod config_error;
mod cost;
mod credential;
mod error;
mod fetch;
mod issuer;
mod json;
mod jwk;
mod jwks;
mod keys;
mod logout;
mod one_time;
mod service;
mod spec;
mod subject_claims;
mod verified;

#[cfg(test)]
mod tests;

pub use compact::MAX_TOKEN_BYTES;
pub use config_error::IdentityConfigError;
pub use cost::Cost;
pub use credential::{SECRET_PREFIX, StaticSecret};
pub use error::{IdentityError, TokenError};
pub use fetch::{Fetch, FetchError};
pub use jwk::KeySetError;
pub use keys::Algorithm;
pub use logout::VerifiedLogout;
pub use service::Identity;
pub use spec::{
    Acceptance, CredentialSpec, IssuerSpec, KeySource, KeyTimes, SubjectClaims, TenantRule, TypRule,
    WorkloadSpec,
};
pub use verified::{CredentialKind, VerifiedAssertion, VerifiedLogin, VerifiedWorkload};
