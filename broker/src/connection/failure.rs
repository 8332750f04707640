//! After a call that brought nothing: the lease is given back, or the connection waits for its owner (RF6).

use super::{
    refresh::{draft, of_call},
    settlement::{Lease, Settlement, is_passing},
    tokens::Tokens,
};
use crate::{
    audit::{Audit, Deadline, Refused},
    domain::{
        Clock, Connection, ConnectionState, Entry, EventDraft, EventId, EventKind, Outcome, Reason, Refusal,
        Rng, Write, ledger::SettleLease,
    },
};
use std::{sync::Arc, time::Duration};

/// Gives the lease back, tried until it ends: a lease that is not given back says that the refresh token may be on its way.
///
/// # Errors
/// The audit log's.
pub(super) async fn settle_failure(
    tokens: &Tokens,
    connection: &Connection,
    lease: &Lease,
    mut draft: EventDraft,
    reason: Reason,
    rest: Option<Duration>,
) -> Result<(), Refusal> {
    draft.reason = Some(reason);
    if reason == Reason::ProviderClientRejected {
        tracing::error!(provider = %connection.provider, "the provider refuses the broker's client; connections are kept");
    }
    // "The user must act there" is no end of the grant: whoever comes within the rest is told to come back (RF6).
    let kept = if reason == Reason::ProviderGrantRejected { Reason::ProviderUnavailable } else { reason };
    let freed = lease.given_back(&connection.id, rest, kept.as_str(), None);
    Ok(Pen::of(tokens).patiently(draft, freed, lease.ends).await?)
}

/// Gives back, at its own pace, a lease that nobody may know to be held: as long as it would keep others waiting. One that is left says
/// that the refresh token may be on its way, and nothing was sent (RF11).
pub(super) fn give_back_detached(tokens: &Tokens, draft: EventDraft, freed: Write, for_as_long: Duration) {
    let pen = Pen::of(tokens);
    let until = tokens.clock.monotonic() + for_as_long;
    tokens.detached.spawn(async move {
        if let Err(refused) = pen.patiently(draft, freed, until).await {
            let reason = refused.reason().as_str();
            tracing::warn!(reason, "a lease that may be held is not given back");
        }
    });
}

/// What it takes to write, also when the call is over.
struct Pen {
    audit: Arc<Audit>,
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
}

impl Pen {
    fn of(tokens: &Tokens) -> Self {
        let (audit, clock, rng) =
            (Arc::clone(&tokens.audit), Arc::clone(&tokens.clock), Arc::clone(&tokens.rng));
        Self { audit, clock, rng }
    }

    /// Gives a lease back and says why; what passes is waited for, until then on the monotonic clock.
    async fn patiently(&self, mut draft: EventDraft, freed: Write, until: Duration) -> Result<(), Refused> {
        let mut pause = Duration::from_millis(50);
        loop {
            let effect = vec![freed.clone()];
            let entry = Entry { effect, settlement: true, ..Entry::note(draft.clone()) };
            let refused = match self.audit.note(entry, Deadline::none()).await {
                // A try whose acknowledgement was lost has given it back; or it was never taken, or is somebody else's by now.
                Ok(_) | Err(Refused::NotApplied) => return Ok(()),
                Err(refused) => refused,
            };
            if !is_passing(refused.reason()) || self.clock.monotonic() >= until {
                return Err(refused);
            }
            draft.id = EventId::random(&*self.rng);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
}

/// Gives back the lease of a settlement that came to nothing.
///
/// # Errors
/// The audit log's.
pub(super) async fn release_alone(
    tokens: &Tokens,
    settlement: &Settlement,
    reason: Reason,
) -> Result<(), Refusal> {
    let mut failed =
        EventDraft::new(EventId::random(&*tokens.rng), EventKind::RefreshFailed, Outcome::Failed);
    failed.tenant = Some(settlement.tenant.clone());
    failed.connection = Some(settlement.connection.clone());
    failed.reason = Some(reason);
    let failed = of_call(failed, settlement.sent, settlement.lease_epoch);
    let freed = Write::SettleLease(SettleLease {
        connection: settlement.connection.clone(),
        owner: settlement.lease_owner.clone(),
        epoch: settlement.lease_epoch,
        rest: None,
        last_error: reason.as_str().to_owned(),
        while_stored: None,
    });
    let entry = Entry { effect: vec![freed], settlement: true, ..Entry::note(failed) };
    match tokens.audit.note(entry, Deadline::none()).await {
        // It is not this one's any more.
        Ok(_) | Err(Refused::NotApplied) => Ok(()),
        Err(refused) => Err(refused.into()),
    }
}

/// The provider's word is final only if nobody replaced the refresh token meanwhile: the lease, the version and the generation of the
/// token that was sent say so (RF6).
///
/// # Errors
/// The audit log's; [`Reason::ProviderUnavailable`] when the word was about an older token.
pub(super) async fn latch(
    tokens: &Tokens,
    connection: Connection,
    lease: &Lease,
    sent: i64,
    mut latched: EventDraft,
) -> Result<(), Refusal> {
    let reason = Reason::ProviderGrantRejected;
    latched.reason = Some(reason);
    let release = lease.given_back(&connection.id, None, reason.as_str(), Some(sent));
    let freed = lease.given_back(&connection.id, None, "", None);
    let failed = draft(tokens, &connection, None, EventKind::RefreshFailed, Outcome::Failed);
    let mut failed = of_call(failed, sent, lease.epoch);
    let effect = vec![ended(tokens, connection), release];
    let entry = Entry { effect, settlement: true, ..Entry::note(latched) };
    match tokens.audit.note(entry, Deadline::none()).await {
        Ok(_) => Ok(()),
        // Renewed or ended meanwhile: the word was about an older token. The lease is given back on its own.
        Err(Refused::NotApplied) => {
            failed.reason = Some(Reason::Conflict);
            let entry = Entry { effect: vec![freed], settlement: true, ..Entry::note(failed) };
            match tokens.audit.note(entry, Deadline::none()).await {
                Ok(_) | Err(Refused::NotApplied) => {
                    Err(Refusal::new(Reason::ProviderUnavailable).retry_after(Duration::from_secs(1)))
                }
                Err(refused) => Err(refused.into()),
            }
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Two holders died with a single-use refresh token: nobody knows what became of it, and its person is asked, once (RF7).
///
/// # Errors
/// The audit log's.
pub(super) async fn give_up(
    tokens: &Tokens,
    connection: Connection,
    lease_epoch: i64,
) -> Result<(), Refusal> {
    let mut latched = draft(tokens, &connection, None, EventKind::ConnectionLatched, Outcome::Failed);
    latched.reason = Some(Reason::ProviderGrantRejected);
    latched.detail.insert("interrupted", true.into());
    let id = connection.id.clone();
    let supersede =
        Write::SupersedeLease { connection: id, owner: String::new(), expected_epoch: lease_epoch };
    let effect = vec![ended(tokens, connection), supersede];
    match tokens
        .audit
        .note(Entry { effect, settlement: true, ..Entry::note(latched) }, Deadline::none())
        .await
    {
        // Somebody else has just done it, or knows better.
        Ok(_) | Err(Refused::NotApplied) => Ok(()),
        Err(refused) => Err(refused.into()),
    }
}

fn ended(tokens: &Tokens, connection: Connection) -> Write {
    let expected_version = connection.version;
    let row =
        Connection { state: ConnectionState::ReauthRequired, version: expected_version + 1, ..connection };
    Write::UpdateConnection { row: tokens.keys.row_key().tag(row), expected_version }
}
