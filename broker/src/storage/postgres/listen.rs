//! Hears which consents other replicas changed.

use super::connect;
use crate::{config::Postgres, domain::ConsentId, storage::StoreError};
use sqlx::{PgPool, postgres::PgListener};
use std::{sync::Arc, time::Duration};
use tokio::sync::broadcast::Sender;
use tokio_util::task::AbortOnDropHandle;

pub(super) const CHANNEL: &str = "broker_consents";

/// Pause before the connection is made anew. Whoever waits looks again by itself meanwhile.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// Starts to listen, for as long as the handle lives.
pub(super) fn start(
    config: &Postgres,
    name: Arc<str>,
    changed: Sender<ConsentId>,
) -> Result<AbortOnDropHandle<()>, StoreError> {
    let pool = connect::listener(config)?;
    Ok(AbortOnDropHandle::new(tokio::spawn(run(pool, name, changed))))
}

async fn run(pool: PgPool, name: Arc<str>, changed: Sender<ConsentId>) {
    let mut told = false;
    loop {
        if let Err(error) = listen(&pool, &name, &changed, &mut told).await {
            if !told {
                tracing::warn!(%error, "wake-ups from other replicas do not come; waiters look again by themselves");
                told = true;
            }
            tokio::time::sleep(RECONNECT_AFTER).await;
        }
    }
}

async fn listen(
    pool: &PgPool,
    name: &str,
    changed: &Sender<ConsentId>,
    told: &mut bool,
) -> Result<(), StoreError> {
    let mut listener = PgListener::connect_with(pool).await.map_err(super::error::unavailable)?;
    listener.listen(CHANNEL).await.map_err(super::error::unavailable)?;
    if std::mem::take(told) {
        tracing::info!("wake-ups from other replicas come again");
    }
    // Ends at a lost connection.
    while let Some(notice) = listener.try_recv().await.map_err(super::error::unavailable)? {
        // A payload of another shape is somebody else's.
        if let Some((from, id)) = notice.payload().split_once(' ')
            && from != name
            && let Ok(consent) = ConsentId::parse(id)
        {
            // Nobody listening is fine.
            let _ = changed.send(consent);
        }
    }
    Ok(())
}
