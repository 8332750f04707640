//! What the integration tests stand on: real peers started on loopback, and a browser that walks pages.

pub mod browser;
pub mod clock;
pub mod dice;
pub mod forms;
pub mod npm;
pub mod oidc;
pub mod process;
pub mod sweep;
