//! What was kept in the spool is stored, at the start and as soon as the database takes it (RF5).

use super::{
    Rooms,
    settle_consent::{Homeless, StoredCode, store_kept},
};
use crate::{
    connection::{
        Kept,
        spool::{Record, Refreshed, Waiting},
    },
    domain::{Connection, Reason, Refusal, SecretRow},
};

/// Stores what waits in the spool, oldest first; returns how many entries are done. One that cannot be stored is tried again later, and
/// keeps the others waiting only where the store or the log takes nothing. No provider is asked: what turns out to be nobody's is left to
/// [`give_back_spooled`](super::give_back_spooled()).
///
/// # Errors
/// The store's and the audit log's, when nothing can be stored at all.
pub async fn drain_spool(rooms: &Rooms) -> Result<usize, Refusal> {
    if !rooms.tokens.spool().is_on() || !rooms.audit.is_open() {
        return Ok(0);
    }
    let mut done = 0;
    for mut waiting in rooms.tokens.spool().waiting().await? {
        match store(rooms, &mut waiting).await {
            Ok(Stored::Done) => {
                waiting.done().await;
                done += 1;
            }
            Ok(Stored::Later) => waiting.later(),
            Ok(Stored::Outlived(..) | Stored::Homeless(_)) => waiting.give_back(),
            // First of all once it can be stored again: a refresh that waits for it waits no longer than for the rest of a grace (RF7).
            Err(refusal) if is_everywhere(&refusal) => {
                waiting.soon();
                return Err(refusal);
            }
            Err(refusal) => {
                waiting.later();
                tracing::error!(
                    reason = refusal.reason.as_str(),
                    "an entry of the spool cannot be stored; it is kept"
                );
            }
        }
    }
    Ok(done)
}

/// Whether it is no matter of one entry.
pub(super) fn is_everywhere(refusal: &Refusal) -> bool {
    matches!(refusal.reason, Reason::StoreUnavailable | Reason::AuditUnavailable)
}

/// What became of an entry.
pub(super) enum Stored {
    /// It is stored, or nothing can come of it.
    Done,
    /// It is to be tried again.
    Later,
    /// Tokens of a connection that has newer ones, the refresh token first: they end at the provider.
    Outlived(Box<Connection>, Vec<SecretRow>),
    /// Tokens for a consent whose row cannot hold them: they end at the provider.
    Homeless(Box<Homeless>),
}

/// Stores one entry.
///
/// # Errors
/// The store's and the audit log's; a quarantined row.
pub(super) async fn store(rooms: &Rooms, waiting: &mut Waiting) -> Result<Stored, Refusal> {
    match &waiting.record {
        Record::Refresh(refreshed) => of_refresh(rooms, refreshed.clone(), waiting).await,
        Record::Code(exchanged) => Ok(match store_kept(rooms, exchanged).await? {
            StoredCode::Done => Stored::Done,
            StoredCode::Later => Stored::Later,
            StoredCode::Homeless(homeless) => Stored::Homeless(homeless),
        }),
    }
}

async fn of_refresh(rooms: &Rooms, refreshed: Refreshed, waiting: &mut Waiting) -> Result<Stored, Refusal> {
    let rotation_of = |provider: &_| rooms.providers.get(provider).map(|spec| spec.rotation);
    let (connection, tokens) = match rooms.tokens.store_kept(&refreshed, rotation_of).await? {
        Kept::Done => return Ok(Stored::Done),
        Kept::Later => return Ok(Stored::Later),
        Kept::Outlived(connection, tokens) => (connection, tokens),
    };
    // Before the next refresh of the newer ones it can be told, and afterwards no more.
    if !refreshed.outlived {
        waiting.amend(Record::Refresh(Refreshed { outlived: true, ..refreshed })).await?;
    }
    Ok(Stored::Outlived(connection, tokens))
}
