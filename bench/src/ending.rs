//! Access tokens that run out when a figure wants them to.

use crate::{
    Fault,
    estate::{Estate, owner, token},
};
use broker::{
    audit::Deadline,
    domain::{
        AccessToken, Connection, Entry, EventDraft, EventId, EventKind, Group, Outcome, ProviderId,
        SecretKind, SecretRow, Timestamp, Write,
    },
};
use demo::world::PROVIDER;
use std::time::Duration;

impl Estate {
    /// Gives a connected person another access token that lives for `life` in all, so that callers take it for one to be refreshed from
    /// `due_at` on.
    ///
    /// # Errors
    /// When the person is not connected, or the ledger refuses.
    pub async fn let_run_out(&self, person: u64, due_at: Timestamp, life: Duration) -> Result<(), Fault> {
        let rooms = self.rooms();
        let provider = ProviderId::parse(PROVIDER)?;
        let expires_at = due_at.plus(rooms.provider(&provider)?.margin(life));
        let connection = self.connection_of(person, &provider).await?;
        let (mut access, mut generation) = (None, 0);
        for row in rooms.store.connections.secrets(&connection.id).await? {
            let row = row.map_err(|why| format!("{why:?}"))?.check(&rooms.row_key());
            let row = row.map_err(|why| why.to_string())?;
            generation = generation.max(row.generation);
            if row.kind == SecretKind::Access {
                access = Some(row);
            }
        }
        let access = access.ok_or("nobody has called for this person")?;
        let key = connection.access_key(&access.scopes, generation + 1);
        let sealed = rooms.vault.seal::<AccessToken>(&key, token("access", person)).await?;
        let row = SecretRow {
            generation: generation + 1,
            envelope: sealed.envelope().into(),
            expires_at: Some(expires_at),
            obtained_at: expires_at.minus(life),
            ..access
        };
        let event = EventId::random(&*rooms.rng);
        let mut draft = EventDraft::new(event, EventKind::RefreshStored, Outcome::Allowed);
        draft.connection = Some(connection.id);
        let effect = vec![Write::PutSecret(rooms.row_key().tag(row))];
        let group = Group { entries: vec![Entry { effect, ..Entry::note(draft) }] };
        rooms.audit.note_group(group, Deadline::none()).await?;
        Ok(())
    }

    async fn connection_of(&self, person: u64, provider: &ProviderId) -> Result<Connection, Fault> {
        let rooms = self.rooms();
        let found = rooms.store.connections.of_owner(&owner(person)?, Some(provider)).await?;
        let found = found.into_iter().next().ok_or("this person is not connected")?;
        let stored = found.map_err(|why| format!("{why:?}"))?;
        Ok(stored.row.check(&rooms.row_key()).map_err(|why| why.to_string())?)
    }
}
