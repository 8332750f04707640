//! A wider connection takes the place of the one that stands, and never a narrower one (CO9).

use super::{Rooms, Visitor, revoke_leftover::end};
use crate::{
    connection::own_connections,
    domain::{
        Account, Connection, ConnectionState, Consent, Entry, EventKind, Outcome, Reason, RefreshToken,
        Refusal, ScopeSet, Sealed, SecretKind, SecretRow, Timestamp,
        consent::{Leftover, Obtained},
        provider::RevocationEnds,
    },
};

/// The tokens that were good until now, and when they may end.
pub(super) struct Replaced {
    /// Sealed under the consent's key.
    pub(super) tokens: Leftover,
    /// Not before what was handed out from them has ended.
    pub(super) due_at: Timestamp,
}

impl Replaced {
    pub(super) fn none(rooms: &Rooms) -> Self {
        Self { tokens: Leftover::default(), due_at: rooms.clock.now() }
    }

    /// The refresh token that nobody will use again, where ending it does not end the new one with it. What grants were answered
    /// with goes on for as long as it was promised: where an access token has no known end, what came with it is never revoked here.
    ///
    /// # Errors
    /// The vault's, where the key cannot be had right now.
    pub(super) async fn of(
        rooms: &Rooms,
        consent: &Consent,
        obtained: &Obtained,
        earlier: &Connection,
        rows: &[SecretRow],
    ) -> Result<Self, Refusal> {
        let mut replaced = Self::none(rooms);
        let spec = rooms.provider(&earlier.provider)?;
        // One that was not replaced goes on being used; one of another client cannot be revoked by this one (PR7).
        let ends = spec.revocation_ends == RevocationEnds::OwnAuthorization
            && obtained.refresh.is_some()
            && earlier.state == ConnectionState::Active
            && earlier.client_id == spec.client.id;
        let refresh = rows.iter().find(|row| row.kind == SecretKind::Refresh);
        let access = rows.iter().filter(|row| row.kind == SecretKind::Access);
        let ended: Option<Vec<Timestamp>> = access.map(|row| row.expires_at).collect();
        if let (true, Some(refresh), Some(ended)) = (ends, refresh, ended) {
            let sealed = Sealed::<RefreshToken>::from_envelope(refresh.envelope.clone());
            let from = earlier.refresh_key(refresh.generation);
            match rooms.vault.reseal(&from, &sealed, &consent.record_key()).await {
                Ok(sealed) => {
                    replaced.tokens.refresh = Some(sealed);
                    replaced.due_at = ended.into_iter().fold(replaced.due_at, Timestamp::max);
                }
                // It opens for nobody any more: there is nothing to revoke with, and the new one takes its place (VA9).
                Err(error) if error.reason() == Reason::RecordQuarantined => {
                    tracing::error!(connection = %earlier.id, %error, "a replaced refresh token is not revoked");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(replaced)
    }
}

/// Whether the person's standing connection for this very account carries something that `obtained` does not: it would be lost,
/// also to every other server that uses it.
pub(super) async fn holds_more(
    rooms: &Rooms,
    consent: &Consent,
    account: &Account,
    obtained: &ScopeSet,
) -> Result<bool, Refusal> {
    let rules = rooms.audit.rules();
    let provider = Some(&consent.provider);
    let own = own_connections(&rooms.store, &rooms.row_key(), &rules, &consent.subject, provider).await?;
    let mut standing = own.connections.iter().map(|(connection, _)| connection);
    Ok(standing.any(|connection| connection.account.id == account.id && would_lose(connection, obtained)))
}

/// Whether a connection of the same account that is in use would carry less with `obtained` in the place of what it has.
pub(super) fn would_lose(standing: &Connection, obtained: &ScopeSet) -> bool {
    standing.state == ConnectionState::Active && !standing.scopes.is_subset(obtained)
}

/// The connection was widened meanwhile: this consent ends, and the connection stays.
pub(super) async fn narrower(rooms: &Rooms, visitor: &Visitor, consent: Consent) -> Result<(), Refusal> {
    let mut draft = visitor.draft_about(rooms, EventKind::ConsentFailed, Outcome::Failed, &consent);
    draft.reason = Some(Reason::ConsentScopesReduced);
    let expected_version = consent.version;
    let effect = end(rooms, &consent.fail(Reason::ConsentScopesReduced)?, expected_version);
    rooms.audit.note(Entry { effect, ..Entry::note(draft) }, visitor.call.deadline).await?;
    Ok(())
}
