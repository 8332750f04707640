//! The load generator: calls over a few HTTP/2 connections, as many tool servers would make them.

mod closed;
mod line;
mod open;
mod tally;

pub use closed::{Until, closed};
pub use line::Line;
pub use open::{open, open_by};
pub use tally::Tally;
