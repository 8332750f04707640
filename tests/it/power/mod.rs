//! The power goes, or the disk is full, under a broker with its rows in SQLite.

mod cut;
mod full;
mod leftover;
mod scene;
mod spooled;
