//! What the integration tests stand on: real peers started on loopback, and a browser that walks pages.

pub mod browser;
pub mod forms;
pub mod http1;
pub mod npm;
pub mod oidc;
pub mod rpc;
pub mod wire;
