//! Writes decisions down before anything is opened, and proves afterwards that nobody edited them.

pub mod audited;

pub use audited::Audited;
