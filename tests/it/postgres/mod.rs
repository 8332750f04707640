//! The main job with its rows in PostgreSQL.

mod command_line;
mod job;
