//! What was kept in the spool is stored, at the start and as soon as the database takes it (RF5).

use super::{Rooms, give_back_outlived::give_back_outlived, settle_consent::store_kept};
use crate::{
    connection::{
        Kept,
        spool::{Record, Refreshed, Waiting},
    },
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
    for mut waiting in rooms.tokens.spool().waiting().await? {
        let stored = match &waiting.record {
            Record::Refresh(refreshed) => of_refresh(rooms, refreshed.clone(), &mut waiting).await,
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

/// Whether it is done.
async fn of_refresh(rooms: &Rooms, refreshed: Refreshed, waiting: &mut Waiting) -> Result<bool, Refusal> {
    let rotation_of = |provider: &_| rooms.providers.get(provider).map(|spec| spec.rotation);
    let (connection, tokens) = match rooms.tokens.store_kept(&refreshed, rotation_of).await? {
        Kept::Done => return Ok(true),
        Kept::Later => return Ok(false),
        Kept::Outlived(connection, tokens) => (connection, tokens),
    };
    // Before the next refresh of the newer ones it can be told, and afterwards no more.
    if !refreshed.outlived {
        waiting.amend(Record::Refresh(Refreshed { outlived: true, ..refreshed })).await?;
    }
    give_back_outlived(rooms, &connection, &tokens).await
}
