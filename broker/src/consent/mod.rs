//! Consents: how one is drafted from a need, its link, and the words people read.

mod begin;
pub mod words;

pub use begin::{Asking, draft, link_hash};
