//! Where workloads and their credentials stand in the text.

use super::{super::document, EditError};
use serde::Deserialize;
use serde_saphyr::{Location, Spanned};

/// A line and a column, both counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        let zero_based = |number: u64| usize::try_from(number).unwrap_or(usize::MAX).saturating_sub(1);
        Self { line: zero_based(location.line()), column: zero_based(location.column()) }
    }
}

/// The part of the document that is looked for; everything else in it is passed over.
#[derive(Deserialize)]
struct Placed {
    workloads: Option<Spanned<Vec<Spanned<PlacedWorkload>>>>,
}

#[derive(Deserialize)]
struct PlacedWorkload {
    credentials: Vec<Spanned<PlacedCredential>>,
}

#[derive(Deserialize)]
struct PlacedCredential {
    static_secret_sha256: Option<Spanned<String>>,
    not_after: Option<Spanned<String>>,
}

/// Where `workloads` stands.
pub(super) struct Workloads {
    /// Its value.
    pub(super) at: Place,
    /// Its entries, in order.
    pub(super) entries: Vec<Entry>,
}

/// Where one workload stands.
pub(super) struct Entry {
    pub(super) at: Place,
    pub(super) credentials: Vec<CredentialPlace>,
}

/// Where one credential stands.
pub(super) struct CredentialPlace {
    pub(super) at: Place,
    /// The hash, where it is a static secret.
    pub(super) hash: Option<Place>,
    pub(super) not_after: Option<Place>,
}

/// `None` when there is no such section.
pub(super) fn workloads(text: &str) -> Result<Option<Workloads>, EditError> {
    let placed: Placed = document::parse_as(text)?;
    let Some(section) = placed.workloads else { return Ok(None) };
    let credential = |found: Spanned<PlacedCredential>| CredentialPlace {
        at: found.referenced.into(),
        hash: found.value.static_secret_sha256.map(|hash| hash.referenced.into()),
        not_after: found.value.not_after.map(|end| end.referenced.into()),
    };
    let entry = |found: Spanned<PlacedWorkload>| Entry {
        at: found.referenced.into(),
        credentials: found.value.credentials.into_iter().map(credential).collect(),
    };
    Ok(Some(Workloads {
        at: section.referenced.into(),
        entries: section.value.into_iter().map(entry).collect(),
    }))
}
