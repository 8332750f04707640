//! The configuration: one YAML file, one section per file here; unknown keys refused, secrets only as references.
//!
//! [`Config::load`] reads it, checks it against the generated JSON schema and then by every section's own rules, and
//! reports all problems at once, each with its path and never with a value.

mod check;
mod consent;
mod document;
pub mod duration;
pub mod edit;
mod grants;
mod issuers;
mod keys;
mod limits;
mod listeners;
mod load;
mod log;
mod operators;
mod policy;
mod postgres;
mod problem;
mod provider_raw;
mod providers;
mod redis;
mod refreshing;
mod schema;
mod spool;
mod starter;
mod storage;
mod telemetry;
mod tenants;
mod workloads;

#[cfg(test)]
mod tests;

pub use consent::ConsentSettings;
pub use grants::GrantSettings;
pub use issuers::{Issuer, IssuerKeys, Login, TenantRule};
pub use keys::Keys;
pub use limits::Limits;
pub use listeners::{Listener, ListenerTls, Listeners};
pub use load::{Config, Environment};
pub use log::{Log, LogFormat, LogLevel};
pub use operators::OperatorAccess;
pub use policy::PolicyFiles;
pub use postgres::Postgres;
pub use problem::{Problem, Problems};
pub use redis::Redis;
pub use refreshing::RefreshAhead;
pub use schema::SCHEMA;
pub use spool::SpoolSettings;
pub use starter::{Starter, StarterSso, starter};
pub use storage::Storage;
pub use telemetry::Telemetry;
pub use tenants::Tenant;
pub use workloads::{Acceptance, Credential, Workload};
