//! Driven by callers: gRPC, pages, operations. Three listeners.

pub mod bucket;
mod conn;
pub mod grpc;
pub mod http;
pub mod listener;
pub mod ops;
mod slots;
pub mod tls;
mod turns;
pub mod web;
