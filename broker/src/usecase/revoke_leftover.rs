//! Tokens that a consent obtained and nobody will own are revoked at the provider, durably (RV1, CO11, CO12).
//!
//! They stay sealed in the consent's row. The commit that ends the consent, or that finds it ended, queues their revocation,
//! so a process that dies at any point after it loses nothing.

use super::{
    AtProvider, Rooms,
    give_back_spooled::GivenBack,
    retry_revocations::{KEPT, Told},
    tell_provider::{Holder, Token, tell_provider},
};
use crate::{
    audit::Deadline,
    connection::own_connections,
    domain::{
        ConnectionState, Consent, ConsentState, Entry, EventKind, Outcome, Refusal, Timestamp, TokenHolder,
        Write, consent::Leftover, provider::RevocationEnds,
    },
};
use std::time::Duration;

/// So long a provider is told of what the spool keeps for nobody: sealed tokens are not kept for ever.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// The writes that store a consent that is over, and have what it leaves behind revoked. The worker does it at its next round.
pub(super) fn end(rooms: &Rooms, next: &Consent, expected_version: i64) -> Vec<Write> {
    let mut effect = vec![Write::UpdateConsent { row: rooms.row_key().tag(next.clone()), expected_version }];
    if !next.leftover.is_empty() {
        let holder = TokenHolder::Consent(next.id.clone());
        effect.push(Write::QueueProviderRevocation { holder, due_at: rooms.clock.now() });
    }
    effect
}

/// Revokes what a consent that is over left behind, and records what came of it.
///
/// # Errors
/// The store's and the audit log's.
pub(super) async fn tell_of_leftover(
    rooms: &Rooms,
    consent: Consent,
    attempts: i64,
) -> Result<AtProvider, Refusal> {
    let (at_provider, told) = if ends_a_connection(rooms, &consent).await? {
        (AtProvider::Unsupported, Told::kept(attempts))
    } else {
        let at_provider = tell_provider(rooms, &Token::left_by(&consent, &consent.leftover)).await;
        (at_provider, Told::at(rooms, at_provider, attempts))
    };
    let draft = Holder::Consent(&consent).draft(rooms, EventKind::ProviderRevoked, told.outcome());
    let holder = TokenHolder::Consent(consent.id.clone());
    let mut effect = Vec::new();
    if told.is_over() && !consent.leftover.is_empty() {
        let expected_version = consent.version;
        effect.push(Write::UpdateConsent { row: rooms.row_key().tag(consent.forget()), expected_version });
    }
    told.record(rooms, draft, holder, effect).await?;
    Ok(at_provider)
}

/// Whether revoking what this consent brought would end a connection that goes on, or one that is about to be (CO9).
async fn ends_a_connection(rooms: &Rooms, consent: &Consent) -> Result<bool, Refusal> {
    let Some(spec) = rooms.providers.get(&consent.provider) else { return Ok(false) };
    if spec.revocation_ends == RevocationEnds::OwnAuthorization {
        return Ok(false);
    }
    // What a completed one replaced was its connection's, and so of that account. Any other may have come from any account, also
    // where it was about one connection or about none: whichever of this person's stands there may be hit.
    let of = match &consent.state {
        ConsentState::Completed { connection, .. } => Some(connection),
        _ => None,
    };
    let rules = rooms.audit.rules();
    let provider = Some(&consent.provider);
    let own = own_connections(&rooms.store, &rooms.row_key(), &rules, &consent.subject, provider).await?;
    let mut standing = own.connections.iter().map(|(connection, _)| connection);
    if standing.any(|c| c.state == ConnectionState::Active && of.is_none_or(|of| c.id == *of)) {
        return Ok(true);
    }
    Ok(of.is_none() && another_waits(rooms, consent).await?)
}

/// Whether another consent of this person there holds tokens that may become a connection yet, or is fetching some.
async fn another_waits(rooms: &Rooms, consent: &Consent) -> Result<bool, Refusal> {
    let open = rooms.store.consents.open_of(&consent.subject, rooms.clock.now(), u32::MAX).await?;
    let key = rooms.row_key();
    // What cannot be relied on becomes no connection.
    let mut open = open.into_iter().filter_map(|row| row.ok()?.check(&key).ok());
    Ok(open.any(|other| {
        other.id != consent.id
            && other.subject == consent.subject
            && other.provider == consent.provider
            && matches!(
                other.state,
                ConsentState::Exchanging { .. } | ConsentState::AwaitingConfirmation { .. }
            )
    }))
}

/// Revokes what came for a consent whose row cannot hold it, for as long as it takes, until `until`: what this process holds is
/// all there is of it. Where that may end a connection that goes on, nothing is revoked. `consent` is the one that exchanged the
/// code.
///
/// # Errors
/// The audit log's.
pub(super) async fn give_back(
    rooms: &Rooms,
    consent: &Consent,
    came: &Leftover,
    until: Timestamp,
) -> Result<(), Refusal> {
    let mut pause = Duration::from_millis(200);
    let mut attempts = 1_i64;
    let mut at_provider = give_back_once(rooms, consent, came).await;
    while at_provider == Some(AtProvider::FailedWillRetry) && rooms.clock.now() < until {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
        attempts += 1;
        at_provider = give_back_once(rooms, consent, came).await;
    }
    note_given_back(rooms, consent, at_provider, attempts).await
}

/// The same for what the spool keeps, in one try. `since` = when it came.
///
/// # Errors
/// The audit log's.
pub(super) async fn give_back_kept(
    rooms: &Rooms,
    consent: &Consent,
    came: &Leftover,
    since: Timestamp,
) -> Result<GivenBack, Refusal> {
    let at_provider = give_back_once(rooms, consent, came).await;
    if at_provider == Some(AtProvider::FailedWillRetry) && rooms.clock.now() < since.plus(KEPT_FOR) {
        return Ok(GivenBack::Failed);
    }
    note_given_back(rooms, consent, at_provider, 1).await?;
    Ok(GivenBack::Over)
}

async fn note_given_back(
    rooms: &Rooms,
    consent: &Consent,
    at_provider: Option<AtProvider>,
    attempts: i64,
) -> Result<(), Refusal> {
    let (said, outcome) = match at_provider {
        None => (KEPT, Outcome::Allowed),
        Some(AtProvider::FailedWillRetry) => ("given_up", Outcome::Failed),
        Some(told) => (told.as_str(), Outcome::Allowed),
    };
    let mut draft = Holder::Consent(consent).draft(rooms, EventKind::ProviderRevoked, outcome);
    draft.detail.insert("at_provider", said.into());
    draft.detail.insert("attempts", attempts.into());
    rooms.audit.note(Entry { settlement: true, ..Entry::note(draft) }, Deadline::none()).await?;
    Ok(())
}

/// `None` = it is kept for a connection. As long as that cannot be read, nothing is revoked either.
async fn give_back_once(rooms: &Rooms, consent: &Consent, came: &Leftover) -> Option<AtProvider> {
    match ends_a_connection(rooms, consent).await {
        Ok(true) => None,
        Ok(false) => Some(tell_provider(rooms, &Token::left_by(consent, came)).await),
        Err(refusal) => {
            tracing::warn!(reason = refusal.reason.as_str(), "a person's connections cannot be read");
            Some(AtProvider::FailedWillRetry)
        }
    }
}
