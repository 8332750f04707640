//! What came after its lease was over: the newest generation wins. A write under a lease that is over is refused (RF2); what it would
//! have stored is looked at anew here, and stored only if nothing newer is there and nobody is at it.

use super::{
    refresh::{draft, of_call},
    settlement::Settlement,
    spool::Refreshed,
    tokens::Tokens,
};
use crate::{
    audit::{Deadline, Refused},
    domain::{
        Connection, ConnectionState, Entry, EventKind, Outcome, Reason, RefreshState, Refusal, SecretKind,
        SecretRow, Write, provider::Rotation, sealed::same_value,
    },
};

/// What became of tokens that came late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// They are stored.
    Stored,
    /// Newer ones are, or nothing can come of them.
    Superseded,
    /// Newer ones are, of another authorization: the person has connected anew.
    Outlived,
    /// Another holder is at it: nobody knows yet.
    Held,
}

/// Stores it if the refresh token that was sent for it is still the stored one. A connection that was given up for want of this token is
/// in use again, unless sending the old one once more has ended the new one too.
///
/// # Errors
/// The store's and the audit log's; a quarantined row.
pub(super) async fn store_late(
    tokens: &Tokens,
    settlement: &Settlement,
    rotation: Rotation,
) -> Result<Fate, Refusal> {
    let key = tokens.keys.row_key();
    let stored = tokens.store.connections.by_id(&settlement.tenant, &settlement.connection).await?;
    let Some(stored) = stored else { return Ok(Fate::Superseded) };
    let connection = stored.row.check(&key)?;
    let rows = stored_rows(tokens, settlement).await?;
    if is_stored(settlement, &rows) {
        return Ok(Fate::Stored);
    }
    let fate = judge(tokens, settlement, &connection, &stored.refresh, &rows, rotation);
    if fate != Fate::Stored {
        return Ok(fate);
    }
    let noted = draft(tokens, &connection, None, EventKind::RefreshStored, Outcome::Allowed);
    let mut noted = of_call(noted, settlement.sent, settlement.lease_epoch);
    noted.detail.insert("late", true.into());
    noted.scopes_granted = settlement.access.as_ref().map(|row| row.scopes.clone()).unwrap_or_default();
    let mut effect = settlement.tokens_beside(tokens, &rows);
    if connection.state == ConnectionState::ReauthRequired {
        let expected_version = connection.version;
        let version = expected_version + 1;
        let row = key.tag(Connection { state: ConnectionState::Active, version, ..connection });
        effect.push(Write::UpdateConnection { row, expected_version });
    }
    effect.push(Write::SupersedeLease {
        connection: settlement.connection.clone(),
        owner: settlement.lease_owner.clone(),
        expected_epoch: stored.refresh.lease_epoch,
    });
    let entry = Entry { effect, settlement: true, ..Entry::note(noted) };
    match tokens.audit.note(entry, Deadline::none()).await {
        Ok(_) => Ok(Fate::Stored),
        Err(Refused::NotApplied) => Ok(Fate::Held),
        Err(refused) => Err(refused.into()),
    }
}

async fn stored_rows(tokens: &Tokens, settlement: &Settlement) -> Result<Vec<SecretRow>, Refusal> {
    let key = tokens.keys.row_key();
    let mut rows = Vec::new();
    for found in tokens.store.connections.secrets(&settlement.connection).await? {
        rows.push(found.map_err(crate::domain::Quarantined::from)?.check(&key)?);
    }
    Ok(rows)
}

/// Whether the very values are there; they may have been wrapped by another key since. One commit stores both tokens, and the access token
/// may have gone since: where there is a refresh token, it alone tells.
fn is_stored(settlement: &Settlement, rows: &[SecretRow]) -> bool {
    let came = settlement.refresh.as_ref().or(settlement.access.as_ref());
    came.is_some_and(|came| rows.iter().any(|row| same_value(&row.envelope, &came.envelope)))
}

fn judge(
    tokens: &Tokens,
    settlement: &Settlement,
    connection: &Connection,
    state: &RefreshState,
    rows: &[SecretRow],
    rotation: Rotation,
) -> Fate {
    // It has ended, and what came ends with it: the provider is told of it.
    if connection.state == ConnectionState::Revoked {
        return Fate::Stored;
    }
    let stored = rows.iter().find(|row| row.kind == SecretKind::Refresh).map(|row| row.generation);
    // An access token alone is not worth a fight.
    if settlement.refresh.is_none() || stored.is_none() {
        return Fate::Superseded;
    }
    if stored != Some(settlement.sent) {
        // A refresh replaces a token under a lease of its own: where no lease came after this one, it was a new authorization. Where one
        // did, nobody can tell, and ending these tokens might end those that are stored.
        let anew = state.lease_epoch == settlement.lease_epoch;
        return if anew { Fate::Outlived } else { Fate::Superseded };
    }
    let now = state.read_at.unwrap_or_else(|| tokens.clock.now());
    let held = state.lease_until.is_some_and(|until| until > now);
    if held && state.lease_owner != settlement.lease_owner {
        return Fate::Held;
    }
    match (connection.state, rotation) {
        // Its successor sent the old token once more, and with that everything of the family is over.
        (ConnectionState::ReauthRequired, Rotation::FamilyRevoking) => Fate::Superseded,
        _ => Fate::Stored,
    }
}

/// What became of tokens that were kept in the spool.
pub enum Kept {
    /// They are stored, or nothing can come of them.
    Done,
    /// It is to be tried again.
    Later,
    /// Their connection has been connected anew: they are nobody's, and end at the provider. The refresh token first.
    Outlived(Box<Connection>, Vec<SecretRow>),
}

impl Tokens {
    /// Stores what was kept in the spool.
    ///
    /// # Errors
    /// The store's and the audit log's; a quarantined row.
    pub async fn store_kept(
        &self,
        record: &Refreshed,
        rotation_of: impl Fn(&crate::domain::ProviderId) -> Option<Rotation>,
    ) -> Result<Kept, Refusal> {
        let settlement =
            Settlement::of_record(record).ok_or_else(|| Refusal::new(Reason::RecordQuarantined))?;
        let stored = self.store.connections.by_id(&settlement.tenant, &settlement.connection).await?;
        let Some(stored) = stored else {
            tracing::warn!(connection = %settlement.connection, "tokens in the spool have no connection any more and were dropped");
            return Ok(Kept::Done);
        };
        let connection = stored.row.check(&self.keys.row_key())?;
        // A provider that is configured no more: the cautious choice.
        let rotation = rotation_of(&connection.provider).unwrap_or(Rotation::SingleUse);
        // Whatever was noted of them: what is in use is nobody's to end.
        let in_use = record.outlived && is_stored(&settlement, &stored_rows(self, &settlement).await?);
        let fate = match record.outlived {
            true if in_use => Fate::Stored,
            true => Fate::Outlived,
            false => store_late(self, &settlement, rotation).await?,
        };
        Ok(match fate {
            Fate::Stored => Kept::Done,
            Fate::Held => Kept::Later,
            Fate::Outlived => Kept::Outlived(Box::new(connection), settlement.rows()),
            Fate::Superseded => {
                tracing::warn!(connection = %settlement.connection, "tokens in the spool are superseded and were dropped");
                Kept::Done
            }
        })
    }
}
