//! Places of sealed values, read from rows.

use super::{Cells, Columns, connections::secret, consents::consent};
use crate::{
    domain::{Authority, Consent, SecretRow, Tagged},
    storage::{Found, StoreError, TokenPlace, Uses},
};

pub(in crate::storage) fn found_token<R: Columns>(
    row: &R,
) -> Result<Found<TokenPlace, SecretRow>, StoreError> {
    let cells = Cells::new(row, "connection_secrets");
    let place = TokenPlace {
        connection: cells.text("connection")?,
        kind: cells.text("kind")?,
        scope_key: cells.text("scope_key")?,
    };
    Ok(Found { place, row: readable(secret(row))? })
}

pub(in crate::storage) fn found_consent<R: Columns>(row: &R) -> Result<Found<String, Consent>, StoreError> {
    Ok(Found { place: Cells::new(row, "consents").text("id")?, row: readable(consent(row))? })
}

fn readable<T: Authority>(row: Result<Tagged<T>, StoreError>) -> Result<Option<Tagged<T>>, StoreError> {
    match row {
        Ok(row) => Ok(Some(row)),
        Err(StoreError::Malformed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(in crate::storage) fn uses<R: Columns>(row: &R) -> Result<Uses, StoreError> {
    let cells = Cells::new(row, "connection_secrets");
    Ok(Uses {
        tokens: cells.count("tokens")?,
        consents: cells.count("consents")?,
        subject_keys: cells.count("subject_keys")?,
    })
}
