//! `kill -9` at random moments under load: what clients hold, what the log says and what the provider knows agree.

pub mod ask;
mod kills;
pub mod load;
pub mod people;
mod points;
mod reckoning;
