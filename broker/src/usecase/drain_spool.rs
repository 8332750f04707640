//! What was kept in the spool is stored, at the start and as soon as the database takes it (RF5).

use super::{Rooms, settle_consent::store_kept};
use crate::{
    connection::spool::Record,
    domain::{Reason, Refusal},
};

/// Stores what waits in the spool, oldest first; returns how many entries are done. One that cannot be stored is tried again later, and
/// does not keep the others waiting, unless it is the database that takes nothing.
///
/// # Errors
/// The store's and the audit log's, when nothing can be stored at all.
pub async fn drain_spool(rooms: &Rooms) -> Result<usize, Refusal> {
    if !rooms.tokens.spool().is_on() || !rooms.audit.is_open() {
        return Ok(0);
    }
    let mut done = 0;
    for waiting in rooms.tokens.spool().waiting().await? {
        let rotation_of = |provider: &_| rooms.providers.get(provider).map(|spec| spec.rotation);
        let stored = match &waiting.record {
            Record::Refresh(refreshed) => rooms.tokens.store_kept(refreshed, rotation_of).await,
            Record::Code(exchanged) => store_kept(rooms, exchanged).await,
        };
        match stored {
            Ok(true) => {
                waiting.done().await;
                done += 1;
            }
            Ok(false) => waiting.later(),
            Err(refusal) => {
                waiting.later();
                if matches!(refusal.reason, Reason::StoreUnavailable | Reason::AuditUnavailable) {
                    return Err(refusal);
                }
                tracing::error!(
                    reason = refusal.reason.as_str(),
                    "an entry of the spool cannot be stored; it is kept"
                );
            }
        }
    }
    Ok(done)
}
