//! Seals, rewraps and reseals; and holds the only door to plaintext.

pub mod opened;

pub use opened::{Grant, Opened};
