//! The queue of revocations at providers: what is due is told, paced, and given up after about a week (RV1).

use super::{AtProvider, Rooms, revoke_connection::tell_of_connection, revoke_leftover::tell_of_leftover};
use crate::{
    audit::{Deadline, Refused},
    domain::{
        ConnectionId, ConnectionState, ConsentId, Entry, EventDraft, EventId, EventKind, Outcome,
        QuarantinedRow, Reason, Refusal, Timestamp, TokenHolder, Write,
    },
    storage::QueuedRevocation,
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
    for found in &due {
        let done = match found {
            Ok(queued) => retry(rooms, queued).await,
            Err(row) => queue_anew(rooms, row).await,
        };
        // One that cannot be done now does not keep the others waiting.
        if let Err(refusal) = done {
            tracing::warn!(reason = refusal.reason.as_str(), "a queued revocation failed");
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
        Err(refusal) if refusal.reason == Reason::RecordQuarantined => {
            postpone(rooms, queued, unreliable(&queued.holder)).await
        }
        told => told,
    }
}

async fn of_connection(rooms: &Rooms, queued: &QueuedRevocation, id: &ConnectionId) -> Result<(), Refusal> {
    let stored = rooms.store.connections.by_id(&queued.tenant, id).await?;
    let Some(stored) = stored else { return postpone(rooms, queued, unreliable(&queued.holder)).await };
    match stored.row.check(&rooms.row_key()) {
        Ok(connection) if connection.state == ConnectionState::Revoked => {
            tell_of_connection(rooms, &connection, queued.attempts).await.map(drop)
        }
        // The queue's row alone is no reason to end anything.
        Ok(_) => postpone(rooms, queued, None).await,
        Err(_) => postpone(rooms, queued, unreliable(&queued.holder)).await,
    }
}

async fn of_consent(rooms: &Rooms, queued: &QueuedRevocation, id: &ConsentId) -> Result<(), Refusal> {
    let Some(tagged) = rooms.store.consents.by_id(id).await? else {
        return postpone(rooms, queued, None).await;
    };
    match tagged.check(&rooms.row_key()) {
        Ok(consent) if consent.state.is_terminal() => tell_of_leftover(rooms, consent, queued.attempts).await,
        Ok(_) => postpone(rooms, queued, None).await,
        Err(_) => postpone(rooms, queued, unreliable(&queued.holder)).await,
    }
}

/// What goes when a holder's tokens are given up whose own row cannot be relied on: without it nothing opens them.
fn unreliable(holder: &TokenHolder) -> Option<Write> {
    Some(match holder {
        TokenHolder::Connection(id) => Write::DeleteSecrets(id.clone()),
        TokenHolder::Consent(id) => Write::DeleteLeftovers(id.clone()),
    })
}

/// Counts an attempt that could not be made. With the last one, `given_up` is written too.
async fn postpone(rooms: &Rooms, queued: &QueuedRevocation, given_up: Option<Write>) -> Result<(), Refusal> {
    tracing::error!(holder = %queued.holder, "a queued revocation has nothing to it that has ended and can be relied on");
    let told = Told::at(rooms, AtProvider::FailedWillRetry, queued.attempts);
    let mut draft = quarantined(rooms, Some(&queued.holder));
    draft.tenant = Some(queued.tenant.clone());
    let effect = given_up.into_iter().filter(|_| told.is_over()).collect();
    told.record(rooms, draft, queued.holder.clone(), effect).await
}

/// A row of the queue that cannot be read goes. If its holder is there, it is queued anew from what the holder's own row says.
async fn queue_anew(rooms: &Rooms, row: &QuarantinedRow) -> Result<(), Refusal> {
    tracing::error!(column = row.column, "a row of the queue of revocations cannot be read");
    let holder = row.id(TokenHolder::parse);
    let drop_row = Write::DropQueuedRevocation(row.clone());
    if let Some(holder) = &holder {
        let due_at = rooms.clock.now().plus(backoff(i64::MAX));
        let queue = Write::QueueProviderRevocation { holder: holder.clone(), due_at };
        let draft = quarantined(rooms, Some(holder));
        let entry = Entry { effect: vec![drop_row.clone(), queue], settlement: true, ..Entry::note(draft) };
        match rooms.audit.note(entry, Deadline::none()).await {
            Err(Refused::NotApplied) => {}
            done => return Ok(done.map(drop)?),
        }
    }
    let entry = Entry {
        effect: vec![drop_row],
        settlement: true,
        ..Entry::note(quarantined(rooms, holder.as_ref()))
    };
    Ok(rooms.audit.note(entry, Deadline::none()).await.map(drop)?)
}

fn quarantined(rooms: &Rooms, holder: Option<&TokenHolder>) -> EventDraft {
    let mut draft =
        EventDraft::new(EventId::random(&*rooms.rng), EventKind::ProviderRevoked, Outcome::Failed);
    match holder {
        Some(TokenHolder::Connection(id)) => draft.connection = Some(id.clone()),
        Some(TokenHolder::Consent(id)) => draft.consent = Some(id.clone()),
        None => {}
    }
    draft.reason = Some(Reason::RecordQuarantined);
    draft
}

/// What an attempt came to, and when the next one is due.
pub(super) struct Told {
    at_provider: &'static str,
    attempts: i64,
    due_at: Option<Timestamp>,
}

impl Told {
    /// One more after `earlier` attempts, which nothing vouches for: whatever the number is, there is an end. What may still pass
    /// is tried again, until it is given up.
    pub(super) fn at(rooms: &Rooms, at_provider: AtProvider, earlier: i64) -> Self {
        let attempts = earlier.max(0).saturating_add(1);
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

    /// Records it, truthfully, with its effect, and moves the queue's row on.
    ///
    /// # Errors
    /// The audit log's.
    pub(super) async fn record(
        &self,
        rooms: &Rooms,
        mut draft: EventDraft,
        holder: TokenHolder,
        mut effect: Vec<Write>,
    ) -> Result<(), Refusal> {
        draft.detail.insert("at_provider", self.at_provider.into());
        draft.detail.insert("attempts", self.attempts.into());
        effect.push(Write::RescheduleProviderRevocation {
            holder: holder.clone(),
            attempts: self.attempts,
            due_at: self.due_at,
        });
        let again = (effect.len() > 1).then(|| draft.clone());
        let entry = Entry { effect, settlement: true, ..Entry::note(draft) };
        match (rooms.audit.note(entry, Deadline::none()).await, again) {
            // What it holds moved on meanwhile. It is tried again, but later, so that it keeps no others waiting.
            (Err(Refused::NotApplied), Some(draft)) => self.later(rooms, draft, holder).await,
            // No longer queued, or moved on meanwhile: somebody else finished it, or the next round does.
            (Ok(_) | Err(Refused::NotApplied), _) => Ok(()),
            (Err(refused), _) => Err(refused.into()),
        }
    }

    async fn later(&self, rooms: &Rooms, mut draft: EventDraft, holder: TokenHolder) -> Result<(), Refusal> {
        draft.id = EventId::random(&*rooms.rng);
        draft.outcome = Outcome::Failed;
        draft.detail.insert("at_provider", AtProvider::FailedWillRetry.as_str().into());
        let due_at = Some(rooms.clock.now().plus(backoff(self.attempts)));
        let effect = vec![Write::RescheduleProviderRevocation { holder, attempts: self.attempts, due_at }];
        let entry = Entry { effect, settlement: true, ..Entry::note(draft) };
        match rooms.audit.note(entry, Deadline::none()).await {
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
