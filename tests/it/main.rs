//! The integration tests: one binary, one module per thing proved.

mod canary;
mod command_line;
mod configuration;
mod consent;
mod crash;
mod house;
mod pages;
mod peers;
mod rpc;
mod tampering;
mod tls;
