//! Refreshing before anybody has to wait for it: connections in use, their token about to end (RF10).

use super::{
    prepare::{Cause, Prepared},
    refresh::{RefreshOutcome, Refreshing},
    tokens::Tokens,
};
use crate::{
    domain::{
        Connection, ConnectionState, Names, ProviderSpec, Quarantined, Reason, Refusal, SecretKind,
        SecretRow, Timestamp,
    },
    policy::Grounds,
    storage::EndingToken,
};
use std::{sync::Arc, time::Duration};

/// How much earlier than callers it begins at most: half as much again.
const EARLIER: u32 = 2;
/// A refresh token is used once in a quarter of the time that it may lie idle.
const IDLE_PARTS: u32 = 4;

/// The longest time before a token's end at which it may be refreshed ahead.
pub fn earliest(margin: Duration) -> Duration {
    margin + margin / EARLIER
}

/// When a refresh token that may lie idle for `limit` is used again: this long before that is over.
pub fn idle_margin(limit: Duration) -> Duration {
    limit - limit / IDLE_PARTS
}

impl Tokens {
    /// Refreshes a connection whose token ends soon, if its time has come and its owner is not blocked; whether it did. `jitter`, 0 to 1,
    /// is how early in the time between the earliest moment and the one at which callers do it themselves. `epoch_of` answers the
    /// revocation epoch at which nothing named is blocked.
    ///
    /// # Errors
    /// The store's, the audit log's and the provider's refusals.
    pub async fn refresh_ahead(
        self: &Arc<Self>,
        found: &EndingToken,
        spec: &ProviderSpec,
        jitter: f64,
        epoch_of: impl Fn(&Names) -> Result<i64, Refusal>,
    ) -> Result<bool, Refusal> {
        let turn = self.flights.turn(&found.connection).await;
        let stored = self.store.connections.by_id(&found.tenant, &found.connection).await?;
        let Some(stored) = stored else { return Ok(false) };
        let connection = stored.row.check(&self.keys.row_key())?;
        if connection.state != ConnectionState::Active || connection.provider != spec.id {
            return Ok(false);
        }
        let Some(newest) = self.newest(&connection).await? else { return Ok(false) };
        if !is_due(spec, &newest, jitter, self.clock.now()) {
            return Ok(false);
        }
        let names = names_of(&connection);
        let epoch = match epoch_of(&names) {
            Ok(epoch) => epoch,
            Err(refusal) if refusal.reason == Reason::Blocked => return Ok(false),
            Err(refusal) => return Err(refusal),
        };
        let cause = Cause {
            connection: &connection,
            spec,
            grounds: Grounds::KeepAlive,
            workload: None,
            names: &names,
            epoch,
        };
        let narrow_to =
            (spec.can_narrow() && newest.scopes != connection.scopes).then(|| newest.scopes.clone());
        let refreshing = match Refreshing::prepare(self, &cause, narrow_to).await? {
            Prepared::Refresh(refreshing) => refreshing,
            Prepared::Elsewhere { .. } | Prepared::Lost(..) => return Ok(false),
        };
        // Detached: a stop waits for it, and nothing that was rotated is lost (RF3).
        let this = Arc::clone(self);
        let task = self.detached.spawn(async move {
            let outcome = refreshing.run(&this).await;
            drop(turn);
            outcome
        });
        let outcome = task.await.map_err(|error| Refusal::new(Reason::Internal).caused_by(error))??;
        Ok(matches!(outcome, RefreshOutcome::Stored(_)))
    }

    /// The access token that was obtained last: the one that was needed last.
    async fn newest(&self, connection: &Connection) -> Result<Option<SecretRow>, Refusal> {
        let mut newest: Option<SecretRow> = None;
        for found in self.store.connections.secrets(&connection.id).await? {
            let row = found.map_err(Quarantined::from)?.check(&self.keys.row_key())?;
            let newer = newest.as_ref().is_none_or(|newest| newest.obtained_at < row.obtained_at);
            if row.kind == SecretKind::Access && newer {
                newest = Some(row);
            }
        }
        Ok(newest)
    }
}

/// Whether it is time: some while before callers would do it, or as long before the refresh token is over for want of use.
fn is_due(spec: &ProviderSpec, newest: &SecretRow, jitter: f64, now: Timestamp) -> bool {
    let idle = spec
        .idle_limit
        .is_some_and(|limit| now >= newest.obtained_at.plus(limit.saturating_sub(idle_margin(limit))));
    let ends = newest.expires_at.is_some_and(|end| {
        let life = end.since(newest.obtained_at);
        let margin = spec.margin(life);
        // Not earlier than half its life, whatever the margin.
        let ahead = earliest(margin).min(life / 2).max(margin);
        now >= end.minus(margin + ahead.saturating_sub(margin).mul_f64(jitter.clamp(0.0, 1.0)))
    });
    idle || ends
}

fn names_of(connection: &Connection) -> Names {
    let mut names = Names {
        tenant: Some(connection.owner.tenant().clone()),
        provider: Some(connection.provider.clone()),
        connection: Some(connection.id.clone()),
        ..Names::default()
    };
    if let crate::domain::Owner::Subject(subject) = &connection.owner {
        names.subject = Some(subject.clone());
    }
    names
}
