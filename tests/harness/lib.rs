//! What the integration tests stand on: real peers started on loopback, and a browser that walks pages.

pub mod audit;
pub mod browser;
pub mod certified;
pub mod clock;
pub mod forms;
pub mod npm;
pub mod oidc;
pub mod rpc;
pub mod wire;
pub mod walk;
pub mod database;
pub mod forms;
pub mod npm;
pub mod oidc;
pub mod operator;
pub mod stage;
