//! Before a refresh: what is stored, who is at it, and whether policy agrees.

use super::{
    refresh::{Refreshing, lease_of},
    tokens::Tokens,
};
use crate::{
    domain::{
        Connection, ConnectionState, Names, ProviderSpec, Quarantined, Reason, RefreshState, Refusal,
        ScopeSet, SecretKind, SecretRow, Timestamp, WorkloadId, provider::Rotation,
    },
    policy::Grounds,
    provider::WORST_CASE,
};
use std::time::Duration;

/// A single-use refresh token that two holders died with is sent no third time (RF7).
const MOST_ATTEMPTS: i64 = 2;
/// When what waits in this process's own spool is stored.
const SOON: Duration = Duration::from_secs(1);

/// What is refreshed, and why.
pub(super) struct Cause<'a> {
    pub(super) connection: &'a Connection,
    pub(super) spec: &'a ProviderSpec,
    pub(super) grounds: Grounds<'a>,
    /// For whom; `None` = the broker itself, ahead of time.
    pub(super) workload: Option<&'a WorkloadId>,
    pub(super) names: &'a Names,
    pub(super) epoch: i64,
}

/// What is to be done about a token that ran out.
pub(super) enum Prepared {
    /// This.
    Refresh(Box<Refreshing>),
    /// Nothing for so long: another replica has the lease, or died with it and with the refresh token perhaps on its way (RF7).
    Elsewhere {
        rest: Duration,
        /// Whether its holder may still be at it, and is about to store what it gets.
        alive: bool,
    },
    /// Nothing any more: nobody knows what became of the refresh token, and it is not sent again. The connection, and the epoch of its
    /// last lease.
    Lost(Box<Connection>, i64),
}

impl Refreshing {
    /// Reads what is needed and asks policy.
    ///
    /// # Errors
    /// The store's; a cooldown; a policy denial; [`Reason::ProviderGrantRejected`] when there is nothing to refresh with
    /// any more.
    pub(super) async fn prepare(
        tokens: &Tokens,
        cause: &Cause<'_>,
        narrow_to: Option<ScopeSet>,
    ) -> Result<Prepared, Refusal> {
        let id = &cause.connection.id;
        let key = tokens.keys.row_key();
        let stored = tokens.store.connections.by_id(cause.connection.owner.tenant(), id).await?;
        let stored = stored.ok_or_else(|| Refusal::new(Reason::NotFound))?;
        let connection = stored.row.check(&key)?;
        if connection.state == ConnectionState::ReauthRequired {
            return Err(Refusal::new(Reason::ProviderGrantRejected));
        }
        // Leases and rests count on the clock that all replicas share.
        let now = stored.refresh.read_at.unwrap_or_else(|| tokens.clock.now());
        if let Some(until) = stored.refresh.cooldown_until.filter(|until| *until > now) {
            return Err(cooling(&stored.refresh, until.since(now)));
        }
        let lease = lease_of(cause.spec.rotation);
        if let Some(rest) = stored.refresh.lease_until.filter(|until| *until > now).map(|t| t.since(now)) {
            return Ok(Prepared::Elsewhere { rest, alive: rest + WORST_CASE > lease });
        }
        // Only the client that minted a token refreshes it (PR7); an operator changed the configuration.
        if connection.client_id != cause.spec.client.id {
            tracing::error!(provider = %connection.provider, "a connection was made with another OAuth client; its owner must connect again");
            return Err(Refusal::new(Reason::ProviderClientRejected));
        }
        let (mut secret, mut newest, mut generation) = (None, None, 0);
        for found in tokens.store.connections.secrets(id).await? {
            let row = found.map_err(Quarantined::from)?.check(&key)?;
            generation = generation.max(row.generation);
            match row.kind {
                SecretKind::Refresh => secret = Some(row),
                SecretKind::Access => newest = newest.max(row.expires_at),
            }
        }
        let secret: SecretRow = secret.ok_or_else(|| Refusal::new(Reason::ProviderGrantRejected))?;
        if let Some(rest) = early(cause.spec, newest, tokens.clock.now()) {
            return Err(Refusal::new(Reason::ProviderUnavailable).retry_after(rest));
        }
        let interrupted = stored.refresh.attempt_generation == Some(secret.generation);
        // The answer is in this replica's spool, and is stored in a moment. Other replicas cannot know, and wait as `takeover` says (RF5).
        if interrupted && tokens.spool.keeps_answer_to(id, secret.generation).await? {
            return Ok(Prepared::Elsewhere { rest: SOON, alive: false });
        }
        if interrupted && !still_works(cause.spec.rotation, &stored.refresh, now) {
            let fair = tokens.audit.fair_for();
            if let Some(rest) = takeover(&stored.refresh, now, fair, tokens.drain_grace) {
                return Ok(Prepared::Elsewhere { rest, alive: false });
            }
            if stored.refresh.attempts >= MOST_ATTEMPTS {
                return Ok(Prepared::Lost(Box::new(connection), stored.refresh.lease_epoch));
            }
        }
        let permit = tokens.policy.refresh(&connection, &secret, cause.grounds)?;
        let names = Names { workload: None, approval: None, ..cause.names.clone() };
        Ok(Prepared::Refresh(Box::new(Self {
            lease_epoch: stored.refresh.lease_epoch,
            secret,
            generation: generation + 1,
            spec: cause.spec.clone(),
            narrow_to,
            permit,
            workload: cause.workload.cloned(),
            names,
            epoch: cause.epoch,
            connection,
        })))
    }
}

fn cooling(state: &RefreshState, rest: Duration) -> Refusal {
    let reason = Reason::parse(&state.last_error).unwrap_or(Reason::ProviderUnavailable);
    Refusal::new(reason).retry_after(rest)
}

/// How long a provider is left alone that refuses a refresh while an access token is good.
fn early(spec: &ProviderSpec, newest: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    newest.filter(|end| spec.refuses_early_refresh && *end > now).map(|end| end.since(now))
}

/// Whether a token that was sent may be sent once more without a risk: it stays, or its grace is not over, counted from when its lease was
/// taken. After its grace it is as one that is good once (RF7).
fn still_works(rotation: Rotation, state: &RefreshState, now: Timestamp) -> bool {
    match rotation {
        Rotation::WithGrace(grace) => {
            let taken = state.lease_until.map(|until| until.minus(lease_of(rotation)));
            taken.is_some_and(|taken| now < taken.plus(grace))
        }
        rotation => !rotation.is_single_use(),
    }
}

/// How long the token of a holder that died is still left alone, where another replica may have it in its spool: the call, and the
/// time to store what was kept, of which only that counts in which the database was up: by its own word, and as far as this process saw
/// (`fair`), since a standby that was promoted or a network that was cut has not been started anew, and since a process that has just
/// started did not see what was before (RF7).
fn takeover(state: &RefreshState, now: Timestamp, fair: Duration, grace: Duration) -> Option<Duration> {
    let (up_for, until) = (state.up_for?.min(fair), state.lease_until?.plus(WORST_CASE + grace));
    let rest = until.since(now).max(grace.saturating_sub(up_for));
    (rest > Duration::ZERO).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(60);

    fn state(up_for: Option<u64>) -> RefreshState {
        let (lease_until, up_for) = (Some(at(0)), up_for.map(Duration::from_secs));
        RefreshState { lease_until, up_for, ..RefreshState::default() }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_unix_seconds(1_900_000_000 + seconds)
    }

    /// Proves: RF7
    #[test]
    fn rf7_a_token_with_a_grace_is_as_one_that_is_good_once_when_that_is_over() {
        // Its lease ends 40 s after it was taken.
        let grace = Rotation::WithGrace(Duration::from_secs(60));
        assert!(still_works(grace, &state(None), at(19)));
        assert!(!still_works(grace, &state(None), at(20)));
        let brief = Rotation::WithGrace(Duration::from_secs(5));
        assert!(!still_works(brief, &state(None), at(0)), "no lease is so short");
        assert!(!still_works(grace, &RefreshState::default(), at(0)), "nobody knows when it was sent");
        assert!(still_works(Rotation::None, &state(None), at(9000)));
        assert!(!still_works(Rotation::SingleUse, &state(None), at(0)));
    }

    /// Proves: RF7
    #[test]
    fn rf7_a_takeover_waits_for_the_call_and_for_what_may_be_in_a_spool() {
        let up = state(Some(3600));
        let whole = WORST_CASE + GRACE;
        let (long, short) = (Duration::MAX, Duration::from_secs(20));
        assert_eq!(takeover(&up, at(0), long, GRACE), Some(whole));
        let last = i64::try_from(whole.as_secs()).unwrap();
        assert_eq!(takeover(&up, at(last - 1), long, GRACE), Some(Duration::from_secs(1)));
        assert_eq!(takeover(&up, at(last), long, GRACE), None);
        let restarted = state(Some(10));
        assert_eq!(takeover(&restarted, at(last), long, GRACE), Some(Duration::from_secs(50)), "it was down");
        let away = takeover(&up, at(last), short, GRACE);
        assert_eq!(away, Some(Duration::from_secs(40)), "it was up, and out of reach");
        assert_eq!(takeover(&state(None), at(0), short, GRACE), None, "nobody else has a spool");
    }
}
