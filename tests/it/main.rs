//! The integration tests: one binary, one module per thing proved.

mod grants;
mod house;
mod peers;
mod revocation;
mod tampering;
