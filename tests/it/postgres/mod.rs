//! The main job with its rows in PostgreSQL.

mod command_line;
mod encrypted;
mod faults;
mod job;
mod load;
mod pooler;
mod stopped;
mod suite;
