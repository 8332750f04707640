//! `GrantService.IssueGrant`: what is granted, for how long, to whom, and what the log says of it.

mod batch;
mod callers;
mod crowds;
mod deadlines;
mod isolation;
mod lifetime;
mod narrowing;
mod one_time;
mod policy;
mod records;
mod request_id;
mod wider;
