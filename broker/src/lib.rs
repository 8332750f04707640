//! The token broker. An MCP server shows who it is and for whom it acts; the broker decides, writes the decision
//! down, and only then hands out a short-lived, narrowly scoped grant.
//!
//! The rooms below are in the only order in which they may import: a room uses rooms above it. `transport` and
//! `worker` share a floor and do not know each other.

pub mod domain;

pub mod metrics;

pub mod crash;

pub mod config;

pub mod trace;

pub mod net;

pub mod storage;

pub mod keys;

pub mod relay;

pub mod identity;

pub mod policy;

pub mod audit;

pub mod vault;

pub mod provider;

pub mod connection;

pub mod consent;

pub mod usecase;

pub mod transport;

pub mod worker;

pub mod app;

pub mod lifecycle;

pub mod cli;
