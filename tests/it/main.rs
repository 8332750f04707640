//! The integration tests: one binary, one module per thing proved.

mod browser;
mod canary;
mod command_line;
mod configuration;
mod consent;
mod crash;
mod demo;
mod docs;
mod grants;
mod helm;
mod history;
mod house;
mod mcp;
mod model;
mod operations;
mod pages;
mod peers;
mod postgres;
mod power;
mod redis;
mod replicas;
mod revocation;
mod rpc;
mod tampering;
mod tls;
mod traces;
