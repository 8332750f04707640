//! One OAuth engine for every provider: authorize, code, refresh, revoke, account lookup, and what answers mean.
//!
//! What is peculiar to a provider is data in its [`ProviderSpec`](crate::domain::ProviderSpec); there is no code per
//! vendor. Secrets come in opened, by value, and are sent only to the endpoints of the spec they belong to (PR6).

pub mod account;
pub mod authorize;
pub mod client_auth;
pub mod engine;
pub mod error;
pub mod issuer;
pub mod pacing;
pub mod refusal;
pub mod revoke;
pub mod strict_json;
pub mod token_response;
pub mod token_set;

pub use authorize::new_verifier;
pub use engine::{Engine, WORST_CASE};
pub use error::{ErrorCode, ProviderError, Trouble};
pub use issuer::check_iss;
pub use revoke::Revocation;
pub use token_set::TokenSet;

#[cfg(test)]
mod tests;
