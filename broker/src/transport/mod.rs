//! Driven by callers: gRPC, pages, operations.
