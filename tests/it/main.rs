//! The integration tests: one binary, one module per thing proved.

mod house;
mod peers;
mod tampering;
