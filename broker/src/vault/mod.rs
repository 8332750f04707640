//! Seals, rewraps and reseals; and holds the only door to plaintext.
//!
//! The order decide → record → open is kept by the compiler. What must not compile is shown beside its twin that does.
#![doc = include_str!("door.md")]

pub mod door;
pub mod envelope;
pub mod error;
pub mod opened;
pub mod rewrap;
mod sealing;
#[cfg(test)]
mod tests;

pub use door::{Sealer, Vault};
pub use error::VaultError;
pub use opened::{Grant, Opened};
pub use rewrap::{Pace, Rewrap, RewrapError, Rewrapped};
