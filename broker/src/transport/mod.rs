//! Driven by callers: gRPC, pages, operations. Three listeners.

pub mod bucket;
pub mod grpc;
pub mod listener;
pub mod ops;
pub mod web;
