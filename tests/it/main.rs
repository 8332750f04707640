//! The integration tests: one binary, one module per thing proved.

mod consent;
mod house;
mod peers;
