//! Two and three brokers on one database do the main job together, as one would.

mod consent;
mod issuing;
mod one_time;
mod refresh;
mod revocation;
mod storm;
mod watching;
