//! What the integration tests stand on: real peers started on loopback, and a browser that walks pages.

pub mod audit;
pub mod browser;
pub mod cable;
pub mod certified;
pub mod chromium;
pub mod clock;
pub mod cluster;
pub mod collector;
pub mod composite;
pub mod database;
pub mod dialect;
pub mod dice;
pub mod fake_redis;
pub mod forms;
pub mod front;
pub mod history;
pub mod http1;
pub mod mcp;
pub mod mcp_process;
pub mod npm;
pub mod oidc;
pub mod operator;
pub mod pki;
pub mod postgres;
pub mod power;
pub mod process;
pub mod redis;
pub mod replicas;
pub mod rpc;
pub mod stage;
pub mod sweep;
pub mod terminal;
pub mod trace_tree;
pub mod traced;
pub mod walk;
pub mod wire;

/// The program of the quick start compiles: a documentation test of the page itself.
#[cfg(doctest)]
#[doc = include_str!("../../docs/quick-start.md")]
pub struct QuickStart;
