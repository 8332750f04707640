//! Changes to the configuration that keep every comment and every other line: text is put in at the right place, and the
//! result is used only when it reads as exactly the document that was meant.
//!
//! A place is found from the positions the YAML reader gives. Where the file is written in a way that leaves no such place
//! (`workloads` inside braces, say), nothing is changed and the operator is handed the lines to put in.

mod add;
mod entry;
mod lines;
mod places;
mod rotate;

#[cfg(test)]
mod tests;

pub use add::add_workload;
pub use entry::{NewAcceptance, NewCredential, NewWorkload};
pub use rotate::rotate_secret;

use super::{document, problem::Problems};
use serde_json::Value;

/// Why a configuration could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It is not a document as it is.
    #[error("{0}")]
    Unreadable(#[from] Problems),
    /// There is a workload of this id.
    #[error("there is a workload of this id already; `broker workload rotate` gives it another secret")]
    Exists,
    /// There is none.
    #[error("there is no workload of this id")]
    Unknown,
    /// It has no static secret.
    #[error("this workload has no static secret: what it shows is a token that its issuer renews")]
    NoSecret,
    /// The file is written in a way that has no place for it.
    #[error("the file is written in a way that only a person should change; put this in:\n{0}")]
    ByHand(String),
}

/// The first of `candidates` that reads as `meant`.
fn first_that_reads_as(
    meant: &Value,
    candidates: impl IntoIterator<Item = String>,
    by_hand: &str,
) -> Result<String, EditError> {
    let reads = |text: &String| document::parse(text).is_ok_and(|read| read == *meant);
    candidates.into_iter().find(reads).ok_or_else(|| EditError::ByHand(by_hand.to_owned()))
}
