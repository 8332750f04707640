//! `kill -9` at random moments under load: what clients hold, what the log says and what the provider knows agree.

mod kills;
mod load;
mod people;
mod points;
mod reckoning;
