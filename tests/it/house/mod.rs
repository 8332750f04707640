//! The house rules that no compiler checks, read from the sources themselves.

mod layout;
mod pages;
mod requirements;
mod rooms;
mod sources;
mod words;
