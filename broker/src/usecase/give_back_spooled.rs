//! What waits in the spool and is nobody's ends at its provider (RV1).

use super::{
    Rooms,
    drain_spool::{Stored, is_everywhere, store},
    give_back_outlived::give_back_outlived,
};
use crate::{connection::spool::Waiting, domain::Refusal};
use futures::{StreamExt, stream};

/// How many are under way at the same time: one provider that takes its time keeps those of another waiting for a bounded time.
const AT_ONCE: usize = 4;

/// What one try came to.
pub(super) enum GivenBack {
    /// Nothing more is to be done.
    Over,
    /// It is not yet time to tell the provider.
    NotYet,
    /// The provider could not be told.
    Failed,
}

/// Tells providers of what [`drain_spool`](super::drain_spool()) found to be nobody's, each entry in one try. One whose provider cannot be
/// told is tried again after a pause that doubles up to an hour. May be dropped at any time: what was not told of by then stays in the
/// spool.
///
/// # Errors
/// The store's and the audit log's, when nothing can be read or written at all.
pub async fn give_back_spooled(rooms: &Rooms) -> Result<(), Refusal> {
    if !rooms.audit.is_open() {
        return Ok(());
    }
    let unowned = rooms.tokens.spool().unowned().await?;
    let tried = stream::iter(unowned).map(|waiting| try_one(rooms, waiting)).buffer_unordered(AT_ONCE);
    tried.fold(Ok(()), async |all, one| all.and(one)).await
}

async fn try_one(rooms: &Rooms, mut waiting: Waiting) -> Result<(), Refusal> {
    match give_back(rooms, &mut waiting).await {
        Ok(GivenBack::Over) => waiting.done().await,
        Ok(GivenBack::NotYet) => waiting.later(),
        Ok(GivenBack::Failed) => waiting.told_later(),
        Err(refusal) if is_everywhere(&refusal) => {
            waiting.soon();
            return Err(refusal);
        }
        Err(refusal) => {
            waiting.told_later();
            tracing::error!(
                reason = refusal.reason.as_str(),
                "an entry of the spool cannot be given back; it is kept"
            );
        }
    }
    Ok(())
}

/// Whatever has changed since counts: where there is a place for it again, it is stored.
async fn give_back(rooms: &Rooms, waiting: &mut Waiting) -> Result<GivenBack, Refusal> {
    match store(rooms, waiting).await? {
        Stored::Done => Ok(GivenBack::Over),
        Stored::Later => Ok(GivenBack::NotYet),
        Stored::Outlived(connection, tokens) => give_back_outlived(rooms, &connection, &tokens).await,
        Stored::Homeless(homeless) => homeless.give_back(rooms).await,
    }
}
