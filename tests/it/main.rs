//! The integration tests: one binary, one module per thing proved.

mod configuration;
mod consent;
mod crash;
mod house;
mod pages;
mod peers;
mod rpc;
mod tampering;
