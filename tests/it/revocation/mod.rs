//! Revoke and block: once acknowledged, nothing more is issued from what was named.

mod acts;
mod at_provider;
pub mod flood;
mod leftover;
mod queue;
mod races;
mod unavailable;
