//! `GrantService.BatchIssueGrants`: all of it or nothing, and the one page that leads through what is missing.

mod client;
mod issued;
mod malformed;
mod missing;
mod one_time;
mod refused;
mod repeated;
