//! Driven by callers: gRPC, pages, operations. Three listeners.

mod conn;
pub mod grpc;
pub mod health;
pub mod http;
pub mod listener;
pub mod ops;
mod slots;
pub mod tls;
pub mod web;
