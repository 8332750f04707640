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
use futures::{StreamExt, future::join_all, stream};
use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// After this many attempts, in about a week, a provider is told no more: sealed tokens are not kept for ever.
const MAX_ATTEMPTS: i64 = 36;

/// As recorded when a provider is told no more.
const GIVEN_UP: &str = "given_up";

/// As recorded when a provider is not told, because it would end a connection that goes on.
pub(super) const KEPT: &str = "kept_for_its_connection";

/// Most that are taken on in one round.
const AT_ONCE: u32 = 64;
/// How many of one provider are under way at the same time.
const AT_ONE_PROVIDER: usize = 4;
/// After so many in one round that failed, a provider is left alone until the next.
const FAILURES: usize = 4;
/// So long after its first no further one of a provider is taken on in a round. Those that are under way are finished, so that a
/// round lasts as much longer as one provider takes for one of them.
const TURN: Duration = Duration::from_secs(15);

/// What a provider said that was not asked.
const NOT_ASKED: Option<AtProvider> = None;

/// Retries revocations that are due, of all providers side by side; returns how many were due. What a provider does not get to in
/// 15 seconds stays due for the next round, so that one that takes its time does not put off what falls due elsewhere for long.
///
/// # Errors
/// The store's.
pub async fn retry_revocations(rooms: &Rooms) -> Result<usize, Refusal> {
    let due = rooms.store.connections.due_revocations(rooms.clock.now(), AT_ONCE).await?;
    let mut providers: HashMap<&[u8], Vec<&QueuedRevocation>> = HashMap::new();
    let mut unreadable = Vec::new();
    for found in &due {
        match found {
            Ok(queued) => providers.entry(&queued.provider).or_default().push(queued),
            Err(row) => unreadable.push(row),
        }
    }
    let told = join_all(providers.into_values().map(|queued| of_provider(rooms, queued)));
    let anew = async {
        for row in unreadable {
            report(queue_anew(rooms, row).await);
        }
    };
    tokio::join!(told, anew);
    Ok(due.len())
}

/// A few at a time: one that takes its time keeps the others of its provider no longer waiting than must be.
async fn of_provider(rooms: &Rooms, queued: Vec<&QueuedRevocation>) {
    let (failures, began) = (AtomicUsize::new(0), rooms.clock.monotonic());
    let tell = |queued| {
        let failures = &failures;
        async move {
            let over = rooms.clock.monotonic().saturating_sub(began) >= TURN;
            if !over && failures.load(Ordering::Relaxed) < FAILURES && !report(retry(rooms, queued).await) {
                failures.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
    stream::iter(queued).for_each_concurrent(AT_ONE_PROVIDER, tell).await;
}

/// Whether it went well. One that cannot be done now does not keep the others waiting.
fn report(done: Result<Option<AtProvider>, Refusal>) -> bool {
    match done {
        Ok(at_provider) => at_provider != Some(AtProvider::FailedWillRetry),
        Err(refusal) => {
            tracing::warn!(reason = refusal.reason.as_str(), "a queued revocation failed");
            false
        }
    }
}

async fn retry(rooms: &Rooms, queued: &QueuedRevocation) -> Result<Option<AtProvider>, Refusal> {
    let told = match &queued.holder {
        TokenHolder::Connection(id) => of_connection(rooms, queued, id).await,
        TokenHolder::Consent(id) => of_consent(rooms, queued, id).await,
    };
    match told {
        Err(refusal) if refusal.reason == Reason::RecordQuarantined => {
            postpone(rooms, queued, unreliable(&queued.holder), refusal.reason).await
        }
        // Nothing can be read or written: the whole queue waits.
        Err(refusal) if matches!(refusal.reason, Reason::StoreUnavailable | Reason::AuditUnavailable) => {
            Err(refusal)
        }
        // What is wrong with this one must not keep it at the head of the queue, nor its tokens here once it is given up.
        Err(refusal) => postpone(rooms, queued, unreliable(&queued.holder), refusal.reason).await,
        told => told,
    }
}

async fn of_connection(
    rooms: &Rooms,
    queued: &QueuedRevocation,
    id: &ConnectionId,
) -> Result<Option<AtProvider>, Refusal> {
    let stored = rooms.store.connections.by_id(&queued.tenant, id).await?;
    // Gone, or moved to another tenant.
    let stored = stored.ok_or_else(|| Refusal::new(Reason::RecordQuarantined))?;
    match stored.row.check(&rooms.row_key())? {
        connection if connection.state == ConnectionState::Revoked => {
            tell_of_connection(rooms, &connection, queued.attempts).await.map(|told| Some(told.at_provider))
        }
        // The queue's row alone is no reason to end anything.
        _ => postpone(rooms, queued, None, Reason::RecordQuarantined).await,
    }
}

async fn of_consent(
    rooms: &Rooms,
    queued: &QueuedRevocation,
    id: &ConsentId,
) -> Result<Option<AtProvider>, Refusal> {
    let Some(tagged) = rooms.store.consents.by_id(id).await? else {
        return postpone(rooms, queued, None, Reason::RecordQuarantined).await;
    };
    match tagged.check(&rooms.row_key())? {
        consent if consent.state.is_terminal() => {
            tell_of_leftover(rooms, consent, queued.attempts).await.map(Some)
        }
        _ => postpone(rooms, queued, None, Reason::RecordQuarantined).await,
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
async fn postpone(
    rooms: &Rooms,
    queued: &QueuedRevocation,
    given_up: Option<Write>,
    reason: Reason,
) -> Result<Option<AtProvider>, Refusal> {
    tracing::error!(holder = %queued.holder, "a queued revocation has nothing to it that has ended and can be relied on now");
    let told = Told::at(rooms, AtProvider::FailedWillRetry, queued.attempts);
    let mut draft = quarantined(rooms, Some(&queued.holder));
    draft.tenant = Some(queued.tenant.clone());
    draft.reason = Some(reason);
    let effect = given_up.into_iter().filter(|_| told.is_over()).collect();
    told.record(rooms, draft, queued.holder.clone(), effect).await?;
    Ok(NOT_ASKED)
}

/// A row of the queue that cannot be read goes. If its holder is there, it is queued anew from what the holder's own row says.
async fn queue_anew(rooms: &Rooms, row: &QuarantinedRow) -> Result<Option<AtProvider>, Refusal> {
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
            done => return Ok(done.map(|_| NOT_ASKED)?),
        }
    }
    let entry = Entry {
        effect: vec![drop_row],
        settlement: true,
        ..Entry::note(quarantined(rooms, holder.as_ref()))
    };
    Ok(rooms.audit.note(entry, Deadline::none()).await.map(|_| NOT_ASKED)?)
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
            return Self { at_provider: GIVEN_UP, attempts, due_at: None };
        }
        let due_at = Some(rooms.clock.now().plus(backoff(attempts)));
        Self { at_provider: at_provider.as_str(), attempts, due_at }
    }

    /// It was not told, and will not be: it would end what is to go on.
    pub(super) fn kept(earlier: i64) -> Self {
        Self { at_provider: KEPT, attempts: earlier.max(0).saturating_add(1), due_at: None }
    }

    /// Whether nothing more is tried, so that nothing sealed need be kept.
    pub(super) fn is_over(&self) -> bool {
        self.due_at.is_none()
    }

    /// As recorded.
    pub(super) fn outcome(&self) -> Outcome {
        if self.is_over() && self.at_provider != GIVEN_UP { Outcome::Allowed } else { Outcome::Failed }
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
        // What the provider said stands; only that it was given up is not so yet.
        if self.at_provider == GIVEN_UP {
            draft.detail.insert("at_provider", AtProvider::FailedWillRetry.as_str().into());
        }
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
