//! Writes decisions down before anything is opened, and proves afterwards that nobody edited them.
//!
//! One writer task per process appends to one stream. Callers hand it groups of entries; it commits what has
//! gathered in one transaction and then answers everyone. A stream whose writer died is ended by the next one.

pub mod audited;
pub mod body;
pub mod chain;
pub mod deadline;
pub mod log;
pub mod recorded;
pub mod refusals;
mod prepare;
mod queue;
mod seal;
mod stream;
mod writer;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod testing;
pub mod verify;

pub mod refused;

pub use audited::Audited;
pub use deadline::Deadline;
pub use log::{Audit, AuditConfig, AuditError};
pub use recorded::Recorded;
pub use refusals::Refusals;
pub use refused::Refused;
pub use verify::{BadRow, Fault, Verified, VerifyError, verify};
