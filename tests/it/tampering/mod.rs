//! Rows edited behind the broker's back: every edit ends in quarantine or refusal, never in service.

mod approvals;
mod audit_log;
mod connections;
mod consents;
mod key_ids;
mod keys;
mod parents;
mod requests;
mod rules;
mod scene;
mod secrets;
mod sessions;
mod states;
