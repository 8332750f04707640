//! TLS that the broker accepts itself.

mod certificates;
mod clients;
mod scene;
