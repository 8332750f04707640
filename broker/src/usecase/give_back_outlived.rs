//! Tokens that came for a connection after its person had connected anew: the newer ones stay, and these end at the provider (RV1).

use super::{
    AtProvider, Rooms,
    give_back_spooled::GivenBack,
    revoke_leftover::KEPT_FOR,
    tell_provider::{Holder, Token, tell_provider},
};
use crate::{
    audit::Deadline,
    domain::{
        Connection, Entry, EventKind, Outcome, Refusal, SecretKind, SecretRow, provider::RevocationEnds,
    },
};

/// Revokes `tokens`, the refresh token first, where that does not end the newer ones too, in one try. Not before
/// the access token among them has ended: what was handed out earlier from the same authorization ends no later than that, and goes on
/// until then. Where it has no known end, nothing is revoked.
///
/// # Errors
/// The audit log's.
pub(super) async fn give_back_outlived(
    rooms: &Rooms,
    connection: &Connection,
    tokens: &[SecretRow],
) -> Result<GivenBack, Refusal> {
    let own = |spec: &crate::domain::ProviderSpec| spec.revocation_ends == RevocationEnds::OwnAuthorization;
    let access = tokens.iter().find(|row| row.kind == SecretKind::Access);
    let ends = access.and_then(|row| row.expires_at);
    let (true, Some(ends)) = (rooms.providers.get(&connection.provider).is_some_and(own), ends) else {
        tracing::warn!(connection = %connection.id, "tokens in the spool are outlived and were dropped");
        return Ok(GivenBack::Over);
    };
    let now = rooms.clock.now();
    if now < ends {
        return Ok(GivenBack::NotYet);
    }
    let told: Vec<_> = tokens.iter().map(|row| Token::Stored(connection, row)).collect();
    let at_provider = tell_provider(rooms, &told).await;
    let (said, outcome) = match at_provider {
        AtProvider::FailedWillRetry if now < ends.plus(KEPT_FOR) => return Ok(GivenBack::Failed),
        AtProvider::FailedWillRetry => ("given_up", Outcome::Failed),
        told => (told.as_str(), Outcome::Allowed),
    };
    let mut draft = Holder::Connection(connection).draft(rooms, EventKind::ProviderRevoked, outcome);
    draft.detail.insert("at_provider", said.into());
    draft.detail.insert("outlived", true.into());
    rooms.audit.note(Entry { settlement: true, ..Entry::note(draft) }, Deadline::none()).await?;
    Ok(GivenBack::Over)
}
