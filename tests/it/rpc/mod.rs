//! The contract, one file per method: wrong, huge, missing, duplicated and hostile values get the documented error.

mod block;
mod flood;
mod gate;
mod get_connection;
mod get_consent;
mod health_reflection;
mod issue_grant;
mod issue_grant_property;
mod list_audit_events;
mod list_connections;
mod refusals;
mod revoke_connection;
mod unblock;
mod unfinished;
mod watch_consent;
mod withdraw_approval;
