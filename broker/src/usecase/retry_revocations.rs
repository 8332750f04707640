//! The queue of revocations at providers: what is due is told, paced, and given up after about a week (RV1).

use super::{
    AtProvider, Rooms, expire::checked, revoke_connection::tell_provider, revoke_leftover::tell_of_leftover,
};
use crate::{
    audit::{Deadline, Refused},
    domain::{
        ConnectionId, ConnectionState, ConsentId, Entry, EventDraft, EventId, EventKind, Outcome, Reason,
        Refusal, Timestamp, TokenHolder, Write,
    },
    storage::{QueuedRevocation, StoreError},
};
use std::time::Duration;

/// After this many attempts, in about a week, a provider is told no more: sealed tokens are not kept for ever.
const MAX_ATTEMPTS: i64 = 36;

/// Retries revocations that are due; returns how many were tried.
///
/// # Errors
/// The store's and the audit log's.
pub async fn retry_revocations(rooms: &Rooms) -> Result<usize, Refusal> {
    let due = rooms.store.connections.due_revocations(rooms.clock.now(), 50).await?;
    for queued in &due {
        // One that cannot be done now does not keep the others waiting.
        if let Err(refusal) = retry(rooms, queued).await {
            tracing::warn!(reason = refusal.reason.as_str(), holder = %queued.holder, "a queued revocation failed");
        }
    }
    Ok(due.len())
}

async fn retry(rooms: &Rooms, queued: &QueuedRevocation) -> Result<(), Refusal> {
    let told = match &queued.holder {
        TokenHolder::Connection(id) => of_connection(rooms, queued, id).await,
        TokenHolder::Consent(id) => of_consent(rooms, queued, id).await,
    };
    match told {
        Err(refusal) if refusal.reason == Reason::RecordQuarantined => postpone(rooms, queued).await,
        told => told,
    }
}

async fn of_connection(rooms: &Rooms, queued: &QueuedRevocation, id: &ConnectionId) -> Result<(), Refusal> {
    let stored = rooms.store.connections.by_id(&queued.tenant, id).await?;
    let Some(stored) = stored else { return postpone(rooms, queued).await };
    match stored.row.check(&rooms.row_key()) {
        Ok(connection) if connection.state == ConnectionState::Revoked => {
            tell_provider(rooms, &connection, queued.attempts).await.map(drop)
        }
        // Not revoked, or not readable: the queue's row alone is no reason to end anything.
        _ => postpone(rooms, queued).await,
    }
}

async fn of_consent(rooms: &Rooms, queued: &QueuedRevocation, id: &ConsentId) -> Result<(), Refusal> {
    let found = match rooms.store.consents.by_id(id).await {
        Err(StoreError::Malformed { .. }) | Ok(None) => return postpone(rooms, queued).await,
        Ok(Some(tagged)) => checked(tagged, &rooms.row_key()),
        Err(error) => return Err(error.into()),
    };
    match found {
        Ok(consent) if consent.state.is_terminal() => tell_of_leftover(rooms, consent, queued.attempts).await,
        _ => postpone(rooms, queued).await,
    }
}

async fn postpone(rooms: &Rooms, queued: &QueuedRevocation) -> Result<(), Refusal> {
    tracing::error!(holder = %queued.holder, "a queued revocation has nothing to it that has ended and can be relied on");
    let told = Told::at(rooms, AtProvider::FailedWillRetry, queued.attempts + 1);
    let mut draft =
        EventDraft::new(EventId::random(&*rooms.rng), EventKind::ProviderRevoked, Outcome::Failed);
    draft.tenant = Some(queued.tenant.clone());
    match &queued.holder {
        TokenHolder::Connection(id) => draft.connection = Some(id.clone()),
        TokenHolder::Consent(id) => draft.consent = Some(id.clone()),
    }
    draft.reason = Some(Reason::RecordQuarantined);
    let effect = vec![told.reschedule(queued.holder.clone())];
    told.record(rooms, draft, effect).await
}

/// What an attempt came to, and when the next one is due.
pub(super) struct Told {
    at_provider: &'static str,
    attempts: i64,
    due_at: Option<Timestamp>,
}

impl Told {
    /// After `attempts` in all. What may still pass is tried again, until it is given up.
    pub(super) fn at(rooms: &Rooms, at_provider: AtProvider, attempts: i64) -> Self {
        if at_provider != AtProvider::FailedWillRetry {
            return Self { at_provider: at_provider.as_str(), attempts, due_at: None };
        }
        if attempts >= MAX_ATTEMPTS {
            return Self { at_provider: "given_up", attempts, due_at: None };
        }
        let due_at = Some(rooms.clock.now().plus(backoff(attempts)));
        Self { at_provider: at_provider.as_str(), attempts, due_at }
    }

    /// Whether nothing more is tried, so that nothing sealed need be kept.
    pub(super) fn is_over(&self) -> bool {
        self.due_at.is_none()
    }

    /// As recorded.
    pub(super) fn outcome(&self) -> Outcome {
        if self.is_over() && self.at_provider != "given_up" { Outcome::Allowed } else { Outcome::Failed }
    }

    /// Moves the queue's row on.
    pub(super) fn reschedule(&self, holder: TokenHolder) -> Write {
        Write::RescheduleProviderRevocation { holder, attempts: self.attempts, due_at: self.due_at }
    }

    /// Records it, truthfully, with its effect.
    ///
    /// # Errors
    /// The audit log's.
    pub(super) async fn record(
        &self,
        rooms: &Rooms,
        mut draft: EventDraft,
        effect: Vec<Write>,
    ) -> Result<(), Refusal> {
        draft.detail.insert("at_provider", self.at_provider.into());
        draft.detail.insert("attempts", self.attempts.into());
        let entry = Entry { effect, settlement: true, ..Entry::note(draft) };
        match rooms.audit.note(entry, Deadline::none()).await {
            // No longer queued, or moved on meanwhile: somebody else finished it, or the next round does.
            Ok(_) | Err(Refused::NotApplied) => Ok(()),
            Err(refused) => Err(refused.into()),
        }
    }
}

/// 30 s, doubled each time, at most 6 h.
fn backoff(attempts: i64) -> Duration {
    let doublings = u32::try_from(attempts.clamp(1, 12) - 1).unwrap_or(0);
    Duration::from_secs(30 * 2_u64.pow(doublings)).min(Duration::from_secs(6 * 3600))
}
