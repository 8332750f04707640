//! How a consent stands: for the workload that asked and nobody else (CO17).

use super::{Caller, Rooms};
use crate::{
    domain::{Consent, ConsentId, Names, Reason, Refusal},
    relay::Changed,
};
use std::{sync::Arc, time::Duration};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// Longest pause between two looks while watching, where no wake-up comes.
const POLL: Duration = Duration::from_secs(5);
/// Between two looks, whatever wakes it.
const REST: Duration = Duration::from_millis(50);

/// One consent of the calling workload.
///
/// # Errors
/// [`Reason::NotFound`] also for another workload's, or with an assertion another subject's.
pub async fn get_consent(
    rooms: &Arc<Rooms>,
    caller: &Caller,
    id: &ConsentId,
    assertion: Option<&str>,
) -> Result<Consent, Refusal> {
    let not_found = || Refusal::new(Reason::NotFound);
    let subject = match assertion {
        Some(token) => Some(rooms.assertion(token, caller).await?.subject().clone()),
        None => None,
    };
    let found = rooms.store.consents.by_id(id).await?.ok_or_else(not_found)?.check(&rooms.row_key())?;
    if found.workload != *caller.id() || subject.is_some_and(|subject| subject != found.subject) {
        return Err(not_found());
    }
    rooms.not_blocked(&Names { workload: Some(caller.id().clone()), ..Names::default() })?;
    if found.is_expired(rooms.clock.now()) { super::expire(rooms, found).await } else { Ok(found) }
}

/// Waits until a consent is no longer at `seen_version`.
///
/// # Errors
/// As [`get_consent`].
pub async fn consent_changed(
    rooms: &Arc<Rooms>,
    caller: &Caller,
    id: &ConsentId,
    seen_version: i64,
) -> Result<Consent, Refusal> {
    let (mut wakeups, mut heard) = (rooms.store.wakeups.consents(), rooms.relay.hear());
    let this = Changed::Consent(id.clone());
    loop {
        let consent = get_consent(rooms, caller, id, None).await?;
        if consent.version != seen_version {
            return Ok(consent);
        }
        let left = consent.expires_at.since(rooms.clock.now()).max(Duration::from_millis(10)).min(POLL);
        tokio::time::sleep(left.min(REST)).await;
        // None in time only means looking again.
        let woken = async {
            tokio::select! {
                () = heard.about(&this) => Ok(()),
                woken = changed(&mut wakeups, id) => woken,
            }
        };
        tokio::time::timeout(left.saturating_sub(REST), woken).await.unwrap_or(Ok(()))?;
    }
}

/// Waits for a wake-up for `id`.
async fn changed(wakeups: &mut Receiver<ConsentId>, id: &ConsentId) -> Result<(), Refusal> {
    loop {
        match wakeups.recv().await {
            Ok(other) if other != *id => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return Ok(()),
            Err(RecvError::Closed) => return Err(Refusal::new(Reason::StoreUnavailable)),
        }
    }
}
