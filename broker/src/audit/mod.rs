//! Writes decisions down before anything is opened, and proves afterwards that nobody edited them.
//!
//! One writer task per process appends to one stream. Callers hand it groups of entries; it commits what has
//! gathered in one transaction and then answers everyone. A stream whose writer died is ended by the next one.

mod agreement;
pub mod audited;
pub mod body;
pub mod chain;
mod continuity;
pub mod deadline;
pub mod log;
mod prepare;
mod queue;
pub mod recorded;
pub mod refusals;
mod seal;
mod stream;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
pub mod verify;
mod weather;
mod writer;

pub mod refused;

pub use audited::Audited;
pub use continuity::check_continuity;
pub use deadline::Deadline;
pub use log::{Audit, AuditConfig, AuditError};
pub use recorded::Recorded;
pub use refusals::{Refusals, Summary};
pub use refused::Refused;
pub use verify::{BadRow, Fault, Verified, VerifyError, verify};
