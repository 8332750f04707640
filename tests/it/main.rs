//! The integration tests: one binary, one module per thing proved.

mod canary;
mod crash;
mod house;
mod peers;
