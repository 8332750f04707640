//! Tells a provider that tokens are to end: one road for a connection's and for what a consent left behind.

use super::{AtProvider, Rooms};
use crate::{
    audit::Deadline,
    domain::{
        AccessToken, Connection, Consent, Entry, EventDraft, EventId, EventKind, Kind, Outcome, Owner,
        ProviderId, Reason, RefreshToken, Refusal, Sealed, SecretKind, SecretRow, consent::Leftover,
    },
    policy::{Denial, Permit, RevokeAtProvider},
    provider::Revocation,
};

/// Whose tokens they are.
#[derive(Clone, Copy)]
pub(super) enum Holder<'a> {
    /// A connection that has ended.
    Connection(&'a Connection),
    /// A consent that has ended with tokens nobody will own.
    Consent(&'a Consent),
}

impl Holder<'_> {
    fn provider(&self) -> &ProviderId {
        match self {
            Self::Connection(connection) => &connection.provider,
            Self::Consent(consent) => &consent.provider,
        }
    }

    /// An event of the broker's own about it.
    pub(super) fn draft(&self, rooms: &Rooms, kind: EventKind, outcome: Outcome) -> EventDraft {
        let mut draft = EventDraft::new(EventId::random(&*rooms.rng), kind, outcome);
        match self {
            Self::Connection(connection) => {
                if let Owner::Subject(subject) = &connection.owner {
                    draft = draft.about(subject);
                }
                draft.tenant = Some(connection.owner.tenant().clone());
                draft.connection = Some(connection.id.clone());
            }
            Self::Consent(consent) => {
                draft = draft.about(&consent.subject);
                draft.consent = Some(consent.id.clone());
            }
        }
        draft.provider = Some(self.provider().clone());
        draft
    }
}

/// One of its tokens, sealed.
#[derive(Clone, Copy)]
pub(super) enum Token<'a> {
    /// A connection's.
    Stored(&'a Connection, &'a SecretRow),
    /// A consent's.
    Left(&'a Consent, SecretKind, &'a [u8]),
}

impl<'a> Token<'a> {
    /// What a consent left behind, the refresh token first.
    pub(super) fn left_by(consent: &'a Consent, left: &'a Leftover) -> Vec<Self> {
        let [refresh, access] = left.envelopes();
        [(SecretKind::Refresh, refresh), (SecretKind::Access, access)]
            .into_iter()
            .filter_map(|(kind, envelope)| Some(Self::Left(consent, kind, envelope?)))
            .collect()
    }

    fn holder(&self) -> Holder<'a> {
        match *self {
            Self::Stored(connection, _) => Holder::Connection(connection),
            Self::Left(consent, ..) => Holder::Consent(consent),
        }
    }

    fn kind(&self) -> SecretKind {
        match self {
            Self::Stored(_, row) => row.kind,
            Self::Left(_, kind, _) => *kind,
        }
    }

    fn envelope(&self) -> &[u8] {
        match self {
            Self::Stored(_, row) => &row.envelope,
            Self::Left(.., envelope) => envelope,
        }
    }

    fn permit<K: Kind>(&self, rooms: &Rooms) -> Result<Permit<RevokeAtProvider<K>>, Denial> {
        match self {
            Self::Stored(connection, row) => rooms.policy.revoke_at_provider::<K>(connection, row),
            Self::Left(consent, ..) => rooms.policy.revoke_waiting::<K>(consent),
        }
    }
}

/// Revokes `tokens`, which come with the refresh token first, as far as it goes. One that cannot be opened does not keep the
/// others alive; a provider that cannot be told now is not asked for the rest.
pub(super) async fn tell_provider(rooms: &Rooms, tokens: &[Token<'_>]) -> AtProvider {
    let mut at_provider = AtProvider::Revoked;
    for token in tokens {
        let told = match token.kind() {
            SecretKind::Refresh => tell_one::<RefreshToken>(rooms, token).await,
            SecretKind::Access => tell_one::<AccessToken>(rooms, token).await,
        };
        match told {
            Ok(Revocation::Revoked) => {}
            Ok(Revocation::Unsupported) if at_provider == AtProvider::FailedWillRetry => {}
            Ok(Revocation::Unsupported) => at_provider = AtProvider::Unsupported,
            Err(refusal) => {
                tracing::warn!(reason = refusal.reason.as_str(), "revocation at the provider failed");
                at_provider = AtProvider::FailedWillRetry;
                if refusal.reason != Reason::RecordQuarantined {
                    break;
                }
            }
        }
    }
    at_provider
}

async fn tell_one<K: Kind>(rooms: &Rooms, token: &Token<'_>) -> Result<Revocation, Refusal> {
    let spec = rooms.provider(token.holder().provider())?;
    let permit = token.permit::<K>(rooms)?;
    let draft = token.holder().draft(rooms, EventKind::ProviderRevokeIntent, Outcome::Allowed);
    let proof =
        rooms.audit.record::<RevokeAtProvider<K>>(permit, Entry::note(draft), Deadline::none()).await?;
    let opened = rooms.vault.open(proof, &Sealed::<K>::from_envelope(token.envelope().to_vec())).await?;
    Ok(rooms.engine.revoke(spec, opened).await?)
}
